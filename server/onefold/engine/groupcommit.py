"""Group commit: whoever is first commits for all who came meanwhile.

A single caller under no load waits for nobody; under load the number of transactions is per batch, not per event.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class _Waiting(Generic[Item, Result]):
    """The items of one caller, and in time their results or the error that befell the batch."""

    def __init__(self, items: Sequence[Item]) -> None:
        self.items = items
        self.results: list[Result] | None = None
        self.error: BaseException | None = None

    @property
    def done(self) -> bool:
        return self.results is not None or self.error is not None


class GroupCommit(Generic[Item, Result]):
    """Combines concurrent `submit` calls into batches of about `most` items for `work`, one batch at a time.

    `work` returns one result an item, in order. What it raises reaches every caller of that batch.
    """

    def __init__(self, work: Callable[[list[Item]], list[Result]], most: int = 256) -> None:
        self._work = work
        self._most = most
        self._queue: deque[_Waiting[Item, Result]] = deque()
        self._turn = threading.Lock()

    def submit(self, items: Sequence[Item]) -> list[Result]:
        """Hand items over and return their results once they are committed."""
        waiting: _Waiting[Item, Result] = _Waiting(items)
        self._queue.append(waiting)
        with self._turn:
            while not waiting.done:
                self._commit_next()
        if waiting.error is not None:
            raise waiting.error
        return waiting.results or []

    def _commit_next(self) -> None:
        batch = [self._queue.popleft()]
        size = len(batch[0].items)
        while self._queue and size + len(self._queue[0].items) <= self._most:
            batch.append(self._queue.popleft())
            size += len(batch[-1].items)
        try:
            results = iter(self._work([item for waiting in batch for item in waiting.items]))
            for waiting in batch:
                waiting.results = [next(results) for _ in waiting.items]
        except BaseException as error:
            for waiting in batch:
                waiting.error = error
            if not isinstance(error, Exception):
                raise
