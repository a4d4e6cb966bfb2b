"""What holds whatever arrives, whatever operators say, and whatever rules come to hold in between."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import combinations, pairwise
from math import inf
from random import Random
from typing import Any, Final

import networkx
from hypothesis import given, settings
from hypothesis import strategies as st

from onefold.core.assertions import ASSERTED, ASSERTION, KINDS, Assertion
from onefold.core.decision import Decision
from onefold.core.event import Event
from onefold.core.graph import Graph, Profile
from onefold.core.heal import Past
from onefold.core.identifiers import STAND_IN, Identifier
from onefold.core.rules import Rules, parse_rules
from onefold.engine.advance import Advanced, assertion_event
from onefold.engine.explain import explain
from onefold.engine.memory import MemoryRun
from onefold.engine.resolve_file import resolve_lines
from onefold.engine.situation import Situation, situation
from onefold.errors import OnefoldError
from onefold.store.database import Database
from onefold.store.graph_store import Written
from support import pictures
from support.brain import Brain, Document
from support.outcome import lines
from support.stores import NewDatabase
from support.streams import HOUR, SECRET, make_event

Act = Event | Assertion | Document
"""What happens next: an event arrives, an operator says something, or other rules come to hold."""

# Random acts, made from numbers; a failing history shrinks by losing its end.


def document(seed: int) -> Document:
    """Random rules over a small world: tight limits and caps, every conflict policy, healing mostly on."""
    chance = Random(seed)
    policy = ("keep", "share", "move")
    return {
        "profile": {
            "max_identifiers": chance.choice([4, 6, 1000]),
            "max_merges": chance.choice([1, 3, 100]),
            "heal": chance.random() < 0.85,
        },
        "identifiers": {
            "customer_id": {"limit": chance.choice([1, 1, 2]), "on_conflict": chance.choice(policy)},
            "email_hash": {
                "hashed": False,
                "limit": chance.choice([1, 2, 3]),
                "on_conflict": chance.choice(policy),
                "window": chance.choice(["ever", "ever", "daily"]),
            },
            "phone_hash": {"hashed": False, "limit": chance.choice([1, 2])},
            "uid": {"on_conflict": chance.choice(policy)},
        },
        "unsigned": chance.choice(["merge", "merge", "attach", "refuse"]),
    }


def acts(most: int, new_rules: bool = True) -> st.SearchStrategy[list[Act]]:
    """A history of any length: mostly events; one act in six is an assertion; seldom other rules."""
    drawn = st.tuples(st.integers(0, 2**32), st.integers(2, most))
    return drawn.map(lambda seed_and_size: _acts(*seed_and_size, new_rules))


def _acts(seed: int, size: int, new_rules: bool) -> list[Act]:
    chance, now, found = Random(seed), 0, []
    for number in range(size):
        now += chance.choice([1000, 1000, 13 * HOUR])
        found.append(_act(chance, number, now, new_rules))
    return found


def _act(chance: Random, number: int, now: int, new_rules: bool) -> Act:
    dice = chance.random()
    if dice < 0.17:
        return _assertion(chance)
    if dice < 0.21 and new_rules:
        return document(chance.randrange(1000))
    return make_event(
        f"e{number}",
        *chance.sample(_someone(chance), chance.choice([1, 1, 2, 2, 3, 4])),
        ts=now,
        received_at=now,
        site="a",
        session_id=chance.choice([None, "s1", "s2"]),
        verified=chance.random() < 0.5,
    )


def _someone(chance: Random) -> list[str]:
    """One identifier of each type; customers sometimes go by the type's other name."""
    customer = chance.choice(["customer_id", "customer_id", "user_id"])
    return [
        f"{customer}:c{chance.randrange(4)}",
        f"email_hash:e{chance.randrange(6)}",
        f"phone_hash:p{chance.randrange(3)}",
        f"uid:u{chance.randrange(5)}",
    ]


def _assertion(chance: Random) -> Assertion:
    """Something an operator says, half of the time about a handful of identifiers, so that assertions meet."""
    few = ["customer_id:c0", "customer_id:c1", "email_hash:e0"]
    names = {*_someone(chance), *_someone(chance)} if chance.random() < 0.5 else few
    a, b = chance.sample(sorted({own_name(Identifier.parse(name)) for name in names}), 2)
    kind = chance.choice(KINDS)
    return Assertion(kind, a, b if kind in ("join", "separate") else None, "me", "because")


def own_name(identifier: Identifier) -> Identifier:
    """The identifier under its type's own name."""
    return Identifier(identifier.type.replace("user_id", "customer_id"), identifier.value)


# A run in memory, looked at after every act.


class Run:
    """A graph in memory with its past, the rules, and the ids that anybody was ever told."""

    def __init__(self, under: Document) -> None:
        self.rules = parse_rules(under)
        self.told: set[str] = set()
        self._past: dict[int, Event] = {}
        self._known: set[str] = set()
        self._run = MemoryRun(self.rules, SECRET, self._read_back)

    @property
    def graph(self) -> Graph:
        """The graph as it is now."""
        return self._run.graph

    @property
    def alive(self) -> list[Profile]:
        """The profiles that were not merged away."""
        return [self.graph.profiles[key] for key in self._run.surviving()]

    def do(self, act: Act) -> Advanced | None:
        """Let an act happen; None for other rules, a refused assertion, and what was seen before."""
        if isinstance(act, dict):
            self.rules = parse_rules(act)
            self._run.change_rules(self.rules)
            return None
        seq = len(self._past) + 1
        event = assertion_event(act, f"said{seq}", seq) if isinstance(act, Assertion) else act
        if event.event_id in self._known:
            return None
        self._past[seq] = event
        try:
            advanced = self._run.take(event, seq)
        except OnefoldError:
            advanced = None
        if advanced is None or advanced.decision.outcome == "refused":
            del self._past[seq]
            return advanced
        self._note(event, advanced)
        return advanced

    def _note(self, event: Event, advanced: Advanced) -> None:
        self._known.add(event.event_id)
        self.told |= {public_id for entry in advanced.entries for public_id in entry.profiles}
        if advanced.decision.profile is not None:
            self.told.add(self.graph.profiles[advanced.decision.profile].id)

    def _read_back(self, positions: Sequence[int]) -> Past:
        return [(seq, self._past[seq]) for seq in positions]


def runs(under: Document, history: Sequence[Act]) -> Iterator[tuple[Run, Act, Advanced | None]]:
    """The run after each act."""
    run = Run(under)
    for act in history:
        yield run, act, run.do(act)


EXAMPLES: Final = settings(max_examples=400, print_blob=True)
RULES: Final = st.integers(0, 2**32).map(document)
HISTORIES: Final = acts(30)
UNDER_ONE_RULE: Final = acts(30, new_rules=False)


@EXAMPLES
@given(RULES, HISTORIES)
def test_every_id_ever_told_leads_to_exactly_one_surviving_profile(under: Document, history: list[Act]) -> None:
    *_, (run, _, _) = runs(under, history)
    ids = [profile.id for profile in run.graph.profiles.values()]
    assert len(set(ids)) == len(ids)
    assert run.told <= set(ids)
    alive = {profile.key for profile in run.alive}
    assert all(run.graph.survivor(key) in alive for key in run.graph.profiles)
    absorbed = sorted(key for profile in run.alive for key in profile.absorbed)
    assert absorbed == sorted(run.graph.profiles.keys() - alive)


@EXAMPLES
@given(RULES, HISTORIES)
def test_an_identifier_is_owned_by_one_surviving_profile_or_shared_and_never_both(
    under: Document, history: list[Act]
) -> None:
    for run, _, _ in runs(under, history):
        nodes = {identifier: node for identifier, node in run.graph.nodes.items() if node is not None}
        owned = {identifier: profile.key for profile in run.alive for identifier in profile.members}
        assert owned == {identifier: node.owner for identifier, node in nodes.items() if node.owner is not None}
        assert not any(node.shared and node.owner is not None for node in nodes.values())
        assert all(nodes[identifier].shared for profile in run.alive for identifier in profile.shares)
        assert all(nodes[identifier] is node for profile in run.alive for identifier, node in profile.members.items())


def without_joins(history: Sequence[Act], but: str = "") -> list[Act]:
    """The history without operators' joins, whose word is above limits and caps; those of one type may stay."""

    def stays(act: Act) -> bool:
        if not isinstance(act, Assertion) or act.kind != "join":
            return True
        return {identifier.type for identifier in act.identifiers} == {but}

    return [act for act in history if stays(act)]


@EXAMPLES
@given(RULES, UNDER_ONE_RULE)
def test_no_profile_breaks_a_limit_or_a_cap(under: Document, history: list[Act]) -> None:
    ever = {**under, "identifiers": {name: {**t, "window": "ever"} for name, t in under["identifiers"].items()}}
    for run, _, _ in runs(ever, without_joins(history)):
        for profile in run.alive:
            _keeps_limits(profile, run.rules)


def _keeps_limits(profile: Profile, rules: Rules) -> None:
    """Stand-ins count towards nothing."""
    for rule in rules.types.values():
        held = [identifier for identifier in profile.members if identifier.type == rule.name]
        assert rule.limit is None or len(held) <= rule.limit
    assert sum(identifier.type != STAND_IN for identifier in profile.members) <= rules.max_identifiers
    assert len(profile.absorbed) <= rules.max_merges


@EXAMPLES
@given(RULES, UNDER_ONE_RULE)
def test_joined_values_of_a_unique_type_count_once(under: Document, history: list[Act]) -> None:
    under["identifiers"]["customer_id"]["limit"] = 1
    for run, _, _ in runs(under, without_joins(history, but="customer_id")):
        for profile in run.alive:
            held = [identifier for identifier in profile.members if identifier.type == "customer_id"]
            assert run.graph.assertions.distinct(held) <= 1


@EXAMPLES
@given(RULES, HISTORIES)
def test_a_separation_in_force_holds_after_every_act(under: Document, history: list[Act]) -> None:
    for run, _, _ in runs(under, history):
        for profile in run.alive:
            assert run.graph.assertions.keeps_apart(profile.members, profile.members) is None


@EXAMPLES
@given(RULES, HISTORIES)
def test_a_join_in_force_holds_right_after_it_was_said(under: Document, history: list[Act]) -> None:
    for run, act, advanced in runs(under, history):
        if isinstance(act, Assertion) and act.kind == "join" and advanced is not None:
            owners = {node.owner for node in map(run.graph.node, act.identifiers) if node is not None}
            assert len(owners) == 1
            assert None not in owners


@EXAMPLES
@given(RULES, HISTORIES)
def test_an_identifier_that_is_not_with_the_answered_profile_has_a_reason(under: Document, history: list[Act]) -> None:
    """Unless the event itself called for a healing, which may give its own entry to another part."""
    for run, act, advanced in runs(under, history):
        if advanced is None or isinstance(act, Assertion) or advanced.decision.profile is None:
            continue
        if "split" not in [entry.kind for entry in advanced.entries]:
            _is_explained(run.graph, advanced.decision)


def _is_explained(graph: Graph, decision: Decision) -> None:
    assert decision.profile is not None
    told = {step.identifier for step in decision.trace if step.code is not None or step.action == "release"}
    members = graph.profiles[graph.survivor(decision.profile)].members
    for identifier in decision.identifiers:
        node = graph.node(identifier)
        assert identifier in members or identifier in told or (node is not None and node.shared)


def test_the_random_histories_reach_everything_that_can_happen() -> None:
    """A property that never meets a healing or a refused assertion proves nothing."""
    seen = {word for seed in range(150) for word in _happenings(document(seed), _acts(seed, 30, new_rules=True))}
    assert seen >= {
        *("created", "attached", "merged", "refused", "split", "shared", STAND_IN, ASSERTED, "unsigned=attach"),
        *("join said", "join refused", "separate said", "separate refused", "share said", "unshare said"),
    }


def _happenings(under: Document, history: Sequence[Act]) -> Iterator[str | None]:
    for _, act, advanced in runs(under, history):
        if isinstance(act, Assertion):
            yield f"{act.kind} {'refused' if advanced is None else 'said'}"
        if advanced is not None:
            yield advanced.decision.outcome
            yield from (entry.kind for entry in advanced.entries)
            for step in advanced.decision.trace:
                yield from (step.rule, step.identifier.type)


# The store: the same acts, in batches.


def happen(brain: Brain, history: Sequence[Act], sizes: Sequence[int]) -> None:
    """Let the acts happen, events in batches of at most these sizes in turn."""
    batch: list[Event] = []
    turn = 0
    for act in history:
        if isinstance(act, Event):
            batch.append(act)
        if batch and (not isinstance(act, Event) or len(batch) >= sizes[turn % len(sizes)]):
            brain.take(*batch)
            batch, turn = [], turn + 1
        _interrupt(brain, act)
    if batch:
        brain.take(*batch)


def _interrupt(brain: Brain, act: Act) -> None:
    if isinstance(act, dict):
        brain.adopt(act)
    elif isinstance(act, Assertion):
        with suppress(OnefoldError):
            brain.hear(act)


SIZES: Final = st.lists(st.integers(1, 9), min_size=1, max_size=3)
STORED: Final = settings(max_examples=100, print_blob=True)


@STORED
@given(under=RULES, history=HISTORIES, sizes=SIZES)
def test_the_store_is_what_its_journal_gives_and_knows_what_it_has_seen(
    new_database: NewDatabase, under: Document, history: list[Act], sizes: list[int]
) -> None:
    with new_database() as database:
        brain = Brain(database, under)
        happen(brain, history, sizes)
        assert brain.differences() == []
        _accepted_once(brain)


def _accepted_once(brain: Brain) -> None:
    """Everything that the journal has may come again, and changes nothing."""
    before = pictures.of_store(brain.database), pictures.counts(brain.database)
    known = {written.event.event_id for written in pictures.journal(brain.database)}
    again = [event for event in brain.taken if event.event_id in known]
    if again:
        assert brain.take(*again) == [None] * len(again)
    assert (pictures.of_store(brain.database), pictures.counts(brain.database)) == before


@STORED
@given(under=RULES, history=HISTORIES, sizes=SIZES)
def test_every_id_in_answers_and_ledger_leads_to_a_stored_profile(
    new_database: NewDatabase, under: Document, history: list[Act], sizes: list[int]
) -> None:
    with new_database() as database:
        brain = Brain(database, under)
        happen(brain, history, sizes)
        keys, told = _surviving(database), _told(database)
        with situation(database, brain.rules) as now:
            surviving = {key: now.profile(key).id for key in keys}
            for public_id in sorted(told):
                key = now.key_of(public_id)
                assert key in surviving
                assert public_id == surviving[key] or public_id in {
                    now.profile(other).id for other in now.profile(key).absorbed
                }


def _surviving(database: Database) -> list[int]:
    with database.snapshot() as reader:
        return [row[0] for row in reader.all("all_profiles", 0, 1_000_000) if row[3] is None]


def _told(database: Database) -> set[str]:
    """Every id the ledger ever named, under any key."""
    ledger = pictures.of_store(database)["ledger"]
    found = {entry[key] for entry in ledger for key in ("profile", "survivor") if key in entry}
    return found.union(*(entry.get(key, ()) for entry in ledger for key in ("profiles", "into", "merged", "merges")))


# Without limits, sharing and caps.

OPEN: Final[Document] = {
    "profile": {"max_identifiers": 100_000, "max_merges": 100_000},
    "identifiers": {
        "customer_id": {"limit": 9_999},
        "email_hash": {"hashed": False, "limit": 9_999},
        "phone_hash": {"hashed": False, "limit": 9_999},
        "uid": {"on_conflict": "keep"},
    },
}


def components(events: Sequence[Event]) -> set[frozenset[Identifier]]:
    """The connected components of the graph in which an event joins its identifiers."""
    graph: networkx.Graph[Identifier] = networkx.Graph()
    for event in events:
        networkx.add_path(
            graph, [Identifier(i.type.replace("user_id", "customer_id"), i.value) for i in event.identifiers]
        )
    return {frozenset(component) for component in networkx.connected_components(graph)}


@STORED
@given(acts(25, new_rules=False).flatmap(lambda history: st.tuples(st.just(history), st.permutations(history))))
def test_without_limits_the_store_holds_the_connected_components_in_any_order(
    new_database: NewDatabase, orders: tuple[list[Act], list[Act]]
) -> None:
    for order in orders:
        events = [act for act in order if isinstance(act, Event)]
        with new_database() as database:
            brain = Brain(database, OPEN)
            happen(brain, events, [3])
            keys = _surviving(database)
            with situation(database, brain.rules) as now:
                partition = {frozenset(now.profile(key).members) for key in keys}
        assert partition == components(events)


# Explaining: any two identifiers, linked or not.


@STORED
@given(under=RULES, history=HISTORIES, sizes=SIZES)
def test_any_two_identifiers_are_explained(
    new_database: NewDatabase, under: Document, history: list[Act], sizes: list[int]
) -> None:
    with new_database() as database:
        brain = Brain(database, under)
        happen(brain, history, sizes)
        with situation(database, brain.rules) as now:
            names = {own_name(identifier) for event in brain.taken for identifier in event.identifiers}
            for a, b in combinations(sorted(names), 2):
                answer = explain(now, a, b)
                if answer["linked"]:
                    # What a healing under other rules left where it was may have lost all its evidence to other people.
                    assert answer["chain"] or any(isinstance(act, dict) for act in history)
                    _chain_holds(now, answer)
                else:
                    assert answer["reasons"]
                    assert all(reason["kind"] and reason["text"] for reason in answer["reasons"])


def _chain_holds(now: Situation, answer: Mapping[str, Any]) -> None:
    """A chain leads from the one end to the other, and no shorter one does."""
    chain = answer["chain"]
    if not chain:
        return
    assert answer["a"] in chain[0]["identifiers"]
    assert chain[-1]["via"] == answer["b"]
    for step, following in pairwise(chain):
        assert step["via"] in step["identifiers"]
        assert step["via"] in following["identifiers"]
    assert chain[-1]["via"] in chain[-1]["identifiers"]
    assert _links_the_ends(answer, parse_rules(OPEN))
    assert len(chain) <= _distance(now, answer)


def _links_the_ends(answer: Mapping[str, Any], under: Rules) -> bool:
    """Whether the events of a chain, with what it says they carry, make the ends one person by themselves."""
    found = resolve_lines(lines([_line(step) for step in answer["chain"]]), under)
    return any({answer["a"], answer["b"]} <= set(profile["identifiers"]) for profile in found["profiles"])


def _line(step: Mapping[str, Any]) -> dict[str, Any]:
    carried: dict[str, list[str]] = {}
    for identifier in map(Identifier.parse, step["identifiers"]):
        carried.setdefault(identifier.type, []).append(identifier.value)
    return {"event_id": step["event_id"], "identifiers": carried}


def _distance(now: Situation, answer: Mapping[str, Any]) -> float:
    """The fewest events between the ends, of those the profile has that were not refused when they came."""
    a, b = Identifier.parse(answer["a"]), Identifier.parse(answer["b"])
    node = now.node(a)
    assert node is not None
    assert node.owner is not None
    graph: networkx.Graph[Identifier | int] = networkx.Graph()
    for written in now.written([node.owner]):
        if written.event.kind != ASSERTION or written.event.body["assert"] == "join":
            _draw(graph, now, node.owner, written)
    if a not in graph or b not in graph or not networkx.has_path(graph, a, b):
        return inf
    return networkx.shortest_path_length(graph, a, b) / 2


def _draw(graph: "networkx.Graph[Identifier | int]", now: Situation, owner: int, written: Written) -> None:
    """An event and those of its identifiers that belong to the profile and were taken when it came."""
    refused = {own_name(step.identifier) for step in written.decision.refusals}
    for sent in written.event.identifiers:
        identifier = own_name(sent)
        if identifier in now.profile(owner).members and identifier not in refused:
            graph.add_edge(written.seq, identifier)


@STORED
@given(acts(20, new_rules=False))
def test_without_limits_a_chain_links_its_ends_under_the_same_rules(
    new_database: NewDatabase, history: list[Act]
) -> None:
    events = [act for act in history if isinstance(act, Event)]
    with new_database() as database:
        brain = Brain(database, OPEN)
        happen(brain, events, [5])
        with situation(database, brain.rules) as now:
            for component in sorted(map(sorted, components(events))):
                for a, b in combinations(component, 2):
                    answer = explain(now, a, b)
                    assert _links_the_ends(answer, brain.rules)
                    assert len(answer["chain"]) == _distance(now, answer)
