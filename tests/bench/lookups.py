"""How long a question for a profile takes while another process ingests, beside a bare select by primary key.

Both run in turn on the same connection, each in a snapshot of its own, for random people.
"""

import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median, quantiles

from bench.ingestion import begin, start
from bench.population import IDENTIFIERS_A_PERSON, known
from bench.stored import copy_of, populated
from onefold.core.rules import default_rules
from onefold.engine.ask import profile
from onefold.engine.situation import situation
from onefold.store.database import Database
from onefold.store.sql import QUERIES

QUERIES["profile_by_key"] = "select key, id, created_at, merged_into, merged_at, merged_by from profile where key = ?"

_EVENTS = 100_000  # more than it gets done meanwhile


def measure(folder: Path, identifiers: int, questions: int, rounds: int) -> dict[str, dict[str, float]]:
    """Median and p99 in microseconds of both, and the ratios of these: of each the median of the rounds."""
    database = copy_of(populated(folder, identifiers), "lookups.db")
    ingesting = start(database, "ingest", _EVENTS, identifiers, folder / "unused")
    begin(ingesting)
    try:
        asking = _asking(database, identifiers // IDENTIFIERS_A_PERSON)
        found = [asking(questions) for _ in range(rounds)]
        assert ingesting.poll() is None, "ingestion was over before the questions were"
    finally:
        ingesting.kill()
        ingesting.communicate()
        database.close()
    return {what: {cut: median(told[what][cut] for told in found) for cut in ("p50", "p99")} for what in found[0]}


def _asking(database: Database, people: int) -> Callable[[int], dict[str, dict[str, float]]]:
    rules, chance = default_rules(), random.Random(1)

    def by_key(person: int) -> None:
        with database.snapshot() as reader:
            reader.one("profile_by_key", person + 1)

    def whole(person: int) -> None:
        with situation(database, rules) as now:
            profile(now, str(known(person)[2]))

    def ask(questions: int) -> dict[str, dict[str, float]]:
        asked = [chance.randrange(people) for _ in range(questions)]
        both = [(_us(lambda p=p: by_key(p)), _us(lambda p=p: whole(p))) for p in asked]  # type: ignore[misc]
        bare, ours = map(_cuts, zip(*both, strict=True))
        return {"primary key": bare, "profile": ours, "ratio": {cut: ours[cut] / bare[cut] for cut in bare}}

    return ask


def _us(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1e6


def _cuts(found: Sequence[float]) -> dict[str, float]:
    cuts = quantiles(found, n=100)
    return {"p50": cuts[49], "p99": cuts[98]}
