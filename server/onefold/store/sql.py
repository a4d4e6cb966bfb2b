"""Named queries: read queries.sql once, and fit each text to the number of rows and to the driver's placeholders."""

import functools
import re
from collections.abc import Iterator, Sequence
from importlib import resources
from typing import Any, Final

_HEAD: Final = re.compile(r"^-- (\w+): .*$", re.MULTILINE)
# Statements come in a few sizes only, so that the driver's cache of prepared statements holds all of them.
_SIZES: Final = (256, 64, 16, 4, 1)


def _read() -> dict[str, str]:
    text = resources.files("onefold.store").joinpath("queries.sql").read_text(encoding="utf-8")
    _, *parts = _HEAD.split(text)
    return {name: body.strip() for name, body in zip(parts[::2], parts[1::2], strict=True)}


QUERIES: Final[dict[str, str]] = _read()


@functools.lru_cache(maxsize=512)
def text_for(name: str, placeholder: str, rows: int, columns: int) -> str:
    """The SQL of a named query with `{rows}` written out, for a driver whose placeholder is `?` or `%s`."""
    row = "(" + ", ".join("?" * columns) + ")"
    text = QUERIES[name].replace("{rows}", ", ".join([row] * rows))
    return text if placeholder == "?" else text.replace("?", placeholder)


def chunks(rows: Sequence[Sequence[Any]]) -> Iterator[tuple[int, list[Any]]]:
    """Rows in pieces of the standard sizes, each as its number of rows and the flat list of its parameters."""
    start = 0
    for size in _SIZES:
        while len(rows) - start >= size:
            yield size, [value for row in rows[start : start + size] for value in row]
            start += size


def padded(rows: Sequence[Sequence[Any]]) -> Iterator[tuple[int, list[Any]]]:
    """Like `chunks` for questions, where asking about the last row twice does no harm: fewer, fuller statements."""
    for start in range(0, len(rows), _SIZES[0]):
        piece = rows[start : start + _SIZES[0]]
        size = min(size for size in _SIZES if size >= len(piece))
        filled = [*piece, *[piece[-1]] * (size - len(piece))]
        yield size, [value for row in filled for value in row]
