"""Who writes next, where several programs write to one SQLite file.

SQLite lets whoever waits look again now and then, at most ten times a second after a while. A program that writes one
transaction after another leaves it free for a moment so short that nobody looks just then, and the others give up. So
whoever wants to write stands in a turnstile first, and leaves it when the transaction has begun: who comes back for the
next one finds the other in front. Why and how it was measured: docs/decisions/0030.

It is a courtesy. Nothing is less safe without it: where it cannot be had, or somebody stands in it too long, one goes
on past it.
"""

import fcntl
import os
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

_SUFFIX: Final = "-turn"
_PATIENCE_SECONDS: Final = 5.0
_PAUSE_SECONDS: Final = 0.001


class Turn:
    """The same for the threads of one program: whoever has it over and over lets those who wait go first."""

    def __init__(self) -> None:
        self._next = threading.Lock()
        self._held = threading.Lock()

    def __enter__(self) -> None:
        with self._next:
            self._held.acquire()

    def __exit__(self, *_: object) -> None:
        self._held.release()


class Turnstile:
    """The turnstile of one database file: a lock on an empty file beside it, which ends with the process.

    Not on the database itself: closing any descriptor of that drops SQLite's own locks.
    """

    def __init__(self, database: str) -> None:
        self._database = Path(database)
        self._descriptor: int | None = None

    @contextmanager
    def held(self) -> Iterator[None]:
        """Stand in it until the block ends; one thread at a time."""
        if self._descriptor is None:
            self._descriptor = _opened(self._database)
        descriptor = self._descriptor
        if descriptor is None or not _locked(descriptor):
            yield
            return
        try:
            yield
        finally:
            fcntl.flock(descriptor, fcntl.LOCK_UN)

    def close(self) -> None:
        """Let go of the file. It stays: others may stand in it."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _locked(descriptor: int) -> bool:
    """Wait for it. False where that takes too long, as when who stands in it was stopped, or there is no such lock."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(_PAUSE_SECONDS)
        except OSError:
            return False


def _opened(database: Path) -> int | None:
    """The file, made where there is none; None where this user may not."""
    path = Path(os.path.realpath(database) + _SUFFIX)
    with suppress(OSError):
        return os.open(path, os.O_RDWR | os.O_NOFOLLOW) if path.exists() else _made(path, database.stat())
    return None


def _made(path: Path, like: os.stat_result) -> int:
    """A new file for the same users as the database: what an operator runs as root must not shut the endpoint out."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    with suppress(OSError):
        os.fchmod(descriptor, stat.S_IMODE(like.st_mode) & 0o666)
        if os.geteuid() == 0:
            os.fchown(descriptor, like.st_uid, like.st_gid)
    return descriptor
