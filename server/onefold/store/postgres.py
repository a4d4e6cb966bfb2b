"""PostgreSQL: many processes write at once.

Writers agree by advisory locks that end with their transactions: one that all of them share, which whoever has to be
alone takes whole; one for each identifier or profile that a batch reads; and one for the end of the ledger.
Why, and why not row locks: docs/decisions/0021.

Statements are sent in pipeline mode: one whose answer nobody needs, a write or the commit, is not waited for, and the
server works on it meanwhile. What it fails with is raised by the next question, or by the end of the transaction.
"""

import logging
import re
import select
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, Final

import psycopg
from psycopg import errors
from psycopg.adapt import AdaptersMap
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import TransactionStatus
from psycopg.types.numeric import Int8BinaryDumper

from onefold.errors import ConfigError, OnefoldError
from onefold.store import arrays
from onefold.store.driver import Contended, Interned, Row, Unfit
from onefold.store.sql import kinds_of, with_arrays


class Raw(psycopg.Connection[Row]):
    """A connection, and the names that were read on it."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.interned = Interned()


# Numbers of one size, so that a statement is prepared once and not for every mixture of sizes.
_ADAPTERS: Final = AdaptersMap(psycopg.adapters)
_ADAPTERS.register_dumper(int, Int8BinaryDumper)
arrays.register(_ADAPTERS)

_SESSION: Final = "set jit = off; set application_name = 'onefold'; "
# A batch looks a few hundred rows up by their keys. Left to itself the planner scans tables while they are small, and
# goes on doing so for a minute after they have grown.
WRITER_SETTINGS: Final = _SESSION + (
    "set enable_seqscan = off; set enable_hashjoin = off; set enable_mergejoin = off; "
    "set plan_cache_mode = force_generic_plan; "
    "set lock_timeout = '10s'; set idle_in_transaction_session_timeout = '60s'"  # a process that hangs holds locks
)
_READER_SETTINGS: Final = _SESSION + "set plan_cache_mode = force_custom_plan"

# Said outright: the server's own default may be another.
_READ: Final = "begin isolation level repeatable read read only"
_WRITE: Final = "begin isolation level read committed read write"

logging.getLogger("psycopg").setLevel(logging.CRITICAL)  # what goes wrong is raised, and logged without its values

_ALL_LOCK: Final = 0x6F6E65666F6C6400  # "onefold" and a number, among whatever else the database's users lock
_LEDGER_LOCK: Final = _ALL_LOCK + 1
_MIGRATION_LOCK: Final = _ALL_LOCK + 2

# The numbers are far from those of the locks above, and from the small ones that the database's other users may like.
_LOCK: Final = f"""
select case when alone = 1 then pg_advisory_xact_lock({_ALL_LOCK >> 1} + key)
            else pg_advisory_xact_lock_shared({_ALL_LOCK >> 1} + key) end
from unnest(%s::bigint[], %s::bigint[]) ascending (key, alone)
"""

_CONTENDED: Final = (errors.SerializationFailure, errors.DeadlockDetected, errors.OutOfMemory, errors.UniqueViolation)
_UNAVAILABLE: Final = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    psycopg.InternalError,  # read-only, because another server has taken over; a transaction that waited too long
    errors.UndefinedTable,  # not migrated yet
    errors.UndefinedColumn,
    errors.InsufficientPrivilege,
)
# libpq keeps the code of a connection that was refused to itself. What is not known here counts as away, also where
# the server speaks another language.
_REFUSED: Final = re.compile(
    r"authentication failed|no password supplied|no pg_hba\.conf entry|no such (database|user)"
    r"|(database|role|user) \"[^\"]*\" does not exist|permission denied for database|not permitted to log in"
    r"|invalid (port|integer|sslmode|channel_binding|target_session_attrs)|server does not support SSL|certificate"
)


class _Connection:
    """A connection inside a transaction."""

    def __init__(self, driver: "Postgres", raw: Raw, pipeline: psycopg.Pipeline, alone: bool) -> None:
        self.alone = alone
        self.interned = raw.interned
        self._driver = driver
        self._raw = raw
        self._pipeline = pipeline

    def ask(self, name: str, parameters: Sequence[Any]) -> list[Row]:
        return self.ask_ahead(name, parameters)()

    def ask_each(self, name: str, rows: Sequence[Sequence[Any]]) -> list[Row]:
        return self.ask_each_ahead(name, rows)()

    def ask_ahead(self, name: str, parameters: Sequence[Any]) -> Callable[[], list[Row]]:
        return partial(self._rows, self._run(with_arrays(name), parameters))

    def ask_each_ahead(self, name: str, rows: Sequence[Sequence[Any]]) -> Callable[[], list[Row]]:
        return self.ask_ahead(name, _columns(name, rows))

    def write(self, name: str, rows: Sequence[Sequence[Any]]) -> None:
        self._run(with_arrays(name), _columns(name, rows))

    def write_each(self, name: str, rows: Sequence[Sequence[Any]]) -> None:
        self._raw.cursor(binary=True).executemany(with_arrays(name), rows)

    def write_apart(self, name: str, parameters: Sequence[Any]) -> None:
        self._driver.write_apart(name, parameters)

    def moment(self) -> Callable[[], list[Row]]:
        # A transaction's locks are released after it has ended, in this sense.
        return partial(self._rows, self._run("select pg_current_snapshot()::text", ()))

    def lock(self, keys: Sequence[tuple[int, bool]]) -> None:
        self._run(_LOCK, [arrays.packed("int", column) for column in zip(*keys, strict=True)])

    def take_positions(self, count: int) -> Iterator[int]:
        cursor = self._run("select nextval('journal_position') from generate_series(1, %s)", [count])
        return self._positions(cursor)

    def stand_in_ledger_line(self) -> None:
        self._run("select pg_advisory_xact_lock(%s)", [_LEDGER_LOCK])

    def begin_writing(self) -> None:
        """Write alone or beside others."""
        shared = "" if self.alone else "_shared"
        self._run(f"select pg_advisory_xact_lock{shared}(%s)", [_ALL_LOCK])

    def _rows(self, cursor: psycopg.Cursor[Row]) -> list[Row]:
        """What was asked for. With a sync, for only then does the server see that the transaction is idle after it."""
        if cursor.pgresult is None:
            self._pipeline.sync()
        return cursor.fetchall()

    def _positions(self, cursor: psycopg.Cursor[Row]) -> Iterator[int]:
        for (position,) in self._rows(cursor):
            yield position

    def _run(self, text: str, parameters: Sequence[Any]) -> psycopg.Cursor[Row]:
        """Send a statement. Each has a cursor of its own, because its answer may come after the next was sent."""
        return self._raw.cursor(binary=True).execute(text, parameters)


def _columns(name: str, rows: Sequence[Sequence[Any]]) -> list[bytes]:
    columns = zip(*rows, strict=True)
    return [arrays.packed(kind, column) for kind, column in zip(kinds_of(name), columns, strict=True)]


class Postgres:
    """One PostgreSQL database. Safe to use from many threads; connections are kept and used again."""

    dialect = "postgresql+psycopg://"
    many_writers = True

    def __init__(self, url: str) -> None:
        self._url = url
        self.name = _name(url)
        self._writers: list[Raw] = []
        self._readers: list[Raw] = []

    def exists(self) -> bool:
        """Whether the database has our schema."""
        with _as_unavailable(), self._lent(self._readers, _READER_SETTINGS, _READ) as (raw, _):
            row = raw.execute("select to_regclass('journal') is not null").fetchone()
            return row is not None and bool(row[0])

    @contextmanager
    def writing(self, alone: bool) -> Iterator[_Connection]:
        """A write transaction."""
        with _as_unavailable(), _as_contended(alone), self._lent(self._writers, WRITER_SETTINGS, _WRITE) as lent:
            connection = _Connection(self, *lent, alone)
            connection.begin_writing()
            yield connection

    @contextmanager
    def reading(self) -> Iterator[_Connection]:
        """A consistent view, on a connection of its own."""
        with _as_unavailable(), self._lent(self._readers, _READER_SETTINGS, _READ) as lent:
            yield _Connection(self, *lent, alone=False)

    def write_apart(self, name: str, parameters: Sequence[Any]) -> None:
        """Run one statement in a transaction of its own."""
        with self._lent(self._writers, WRITER_SETTINGS, _WRITE) as (raw, _):
            raw.execute(with_arrays(name), parameters)

    def connect(self) -> Raw:
        """A connection for migrations, which come one at a time: it holds a lock until it is closed."""
        with _as_unavailable():
            raw = Raw.connect(self._url, connect_timeout=5, **_KEEPALIVE)
            raw.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
            raw.execute("select pg_advisory_lock(%s)", [_MIGRATION_LOCK])
            raw.commit()
            return raw

    def trouble(self, error: BaseException | None) -> OnefoldError | None:
        """What an error of a connection for migrations means."""
        return _trouble(error) if isinstance(error, _UNAVAILABLE) else None

    def close(self) -> None:
        """Close every connection that is not in use."""
        for idle in (self._writers, self._readers):
            while idle:
                idle.pop().close()

    @contextmanager
    def _lent(self, idle: list[Raw], session: str, begin: str) -> Iterator[tuple[Raw, psycopg.Pipeline]]:
        """A connection inside a transaction, which is committed at the end and rolled back on any exception."""
        raw = _kept(idle) or self._new(session)
        try:
            with raw.pipeline() as pipeline:
                raw.execute(begin)
                yield raw, pipeline
                raw.execute("commit")
        finally:
            _give_back(raw, idle)

    def _new(self, session: str) -> Raw:
        raw = Raw.connect(
            self._url, autocommit=True, prepare_threshold=1, context=_ADAPTERS, connect_timeout=5, **_KEEPALIVE
        )
        raw.execute(session)
        return raw


# A server that is gone without a word is noticed within half a minute.
_KEEPALIVE: Final[dict[str, Any]] = {
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,
}


def _kept(idle: list[Raw]) -> Raw | None:
    """A kept connection; those that the server has ended meanwhile are let go."""
    while idle:
        try:
            raw = idle.pop()
        except IndexError:  # another thread was quicker
            return None
        if _is_silent(raw):
            return raw
        raw.close()
    return None


def _is_silent(raw: Raw) -> bool:
    """Whether an idle connection has nothing to read: a server that ends one says so, or at least its kernel does."""
    poll = select.poll()
    poll.register(raw.fileno(), select.POLLIN)
    return not poll.poll(0)


def _give_back(raw: Raw, idle: list[Raw]) -> None:
    """Keep a connection. Not one on which a statement failed: psycopg may take for prepared what came after it."""
    with suppress(psycopg.Error):
        if raw.info.transaction_status == TransactionStatus.INTRANS:
            raw.execute("rollback")
    if raw.info.transaction_status == TransactionStatus.IDLE:
        idle.append(raw)
    else:
        raw.close()


@contextmanager
def _as_unavailable() -> Iterator[None]:
    """Say "try again later" for everything that is the database's trouble and not the event's."""
    try:
        yield
    except _UNAVAILABLE as error:
        raise _trouble(error) from error


def _trouble(error: psycopg.Error) -> OnefoldError:
    """What an error means to whoever waits, and whether an operator has to see to it."""
    reason = str(error).strip().partition("\n")[0]
    if isinstance(error, errors.InsufficientPrivilege) or (error.sqlstate is None and _REFUSED.search(reason)):
        return Unfit(f"The database cannot be used: {reason}.")
    return OnefoldError("unavailable", f"The database cannot be used right now: {reason}.")


@contextmanager
def _as_contended(alone: bool) -> Iterator[None]:
    """Say "begin again" where other writers were in the way; whoever is alone has no such excuse."""
    try:
        yield
    except _CONTENDED as error:
        if alone:
            raise
        raise Contended() from error


def _name(url: str) -> str:
    """The URL without a password."""
    try:
        parts = conninfo_to_dict(url)
    except psycopg.ProgrammingError as error:
        raise ConfigError(f"store.url: {str(error).strip()}") from None
    user = f"{parts['user']}@" if "user" in parts else ""
    port = f":{parts['port']}" if "port" in parts else ""
    return f"postgresql://{user}{parts.get('host', '')}{port}/{parts.get('dbname', '')}"
