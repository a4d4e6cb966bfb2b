"""What holds after every event, whatever the rules and whatever arrives."""

from collections.abc import Iterator, Sequence
from typing import Final

import networkx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onefold.core.consent import Permitted
from onefold.core.decision import Decision
from onefold.core.graph import Graph, Profile
from onefold.core.identifiers import STAND_IN, Identifier
from onefold.core.rules import WINDOW_MS, Rules, TypeRule
from support.memory import Memory
from support.streams import open_rules, rules, streams

EXAMPLES: Final = settings(max_examples=200)
ANY_RULES: Final = rules()


def steps(stream: Sequence[Permitted], under: Rules) -> Iterator[tuple[Memory, Permitted, Decision]]:
    """The run after each event."""
    run = Memory(under)
    for permitted in stream:
        decision = run.take(permitted)
        assert decision is not None
        yield run, permitted, decision


def alive(graph: Graph) -> list[Profile]:
    """The profiles that were not merged away."""
    return [profile for profile in graph.profiles.values() if profile.merged_into is None]


def counted(profile: Profile, rule: TypeRule, ts: int) -> int:
    """How many identifiers of a type a profile holds that were linked inside the type's window before `ts`."""
    window = WINDOW_MS[rule.window]
    held = [node for node in profile.members.values() if node.identifier.type == rule.name]
    return sum(window is None or node.linked_at > ts - window for node in held)


@EXAMPLES
@given(streams(), ANY_RULES)
def test_a_merged_id_resolves_to_exactly_one_surviving_profile(stream: list[Permitted], under: Rules) -> None:
    for run, _, _ in steps(stream, under):
        profiles = run.graph.profiles
        absorbed = [key for profile in alive(run.graph) for key in profile.absorbed]
        assert sorted(absorbed) == [key for key, profile in sorted(profiles.items()) if profile.merged_into is not None]
        assert all(key in profiles[profiles[key].merged_into or 0].absorbed for key in absorbed)


@EXAMPLES
@given(streams(), ANY_RULES)
def test_an_identifier_belongs_to_one_surviving_profile_or_is_shared_or_free(
    stream: list[Permitted], under: Rules
) -> None:
    for run, _, _ in steps(stream, under):
        owned = [(identifier, profile.key) for profile in alive(run.graph) for identifier in profile.members]
        assert sorted(owned) == sorted(
            (identifier, node.owner) for identifier, node in run.graph.nodes.items() if node and node.owner is not None
        )
        assert not any(node.shared and node.owner is not None for node in run.graph.nodes.values() if node)


@EXAMPLES
@given(streams(), ANY_RULES)
def test_no_profile_breaks_a_limit(stream: list[Permitted], under: Rules) -> None:
    for run, permitted, _ in steps(stream, under):
        for profile in alive(run.graph):
            for rule in (under.rule_of(name) for name in {identifier.type for identifier in profile.members}):
                assert rule.limit is None or counted(profile, rule, permitted.event.ts) <= rule.limit


@EXAMPLES
@given(streams(), ANY_RULES)
def test_no_profile_breaks_a_cap(stream: list[Permitted], under: Rules) -> None:
    for run, _, _ in steps(stream, under):
        for profile in alive(run.graph):
            assert sum(identifier.type != STAND_IN for identifier in profile.members) <= under.max_identifiers
            assert len(profile.absorbed) <= under.max_merges


@EXAMPLES
@given(streams(), ANY_RULES)
def test_an_identifier_that_is_not_in_the_events_profile_afterwards_has_a_reason(
    stream: list[Permitted], under: Rules
) -> None:
    for run, _, decision in steps(stream, under):
        if decision.profile is None:
            continue
        explained = {step.identifier for step in decision.trace if step.code is not None or step.action == "release"}
        profile = run.graph.profiles[run.graph.survivor(decision.profile)]
        for identifier in decision.identifiers:
            node = run.graph.nodes.get(identifier)
            assert identifier in profile.members or identifier in explained or (node is not None and node.shared)


@EXAMPLES
@given(streams(), ANY_RULES)
def test_a_refused_event_leaves_no_trace(stream: list[Permitted], under: Rules) -> None:
    before = 0
    for run, _, decision in steps(stream, under):
        known = len(run.graph.profiles) + sum(node is not None for node in run.graph.nodes.values()) + len(run.journal)
        assert decision.outcome != "refused" or known == before
        before = known


@EXAMPLES
@given(streams(), ANY_RULES)
def test_the_ledger_names_every_profile(stream: list[Permitted], under: Rules) -> None:
    """Who follows the ledger knows every id there is, whether events or a healing brought it about."""
    *_, (run, _, _) = steps(stream, under)
    named = {public_id for entry in run.ledger for public_id in entry.profiles}
    assert {profile.id for profile in run.graph.profiles.values()} <= named


@EXAMPLES
@given(streams(), ANY_RULES)
def test_profile_ids_are_never_given_twice(stream: list[Permitted], under: Rules) -> None:
    for run, _, _ in steps(stream, under):
        ids = [profile.id for profile in run.graph.profiles.values()]
        assert len(set(ids)) == len(ids)


def components(stream: Sequence[Permitted]) -> set[frozenset[Identifier]]:
    """The connected components of the graph in which the identifiers of an event are joined."""
    graph: networkx.Graph[Identifier] = networkx.Graph()
    for permitted in stream:
        networkx.add_path(graph, permitted.event.identifiers)
    return {frozenset(component) for component in networkx.connected_components(graph)}


@EXAMPLES
@given(streams().flatmap(lambda stream: st.tuples(st.just(stream), st.permutations(stream))))
def test_without_limits_the_partition_is_that_of_connected_components_in_any_order(
    streams_: tuple[list[Permitted], list[Permitted]],
) -> None:
    for stream in streams_:
        run = Memory(open_rules())
        for permitted in stream:
            run.take(permitted)
        partition = {frozenset(profile.members) for profile in alive(run.graph)}
        assert partition == components(stream)


@pytest.mark.parametrize("heal", [True, False])
def test_the_random_streams_reach_every_kind_of_decision(heal: bool) -> None:
    """A property that never meets a conflict proves nothing."""
    seen: set[str] = set()

    @settings(max_examples=200)
    @given(streams(), rules(heal=heal))
    def collect(stream: list[Permitted], under: Rules) -> None:
        for _, _, decision in steps(stream, under):
            seen.update({decision.outcome, *(step.action for step in decision.trace)})

    collect()
    assert seen >= {"created", "attached", "merged", "refused", "keep", "share", "move", "release", "associate", "drop"}
