"""What other rules would make of the real journal: a diff, before anything is changed. Nothing is ever written.

The journal runs once, in order, through memory under the other rules; the graph to compare with is the stored one, or
a second run under rules of its own. Memory grows with the graph, not with the journal.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

import msgspec

from onefold.core.decision import Decision
from onefold.core.event import Event
from onefold.core.graph import Graph, Profile
from onefold.core.identifiers import STAND_IN, Identifier
from onefold.core.rules import Rules
from onefold.engine.history import RULES_CHANGED, Journal, Progress
from onefold.engine.memory import MemoryRun, long_run
from onefold.engine.verify import stored_identifiers
from onefold.errors import OnefoldError
from onefold.store.database import Database
from onefold.store.graph_store import Written, load_profiles

LARGEST: Final = 20
_EXAMPLES: Final = 6


class Why(msgspec.Struct, frozen=True):
    """The last conflict over an identifier: the event, and the rule it rested on."""

    event_id: str
    action: str
    rule: str | None


class Holding(NamedTuple):
    """Who owns an identifier in the end, and whether it is shared."""

    identifier: Identifier
    owner: int | None
    shared: bool


class _Side:
    """One of the two graphs that are compared: the conflicts there were, who holds what, and the profiles by key."""

    def __init__(self) -> None:
        self.refusals: Counter[str] = Counter()
        self.why: dict[Identifier, Why] = {}
        self.keys: set[int] = set()

    def note(self, event: Event, decision: Decision | None) -> None:
        """Count what was refused of an event, or that the whole of it was, and remember its conflicts."""
        if decision is None:
            return
        if decision.code is not None:
            self.refusals[decision.code] += 1
        for step in decision.trace:
            if step.code is not None:
                self.refusals[f"{step.code} {step.rule or ''}".strip()] += 1
            if step.code == "conflict":
                self.why[step.identifier] = Why(event.event_id, step.action, step.rule)


class _Run(_Side):
    """A side that is run again in memory."""

    def __init__(self, rules: Rules, secret: bytes, journal: Journal) -> None:
        super().__init__()
        self.run = MemoryRun(rules, secret, journal.read_back, ledger=False)

    def take(self, written: Written) -> None:
        """Take the next entry; an assertion that cannot hold under these rules is passed over."""
        try:
            self.note(written.event, self.run.take(written.event, written.seq).decision)
        except OnefoldError:
            self.note(written.event, None)

    def finish(self) -> None:
        """Nothing more comes."""
        self.keys = set(self.run.surviving())

    def holdings(self) -> Iterator[Holding]:
        """Every identifier."""
        for identifier, node in self.run.graph.nodes.items():
            if node is not None and identifier.type != STAND_IN:
                yield Holding(identifier, node.owner, node.shared)

    def holding(self, identifier: Identifier) -> tuple[int | None, bool]:
        """The owner of one identifier and whether it is shared; nobody's where it was never seen."""
        node = self.run.graph.nodes.get(identifier)
        return (None, False) if node is None else (node.owner, node.shared)

    def profile(self, key: int) -> Profile:
        """A profile, whole."""
        return self.run.graph.profiles[key]


class _Stored(_Side):
    """The side that is stored."""

    def __init__(self, journal: Journal) -> None:
        super().__init__()
        self._journal = journal
        self._graph = Graph(b"", complete=False)

    def take(self, written: Written) -> None:
        """Take the next entry, decided long ago."""
        self.note(written.event, written.decision)

    def finish(self) -> None:
        """Nothing more comes."""
        self.keys = set(self._journal.surviving_keys())

    def holdings(self) -> Iterator[Holding]:
        """Every identifier, read again each time."""
        for identifier, owner, shared, _ in stored_identifiers(self._journal.reader, self._journal.names):
            if identifier.type != STAND_IN:
                yield Holding(identifier, owner, shared)

    def profile(self, key: int) -> Profile:
        """A profile, whole."""
        load_profiles(self._journal.reader, self._journal.names, self._graph, [key])
        return self._graph.profiles[key]


def simulate(
    database: Database, rules: Rules, secret: bytes, against: Rules | None = None, progress: Progress | None = None
) -> dict[str, Any]:
    """The diff between the stored graph (or one made under the rules `against`) and one made under `rules`."""
    with database.snapshot() as reader, long_run():
        journal = Journal(reader)
        after = _Run(rules, secret, journal)
        before = _Stored(journal) if against is None else _Run(against, secret, journal)
        for written in journal.entries(progress, bodies=False):
            if written.event.kind != RULES_CHANGED:
                after.take(written)
                before.take(written)
        before.finish()
        after.finish()
        return {"events": journal.length(), **_diff(before, after)}


# The diff.


class _Counts(msgspec.Struct):
    """What a comparison of all holdings counts. `cells` are identifiers by owner before and owner after."""

    cells: Counter[tuple[int, int]] = msgspec.field(default_factory=Counter)
    before: Counter[int] = msgspec.field(default_factory=Counter)
    after: Counter[int] = msgspec.field(default_factory=Counter)
    moved: int = 0
    lost: int = 0
    shared_gained: int = 0
    shared_lost: int = 0


def _compare(before: _Run | _Stored, after: _Run) -> _Counts:
    """Hold every identifier of the one graph against the other."""
    counts = _Counts()
    for identifier, owner, was_shared in before.holdings():
        now, is_shared = after.holding(identifier)
        if owner is not None:
            counts.before[owner] += 1
            counts.lost += now is None
            counts.moved += now is not None and now != owner
        if owner is not None and now is not None:
            counts.cells[owner, now] += 1
        counts.shared_gained -= was_shared and is_shared
        counts.shared_lost += was_shared and not is_shared
    for _, now, is_shared in after.holdings():
        if now is not None:
            counts.after[now] += 1
        counts.shared_gained += is_shared
    return counts


def _diff(before: _Run | _Stored, after: _Run) -> dict[str, Any]:
    counts = _compare(before, after)
    both = counts.cells.total()
    pairs_of_both = _count_pairs(counts.cells.values())
    splits = _grouped(counts.cells, 0)
    merges = _grouped(counts.cells, 1)
    return {
        "profiles": {
            "before": len(before.keys),
            "after": len(after.keys),
            "created": len(after.keys - before.keys),
            "gone": len(before.keys - after.keys),
            "split": len(splits),
            "merged": len(merges),
        },
        "identifiers": {"moved": counts.moved, "gained": counts.after.total() - both, "lost": counts.lost},
        "shared": {"gained": counts.shared_gained, "lost": counts.shared_lost},
        "pairs": {  # of identifiers that are one person on one side only
            "gained": _count_pairs(counts.after.values()) - pairs_of_both,
            "lost": _count_pairs(counts.before.values()) - pairs_of_both,
        },
        "refusals": _refusals(before, after),
        "changes": list(_largest(before, after, splits, merges)),
    }


def _grouped(cells: Counter[tuple[int, int]], side: int) -> dict[int, dict[int, int]]:
    """Profiles of one side whose identifiers lie in several profiles of the other, with how many in each."""
    groups: dict[int, dict[int, int]] = {}
    for cell, count in sorted(cells.items()):
        groups.setdefault(cell[side], {})[cell[1 - side]] = count
    return {key: group for key, group in groups.items() if len(group) > 1}


def _count_pairs(sizes: Iterable[int]) -> int:
    return sum(size * (size - 1) // 2 for size in sizes)


def _refusals(before: _Side, after: _Side) -> dict[str, dict[str, int]]:
    return {
        "gained": dict(sorted((after.refusals - before.refusals).items())),
        "lost": dict(sorted((before.refusals - after.refusals).items())),
    }


def _largest(
    before: _Run | _Stored, after: _Run, splits: dict[int, dict[int, int]], merges: dict[int, dict[int, int]]
) -> Iterator[dict[str, Any]]:
    """The changes that concern most pairs, each with what explains it."""
    found = [("split", key, group) for key, group in splits.items()]
    found += [("merged", key, group) for key, group in merges.items()]
    weighed = [(_pairs_between(group.values()), kind, key, group) for kind, key, group in found]
    for pairs, kind, key, group in sorted(weighed, key=lambda change: (-change[0], change[1], change[2]))[:LARGEST]:
        whole, parts = (before, after) if kind == "split" else (after, before)
        identifiers = [identifier for identifier in whole.profile(key).members if identifier.type != STAND_IN]
        identifiers.sort(key=lambda i: (i not in after.why and i not in before.why, i))
        yield {
            "kind": kind,
            "profile": whole.profile(key).id,
            "with": [parts.profile(part).id for part in list(group)[:_EXAMPLES]],
            "profiles": len(group),
            "pairs": pairs,
            "examples": [str(identifier) for identifier in identifiers[:_EXAMPLES]],
            "because": _because(kind, identifiers, before, after),
        }


def _pairs_between(sizes: Iterable[int]) -> int:
    """How many pairs have their ends in different ones of several parts."""
    parts = list(sizes)
    return (sum(parts) ** 2 - sum(size * size for size in parts)) // 2


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
