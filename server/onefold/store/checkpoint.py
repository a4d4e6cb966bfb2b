"""Copies what SQLite's write-ahead log holds back into the database, in a thread of its own.

By itself SQLite does that within whichever commit finds the log long, and everybody waits for it: at a million
identifiers a tenth of a second and more. A log begins anew only when all of it has been copied, and a writer without
pauses goes on adding to it. So the thread copies in passes, each of what came during the last; when little is left, it
takes the writers' turn for the last pass. Why and how it was measured: docs/decisions/0031.

What it does not get done SQLite does as before, only later.
"""

import os
import sqlite3
import struct
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from typing import Final

from onefold.errors import OnefoldError
from onefold.store.turnstile import Turn

LONG: Final = 4_000
"""How many pages make a log long: 16 MiB. A page that changes often is copied once for many times."""

_LITTLE: Final = 400
"""What others may wait for."""

_PASSES: Final = 8
_PAUSE_SECONDS: Final = 0.5
"""Before it is tried again where it could not be done: somebody reads what is older, or the disk is full."""


class Checkpoints:
    """Copies the log of one database back when it is long; `turn` is what the writers of this process take."""

    def __init__(self, path: str, connect: Callable[[], sqlite3.Connection], turn: Turn) -> None:
        self._path = path
        self._connect = connect
        self._turn = turn
        self._log: _Log | None = None
        self._thread: threading.Thread | None = None
        self._wanted = threading.Event()
        self._closing = threading.Event()

    def after_commit(self) -> None:
        """To be called by whoever has committed, while the turn is theirs."""
        if not self._wanted.is_set() and self._is_long():
            self._wanted.set()
            if self._thread is None:
                self._start()

    def close(self) -> None:
        """End the thread, and let go of the log. Not for whoever has the turn: the thread may wait for it."""
        self._closing.set()
        self._wanted.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._log is not None:
            self._log.close()
            self._log = None
        self._wanted.clear()
        self._closing.clear()

    def _start(self) -> None:
        thread = threading.Thread(target=self._work, name="checkpoints", daemon=True)
        with suppress(RuntimeError):  # the machine has no more of them
            thread.start()
            self._thread = thread

    def _is_long(self) -> bool:
        try:
            if self._log is None:
                self._log = _Log(self._path)
            return self._log.has(LONG)
        except OSError:  # the commit stands, whatever becomes of this
            return False

    def _work(self) -> None:
        while self._wanted.wait() and not self._closing.is_set():
            if not self._copy():
                self._closing.wait(_PAUSE_SECONDS)
            self._wanted.clear()
            if self._closing.is_set():  # it was wanted for that
                return

    def _copy(self) -> bool:
        """Whether everything was copied."""
        try:
            with closing(self._connect()) as connection:
                return self._copy_in_passes(connection)
        except (OnefoldError, sqlite3.DatabaseError):
            return False

    def _copy_in_passes(self, connection: sqlite3.Connection) -> bool:
        before = 0
        for _ in range(_PASSES):
            copied = _pass(connection)[1]
            if copied - before <= _LITTLE or self._closing.is_set():
                break
            before = copied
        with self._turn:
            pages, copied = _pass(connection)
        return copied == pages


def _pass(connection: sqlite3.Connection) -> tuple[int, int]:
    """Copy what can be copied while others read and write: how many pages the log has, and how many were copied."""
    _, pages, copied = connection.execute("pragma wal_checkpoint(passive)").fetchone()
    return pages, copied


class _Log:
    """The log's file, which nobody locks: https://www.sqlite.org/fileformat2.html#the_write_ahead_log"""

    _HEAD: Final = struct.Struct(">II I I 8s 8x")  # magic, version, page size, how often it has begun anew, salt
    _FRAME: Final = struct.Struct(">II 8s 8x")  # page number, size after a commit, salt

    def __init__(self, database: str) -> None:
        self._descriptor = os.open(f"{database}-wal", os.O_RDONLY)

    def has(self, frames: int) -> bool:
        """Whether so many pages were written since the log began anew: frames from before have another salt."""
        head = os.pread(self._descriptor, self._HEAD.size, 0)
        if len(head) < self._HEAD.size:
            return False
        *_, page_size, _, salt = self._HEAD.unpack(head)
        at = self._HEAD.size + (frames - 1) * (self._FRAME.size + page_size)
        frame = os.pread(self._descriptor, self._FRAME.size, at)
        return len(frame) == self._FRAME.size and self._FRAME.unpack(frame)[2] == salt

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._descriptor)
