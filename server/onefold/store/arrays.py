"""Columns of parameters as PostgreSQL arrays, packed in the binary form that its `array_recv` reads.

One dimension from 1 on: dimensions, whether an element is null, the elements' type, their number, the first index; then
each element behind its length, which is -1 for a null. All numbers are big-endian.
"""

import struct
from collections.abc import Callable, Iterable, Sequence
from itertools import chain, repeat
from typing import Any, Final, NamedTuple

from psycopg import postgres
from psycopg.adapt import AdaptersMap, Dumper
from psycopg.pq import Format

_HEAD: Final = struct.Struct("!iiIii")
_LENGTH: Final = struct.Struct("!i")
_NUMBER: Final = struct.Struct("!iq")  # behind its length
_NULL: Final = _LENGTH.pack(-1)


class _Numbers(bytes):
    """A packed `bigint[]`."""


class _Bytes(bytes):
    """A packed `bytea[]`."""


class _Texts(bytes):
    """A packed `text[]`."""


class _Kind(NamedTuple):
    """The wrapper that tells psycopg the type, the element's type, and how elements are packed, with nulls or without:
    most columns have none, and are packed in one go.
    """

    wrapper: type[bytes]
    element: str
    packed: Callable[[Sequence[Any], bool], Iterable[bytes]]


def _numbers(values: Sequence[Any], has_null: bool) -> Iterable[bytes]:
    if has_null:
        return [_NULL if value is None else _NUMBER.pack(8, value) for value in values]
    return [struct.pack("!" + "iq" * len(values), *chain.from_iterable(zip(repeat(8), values)))]


def _strings(values: Sequence[Any], has_null: bool) -> Iterable[bytes]:
    if has_null:
        return [_NULL if value is None else _LENGTH.pack(len(value)) + value for value in values]
    return chain.from_iterable(zip(map(_LENGTH.pack, map(len, values)), values, strict=True))


def _texts(values: Sequence[Any], has_null: bool) -> Iterable[bytes]:
    return _strings([None if value is None else value.encode() for value in values], has_null)


_KINDS: Final = {
    "int": _Kind(_Numbers, "int8", _numbers),
    "bytes": _Kind(_Bytes, "bytea", _strings),
    "text": _Kind(_Texts, "text", _texts),
}


def packed(kind: str, values: Sequence[Any]) -> bytes:
    """Values, or None for nulls, as an array of the `kind` that queries.sql says: int, bytes or text."""
    wrapper, element, pack = _KINDS[kind]
    has_null = None in values
    head = _HEAD.pack(1, has_null, postgres.types[element].oid, len(values), 1)
    return wrapper(head + b"".join(pack(values, has_null)))


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
