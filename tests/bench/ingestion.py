"""How fast events are ingested, beside baselines that only write the same rows in the same batches.

*Rows only* are written as whoever knows the database's Python library writes them: its `executemany`, a transaction a
batch. *Own writes* are the same rows through the engine's own store, without deciding anything: what is left beside
them is what deciding takes; but they gain from everything that makes the store faster.

Each round is a process of its own, which tells its wall-clock time, the processor time it used (which the machine's
other load disturbs less), and what of it was resident at the end.
"""

import json
import re
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any, Final

import msgspec

from bench.plain import Writes, writer
from bench.population import IDENTIFIERS_A_PERSON, mixed_stream
from bench.stored import SECRET, copy_of, populated
from onefold.core.consent import Permitted
from onefold.core.rules import default_rules
from onefold.engine.ingest import Ingest
from onefold.store.database import Database, Transaction
from onefold.web.serving import look_rarely_for_cycles

BATCH: Final = 256
VISITS: Final = 1
"""Page views of each person before the stream."""
_WARM: Final = 20
"""How many batches come first and are not counted: until then memory grows, for the pages that SQLite keeps."""
Told = dict[str, float]


ROUND: Final = ("ingest", "plain", "write")
"""Ours, the rows only, and the engine's own writes."""
Round = dict[str, Told]


def measure(folder: Path, sizes: Sequence[int], events: int, rounds: int) -> dict[int, Told]:
    """On SQLite, for each number of identifiers, medians: events per second, ingested, rows only and own writes; the
    ratios to these round by round, by the clock and by processor time; microseconds of processor time an event;
    resident memory of the ingesting process in MB; `growth`, that processor time beside the smallest size's, round by
    round.

    The sizes take turns, so that a machine that becomes slower does so for all of them.
    """
    recordings = {size: _recorded(folder, size, events) for size in sizes}
    turns = [{size: _round(folder, size, events, recordings[size]) for size in sizes} for _ in range(rounds)]
    for path in folder.glob("measured.db*"):
        path.unlink()
    found = {size: medians([turn[size] for turn in turns], events) for size in sizes}
    for size in sizes:
        ours = [{other: turn[other]["ingest"]["cpu"] for other in (size, min(sizes))} for turn in turns]
        found[size]["growth"] = median(cpu[size] / cpu[min(sizes)] for cpu in ours)
    return found


def _recorded(folder: Path, size: int, events: int) -> Path:
    recording = folder / f"recording-{size}.msgpack"
    record_to(_copy(folder, size), events, size, recording)
    return recording


def _round(folder: Path, size: int, events: int, recording: Path) -> Round:
    return one_round(lambda: _copy(folder, size), events, size, recording)


def _copy(folder: Path, size: int) -> Database:
    return copy_of(populated(folder, size, VISITS), "measured.db")


def record_to(database: Database, events: int, identifiers: int, recording: Path) -> None:
    """Note what ingesting the stream writes, for the baseline."""
    run(database, "record", events, identifiers, recording)


def one_round(new_copy: Callable[[], Database], events: int, identifiers: int, recording: Path) -> Round:
    """Ours and the baselines, each on a database of its own."""
    return {what: run(new_copy(), what, events, identifiers, recording) for what in ROUND}


def medians(rounds: Sequence[Round], events: int) -> Told:
    """Rounds in one line, see `measure`."""
    found = {"cpu us": median(told["ingest"]["cpu"] / events * 1e6 for told in rounds)}
    for what in ROUND:
        found[f"{what}/s"] = median(events / told[what]["seconds"] for told in rounds)
        found[f"{what} ratio"] = median(told[what]["seconds"] / told["ingest"]["seconds"] for told in rounds)
        found[f"{what} cpu ratio"] = median(told[what]["cpu"] / told["ingest"]["cpu"] for told in rounds)
    return found | {"resident MB": max(told["ingest"]["resident_kb"] for told in rounds) / 1024}


def run(database: Database, what: str, events: int, identifiers: int, recording: Path) -> Told:
    """One round in a process of its own."""
    process = start(database, what, events, identifiers, recording)
    begin(process)
    return told_by(process)


def start(database: Database, what: str, *rest: object) -> subprocess.Popen[str]:
    """Start a round; it begins when it is told to."""
    database.close()
    command = [sys.executable, "-m", "bench.ingestion", what, database.url, *map(str, rest)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()  # it is ready
    return process


def begin(process: subprocess.Popen[str]) -> None:
    """Tell a round to begin."""
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


def told_by(process: subprocess.Popen[str]) -> Told:
    """What a round says in the end."""
    told, _ = process.communicate()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, process.args)
    found: Told = json.loads(told)
    return found


def in_batches(events: int, identifiers: int) -> list[list[Permitted]]:
    """The mixed stream that follows a population of so many identifiers: what warms up, and so many events."""
    people = identifiers // IDENTIFIERS_A_PERSON
    stream = list(mixed_stream(_WARM * BATCH + events, people, first=people * (1 + VISITS)))
    return [stream[at : at + BATCH] for at in range(0, len(stream), BATCH)]


def ingest(database: Database, batches: Sequence[Sequence[Permitted]]) -> Told:
    """Ours."""
    taking = Ingest(database, default_rules(), SECRET, most=BATCH)
    return timed(taking.take, batches)


def plain(database: Database, recorded: Sequence[Writes]) -> Told:
    """The same rows by the database's Python library alone."""
    return timed(writer(database), recorded)


def write(database: Database, recorded: Sequence[Writes]) -> Told:
    """The same rows through our store, in as many transactions."""

    def written(writes: Writes) -> None:
        with database.transaction() as tx:
            for name, rows in writes:
                tx.write(name, rows)

    return timed(written, recorded)


_BASELINES: Final = {"plain": plain, "write": write}


def record(database: Database, batches: Sequence[Sequence[Permitted]]) -> list[Writes]:
    """Ingest, and note what each batch wrote."""
    recorded: list[Writes] = []
    original = Database.transaction

    @contextmanager
    def recording(self: Database, alone: bool = True) -> Iterator[Transaction]:
        writes: Writes = []
        with original(self, alone) as tx:
            real = tx.write

            def noted(name: str, rows: Sequence[Sequence[Any]]) -> None:
                writes.append((name, list(rows)))
                real(name, rows)

            tx.write = noted  # type: ignore[method-assign]
            yield tx
        recorded.append(writes)

    Database.transaction = recording  # type: ignore[method-assign]
    try:
        ingest(database, batches)
    finally:
        Database.transaction = original  # type: ignore[method-assign]
    return recorded


def timed(work: Callable[[Any], object], batches: Sequence[Any]) -> Told:
    """Seconds by the clock and of processor time, and resident memory afterwards in kB."""
    for batch in batches[:_WARM]:
        work(batch)
    before, started = _cpu(), time.perf_counter()
    for batch in batches[_WARM:]:
        work(batch)
    seconds = time.perf_counter() - started
    return {"seconds": seconds, "cpu": _cpu() - before, "resident_kb": _resident_kb()}


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _resident_kb() -> int:
    found = re.search(r"VmRSS:\s+(\d+)", Path("/proc/self/status").read_text())
    return 0 if found is None else int(found[1])


def _main(what: str, url: str, events: int, identifiers: int, recording: Path, half: int | None = None) -> None:
    database = Database(url)
    with database.transaction():
        pass  # connect first
    batches = in_batches(events, identifiers)[slice(half, None, None if half is None else 2)]
    recorded = msgspec.msgpack.decode(recording.read_bytes(), type=list[Writes]) if what in _BASELINES else []
    look_rarely_for_cycles()  # as the endpoint does when it has started
    print("ready", flush=True)
    sys.stdin.readline()
    if what in _BASELINES:
        told = _BASELINES[what](database, recorded)
    elif what == "ingest":
        told = ingest(database, batches)
    else:
        recording.write_bytes(msgspec.msgpack.encode(record(database, batches)))
        told = {}
    database.close()
    print(json.dumps(told))


if __name__ == "__main__":
    what, url, events, identifiers, recording, *half = sys.argv[1:]
    _main(what, url, int(events), int(identifiers), Path(recording), int(half[0]) if half else None)
