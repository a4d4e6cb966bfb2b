"""Bring what waits in the spool to the store once it is back, in order, and say in the ledger what became of it."""

import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

import msgspec
import structlog

from onefold.core.consent import readmit
from onefold.engine.groupcommit import Overdue
from onefold.engine.ingest import Ingest, Taken
from onefold.engine.spool import Segment, Spool, Spooled, set_aside, unpack
from onefold.errors import OnefoldError

log = structlog.get_logger()

_BATCH: Final = 100
_LOOK_SECONDS: Final = 0.5
_ADOPT_EVERY: Final = 20
_PATIENCE_SECONDS: Final = 10.0


class Reconciler:
    """A thread that looks after the spool of an endpoint. What it brings twice counts once: events have ids."""

    def __init__(
        self,
        ingest: Ingest,
        spool: Spool,
        look: Callable[[], None] = lambda: None,
        is_open: Callable[[], bool] = lambda: True,
    ) -> None:
        self._ingest = ingest
        self._look = look
        self._is_open = is_open
        self._spool = spool
        self._stopping = threading.Event()
        self._ends_at = math.inf
        self._thread = threading.Thread(target=self._run, name="reconciler", daemon=True)

    def start(self) -> None:
        """Begin with what processes that are gone left behind."""
        self._thread.start()

    def stop(self) -> None:
        """End after a last attempt, for the disk may go with the process. What a while is not enough for, or what a
        store that is away does not take, is for the next one.
        """
        self._ends_at = time.monotonic() + _PATIENCE_SECONDS
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(2 * _PATIENCE_SECONDS)

    def drain(self) -> bool:
        """Bring everything that waits to the store; false where the store does not take it yet."""
        if not self._is_open():
            return False
        try:
            if self._ingest.store_away:
                self._ingest.probe()
            while (segment := self._spool.oldest()) is not None:
                if not self._bring(segment):
                    return False
                self._spool.remove(segment)
        except Overdue:
            return False
        except OnefoldError as error:
            if error.code != "unavailable":
                raise
            return False
        return True

    def _run(self) -> None:
        looks = 0
        while not self._stopping.is_set():
            if looks % _ADOPT_EVERY == 0:
                self._attempt(self._spool.adopt)
            self._attempt(self._look)
            self._attempt(self.drain)
            looks += 1
            self._stopping.wait(_LOOK_SECONDS)
        self._attempt(self.drain)

    def _attempt(self, step: Callable[[], object]) -> None:
        """Take a step; whatever goes wrong with one file, the thread goes on."""
        try:
            step()
        except Exception:
            log.exception("reconciliation_failed")

    def _bring(self, segment: Segment) -> bool:
        """Bring a file to the store from where the last attempt ended; false where this one is to end before all is
        there. Raises Overdue and `unavailable`.
        """
        records = segment.records()
        refused: Counter[str] = Counter()
        while segment.brought < len(records):
            if time.monotonic() > self._ends_at:
                return False
            batch = records[segment.brought : segment.brought + _BATCH]
            refused.update(self._bring_batch(segment, batch))
            segment.brought += len(batch)
        log.info("spool_reconciled", file=segment.path.name, events=segment.brought, refused=dict(refused))
        return True

    def _bring_batch(self, segment: Segment, records: Sequence[bytes]) -> list[str]:
        """The codes of the events that the rules refuse."""
        readable = [(record, spooled) for record in records if (spooled := _readable(segment, record)) is not None]
        if not readable:
            return []
        events = [readmit(spooled.event) for _, spooled in readable]
        taken = self._ingest.take_late(events, _PATIENCE_SECONDS)
        answered: dict[str, str] = {}
        codes = []
        for (record, spooled), became in zip(readable, taken, strict=True):
            if became.failed:
                _set_aside(segment, record, "the endpoint failed on it")
            elif (code := _code(became)) is not None:
                codes.append(code)
            elif spooled.fallback is not None:
                answered[spooled.event.event_id] = spooled.fallback
        self._ingest.reconcile(answered, time.time_ns() // 1_000_000)
        return codes


def _readable(segment: Segment, record: bytes) -> Spooled | None:
    try:
        return unpack(record)
    except msgspec.MsgspecError:
        _set_aside(segment, record, "this version cannot read it")
        return None


def _set_aside(segment: Segment, record: bytes, why: str) -> None:
    """Keep an event that cannot be brought to the store, for an operator to look at."""
    log.error("spooled_event_set_aside", file=set_aside(segment, record).name, reason=why)


def _code(taken: Taken) -> str | None:
    return None if taken.decision is None else taken.decision.code
