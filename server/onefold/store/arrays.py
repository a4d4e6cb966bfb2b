"""Columns of parameters as PostgreSQL arrays, packed in the binary form that its `array_recv` reads.

One dimension from 1 on: dimensions, whether an element is null, the elements' type, their number, the first index; then
each element behind its length, which is -1 for a null. All numbers are big-endian.
"""

import struct
from collections.abc import Callable, Sequence
from itertools import chain, repeat
from typing import Any, Final, NamedTuple

from psycopg import postgres
from psycopg.adapt import AdaptersMap, Dumper
from psycopg.pq import Format

_HEAD: Final = struct.Struct("!iiIii")
_LENGTH: Final = struct.Struct("!i")
_NUMBER: Final = struct.Struct("!q")
_NULL: Final = _LENGTH.pack(-1)


class _Numbers(bytes):
    """A packed `bigint[]`."""


class _Bytes(bytes):
    """A packed `bytea[]`."""


class _Texts(bytes):
    """A packed `text[]`."""


class _Kind(NamedTuple):
    """The wrapper that tells psycopg the type, the element's type, and how one element is packed."""

    wrapper: type[bytes]
    element: str
    packed: Callable[[Any], bytes]


_KINDS: Final = {
    "int": _Kind(_Numbers, "int8", _NUMBER.pack),
    "bytes": _Kind(_Bytes, "bytea", bytes),
    "text": _Kind(_Texts, "text", str.encode),
}


def packed(kind: str, values: Sequence[Any]) -> bytes:
    """Values, or None for nulls, as an array of the `kind` that queries.sql says: int, bytes or text."""
    wrapper, element, pack = _KINDS[kind]
    has_null = None in values
    head = _HEAD.pack(1, has_null, postgres.types[element].oid, len(values), 1)
    if kind == "int" and not has_null:  # most columns, in one go
        return wrapper(head + struct.pack("!" + "iq" * len(values), *chain.from_iterable(zip(repeat(8), values))))
    return wrapper(head + b"".join(_NULL if value is None else _element(pack(value)) for value in values))


def _element(data: bytes) -> bytes:
    return _LENGTH.pack(len(data)) + data


def register(adapters: AdaptersMap) -> None:
    """Let connections send packed arrays as they are."""
    for wrapper, element, _ in _KINDS.values():
        adapters.register_dumper(wrapper, _sender(postgres.types[element].array_oid))


def _sender(array_oid: int) -> type[Dumper]:
    class Sender(Dumper):
        format = Format.BINARY
        oid = array_oid

        def dump(self, obj: bytes) -> bytes:
            return bytes(obj)

    return Sender
