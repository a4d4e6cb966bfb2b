"""How fast events are ingested, beside a baseline that only writes the same rows in the same batches."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from bench.population import IDENTIFIERS_A_PERSON, mixed_stream
from bench.stored import SECRET, copy_of, populated
from onefold.core.consent import Permitted
from onefold.core.rules import default_rules
from onefold.engine.ingest import Ingest
from onefold.store.database import Database, Transaction

BATCH = 256
Writes = list[tuple[str, str, list[Any]]]


def measure(folder: Path, identifiers: int, events: int, rounds: int) -> dict[str, float]:
    """Medians of events per second, ingested and written only, and their ratio round by round."""
    people = identifiers // IDENTIFIERS_A_PERSON
    base = populated(folder, identifiers)
    stream = list(mixed_stream(events, people, first=people))
    batches = [stream[at : at + BATCH] for at in range(0, len(stream), BATCH)]
    recorded = _record(copy_of(base, "recording.db"), batches)
    ours, theirs = [], []
    for _ in range(rounds):
        ours.append(events / _timed(copy_of(base, "ours.db"), lambda database: _ingest(database, batches)))
        theirs.append(events / _timed(copy_of(base, "theirs.db"), lambda database: _write(database, recorded)))
    ratios = [one / other for one, other in zip(ours, theirs, strict=True)]
    return {"ingested": median(ours), "rows only": median(theirs), "ratio": median(ratios)}


def _timed(database: Database, work: Callable[[Database], None]) -> float:
    with database.transaction():
        pass  # connect first
    started = time.perf_counter()
    work(database)
    elapsed = time.perf_counter() - started
    database.close()
    return elapsed


def _ingest(database: Database, batches: Sequence[Sequence[Permitted]]) -> None:
    ingest = Ingest(database, default_rules(), SECRET, most=BATCH)
    for batch in batches:
        ingest.take(batch)


def _record(database: Database, batches: Sequence[Sequence[Permitted]]) -> list[Writes]:
    """What each batch wrote."""
    recorded: list[Writes] = []
    original = Database.transaction

    @contextmanager
    def recording(self: Database, alone: bool = True) -> Iterator[Transaction]:
        writes: Writes = []
        with original(self, alone) as tx:
            write = tx.write

            def noted(name: str, rows: Sequence[Sequence[Any]]) -> None:
                writes.append(("write", name, list(rows)))
                write(name, rows)

            tx.write = noted  # type: ignore[method-assign]
            yield tx
        recorded.append(writes)

    Database.transaction = recording  # type: ignore[method-assign]
    try:
        _ingest(database, batches)
    finally:
        Database.transaction = original  # type: ignore[method-assign]
        database.close()
    return recorded


def _write(database: Database, recorded: Sequence[Writes]) -> None:
    for writes in recorded:
        with database.transaction() as tx:
            for _, name, rows in writes:
                tx.write(name, rows)
