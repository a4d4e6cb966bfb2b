"""A run in memory for tests: events in, decisions out, with duplicates recognised and everything kept to look at."""

from collections.abc import Iterable, Sequence
from itertools import count

from onefold.core.consent import Permitted
from onefold.core.decision import Decision
from onefold.core.event import Event
from onefold.core.graph import Graph
from onefold.core.heal import Past
from onefold.core.ledger import Entry
from onefold.core.rules import Rules
from onefold.engine.memory import MemoryRun
from support.streams import SECRET


class Memory:
    """A graph in memory together with its journal and ledger. `positions` are those that accepted events have."""

    def __init__(self, rules: Rules, positions: Iterable[int] | None = None) -> None:
        self._positions = iter(count(1) if positions is None else positions)
        self._next = next(self._positions, 0)
        self.journal: dict[int, Event] = {}
        self.ledger: list[Entry] = []
        self._run = MemoryRun(rules, SECRET, self._read_back)
        self._known: set[str] = set()

    @property
    def graph(self) -> Graph:
        """The graph as it is now."""
        return self._run.graph

    def take(self, permitted: Permitted) -> Decision | None:
        """Resolve the next event; None where its id was there before."""
        event = permitted.event
        if event.event_id in self._known:
            return None
        seq = self._next
        self.journal[seq] = event
        advanced = self._run.take(event, seq)
        if advanced.decision.outcome == "refused":
            del self.journal[seq]
        else:
            self._known.add(event.event_id)
            self._next = next(self._positions, 0)
        self.ledger += advanced.entries
        return advanced.decision

    def change_rules(self, rules: Rules) -> None:
        """From here on other rules hold."""
        self._run.change_rules(rules)

    def _read_back(self, positions: Sequence[int]) -> Past:
        return [(seq, self.journal[seq]) for seq in positions]
