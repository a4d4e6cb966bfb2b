"""A change of the store that somebody waits for, but not for ever.

It is made in a thread, because one that hangs in a database cannot be called back, and it asks right before it commits
whether anybody still waits. So whoever has left can be told that nothing was changed, but for the moment in which a
commit is under way.
"""

import threading
from collections.abc import Callable
from typing import Final, Generic, TypeVar

from onefold.errors import OnefoldError

Result = TypeVar("Result")

_UNCHANGED: Final = "Nothing was changed; try again. If it happens again, ask `onefold doctor` what the database does."
_UNKNOWN: Final = (
    "Whether it holds is not known, because the commit was under way: look at the end of `onefold ledger`, or try "
    "again; what holds already is not done twice."
)


class _Left(Exception):
    """Nobody waits any longer."""


class _Change(Generic[Result]):
    """One change: what came of it, and how far it is."""

    def __init__(self, work: Callable[[Callable[[], None]], Result]) -> None:
        self._work = work
        self._lock = threading.Lock()
        self._left = False
        self._committing = False
        self._finished = threading.Event()
        self._results: list[Result] = []
        self._error: Exception | None = None

    def run(self) -> None:
        """Do the work; for a thread of its own."""
        try:
            self._results.append(self._work(self._about_to_commit))
        except Exception as error:
            self._error = self._told(error)
        self._finished.set()

    def wait(self, seconds: float) -> Result:
        """The result. Raises what the work raised, and `unavailable` where it takes longer."""
        self._finished.wait(seconds)
        with self._lock:
            if not self._finished.is_set():
                self._left = True
                late = f"The database did not take it within {seconds:g} seconds."
                raise OnefoldError("unavailable", f"{late} {self._so_far()}")
        if self._error is not None:
            raise self._error
        return self._results[0]

    def _about_to_commit(self) -> None:
        with self._lock:
            if self._left:
                raise _Left
            self._committing = True

    def _so_far(self) -> str:
        return _UNKNOWN if self._committing else _UNCHANGED

    def _told(self, error: Exception) -> Exception:
        if isinstance(error, OnefoldError) and error.code == "unavailable":
            return OnefoldError("unavailable", f"{error.detail} {self._so_far()}")
        return error


def within(seconds: float, work: Callable[[Callable[[], None]], Result]) -> Result:
    """What `work` returns; it is given a function to call as the last thing before it commits.

    Raises what it raises. Where it is not done in so many seconds, or the store does not take it, raises `unavailable`,
    which says whether anything may have been changed.
    """
    change = _Change(work)
    threading.Thread(target=change.run, name="change", daemon=True).start()
    return change.wait(seconds)
