"""Read the journal in order, and run it through memory again: as it was, up to a time, or under other rules."""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

import msgspec

from onefold.core.heal import Past
from onefold.core.rules import Rules, parse_rules
from onefold.engine.advance import Advanced
from onefold.engine.memory import MemoryRun
from onefold.store.database import Reader
from onefold.store.graph_store import Written, written_at, written_from
from onefold.store.names import Names

RULES_CHANGED: Final = "rules"
"""The kind of a journal entry that says: from here on other rules hold."""

FIRST_RULES: Final = "first_rules"
CURRENT_RULES: Final = "current_rules"

Progress = Callable[[int], None]
_PAGE: Final = 2_000


class Journal:
    """The journal as one snapshot shows it."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.names = Names(reader)

    def entries(self, progress: Progress | None = None, bodies: bool = True, traces: bool = True) -> Iterator[Written]:
        """All entries in order; `progress` is told how many have been read.

        Without `bodies` and `traces` these are decoded only where a replay cannot do without.
        """
        after = done = 0
        while rows := self.reader.all("journal_from", after, _PAGE):
            for row in rows:
                yield written_from(row, self.names, bodies, traces)
            after = rows[-1][0]
            done += len(rows)
            if progress is not None:
                progress(done)

    def length(self) -> int:
        """How many entries there are; positions may have gaps."""
        return self.reader.last("count_journal")

    def read_back(self, positions: Sequence[int]) -> Past:
        """The entries at these positions."""
        return [(written.seq, written.event) for written in written_at(self.reader, self.names, positions)]

    def newest(self, count: int) -> list[Written]:
        """The last entries, newest first."""
        return [written_from(row, self.names) for row in self.reader.all("newest_journal", count)]

    def surviving_keys(self) -> Iterator[int]:
        """The stored profiles that were not merged away."""
        after = 0
        while rows := self.reader.all("all_profiles", after, _PAGE):
            yield from (row[0] for row in rows if row[3] is None)
            after = rows[-1][0]

    def assertions(self) -> list[Written]:
        """The journaled assertions, in order."""
        return [written_from(row, self.names) for row in self.reader.all("assertions")]

    def first_rules(self, otherwise: Rules) -> Rules:
        """The rules the journal began under."""
        row = self.reader.one("meta_get", FIRST_RULES)
        return otherwise if row is None else parse_rules(msgspec.json.decode(row[0]))


class Replay:
    """The journal run again under the rules that held at each entry. `run` is the graph so far."""

    def __init__(self, journal: Journal, rules: Rules, secret: bytes) -> None:
        self._journal = journal
        self.run = MemoryRun(journal.first_rules(rules), secret, journal.read_back)

    def through(
        self, until_ms: int | None = None, progress: Progress | None = None
    ) -> Iterator[tuple[Written, Advanced]]:
        """Every entry that had arrived by `until_ms`, with what it did when run again."""
        for written in self._journal.entries(progress, bodies=False, traces=False):
            if until_ms is not None and written.event.received_at > until_ms:
                return
            if written.event.kind == RULES_CHANGED:
                self.run.change_rules(parse_rules(written.event.body["rules"]))
                continue
            yield written, self.run.take(written.event, written.seq)
