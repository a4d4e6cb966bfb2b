"""How long a question for a profile takes while another process ingests, beside a bare select by primary key.

Both run in turn on the same connection, each in a snapshot of its own, for random people.
"""

import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import quantiles

from bench.ingestion import begin, start
from bench.population import IDENTIFIERS_A_PERSON, known
from bench.stored import copy_of, populated
from onefold.core.rules import default_rules
from onefold.engine.ask import profile
from onefold.engine.situation import situation
from onefold.store.database import Database

_EVENTS = 100_000  # more than it gets done meanwhile


def measure(folder: Path, identifiers: int, questions: int) -> dict[str, dict[str, float]]:
    """Median and p99 in microseconds of both, and the ratios of these."""
    database = copy_of(populated(folder, identifiers), "lookups.db")
    ingesting = start(database, "ingest", _EVENTS, identifiers, folder / "unused")
    begin(ingesting)
    try:
        bare, ours = _ask(database, identifiers // IDENTIFIERS_A_PERSON, questions)
        assert ingesting.poll() is None, "ingestion was over before the questions were"
    finally:
        ingesting.kill()
        ingesting.communicate()
        database.close()
    return {"primary key": bare, "profile": ours, "ratio": {name: ours[name] / bare[name] for name in bare}}


def _ask(database: Database, people: int, questions: int) -> tuple[dict[str, float], dict[str, float]]:
    rules, chance = default_rules(), random.Random(1)

    def by_key(person: int) -> None:
        with database.snapshot() as reader:
            reader.each("profiles", [(person + 1,)])

    def whole(person: int) -> None:
        with situation(database, rules) as now:
            profile(now, str(known(person)[2]))

    asked = [chance.randrange(people) for _ in range(questions)]
    both = [(_us(lambda p=p: by_key(p)), _us(lambda p=p: whole(p))) for p in asked]  # type: ignore[misc]
    bare, ours = zip(*both, strict=True)
    return _cuts(bare), _cuts(ours)


def _us(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1e6


def _cuts(found: Sequence[float]) -> dict[str, float]:
    cuts = quantiles(found, n=100)
    return {"p50": cuts[49], "p99": cuts[98]}
