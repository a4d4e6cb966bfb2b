"""The kinds of store that the contract tests run on, each as a way to make new, migrated, empty databases."""

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from itertools import count
from pathlib import Path
from typing import Final

import psycopg

from onefold.store.database import Database, Row
from support.postgres import postgres_server

_GRAPH: Final = ("journal", "assertion", "identifier", "shared_link", "profile", "ledger")
TABLES: Final = (*_GRAPH, "token", "secret_key", "name", "meta")

NewDatabase = Callable[[], AbstractContextManager[Database]]


@contextmanager
def sqlite_databases(folder: Path) -> Iterator[NewDatabase]:
    """SQLite files in a folder, copied from one that was migrated once; closed and removed after their `with` block."""
    template = folder / "template.db"
    migrated = Database(f"sqlite:///{template}")
    migrated.migrate()
    migrated.close()
    numbers = count()

    @contextmanager
    def new() -> Iterator[Database]:
        path = folder / f"{next(numbers)}.db"
        shutil.copy(template, path)
        database = Database(f"sqlite:///{path}")
        try:
            yield database
        finally:
            database.close()
            for left in folder.glob(f"{path.name}*"):
                left.unlink()

    yield new


@contextmanager
def postgres_databases(_: Path) -> Iterator[NewDatabase]:
    """Databases on a server of their own; emptied after their `with` block, and used again."""
    numbers = count()
    idle: list[Database] = []

    with postgres_server() as server:

        @contextmanager
        def new() -> Iterator[Database]:
            database = idle.pop() if idle else made()
            try:
                yield database
            finally:
                empty(database)
                idle.append(database)

        def made() -> Database:
            name = f"onefold{next(numbers)}"
            server.run(f"create database {name}")
            database = Database(server.url(name))
            database.migrate()
            return database

        yield new
        for database in idle:
            database.close()


def empty(database: Database) -> None:
    """Take everything out of a PostgreSQL database, and end the sessions that remember names in it."""
    database.close()
    change(database, f"truncate {', '.join(TABLES)}")
    change(database, "alter sequence journal_position restart")


def change(database: Database, statement: str) -> int:
    """Change a database behind the product's back; the number of rows."""
    if database.url.startswith("sqlite"):
        with closing(sqlite3.connect(path_of(database))) as connection, connection:
            return connection.execute(statement).rowcount
    with psycopg.connect(database.url) as other:
        return other.execute(statement.encode()).rowcount


def rows(database: Database) -> dict[str, list[Row]]:
    """Everything that is in a database, table by table."""
    found = {}
    for table in TABLES:
        if database.url.startswith("sqlite"):
            with closing(sqlite3.connect(path_of(database))) as connection:
                found[table] = sorted(connection.execute(f"select * from {table}").fetchall(), key=repr)
        else:
            with psycopg.connect(database.url) as other:
                found[table] = sorted(other.execute(f"select * from {table}".encode()).fetchall(), key=repr)
    return found


def path_of(database: Database) -> Path:
    """The file of a SQLite database."""
    return Path(database.url.removeprefix("sqlite:///"))


STORES: Final[dict[str, Callable[[Path], AbstractContextManager[NewDatabase]]]] = {
    "sqlite": sqlite_databases,
    "postgres": postgres_databases,
}
"""By name; one more store is one more line."""
