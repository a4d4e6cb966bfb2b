"""Group commit: one transaction for all who came meanwhile.

Who has time without end commits in their own thread, for everybody who waits. Who has a budget hands over to a writer
thread, and can leave when the budget is over: a thread that commits itself could not leave a database that hangs.
A coroutine hands over too, and holds no thread while it waits.

A caller alone waits for nobody. Under load the writer lets a batch fill, for a moment at most, until as many callers
wait as the last batch had and as came during it: whoever was just answered is likely to be back with the next event.
"""

import asyncio
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Final, Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_FILL_SECONDS: Final = 0.004


class Overdue(Exception):
    """The budget is over and the items are not known to be committed. Those that a commit under way has in hand
    may still be.
    """


class _Waiting(Generic[Item, Result]):
    """The items of one caller, and in time their results or the error that befell the batch.

    What is `finished` then is a lock of a thread's own (a shared one would wake all for every one that is done), or a
    future of a coroutine's loop.
    """

    __slots__ = ("error", "finished", "items", "results")

    def __init__(self, items: Sequence[Item], finished: "threading.Lock | asyncio.Future[None]") -> None:
        self.items = items
        self.results: list[Result] | None = None
        self.error: BaseException | None = None
        self.finished = finished

    @property
    def done(self) -> bool:
        return self.results is not None or self.error is not None

    def outcome(self) -> list[Result]:
        if self.error is not None:
            raise self.error
        return self.results or []


def _held() -> threading.Lock:
    """A lock that lets its caller through once somebody releases it."""
    lock = threading.Lock()
    lock.acquire()
    return lock


def _wake(batch: Iterable[_Waiting[Item, Result]]) -> None:
    """Wake all callers of a batch; the coroutines of a loop together, for each call into one wakes its thread."""
    by_loop: dict[asyncio.AbstractEventLoop, list[asyncio.Future[None]]] = defaultdict(list)
    for waiting in batch:
        if isinstance(waiting.finished, asyncio.Future):
            by_loop[waiting.finished.get_loop()].append(waiting.finished)
        else:
            waiting.finished.release()
    for loop, finished in by_loop.items():
        with suppress(RuntimeError):  # it was closed, and nobody is left to be told
            loop.call_soon_threadsafe(_finish, finished)


def _finish(all_finished: Iterable[asyncio.Future[None]]) -> None:
    for finished in all_finished:
        if not finished.done():  # who was cancelled is gone
            finished.set_result(None)


class GroupCommit(Generic[Item, Result]):
    """Combines concurrent `submit` calls into batches of about `most` items for `work`, one batch at a time.

    `work` returns one result an item, in order. What it raises reaches every caller of that batch.
    """

    def __init__(self, work: Callable[[list[Item]], list[Result]], most: int = 256) -> None:
        self._work = work
        self._most = most
        self._queue: deque[_Waiting[Item, Result]] = deque()
        self._turn = threading.Lock()
        self._writer: threading.Thread | None = None
        self._alarm = threading.Event()
        self._wanted = 1  # the number of callers that wakes the writer

    def submit(self, items: Sequence[Item]) -> list[Result]:
        """Hand items over and return their results once they are committed."""
        waiting: _Waiting[Item, Result] = _Waiting(items, _held())
        self._queue.append(waiting)
        with self._turn:
            while not waiting.done:
                self._commit_next()
        return waiting.outcome()

    def submit_within(self, items: Sequence[Item], seconds: float) -> list[Result]:
        """As `submit`, but raises Overdue where it takes longer than this."""
        waiting: _Waiting[Item, Result] = _Waiting(items, finished := _held())
        self._hand_over(waiting)
        finished.acquire(timeout=seconds)
        return self._outcome(waiting)

    async def submit_soon(self, items: Sequence[Item], seconds: float) -> list[Result]:
        """As `submit_within`, for a coroutine."""
        loop = asyncio.get_running_loop()
        finished = loop.create_future()
        waiting: _Waiting[Item, Result] = _Waiting(items, finished)
        self._hand_over(waiting)
        budget = loop.call_later(seconds, _finish, [finished])
        try:
            await finished
        finally:
            budget.cancel()
        return self._outcome(waiting)

    def close(self) -> None:
        """Let the writer finish what was handed over, and end it."""
        with self._turn:
            writer, self._writer = self._writer, None
        if writer is not None:
            self._alarm.set()
            writer.join()

    def _hand_over(self, waiting: _Waiting[Item, Result]) -> None:
        if self._writer is None:
            self._start_writer()
        self._queue.append(waiting)
        if len(self._queue) >= self._wanted:
            self._alarm.set()

    def _outcome(self, waiting: _Waiting[Item, Result]) -> list[Result]:
        """The results of whom nobody lets wait any longer. Raises Overdue where there are none yet."""
        if waiting.done:
            return waiting.outcome()
        with suppress(ValueError):  # a commit under way has it in hand
            self._queue.remove(waiting)
        raise Overdue

    def _start_writer(self) -> None:
        with self._turn:
            if self._writer is None:
                self._writer = threading.Thread(target=self._write, name="group-commit", daemon=True)
                self._writer.start()

    def _write(self) -> None:
        """What the writer thread does until it is closed."""
        while self._writer is threading.current_thread() or self._queue:
            self._let_fill()
            with self._turn:
                answered = self._commit_next()
            # Without those who came meanwhile two halves would take turns.
            self._wanted = max(1, min(self._most, answered + len(self._queue)))

    def _let_fill(self) -> None:
        """Wait for as many callers as there are about, but not long; for the first one without end."""
        self._alarm.clear()
        if len(self._queue) < self._wanted and self._writer is threading.current_thread():
            self._alarm.wait(_FILL_SECONDS if self._wanted > 1 else None)

    def _commit_next(self) -> int:
        """Commit for those who came first; returns how many they were."""
        if not (batch := self._next_batch()):
            return 0
        try:
            results = iter(self._work([item for waiting in batch for item in waiting.items]))
            for waiting in batch:
                waiting.results = [next(results) for _ in waiting.items]
        except BaseException as error:
            for waiting in batch:
                waiting.error = error
            if not isinstance(error, Exception):
                raise
        finally:
            _wake(batch)
        return len(batch)

    def _next_batch(self) -> list[_Waiting[Item, Result]]:
        """Those who came first; empty where the last of them has just left."""
        batch: list[_Waiting[Item, Result]] = []
        size = 0
        with suppress(IndexError):
            while not batch or size + len(self._queue[0].items) <= self._most:
                batch.append(self._queue.popleft())
                size += len(batch[-1].items)
        return batch
