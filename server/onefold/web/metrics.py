"""What the endpoint does, in numbers, for Prometheus.

Counts of many processes come together through files in a folder (prometheus-client's multiprocess mode). The library
decides for it when it is imported, so it is imported when the application is made and not before.
"""

import os
import tempfile
import time
from collections import Counter as Tally
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal, Protocol

from onefold import __version__
from onefold.core.decision import OUTCOMES
from onefold.engine.ingest import Ingest, Taken
from onefold.engine.spool import Spool
from onefold.errors import PROBLEMS

FOLDER_VARIABLE: Final = "PROMETHEUS_MULTIPROC_DIR"
Mode = Literal["livesum", "livemax"]
_COMMIT_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_COMMIT_EVENTS: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256)


def share_between_processes() -> str:
    """Let the processes that are started from here count together; returns the folder that they do it in."""
    folder = tempfile.mkdtemp(prefix="onefold-metrics-")
    os.environ[FOLDER_VARIABLE] = folder
    return folder


def forget_the_dead(folder: Path) -> None:
    """Remove what processes that are gone say of the present; what they counted stays."""
    for path in folder.glob("gauge_live*_*.db"):
        if not Path(f"/proc/{path.stem.rpartition('_')[2]}").exists():
            path.unlink(missing_ok=True)


class _Counts(Protocol):
    def inc(self, amount: float = 1) -> None:
        """Count."""


class Metrics:
    """The metrics of one process."""

    def __init__(self) -> None:
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry: CollectorRegistry = CollectorRegistry()
        self._shared = os.environ.get(FOLDER_VARIABLE)
        if self._shared:
            forget_the_dead(Path(self._shared))

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"onefold_{name}", text, labels, registry=self._registry)

        def gauge(name: str, text: str, mode: Mode, *labels: str) -> Gauge:
            return Gauge(f"onefold_{name}", text, labels, registry=self._registry, multiprocess_mode=mode)

        def histogram(name: str, text: str, buckets: Sequence[float]) -> Histogram:
            return Histogram(f"onefold_{name}", text, registry=self._registry, buckets=buckets)

        events = counter("events", "Events that reached the engine, by what became of them.", "outcome")
        self._events: dict[str, _Counts] = {name: events.labels(name) for name in (*OUTCOMES, "duplicate", "failed")}
        refusals = counter("refusals", "Requests and events that were refused, by code.", "code")
        self._refusals: dict[str, _Counts] = {code: refusals.labels(code) for code in PROBLEMS}
        self._seconds = histogram("commit_seconds", "How long a commit took.", _COMMIT_SECONDS)
        self._sizes = histogram("commit_events", "How many events a commit had.", _COMMIT_EVENTS)
        self._failures = counter("commit_failures", "Commits that the store did not take.")
        self._spooled = counter("spooled_events", "Events that went to the spool.")
        self._away = gauge("store_away", "1 while the store is slow or away.", "livemax")
        self._waiting = gauge("spool_events", "Events that wait in the spool.", "livesum")
        self._bytes = gauge("spool_bytes", "Size of the spool.", "livesum")
        self._oldest = gauge("spool_oldest_seconds", "How long the oldest event has waited.", "livemax")
        self._aside = gauge("spool_aside_files", "Files of the spool kept for an operator to look at.", "livemax")
        self._largest = gauge("largest_profile_identifiers", "Identifiers of the largest profile touched.", "livemax")
        gauge("build_info", "The version, as a label; always 1.", "livemax", "version").labels(__version__).set(1)

    def text(self) -> bytes:
        """All of them, of all processes."""
        from prometheus_client import CollectorRegistry, generate_latest
        from prometheus_client.multiprocess import MultiProcessCollector

        if not self._shared:
            return generate_latest(self._registry)
        together = CollectorRegistry()
        MultiProcessCollector(together)  # type: ignore[no-untyped-call]
        return generate_latest(together)

    def refused(self, code: str) -> None:
        """A request or an event was refused before the engine, or by it."""
        self._refusals[code].inc()

    # Told by the engine.

    def committed(self, taken: Sequence[Taken], seconds: float) -> None:
        """A batch was committed."""
        for outcome, count in Tally(map(_outcome, taken)).items():
            self._events[outcome].inc(count)
        self._seconds.observe(seconds)
        self._sizes.observe(len(taken))

    def failed(self) -> None:
        """A batch was not."""
        self._failures.inc()

    def spooled(self, count: int) -> None:
        """Events went to the spool."""
        self._spooled.inc(count)

    def look(self, ingest: Ingest, spool: Spool) -> None:
        """See how things are at present."""
        waiting = spool.waiting()
        self._away.set(ingest.store_away)
        self._waiting.set(waiting.events)
        self._bytes.set(waiting.size)
        self._oldest.set(0 if waiting.oldest_at is None else max(0.0, time.time() - waiting.oldest_at / 1000))
        self._aside.set(waiting.aside)
        self._largest.set(ingest.largest_profile)


def _outcome(taken: Taken) -> str:
    if taken.decision is None:
        return "duplicate" if taken.duplicate else "failed"
    return taken.decision.outcome
