"""A run in memory: journal entries one after another into a complete graph, for files, replay and simulation."""

import gc
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from onefold.core.assertions import ASSERTION
from onefold.core.consent import Permitted, readmit
from onefold.core.decision import Decision
from onefold.core.event import Event
from onefold.core.graph import Graph, NotLoaded
from onefold.core.heal import Past
from onefold.core.identifiers import STAND_IN, Identifier
from onefold.core.rules import Rules
from onefold.engine.advance import RECONCILED, Advance, Advanced, assertion_of

ReadBack = Callable[[Sequence[int]], Past]


@contextmanager
def long_run() -> Iterator[None]:
    """Rest the collector of reference cycles: a graph under construction has none, and it would be
    walked over and over.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


class MemoryRun:
    """A graph under construction. Entries come in journal order; `read_back` gives earlier ones again by position.

    Memory grows with the graph, not with the journal: of past entries only their positions are kept.
    """

    def __init__(self, rules: Rules, secret: bytes, read_back: ReadBack, ledger: bool = True) -> None:
        self.graph = Graph(secret)
        self._read_back = read_back
        self._advance = Advance(self.graph, rules, self, ledger)
        self._positions: dict[int, array[int]] = {}

    def take(self, event: Event, seq: int) -> Advanced:
        """Take the entry at a position. Raises `conflict` for an assertion that cannot hold."""
        if event.kind == ASSERTION:
            advanced = self._advance.say(assertion_of(event), event, seq)
            self._belongs(seq, advanced.decision.profile)
        elif event.kind == RECONCILED:
            ((_, answered),) = self._read_back([event.body["entry"]])
            advanced = Advanced(Decision("recorded"), self._advance.reconcile(event, answered))
        else:
            advanced = self._take_event(readmit(event), seq)
        self.graph.saved()
        return advanced

    def change_rules(self, rules: Rules) -> None:
        """Other rules hold from here on."""
        self._advance.rules = rules

    def _take_event(self, permitted: Permitted, seq: int) -> Advanced:
        decision = self._advance.decide(permitted, seq)
        if decision.outcome == "refused":
            return Advanced(decision, [])
        entries = self._advance.apply(decision, permitted.event, seq)
        self._belongs(seq, decision.profile)
        return Advanced(decision, entries + self._advance.heal(decision, permitted.event, seq))

    def positions(self, keys: Iterable[int]) -> list[int]:
        """Where in the journal the entries of these profiles, and of what they absorbed, are."""
        wanted = {other for key in keys for other in (key, *self.graph.profile(key).absorbed)}
        return sorted(wanted.union(*(self._positions.get(key, ()) for key in wanted)))

    @property
    def rules(self) -> Rules:
        """The rules that hold at this point."""
        return self._advance.rules

    def surviving(self) -> Iterator[int]:
        """The keys of the profiles that were not merged away, oldest first."""
        return (key for key, profile in sorted(self.graph.profiles.items()) if profile.merged_into is None)

    def sharers(self) -> dict[Identifier, list[int]]:
        """The profiles each shared identifier is linked to, oldest first."""
        found: dict[Identifier, list[int]] = {
            identifier: [] for identifier, node in self.graph.nodes.items() if node is not None and node.shared
        }
        for key in self.surviving():
            for identifier in self.graph.profiles[key].shares:
                found[identifier].append(key)
        return dict(sorted(found.items()))

    def _belongs(self, seq: int, key: int | None) -> None:
        """Note where an entry belongs; the entry that founded a profile goes without saying."""
        if key is not None and key != seq:
            self._positions.setdefault(key, array("q")).append(seq)

    # The run is its own archive.

    def past(self, keys: Iterable[int]) -> Past:
        """The entries that belong to these profiles or to what they absorbed, in order."""
        return self._read_back(self.positions(keys))

    def move(self, keys: Iterable[int], attributed: dict[int, int]) -> None:
        """Note where entries belong now."""
        for key in keys:
            self._positions.pop(key, None)
        for seq, key in attributed.items():
            self._belongs(seq, key)

    def linked(self, shared: Identifier) -> list[int]:
        """The profiles linked to a shared identifier, and those that own one of its stand-ins."""
        prefix = f"{shared}#"
        return [
            key
            for key in self.surviving()
            if shared in self.graph.profiles[key].shares
            or any(i.type == STAND_IN and i.value.startswith(prefix) for i in self.graph.profiles[key].members)
        ]

    def load(self, missing: NotLoaded) -> None:
        """A complete graph lacks nothing."""
        raise missing
