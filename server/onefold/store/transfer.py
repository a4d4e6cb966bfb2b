"""Copy a whole store into another database: everything or nothing, compared before it counts.

Tables are copied as they are, so positions, keys and ids stay what they were. This reads the schema instead of naming
columns: a table that is added later is copied too.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import blake2b
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from onefold.errors import OnefoldError
from onefold.store.database import Database

Progress = Callable[[int], None]
Digest = tuple[int, int]
"""The number of rows, and the sum of their hashes: databases may order texts differently."""

_PAGE: Final = 2_000
_VERSION: Final = "schema_version"
_MODULUS: Final = 2**128


def rows_of(source: Database) -> int:
    """How many rows there are to copy."""
    with source.engine() as engine, _reading(engine) as reader:
        return sum(_count(reader, table) for table in _tables(reader).values())


def transfer(source: Database, target: Database, progress: Progress = lambda _: None) -> dict[str, int]:
    """Copy everything into an empty target, whose schema is made first; returns the number of rows by table.

    The source stays as it is. Raises `conflict` where the target is not empty, where the two schemas are not of one
    version, or where the copy is not equal; then the target is as empty as before.
    """
    target.migrate()
    with (
        source.engine() as from_engine,
        target.engine() as to_engine,
        _reading(from_engine) as reader,
        _writing(to_engine) as writer,
    ):
        theirs, ours = _tables(reader), _tables(writer)
        pairs = [(theirs[name], ours[name]) for name in sorted(theirs.keys() & ours.keys())]
        _check(reader, writer, [mine for _, mine in pairs])
        copied = _copy(reader, writer, pairs, progress)
        if copied != {mine.name: _digest(writer, mine) for _, mine in pairs}:
            raise OnefoldError("conflict", "The copy is not equal to the original; nothing was kept of it.")
        _go_on_behind(writer)
    return {name: count for name, (count, _) in copied.items()}


@contextmanager
def _reading(engine: sa.Engine) -> Iterator[sa.Connection]:
    """One consistent view of everything."""
    isolation = "AUTOCOMMIT" if engine.dialect.name == "sqlite" else "REPEATABLE READ"
    with engine.connect().execution_options(isolation_level=isolation) as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("begin")
        yield connection


@contextmanager
def _writing(engine: sa.Engine) -> Iterator[sa.Connection]:
    with engine.connect() as connection, connection.begin():
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("begin immediate")
        yield connection


def _tables(connection: sa.Connection) -> dict[str, sa.Table]:
    metadata = sa.MetaData()
    metadata.reflect(connection)
    return {name: table for name, table in metadata.tables.items() if name != _VERSION}


def _check(reader: sa.Connection, writer: sa.Connection, tables: list[sa.Table]) -> None:
    versions = [
        connection.exec_driver_sql(f"select version_num from {_VERSION}").scalar() for connection in (reader, writer)
    ]
    if versions[0] != versions[1]:
        raise OnefoldError("conflict", "The original's schema is not the newest; run `onefold migrate` on it first.")
    full = [table.name for table in tables if _count(writer, table)]
    if full:
        raise OnefoldError("conflict", f"The target is not empty ({', '.join(full)}); give a new database.")


def _count(connection: sa.Connection, table: sa.Table) -> int:
    return connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0


def _copy(
    reader: sa.Connection, writer: sa.Connection, pairs: list[tuple[sa.Table, sa.Table]], progress: Progress
) -> dict[str, Digest]:
    copied: dict[str, Digest] = {}
    done = 0
    for theirs, ours in pairs:
        digest = (0, 0)
        for rows in _pages(reader, theirs):
            writer.execute(ours.insert(), [row._asdict() for row in rows])
            digest = _added(digest, rows)
            done += len(rows)
            progress(done)
        copied[ours.name] = digest
    return copied


def _digest(connection: sa.Connection, table: sa.Table) -> Digest:
    digest = (0, 0)
    for rows in _pages(connection, table):
        digest = _added(digest, rows)
    return digest


def _pages(connection: sa.Connection, table: sa.Table) -> Iterator[Any]:
    yield from connection.execute(sa.select(table), execution_options={"yield_per": _PAGE}).partitions()


def _added(digest: Digest, rows: Any) -> Digest:
    hashes = (blake2b(msgspec.msgpack.encode(tuple(row)), digest_size=16).digest() for row in rows)
    return digest[0] + len(rows), (digest[1] + sum(int.from_bytes(one, "big") for one in hashes)) % _MODULUS


def _go_on_behind(writer: sa.Connection) -> None:
    """Let PostgreSQL give the positions behind those that were copied."""
    if writer.dialect.name == "postgresql":
        writer.exec_driver_sql("select setval('journal_position', coalesce(max(seq), 0) + 1, false) from journal")
