"""How fast the journal is run again, verified and simulated, beside a baseline that only reads and decodes it.

Each measurement is a process of its own, so that its peak memory is its own too.
"""

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Final

from bench.population import IDENTIFIERS_A_PERSON, mixed_stream
from bench.stored import SECRET, populated
from onefold.core.presets import preset
from onefold.core.rules import default_rules
from onefold.engine.history import Journal
from onefold.engine.ingest import Ingest
from onefold.engine.simulate import simulate
from onefold.engine.verify import verify
from onefold.store.database import Database

_BATCH: Final = 1_000
_ROUNDS: Final = 3


def journaled(folder: Path, events: int) -> Path:
    """A database into which a mixed stream was really ingested, after a population of a tenth of the events."""
    path = folder / f"journal-{events}.db"
    if not path.exists():
        people = events // 10
        populated(folder, people * IDENTIFIERS_A_PERSON).rename(path)
        ingest = Ingest(Database(f"sqlite:///{path}"), default_rules(), SECRET, most=_BATCH)
        batch = []
        for event in mixed_stream(events - people, people, first=people):
            batch.append(event)
            if len(batch) == _BATCH:
                ingest.take(batch)
                batch = []
        ingest.take(batch)
    return path


def read_only(database: Database) -> None:
    """The baseline: every entry is read and decoded, and nothing is done with it."""
    with database.snapshot() as reader:
        for _ in Journal(reader).entries():
            pass


def replay_only(database: Database) -> None:
    """`onefold replay --verify`."""
    found = verify(database, default_rules(), SECRET)
    assert not found.differences, found.differences


def simulate_only(database: Database) -> None:
    """`onefold simulate --rules strict`."""
    simulate(database, preset("strict"), SECRET)


WORK: Final[dict[str, Callable[[Database], None]]] = {
    "read and decode": read_only,
    "replay --verify": replay_only,
    "simulate": simulate_only,
}


def measure(folder: Path, events: int) -> dict[str, dict[str, float]]:
    """Events per second and ratio to the baseline (medians), and peak memory in MB, for each kind of work."""
    path = journaled(folder, events)
    rounds = [{name: _run(name, path) for name in WORK} for _ in range(_ROUNDS)]
    found = {}
    for name in WORK:
        ratios = [told["read and decode"]["seconds"] / told[name]["seconds"] for told in rounds]
        found[name] = {
            "events/s": median(events / told[name]["seconds"] for told in rounds),
            "ratio": median(ratios),
            "peak MB": max(told[name]["peak_kb"] for told in rounds) / 1024,
        }
    return found


def _run(name: str, path: Path) -> dict[str, float]:
    """One kind of work in a process of its own: seconds, and peak memory in kB."""
    command = [sys.executable, "-m", "bench.journal", name, str(path)]
    told: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return told


def _main(name: str, path: str) -> None:
    database = Database(f"sqlite:///{path}")
    started = time.perf_counter()
    WORK[name](database)
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"seconds": seconds, "peak_kb": peak}))


if __name__ == "__main__":
    _main(*sys.argv[1:])
