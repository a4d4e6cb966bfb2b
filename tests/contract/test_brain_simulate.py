"""What other rules would do: the diff is right, pair by pair, explains itself, and changes nothing."""

from collections.abc import Mapping
from itertools import combinations
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.test_brain_properties import Act, acts, document, happen
from onefold.core.identifiers import STAND_IN, Identifier
from onefold.core.presets import PRESETS, preset
from onefold.core.rules import Rules, default_rules, parse_rules
from onefold.engine.history import Journal
from onefold.engine.memory import MemoryRun
from onefold.engine.simulate import LARGEST, simulate
from onefold.engine.situation import situation
from onefold.errors import OnefoldError, RulesError
from onefold.store.database import Database
from support.brain import Brain, Document, strangers
from support.outcome import hashed
from support.stores import NewDatabase, rows
from support.streams import SECRET

Graph = tuple[dict[Identifier, int | None], set[int]]
"""Who owns each identifier, and the keys of the surviving profiles."""


def diff(brain: Brain, under: Document | Rules, against: Rules | None = None) -> dict[str, Any]:
    """What the rules would make of the brain's journal."""
    rules = under if isinstance(under, Rules) else parse_rules(under)
    return simulate(brain.database, rules, SECRET, against)


# By hand.


def test_the_same_rules_change_nothing(brain: Brain) -> None:
    strangers(brain, *range(1, 7))
    found = diff(brain, {})
    assert found["changes"] == []
    assert found["profiles"] == {"before": 6, "after": 6, "created": 0, "gone": 0, "split": 0, "merged": 0}
    assert found["identifiers"] == {"moved": 0, "gained": 0, "lost": 0}
    assert found["pairs"] == found["shared"] == {"gained": 0, "lost": 0}
    assert found["refusals"] == {"gained": {}, "lost": {}}


def test_a_tighter_limit_splits_and_names_the_event_and_the_rule(brain: Brain) -> None:
    brain.tell("1", "email_hash:e1", "uid:home")
    brain.tell("2", "email_hash:e2", "uid:home")
    found = diff(brain, preset("strict"))
    assert found["profiles"] == {"before": 1, "after": 2, "created": 1, "gone": 0, "split": 1, "merged": 0}
    assert found["pairs"] == {"gained": 0, "lost": 3}
    assert found["shared"] == {"gained": 1, "lost": 0}
    assert found["refusals"] == {"gained": {"conflict email_hash.limit=1": 1}, "lost": {}}
    (change,) = found["changes"]
    assert (change["kind"], change["profiles"], change["pairs"]) == ("split", 2, 1)
    assert change["profile"] == brain.id_of("uid:home")
    assert change["because"] == "event 2 would make uid:home shared (email_hash.limit=1)"
    assert set(change["examples"]) == {hashed("email_hash:e1"), hashed("email_hash:e2"), "uid:home"}


def test_a_looser_limit_merges_and_names_the_event_and_the_rule(brain: Brain) -> None:
    brain.tell("1", "customer_id:ann", "uid:home")
    brain.tell("2", "customer_id:bob", "uid:home")
    found = diff(brain, {"identifiers": {"customer_id": {"limit": 2}}})
    assert found["profiles"] == {"before": 2, "after": 1, "created": 0, "gone": 1, "split": 0, "merged": 1}
    assert found["pairs"] == {"gained": 3, "lost": 0}
    assert found["refusals"] == {"gained": {}, "lost": {"conflict customer_id.limit=1": 1}}
    (change,) = found["changes"]
    assert (change["kind"], change["profile"]) == ("merged", brain.id_of("customer_id:ann"))
    assert set(change["with"]) == {brain.id_of("customer_id:ann"), brain.id_of("customer_id:bob")}
    assert change["because"] == "event 2 did make uid:home shared (customer_id.limit=1)"


def test_an_identifier_that_would_move_is_counted(brain: Brain) -> None:
    brain.tell("1", "customer_id:ann", "email_hash:e1")
    brain.tell("2", "customer_id:bob", "email_hash:e1")
    found = diff(brain, {"identifiers": {"email_hash": {"on_conflict": "move"}}})
    assert found["identifiers"] == {"moved": 1, "gained": 0, "lost": 0}
    assert found["pairs"] == {"gained": 1, "lost": 1}


def test_an_event_that_would_be_refused_whole_is_counted(brain: Brain) -> None:
    brain.tell("1", "email_hash:e1", "email_hash:e2")
    found = diff(brain, preset("strict"))
    assert found["refusals"]["gained"] == {"contradictory_identifiers": 1}
    assert found["identifiers"]["lost"] == 2


def test_an_assertion_that_could_not_hold_is_passed_over(brain: Brain) -> None:
    brain.adopt({"identifiers": {"loyalty": {}}})
    brain.tell("1", "loyalty:1", "uid:1")
    brain.tell("2", "customer_id:ann")
    brain.say("join", "loyalty:1", "customer_id:ann")
    found = diff(brain, {})
    assert (found["profiles"]["before"], found["profiles"]["after"]) == (1, 2)


def test_two_sets_of_rules_are_compared_with_each_other_and_not_with_the_store(brain: Brain) -> None:
    brain.tell("1", "email_hash:e1", "uid:home")
    brain.tell("2", "email_hash:e2", "uid:home")
    assert diff(brain, preset("strict"), preset("strict"))["changes"] == []
    (change,) = diff(brain, default_rules(), preset("strict"))["changes"]
    assert change["kind"] == "merged"


def test_at_most_twenty_changes_are_listed_the_largest_first(brain: Brain) -> None:
    for home in range(25):
        for member in range(2 + (home == 24)):
            brain.tell(f"{home}-{member}", f"email_hash:h{home}m{member}", f"uid:home{home}")
    found = diff(brain, preset("strict"))
    assert found["profiles"]["split"] == 25
    assert len(found["changes"]) == LARGEST == 20
    assert [change["pairs"] for change in found["changes"]] == [3, *[1] * 19]


# Presets.

STREAMS: Final[dict[str, list[tuple[str, ...]]]] = {
    "segment": [("customer_id:ann", "uid:1"), ("customer_id:bob", "uid:1")],
    "snowplow": [(f"email_hash:e{n}", "customer_id:ann") for n in range(6)],
    "adobe": [("customer_id:ann", "uid:1"), ("customer_id:bob", "uid:1")],
    "strict": [("email_hash:e1", "uid:1"), ("email_hash:e2", "uid:1")],
}


def test_every_preset_is_tried() -> None:
    assert {*STREAMS, "onefold"} == set(PRESETS)
    assert preset("onefold") == default_rules()


@pytest.mark.parametrize("name", STREAMS)
def test_each_preset_differs_from_the_defaults_on_a_stream_made_for_it(brain: Brain, name: str) -> None:
    for number, identifiers in enumerate(STREAMS[name]):
        brain.tell(str(number), *identifiers)
    found = diff(brain, preset(name))
    assert sum(found["pairs"].values()) + sum(found["identifiers"].values()) > 0


def test_an_unknown_preset_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(RulesError, match=", ".join(PRESETS)):
        preset("nonsense")


# Random histories: the diff against every pair of identifiers.


def stored(database: Database) -> Graph:
    """The stored graph, read by other means than the simulation's."""
    with database.snapshot() as reader:
        keys = {row[0] for row in reader.all("all_profiles", 0, 1_000_000) if row[3] is None}
    with situation(database, default_rules()) as now:
        owners = {member: key for key in keys for member in now.profile(key).members}
        return dict(owners), keys


def imagined(database: Database, rules: Rules) -> Graph:
    """The graph that these rules make of the journal."""
    with database.snapshot() as reader:
        journal = Journal(reader)
        run = MemoryRun(rules, SECRET, journal.read_back)
        for written in journal.entries():
            if written.event.kind != "rules":
                try:
                    run.take(written.event, written.seq)
                except OnefoldError:
                    continue
    nodes = {identifier: node for identifier, node in run.graph.nodes.items() if node is not None}
    owners = {identifier: node.owner for identifier, node in nodes.items()}
    return owners, set(run.surviving())


def one_person(owners: Mapping[Identifier, int | None]) -> set[tuple[Identifier, Identifier]]:
    """All pairs of identifiers that belong to one person."""
    known = sorted(i for i, owner in owners.items() if owner is not None and i.type != STAND_IN)
    return {(a, b) for a, b in combinations(known, 2) if owners[a] == owners[b]}


@settings(max_examples=60)
@given(under=st.integers(0, 9999).map(document), other=st.integers(0, 9999).map(document), history=acts(25))
def test_pairs_and_profiles_gained_and_lost_are_those_of_brute_force(
    new_database: NewDatabase, under: Document, other: Document, history: list[Act]
) -> None:
    with new_database() as database:
        brain = Brain(database, under)
        happen(brain, history, [4])
        (before, keys_before), (after, keys_after) = stored(database), imagined(database, parse_rules(other))
        found = diff(brain, other)
        pairs_before, pairs_after = one_person(before), one_person(after)
        assert found["pairs"] == {"gained": len(pairs_after - pairs_before), "lost": len(pairs_before - pairs_after)}
        assert found["profiles"]["before"] == len(keys_before)
        assert found["profiles"]["after"] == len(keys_after)
        assert found["profiles"]["created"] == len(keys_after - keys_before)
        assert found["profiles"]["gone"] == len(keys_before - keys_after)
        lost = {i for i, owner in before.items() if owner is not None and after.get(i) is None and i.type != STAND_IN}
        assert found["identifiers"]["lost"] == len(lost)


# Nothing is written.


def test_a_simulation_writes_nothing(brain: Brain) -> None:
    strangers(brain, *range(1, 7))
    brain.say("separate", "email_hash:e1", "email_hash:e2")
    before = rows(brain.database)
    for name in PRESETS:
        diff(brain, preset(name), default_rules())
    assert rows(brain.database) == before
