"""What other rules would make of the real journal: a diff, before anything is changed. Nothing is ever written.

The journal runs once, in order, through memory under the other rules; the graph to compare with is the stored one, or
a second run under rules of its own. Memory grows with the graph, not with the journal.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec

from onefold.core.decision import Decision
from onefold.core.event import Event
from onefold.core.identifiers import STAND_IN, Identifier
from onefold.core.rules import Rules
from onefold.engine.history import RULES_CHANGED, Journal, Progress
from onefold.engine.memory import MemoryRun, long_run
from onefold.engine.verify import stored_identifiers
from onefold.errors import OnefoldError
from onefold.store.database import Database

LARGEST: Final = 20
_EXAMPLES: Final = 6

Owner = int | None


class Why(msgspec.Struct, frozen=True):
    """The last conflict over an identifier: the event, and the rule it rested on."""

    event_id: str
    action: str
    rule: str | None


class _Side:
    """One of the two graphs that are compared: who owns what, which conflicts there were, and over what."""

    def __init__(self) -> None:
        self.refusals: Counter[str] = Counter()
        self.why: dict[Identifier, Why] = {}
        self.owners: dict[Identifier, Owner] = {}
        self.shared: set[Identifier] = set()
        self.ids: dict[int, str] = {}

    def note(self, event: Event, decision: Decision | None) -> None:
        """Count what was refused of an event, or that the whole of it was, and remember its conflicts."""
        if decision is None:
            return
        if decision.code is not None:
            self.refusals[decision.code] += 1
        for step in decision.refusals:
            self.refusals[f"{step.code} {step.rule or ''}".strip()] += 1
            if step.code == "conflict":
                self.why[step.identifier] = Why(event.event_id, step.action, step.rule)

    def own(self, identifier: Identifier, owner: Owner, shared: bool) -> None:
        """Note who owns an identifier in the end."""
        if identifier.type != STAND_IN:
            self.owners[identifier] = owner
            if shared:
                self.shared.add(identifier)


def simulate(
    database: Database, rules: Rules, secret: bytes, against: Rules | None = None, progress: Progress | None = None
) -> dict[str, Any]:
    """The diff between the stored graph (or one made under the rules `against`) and one made under `rules`."""
    with database.snapshot() as reader, long_run():
        journal = Journal(reader)
        run = MemoryRun(rules, secret, journal.read_back)
        other = None if against is None else MemoryRun(against, secret, journal.read_back)
        before, after = _Side(), _Side()
        for written in journal.entries(progress):
            if written.event.kind != RULES_CHANGED:
                after.note(written.event, _taken(run, written.event, written.seq))
                stored = written.decision
                before.note(written.event, stored if other is None else _taken(other, written.event, written.seq))
        _finish(after, run)
        if other is None:
            _finish_stored(before, journal)
        else:
            _finish(before, other)
        return {"events": journal.length(), **_diff(before, after)}


def _taken(run: MemoryRun, event: Event, seq: int) -> Decision | None:
    """Take an entry; an assertion that cannot hold under these rules is passed over."""
    try:
        return run.take(event, seq).decision
    except OnefoldError:
        return None


def _finish(side: _Side, run: MemoryRun) -> None:
    for identifier, node in run.graph.nodes.items():
        if node is not None:
            side.own(identifier, node.owner, node.shared)
    side.ids = {key: run.graph.profiles[key].id for key in run.surviving()}


def _finish_stored(side: _Side, journal: Journal) -> None:
    for identifier, owner, shared, _ in stored_identifiers(journal.reader, journal.names):
        side.own(identifier, owner, shared)
    side.ids = dict(journal.surviving_ids())


# The diff.


def _diff(before: _Side, after: _Side) -> dict[str, Any]:
    cells: Counter[tuple[int, int]] = Counter()
    for identifier, owner in before.owners.items():
        now = after.owners.get(identifier)
        if owner is not None and now is not None:
            cells[owner, now] += 1
    splits = _grouped(cells, 0)
    merges = _grouped(cells, 1)
    return {
        "profiles": {
            "before": len(before.ids),
            "after": len(after.ids),
            "created": len(after.ids.keys() - before.ids.keys()),
            "gone": len(before.ids.keys() - after.ids.keys()),
            "split": len(splits),
            "merged": len(merges),
        },
        "identifiers": _identifiers(before, after),
        "shared": {
            "gained": len(after.shared - before.shared),
            "lost": len(before.shared - after.shared),
        },
        "pairs": _pairs(before, after, cells),
        "refusals": _refusals(before, after),
        "changes": list(_largest(before, after, splits, merges)),
    }


def _grouped(cells: Counter[tuple[int, int]], side: int) -> dict[int, dict[int, int]]:
    """Profiles of one side whose identifiers lie in several profiles of the other, with how many in each."""
    groups: dict[int, dict[int, int]] = {}
    for cell, count in sorted(cells.items()):
        groups.setdefault(cell[side], {})[cell[1 - side]] = count
    return {key: group for key, group in groups.items() if len(group) > 1}


def _identifiers(before: _Side, after: _Side) -> dict[str, int]:
    moved = gained = lost = 0
    for identifier in before.owners.keys() | after.owners.keys():
        old, new = before.owners.get(identifier), after.owners.get(identifier)
        moved += old is not None and new is not None and old != new
        gained += old is None and new is not None
        lost += old is not None and new is None
    return {"moved": moved, "gained": gained, "lost": lost}


def _pairs(before: _Side, after: _Side, cells: Counter[tuple[int, int]]) -> dict[str, int]:
    """Pairs of identifiers that are one person on one side only."""
    both = _count_pairs(cells.values())
    return {
        "gained": _count_pairs(_sizes(after)) - both,
        "lost": _count_pairs(_sizes(before)) - both,
    }


def _sizes(side: _Side) -> Iterable[int]:
    return Counter(owner for owner in side.owners.values() if owner is not None).values()


def _count_pairs(sizes: Iterable[int]) -> int:
    return sum(size * (size - 1) // 2 for size in sizes)


def _refusals(before: _Side, after: _Side) -> dict[str, dict[str, int]]:
    return {
        "gained": dict(sorted((after.refusals - before.refusals).items())),
        "lost": dict(sorted((before.refusals - after.refusals).items())),
    }


def _largest(
    before: _Side, after: _Side, splits: dict[int, dict[int, int]], merges: dict[int, dict[int, int]]
) -> Iterator[dict[str, Any]]:
    """The changes that concern most pairs, each with what explains it."""
    found = [("split", key, group) for key, group in splits.items()]
    found += [("merged", key, group) for key, group in merges.items()]
    weighed = [(_pairs_between(group.values()), kind, key, group) for kind, key, group in found]
    largest = sorted(weighed, key=lambda change: (-change[0], change[1], change[2]))[:LARGEST]
    wanted = _examples(before, after, largest)
    for pairs, kind, key, group in largest:
        whole, parts = (before, after) if kind == "split" else (after, before)
        yield {
            "kind": kind,
            "profile": whole.ids.get(key),
            "with": [parts.ids.get(part) for part in group][:_EXAMPLES],
            "profiles": len(group),
            "pairs": pairs,
            "examples": [str(identifier) for identifier in wanted[kind, key][:_EXAMPLES]],
            "because": _because(kind, wanted[kind, key], before, after),
        }


def _pairs_between(sizes: Iterable[int]) -> int:
    """How many pairs have their ends in different ones of several parts."""
    parts = list(sizes)
    return (sum(parts) ** 2 - sum(size * size for size in parts)) // 2


def _examples(
    before: _Side, after: _Side, largest: Iterable[tuple[int, str, int, dict[int, int]]]
) -> dict[tuple[str, int], list[Identifier]]:
    """The identifiers of each change, those of conflicts first."""
    wanted: dict[tuple[str, int], list[Identifier]] = {(kind, key): [] for _, kind, key, _ in largest}
    for kind, side in (("split", before), ("merged", after)):
        for identifier, owner in side.owners.items():
            if owner is not None and (kind, owner) in wanted:
                wanted[kind, owner].append(identifier)
    for identifiers in wanted.values():
        identifiers.sort(key=lambda i: (i not in after.why and i not in before.why, i))
    return wanted


def _because(kind: str, identifiers: Iterable[Identifier], before: _Side, after: _Side) -> str:
    """The conflict that one side had over an identifier of the change and the other had not."""
    refusing, side = (after, "would") if kind == "split" else (before, "did")
    permitting = before if kind == "split" else after
    for identifier in identifiers:
        why = refusing.why.get(identifier)
        if why is not None and why != permitting.why.get(identifier):
            verb = {"keep": "keep {} where it is", "share": "make {} shared", "move": "move {}"}[why.action]
            return f"event {why.event_id} {side} {verb.format(identifier)} ({why.rule})"
    return "no conflict names it: priorities, blocked values or what was shared before differ"
