"""SQLite: one file in WAL mode, one writer at a time."""

import errno
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Final

from onefold.errors import ConfigError, OnefoldError
from onefold.store.checkpoint import LONG, Checkpoints
from onefold.store.driver import Answer, Interned, Row, Unfit
from onefold.store.sql import padded, with_rows
from onefold.store.turnstile import Turn, Turnstile

SESSION: Final = (
    "pragma journal_mode = wal",
    "pragma synchronous = full",  # an answered event survives a power cut
    "pragma busy_timeout = 5000",
    "pragma temp_store = memory",
    f"pragma wal_autocheckpoint = {LONG}",
)
# No memory-mapped reading: what is resident would grow with the file.
WRITER_CACHE: Final = "pragma cache_size = -65536"  # KiB
_LATER: Final = f"pragma wal_autocheckpoint = {4 * LONG}"  # a thread sees to it before
_READER_CACHE: Final = "pragma cache_size = -4096"
# What does not pass by waiting: no database, a broken one, or a file that this user may not open or write.
_FOR_GOOD: Final = (
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_AUTH,
)
_PRIMARY_CODE: Final = 0xFF  # https://www.sqlite.org/rescode.html
_FORBIDDEN: Final = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG)


class _Connection:
    """A connection, lent to one transaction after another. Whoever writes is alone, so there is nothing to lock."""

    alone = True

    def __init__(self, raw: sqlite3.Connection) -> None:
        self.raw = raw
        self.interned = Interned()

    def ask(self, name: str, parameters: Sequence[Any]) -> list[Row]:
        return self.raw.execute(with_rows(name), parameters).fetchall()

    def ask_each(self, name: str, rows: Sequence[Sequence[Any]]) -> list[Row]:
        if len(rows) == 1:
            return self.raw.execute(with_rows(name, 1), rows[0]).fetchall()
        return [row for size, values in padded(rows) for row in self.raw.execute(with_rows(name, size), values)]

    def ask_ahead(self, name: str, parameters: Sequence[Any]) -> Answer:
        return partial(self.ask, name, parameters)

    def ask_each_ahead(self, name: str, rows: Sequence[Sequence[Any]]) -> Answer:
        return partial(self.ask_each, name, rows)

    def write(self, name: str, rows: Sequence[Sequence[Any]]) -> None:
        for size, values in padded(rows):
            self.raw.execute(with_rows(name, size), values)

    def write_each(self, name: str, rows: Iterable[Sequence[Any]]) -> None:
        self.raw.executemany(with_rows(name), rows)

    def write_apart(self, name: str, parameters: Sequence[Any]) -> None:
        self.write_each(name, [parameters])

    def moment(self) -> Answer:
        return list

    def lock(self, keys: Sequence[tuple[int, bool]]) -> None:
        pass

    def take_positions(self, count: int) -> Iterator[int]:
        ((last,),) = self.ask("last_journal_seq", ())
        return iter(range(last + 1, last + 1 + count))

    def stand_in_ledger_line(self) -> None:
        pass


class Sqlite:
    """One SQLite file. Safe to use from many threads; writes take turns."""

    dialect = "sqlite://"
    many_writers = False

    def __init__(self, url: str) -> None:
        self.name = url
        self.path = _path(url)
        self._turn = Turn()
        self._turnstile = Turnstile(self.path)
        self._checkpoints = Checkpoints(self.path, self.connect, self._turn)
        self._writer: _Connection | None = None
        self._idle: list[_Connection] = []

    def exists(self) -> bool:
        """Whether the file is there."""
        return Path(self.path).exists()

    @contextmanager
    def writing(self, alone: bool) -> Iterator[_Connection]:
        """A write transaction."""
        with self._turn, _as_unavailable():
            if self._writer is None:
                self._writer = self._session(WRITER_CACHE, _LATER)
            raw = self._writer.raw
            with self._turnstile.held():
                raw.execute("begin immediate")
            try:
                yield self._writer
                raw.execute("commit")
            except BaseException:
                if raw.in_transaction:
                    raw.execute("rollback")
                raise
            self._checkpoints.after_commit()

    @contextmanager
    def reading(self) -> Iterator[_Connection]:
        """A consistent view, on a connection of its own."""
        with _as_unavailable():
            reader = self._take_reader()
            reader.raw.execute("begin")
            try:
                yield reader
            finally:
                reader.raw.execute("rollback")
                self._idle.append(reader)

    def close(self) -> None:
        """Close every connection that is not in use."""
        self._checkpoints.close()
        with self._turn:
            while self._idle:
                self._idle.pop().raw.close()
            if self._writer is not None:
                self._writer.raw.close()
                self._writer = None
            self._turnstile.close()

    def connect(self) -> sqlite3.Connection:
        """A new connection; the file is made where there is none."""
        try:
            self._create()
            raw = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, cached_statements=512)
            for pragma in SESSION:
                raw.execute(pragma)
        except (OSError, sqlite3.DatabaseError) as error:  # also a file that is no database
            detail = f"The database {self.path} cannot be opened: {error}."
            raise Unfit(detail) if _is_for_good(error) else OnefoldError("unavailable", detail) from None
        return raw

    def trouble(self, error: BaseException | None) -> OnefoldError | None:
        """What an error of a connection for migrations means."""
        return _trouble(error) if isinstance(error, sqlite3.OperationalError) or _is_for_good(error) else None

    def _take_reader(self) -> _Connection:
        try:
            return self._idle.pop()
        except IndexError:
            return self._session(_READER_CACHE)

    def _session(self, *pragmas: str) -> _Connection:
        raw = self.connect()
        for pragma in pragmas:
            raw.execute(pragma)
        return _Connection(raw)

    def _create(self) -> None:
        """Create the file as nobody else's to read. One that exists is not touched: closing any descriptor of it would
        drop SQLite's locks in this process (POSIX), and then another process removes the write-ahead log under it.
        """
        with suppress(FileExistsError):
            os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


@contextmanager
def _as_unavailable() -> Iterator[None]:
    """Say "try again later" for everything that is the database's trouble and not the event's."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        if not isinstance(error, sqlite3.OperationalError) and not _is_for_good(error):
            raise
        raise _trouble(error) from error


def _trouble(error: BaseException | None) -> OnefoldError:
    if _is_for_good(error):
        return Unfit(f"The database cannot be used: {error}.")
    return OnefoldError("unavailable", f"The database cannot be used right now: {error}.")


def _is_for_good(error: BaseException | None) -> bool:
    """Whether an error stays however long one waits."""
    if isinstance(error, OSError):
        return error.errno in _FORBIDDEN
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & _PRIMARY_CODE in _FOR_GOOD


def _path(url: str) -> str:
    _, _, database = url.partition("sqlite:///")
    if not database or database.startswith(":memory:"):
        raise ConfigError("store.url: a SQLite database is named sqlite:///path/to/onefold.db")
    path = Path(database)
    if not path.parent.is_dir():
        raise ConfigError(f"store.url: the folder {path.parent} does not exist; create it first")
    return str(path)
