"""Named queries: read queries.sql once, and write each text out the way a driver passes its parameters.

`values {int bytes}` in a text stands for any number of rows. SQLite is given them as that many rows of placeholders,
PostgreSQL as one array a column, so that there its text is the same however many rows there are.
"""

import functools
import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from importlib import resources
from itertools import chain
from typing import Any, Final

_HEAD: Final = re.compile(r"^-- (\w+): .*$", re.MULTILINE)
_ROWS: Final = re.compile(r"values \{([a-z ]+)\}")
_ARRAYS: Final = {"int": "bigint[]", "bytes": "bytea[]", "text": "text[]"}
# Statements come in a few sizes only, so that the driver's cache of prepared statements holds all of them.
_SIZES: Final = (1, 2, 4, 8, 16, 24, 32, 48, 64, 96, 128, 192, 256)


def _read() -> dict[str, str]:
    text = resources.files("onefold.store").joinpath("queries.sql").read_text(encoding="utf-8")
    _, *parts = _HEAD.split(text)
    return {name: body.strip() for name, body in zip(parts[::2], parts[1::2], strict=True)}


QUERIES: Final[dict[str, str]] = _read()


@functools.lru_cache(maxsize=512)
def with_rows(name: str, rows: int = 0) -> str:
    """The SQL of a named query with its rows of parameters written out, for a driver whose placeholder is `?`.

    A row that is all null asks nothing and inserts nothing.
    """
    text = QUERIES[name]

    def written_out(found: re.Match[str]) -> str:
        row = "(" + ", ".join("?" for _ in found[1].split()) + ")"
        values = "values " + ", ".join([row] * rows)
        return f"select * from ({values}) where column1 is not null" if text.startswith("insert") else values

    return _ROWS.sub(written_out, text)


@functools.cache
def kinds_of(name: str) -> tuple[str, ...]:
    """What each column of a query's rows of parameters holds: `int`, `bytes` or `text`."""
    found = _ROWS.search(QUERIES[name])
    return tuple(found[1].split()) if found else ()


@functools.cache
def with_arrays(name: str) -> str:
    """The SQL of a named query that takes its rows as one array a column, for a driver whose placeholder is `%s`."""

    def unnested(found: re.Match[str]) -> str:
        arrays = [f"?::{_ARRAYS[kind]}" for kind in found[1].split()]
        columns = [f"column{number}" for number, _ in enumerate(arrays, start=1)]
        return f"select * from unnest({', '.join(arrays)}) r ({', '.join(columns)})"

    return _ROWS.sub(unnested, QUERIES[name]).replace("?", "%s")


def padded(rows: Sequence[Sequence[Any]]) -> Iterator[tuple[int, list[Any]]]:
    """Rows in pieces, each filled up with nulls to one of a few sizes: the size, and the flat list of parameters."""
    for start in range(0, len(rows), _SIZES[-1]):
        piece = rows[start : start + _SIZES[-1]]
        size = _SIZES[bisect_left(_SIZES, len(piece))]
        yield size, [*chain.from_iterable(piece), *[None] * ((size - len(piece)) * len(piece[0]))]
