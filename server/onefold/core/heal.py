"""Resolve profiles again from their own journal entries: healing, and how assertions take effect.

When an identifier turns out to be shared, what it joined before may have been wrong. The profiles that owned it are
resolved again, in order, with that identifier *suspect*: it may still join anonymous activity to the first person it
meets, but never two known people. What other evidence holds together stays together. Worked through in
docs/explanation/healing-and-corrections.md.

`reresolve` is pure: it reads the graph and returns a plan. `carry_out` changes the graph and returns the ledger
entries.
"""

from collections.abc import Iterable, Sequence

import msgspec

from onefold.core.assertions import ASSERTION
from onefold.core.consent import readmit
from onefold.core.event import Event
from onefold.core.graph import Graph, Node, Profile
from onefold.core.identifiers import STAND_IN, Identifier, profile_digest
from onefold.core.ledger import Entry, merged_entry, shared_entry
from onefold.core.resolve import SUSPECT, admit, resolve
from onefold.core.rules import Rules

Past = Sequence[tuple[int, Event]]
"""Journal entries in order, each with its position."""

_NOW = 2**62


class Plan(msgspec.Struct):
    """What came of resolving `keys` again: a graph of their own, and which of its profiles each entry belongs to.

    `founders` are the identifiers that founded its profiles, `named` all that the entries still name.
    """

    keys: tuple[int, ...]
    fresh: Graph
    attributed: dict[int, int] = {}
    founders: dict[int, Identifier] = {}
    named: set[Identifier] = set()


def reresolve(graph: Graph, keys: Iterable[int], past: Past, rules: Rules) -> Plan:
    """Resolve profiles of `graph` again from `past`: all journal entries of theirs and of what they absorbed.

    Identifiers that belong to other profiles stay with those and do not vote. An identifier that turns out shared on
    the way is suspect from the beginning of another try. Raises NotLoaded.
    """
    group = tuple(sorted(keys))
    shared = _shared_since(graph, group, past, rules)
    while True:
        plan = _try(graph, group, past, rules, shared)
        found = [node.identifier for node in plan.fresh.nodes.values() if node is not None and node.shared]
        new = [identifier for identifier in found if identifier not in shared]
        if not new:
            return plan
        shared |= dict.fromkeys(new, _NOW)


def _shared_since(graph: Graph, group: Sequence[int], past: Past, rules: Rules) -> dict[Identifier, int]:
    """The shared identifiers that the entries mention, each with the position from which it is shared."""
    since = {}
    for _, event in past:
        for identifier in admit(event, rules).identifiers:
            node = graph.node(identifier)
            if node is not None and node.shared:
                since[identifier] = node.linked_by
    for key in group:
        graph.profile(key)
    return since


def _try(graph: Graph, group: tuple[int, ...], past: Past, rules: Rules, shared: dict[Identifier, int]) -> Plan:
    plan = Plan(group, Graph(graph.secret, assertions=graph.assertions))
    plan.fresh.suspects = frozenset(shared)
    plan.fresh.is_foreign = lambda identifier: _is_foreign(graph, group, identifier)
    waiting = sorted(shared, key=lambda identifier: (shared[identifier], identifier))
    for seq, event in past:
        while waiting and shared[waiting[0]] < seq:
            _let_share(plan.fresh, waiting.pop(0), event, seq)
        if event.kind != ASSERTION or _still_joins(graph, event):
            _replay(plan, event, rules, seq)
    for identifier in waiting:
        if past:
            _let_share(plan.fresh, identifier, past[-1][1], past[-1][0])
    return plan


def _is_foreign(graph: Graph, group: tuple[int, ...], identifier: Identifier) -> bool:
    """Whether an identifier belongs to a profile outside the group."""
    node = graph.node(identifier)
    return node is not None and node.owner is not None and node.owner not in group


def _let_share(fresh: Graph, identifier: Identifier, event: Event, seq: int) -> None:
    """From here on the identifier was known to be shared. Its owner, when it is a known person, stays linked to it."""
    node = fresh.nodes.get(identifier)
    owner = None if node is None else node.owner
    if node is not None and node.shared:
        return
    fresh.share(identifier, event, seq)
    if owner is not None:
        fresh.associate(identifier, (owner,))


def _still_joins(graph: Graph, event: Event) -> bool:
    """Whether a journaled assertion is a join that no later assertion countered."""
    first, *others = event.identifiers
    return any(other in graph.assertions.joined.get(first, ()) for other in others)


def _replay(plan: Plan, event: Event, rules: Rules, seq: int) -> None:
    decision = resolve(plan.fresh, readmit(event), rules, seq)
    plan.named.update(decision.identifiers)
    if decision.profile is None:
        return
    plan.fresh.apply(decision, event, seq)
    plan.attributed[seq] = decision.profile
    for step in decision.trace:
        if step.action == "found":
            plan.founders[seq] = step.identifier


# Carrying a plan out.


class Healed(msgspec.Struct):
    """What a plan changed besides the graph.

    The ledger entries; the profiles that journal entries belonged to (`keys`); and where each entry belongs now.
    """

    entries: list[Entry]
    keys: tuple[int, ...]
    attributed: dict[int, int]


def carry_out(graph: Graph, plan: Plan, past: Past, event: Event, seq: int) -> Healed:
    """Put the plan's profiles in the place of the old ones. `event` at position `seq` is what called for it."""
    root = plan.keys[0]
    before = {key: list(graph.profile(key).members) for key in plan.keys}
    old = {key: graph.profiles[key] for key in (*plan.keys, *_absorbed(graph, plan.keys))}
    parts = _found_parts(graph, plan, old, root)
    _retire(graph, plan, old, parts, event, seq)
    newly_shared = _hand_over(graph, plan, before, event)
    _share_out(graph, plan, old, parts)
    entries = _changes(graph, before, old, parts, event) + [
        _shared(graph, plan, found, event) for found in newly_shared
    ]
    return Healed(entries, tuple(old), {position: _part_of(plan, position) for position, _ in past})


def _part_of(plan: Plan, position: int) -> int:
    """The profile a journal entry belongs to now. One that no longer says anything stays with the oldest."""
    key = plan.attributed.get(position)
    return plan.keys[0] if key is None else plan.fresh.survivor(key)


def _absorbed(graph: Graph, keys: Iterable[int]) -> list[int]:
    return [other for key in keys for other in graph.profile(key).absorbed]


def _found_parts(graph: Graph, plan: Plan, old: dict[int, Profile], root: int) -> dict[int, Profile]:
    """The profiles there are now. One that is founded by the same entry as before keeps its id."""
    parts = {}
    for key, fresh in sorted(plan.fresh.profiles.items()):
        if fresh.merged_into is None:
            parts[key] = old[key] if key in old else _new_profile(graph, fresh, plan.founders[key])
    parts.setdefault(root, old[root])
    for key, profile in parts.items():
        profile.merged_into = profile.merged_at = profile.merged_by = None
        profile.members, profile.absorbed = {}, []
        graph.profiles[key] = graph.changed_profiles[key] = profile
    return parts


def _new_profile(graph: Graph, fresh: Profile, founder: Identifier) -> Profile:
    """A profile with an id of its own: the founding identifier's next one."""
    node = graph.node(founder)
    generation = 0
    if node is not None:
        generation = node.founded
        node.founded += 1
    return Profile(fresh.key, profile_digest(graph.secret, founder, generation), fresh.created_at, members={})


def _retire(
    graph: Graph, plan: Plan, old: dict[int, Profile], parts: dict[int, Profile], event: Event, seq: int
) -> None:
    """Ids that are no longer a profile of their own lead to the one their founding entry belongs to."""
    for key, profile in sorted(old.items()):
        if key in parts:
            continue
        survivor = _part_of(plan, key)
        if profile.merged_into is None:
            profile.merged_at, profile.merged_by = event.ts, seq
        profile.merged_into = survivor
        profile.members, profile.absorbed = {}, []
        parts[survivor].absorbed.append(key)
        graph.changed_profiles[key] = profile


def _hand_over(graph: Graph, plan: Plan, before: dict[int, list[Identifier]], event: Event) -> list[Identifier]:
    """Give every identifier to the part it belongs to; returns those that are shared from now on.

    One that no entry links any more belongs to nobody. But where no entry even names it, because the rules of today
    drop it, it stays where it was, unless it is a stand-in or a separation forbids it.
    """
    newly_shared = []
    for identifier, fresh in plan.fresh.nodes.items():
        if fresh is not None:
            node = graph.touched(identifier, event)
            if fresh.shared and not node.shared:
                newly_shared.append(identifier)
            _become(graph, node, fresh)
    for key, identifiers in before.items():
        for identifier in sorted(identifiers):
            if plan.fresh.nodes.get(identifier) is None:
                _leave(graph, identifier, None if identifier in plan.named else graph.survivor(key), event)
    return newly_shared


def _leave(graph: Graph, identifier: Identifier, key: int | None, event: Event) -> None:
    """Let an identifier stay with a profile, where there is one and it may."""
    node = graph.touched(identifier, event)
    node.owner = None
    if key is None or identifier.type == STAND_IN:
        return
    members = graph.profiles[key].members
    if graph.assertions.keeps_apart([identifier], members) is None:
        node.owner, members[identifier] = key, node


def _become(graph: Graph, node: Node, fresh: Node) -> None:
    if fresh.shared:
        node.linked_by = node.linked_by if node.shared else fresh.linked_by
        node.owner, node.shared = None, True
        return
    node.owner, node.shared = fresh.owner, False
    node.linked_by, node.linked_at = fresh.linked_by, fresh.linked_at
    node.source, node.tier, node.verified = fresh.source, fresh.tier, fresh.verified
    if node.owner is not None:
        graph.profiles[node.owner].members[node.identifier] = node


def _share_out(graph: Graph, plan: Plan, old: dict[int, Profile], parts: dict[int, Profile]) -> None:
    """Link the shared identifiers anew."""
    for key, profile in old.items():
        for identifier in profile.shares:
            graph.changed_shares[identifier, key] = False
        profile.shares = {}
    for key in parts:
        fresh = plan.fresh.profiles.get(key)
        for identifier in () if fresh is None else fresh.shares:
            graph.associate(identifier, (key,))


def _changes(
    graph: Graph, before: dict[int, list[Identifier]], old: dict[int, Profile], parts: Iterable[int], event: Event
) -> list[Entry]:
    """A `split` entry for each profile that came apart, a `merged` one for each that took others in.

    A new part that owns none of the former identifiers, only shared ones or stand-ins, counts as split off the oldest.
    """
    now = {key: _owners(graph, identifiers, key) for key, identifiers in before.items()}
    now[min(now)] += sorted(set(parts).difference(old, *now.values()))
    found = [_split(graph, key, owners, event) for key, owners in now.items() if len(owners) > 1]
    survivors = dict.fromkeys(graph.survivor(key) for key in before)
    for survivor in survivors:
        lost = [key for key in before if key != survivor and old[key].merged_into == survivor]
        if lost:
            found.append(merged_entry(graph, survivor, lost, event))
    return found


def _owners(graph: Graph, identifiers: Iterable[Identifier], key: int) -> list[int]:
    """The profiles that a profile's former identifiers belong to now, its own first."""
    nodes = (graph.nodes.get(identifier) for identifier in identifiers)
    owners = {node.owner for node in nodes if node is not None and node.owner is not None}
    return sorted({graph.survivor(key), *owners}, key=lambda owner: (owner != key, owner))


def _split(graph: Graph, key: int, owners: Sequence[int], event: Event) -> Entry:
    ids = [graph.profiles[owner].id for owner in owners]
    body = {"profile": graph.profiles[key].id, "into": ids}
    return Entry("split", event.ts, event.event_id, tuple(ids), body)


def _shared(graph: Graph, plan: Plan, identifier: Identifier, event: Event) -> Entry:
    keys = [key for key, fresh in sorted(plan.fresh.profiles.items()) if identifier in fresh.shares]
    return shared_entry(graph, identifier, SUSPECT, keys, event)
