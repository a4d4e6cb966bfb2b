"""The database behind the store: connections, transactions and migrations. SQLite now; the texts are ready for
PostgreSQL.
"""

import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from onefold.errors import ConfigError, OnefoldError
from onefold.store.sql import chunks, padded, text_for

Row = tuple[Any, ...]
_PRAGMAS: Final = (
    "pragma journal_mode = wal",
    "pragma synchronous = full",  # an answered event survives a power cut
    "pragma busy_timeout = 5000",
    "pragma cache_size = -65536",
    "pragma mmap_size = 268435456",
    "pragma temp_store = memory",
)


class Reader:
    """Named queries on one connection."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def one(self, name: str, *parameters: Any) -> Row | None:
        """The first row of a query, or None."""
        row: Row | None = self._connection.execute(text_for(name, "?", 0, 0), parameters).fetchone()
        return row

    def all(self, name: str, *parameters: Any) -> list[Row]:
        """All rows of a query."""
        return self._connection.execute(text_for(name, "?", 0, 0), parameters).fetchall()

    def last(self, name: str) -> int:
        """The one number that a query for the end of a table answers."""
        row = self.one(name)
        return 0 if row is None else int(row[0])

    def each(self, name: str, rows: Sequence[Sequence[Any]]) -> list[Row]:
        """The different answers for many rows of parameters at once."""
        found: dict[Row, None] = {}
        for size, values in padded(rows):
            text = text_for(name, "?", size, len(rows[0]))
            found.update(dict.fromkeys(self._connection.execute(text, values).fetchall()))
        return list(found)


class Transaction(Reader):
    """A write transaction: what it wrote is there as a whole or not at all."""

    def write(self, name: str, rows: Sequence[Sequence[Any]]) -> None:
        """Run a named statement for many rows at once."""
        for size, values in chunks(rows):
            self._connection.execute(text_for(name, "?", size, len(rows[0])), values)

    def write_each(self, name: str, rows: Sequence[Sequence[Any]]) -> None:
        """Run a named statement that takes one row at a time, for each row."""
        self._connection.executemany(text_for(name, "?", 0, 0), rows)

    def run(self, name: str, *parameters: Any) -> None:
        """Run a named statement once."""
        self._connection.execute(text_for(name, "?", 0, 0), parameters)


class Database:
    """One database, named by its URL (`sqlite:///path`). Safe to use from many threads; writes take turns."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.path = _sqlite_path(url)
        self._writing = threading.Lock()
        self._writer: sqlite3.Connection | None = None
        self._idle: list[sqlite3.Connection] = []

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """A write transaction; commits at the end, rolls back on any exception. Raises `unavailable` when it cannot
        write.
        """
        with self._writing, _as_unavailable():
            if self._writer is None:
                self._writer = self._connect()
            self._writer.execute("begin immediate")
            try:
                yield Transaction(self._writer)
                self._writer.execute("commit")
            except BaseException:
                if self._writer.in_transaction:
                    self._writer.execute("rollback")
                raise

    @contextmanager
    def snapshot(self) -> Iterator[Reader]:
        """A consistent view to read from, on a connection of its own. Raises `unavailable`."""
        with _as_unavailable():
            connection = self._take_reader()
            connection.execute("begin")
            try:
                yield Reader(connection)
            finally:
                connection.execute("rollback")
                self._idle.append(connection)

    def migrate(self) -> None:
        """Bring the schema to the newest version; does nothing when it is there already."""
        import sqlalchemy  # here, because asking the database needs neither, and they take long to import
        from alembic import command
        from alembic.config import Config as AlembicConfig

        engine = sqlalchemy.create_engine("sqlite://", creator=self._connect)
        config = AlembicConfig()
        config.set_main_option("script_location", "onefold.store:migrations")
        try:
            with _as_unavailable(), engine.begin() as connection:
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
        finally:
            engine.dispose()

    def close(self) -> None:
        """Close every connection that is not in use; the database can be used again afterwards."""
        with self._writing:
            while self._idle:
                self._idle.pop().close()
            if self._writer is not None:
                self._writer.close()
                self._writer = None

    def _take_reader(self) -> sqlite3.Connection:
        try:
            return self._idle.pop()
        except IndexError:
            return self._connect()

    def _connect(self) -> sqlite3.Connection:
        try:
            self._create()
            connection = sqlite3.connect(
                self.path, isolation_level=None, check_same_thread=False, cached_statements=256
            )
            for pragma in _PRAGMAS:
                connection.execute(pragma)
        except (OSError, sqlite3.DatabaseError) as error:  # also a file that is no database
            raise OnefoldError("unavailable", f"The database {self.path} cannot be opened: {error}.") from None
        return connection

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
    except sqlite3.OperationalError as error:
        raise OnefoldError("unavailable", f"The database cannot be used right now: {error}.") from error


def _sqlite_path(url: str) -> str:
    scheme, _, database = url.partition(":///")
    if scheme != "sqlite" or not database or database.startswith(":memory:"):
        raise ConfigError("store.url: only sqlite:///path/to/onefold.db is supported")
    path = Path(database)
    if not path.parent.is_dir():
        raise ConfigError(f"store.url: the folder {path.parent} does not exist; create it first")
    return str(path)
