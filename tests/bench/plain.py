"""The rows of a recording, written by the database's Python library alone: one `executemany` a table, one transaction a
batch, as durable as ours.
"""

import functools
import re
import sqlite3
from collections.abc import Callable, Sequence
from typing import Any, Final

import psycopg

from onefold.store.database import Database
from onefold.store.sql import QUERIES
from onefold.store.sqlite import SESSION, WRITER_CACHE

Writes = list[tuple[str, list[Any]]]
"""What one batch wrote: the names of statements, each with its rows."""

_ROWS: Final = re.compile(r"values \{([a-z ]+)\}")
_SCHEME: Final = "sqlite:///"
# Ours numbers the lines from the end by itself.
_LEDGER: Final = "insert into ledger (seq, at, kind, journal_seq, body) values {int int int int text}"
_END: Final = "select coalesce(max(seq), 0) from ledger"


def writer(database: Database) -> Callable[[Writes], None]:
    """What writes the rows of a batch."""
    if database.url.startswith(_SCHEME):
        raw = sqlite3.connect(database.url.removeprefix(_SCHEME), isolation_level=None)
        for pragma in (*SESSION, WRITER_CACHE):
            raw.execute(pragma)
        return _writer(raw.cursor(), "?", "begin immediate")
    return _writer(psycopg.connect(database.url, autocommit=True).cursor(), "%s", "begin")


def _writer(cursor: Any, placeholder: str, begin: str) -> Callable[[Writes], None]:
    def write(writes: Writes) -> None:
        cursor.execute(begin)
        for name, rows in writes:
            numbered = _numbered(cursor, rows) if name == "add_ledger" else rows
            cursor.executemany(_for_one_row(name, placeholder), numbered)
        cursor.execute("commit")

    return write


def _numbered(cursor: Any, rows: Sequence[Sequence[Any]]) -> list[list[Any]]:
    ((end,),) = cursor.execute(_END).fetchall()
    return [[end + number, *row] for number, *row in rows]


@functools.cache
def _for_one_row(name: str, placeholder: str) -> str:
    text = _LEDGER if name == "add_ledger" else QUERIES[name]
    return _ROWS.sub(lambda found: f"values ({', '.join([placeholder] * len(found[1].split()))})", text)
