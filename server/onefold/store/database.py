"""The database behind the store, whichever it is: transactions, snapshots and migrations."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from onefold.errors import ConfigError, OnefoldError
from onefold.store.driver import Answer, Connection, Contended, Driver, Row, Unfit
from onefold.store.sqlite import Sqlite

if TYPE_CHECKING:
    from alembic.config import Config as AlembicConfig
    from sqlalchemy import Engine

_PIECE: Final = 256  # a database may be given more rows in several statements, and each counts from the end

__all__ = ["Answer", "Contended", "Database", "Reader", "Row", "Transaction", "Unfit"]


class Reader:
    """Named queries on one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.interned = connection.interned
        """The names that are known; what is read beyond them is to be added."""

    def one(self, name: str, *parameters: Any) -> Row | None:
        """The first row of a query, or None."""
        return next(iter(self._connection.ask(name, parameters)), None)

    def all(self, name: str, *parameters: Any) -> list[Row]:
        """All rows of a query."""
        return self._connection.ask(name, parameters)

    def last(self, name: str) -> int:
        """The one number that a query for the end of a table answers."""
        row = self.one(name)
        return 0 if row is None else int(row[0])

    def each(self, name: str, rows: Sequence[Sequence[Any]]) -> list[Row]:
        """The answers for many rows of parameters at once, each row asked once."""
        return list(self.each_ahead(name, rows)())

    def ahead(self, name: str, *parameters: Any) -> Answer:
        """Ask for all rows of a query, which are to be taken before anything is written that they are about."""
        return self._connection.ask_ahead(name, parameters)

    def each_ahead(self, name: str, rows: Sequence[Sequence[Any]]) -> Answer:
        """Ask for the answers for many rows of parameters, likewise."""
        return self._connection.ask_each_ahead(name, list(dict.fromkeys(rows))) if rows else list


class Transaction(Reader):
    """A write transaction: what it wrote is there as a whole or not at all."""

    @property
    def alone(self) -> bool:
        """Whether no other transaction writes while this one is open: then nothing needs a lock."""
        return self._connection.alone

    def moment(self) -> Answer:
        """How far everybody's transactions have come. Between two moments that are alike nothing was committed, so
        what was read after the first one still holds at the second.
        """
        return self._connection.moment()

    def lock(self, keys: Sequence[tuple[int, bool]]) -> None:
        """Lock keys until the end, and wait for those that others hold. To be called once, with keys that ascend: then
        nobody waits in a circle. Each comes with whether it is for this transaction alone; one that is not may be
        locked by several.
        """
        if keys:
            self._connection.lock(keys)

    def take_positions(self, count: int) -> Iterator[int]:
        """Journal positions that nobody has, ascending, above all that were taken before. Unused ones stay gaps."""
        return self._connection.take_positions(count)

    def append_to_ledger(self, rows: Sequence[Sequence[Any]]) -> None:
        """Add rows at the end of the ledger. To the end of this transaction nobody else appends to it: whoever
        follows it by position misses nothing.
        """
        self._connection.stand_in_ledger_line()
        for start in range(0, len(rows), _PIECE):
            self.write("add_ledger", [(number, *row) for number, row in enumerate(rows[start : start + _PIECE], 1)])

    def write(self, name: str, rows: Sequence[Sequence[Any]]) -> None:
        """Run a named statement for many rows at once."""
        if rows:
            self._connection.write(name, rows)

    def write_each(self, name: str, rows: Sequence[Sequence[Any]]) -> None:
        """Run a named statement that takes one row at a time, for each row."""
        if rows:
            self._connection.write_each(name, rows)

    def run(self, name: str, *parameters: Any) -> None:
        """Run a named statement once."""
        self._connection.write_each(name, [parameters])

    def run_apart(self, name: str, *parameters: Any) -> None:
        """Run a statement that does no harm when it outlives this transaction, so that nobody waits for its end.

        It may also be undone with this transaction: the names read from here on are not for others.
        """
        self.interned = self.interned.copy()
        self._connection.write_apart(name, parameters)


class Database:
    """One database, named by its URL (`sqlite:///path`, `postgresql://…`). Safe to use from many threads.

    `name` is the URL without a password; `many_writers` says whether several processes may write to it.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._driver = _driver(url)
        self.name = self._driver.name
        self.many_writers = self._driver.many_writers

    def exists(self) -> bool:
        """Whether there is a database to ask. Raises `unavailable` when its server does not answer."""
        return self._driver.exists()

    @contextmanager
    def transaction(self, alone: bool = True) -> Iterator[Transaction]:
        """A write transaction; commits at the end, rolls back on any exception. Raises `unavailable` when it cannot
        write.

        Unless it is to be `alone`, others may write at the same time where the database can; then it must `lock` what
        it reads, and may raise Contended.
        """
        with self._driver.writing(alone) as connection:
            yield Transaction(connection)

    @contextmanager
    def snapshot(self) -> Iterator[Reader]:
        """A consistent view to read from, on a connection of its own. Raises `unavailable`."""
        with self._driver.reading() as connection:
            yield Reader(connection)

    def migrate(self) -> None:
        """Bring the schema to the newest version; does nothing when it is there already."""
        from alembic import command  # here, because asking the database does not need it, and it takes long to import
        from alembic.util import CommandError

        config = _migrations()
        with self.engine() as engine, engine.begin() as connection:
            config.attributes["connection"] = connection
            try:
                command.upgrade(config, "head")
            except CommandError as error:
                raise Unfit(f"The schema of {self.name} is of a newer Onefold than this one ({error}).") from error

    def check_schema(self) -> None:
        """Raise `unavailable` unless the schema is at the newest version."""
        from alembic.runtime.migration import MigrationContext
        from alembic.script import ScriptDirectory

        newest = ScriptDirectory.from_config(_migrations()).get_current_head()
        with self.engine() as engine, engine.connect() as connection:
            context = MigrationContext.configure(connection, opts={"version_table": "schema_version"})
            if (found := context.get_current_revision()) != newest:
                reason = f"The schema of {self.name} has version {found or 'none'}, this program needs {newest}"
                raise OnefoldError("unavailable", f"{reason}; run `onefold migrate`.")

    @contextmanager
    def engine(self) -> Iterator["Engine"]:
        """The database for what goes by its schema and not by named queries: migrations and copies."""
        import sqlalchemy

        engine = sqlalchemy.create_engine(self._driver.dialect, creator=self._driver.connect)
        try:
            yield engine
        except sqlalchemy.exc.DBAPIError as error:
            if (trouble := self._driver.trouble(error.orig)) is None:
                raise
            raise trouble from error
        finally:
            engine.dispose()

    def close(self) -> None:
        """Close every connection that is not in use; the database can be used again afterwards."""
        self._driver.close()


def _migrations() -> "AlembicConfig":
    from alembic.config import Config as AlembicConfig

    config = AlembicConfig()
    config.set_main_option("script_location", "onefold.store:migrations")
    return config


def _driver(url: str) -> Driver:
    scheme = url.partition(":")[0]
    if scheme == "sqlite":
        return Sqlite(url)
    if scheme in ("postgresql", "postgres"):
        try:
            from onefold.store.postgres import Postgres  # here, because its library need not be installed
        except ImportError:
            raise ConfigError("store.url: PostgreSQL needs its library: pip install 'onefold[postgres]'") from None
        return Postgres(url)
    raise ConfigError("store.url: write sqlite:///path/to/onefold.db or postgresql://user@host/database")
