"""How texts and decisions lie in a row: hashes and UUIDs as their bytes, decisions as compact MessagePack.

Packing is a bijection: every text has exactly one packed form, so packed bytes can be compared and indexed in place
of the text.
"""

import functools
import re
from collections.abc import Callable, Sequence
from typing import Any, Final, get_args

import msgspec

from onefold.core.decision import Action, Step
from onefold.core.identifiers import Identifier

_HASH: Final = re.compile(r"[0-9a-f]{64}")
_UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_SECONDS: Final = re.compile(r"(0|[1-9][0-9]{0,11})", re.ASCII)
_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder().decode
_HASHED, _ID, _TEXT = b"hut"
_ACTIONS: Final[tuple[Action, ...]] = get_args(Action)


@functools.lru_cache(maxsize=16_384)  # within a batch the same text is looked up, journaled and saved
def pack_text(text: str) -> bytes:
    """A first byte that names the form, then 32 bytes of a SHA-256 (h), a UUID (u), a UUID and seconds (v), or UTF-8
    (t).
    """
    if len(text) == 64 and _HASH.fullmatch(text):
        return b"h" + bytes.fromhex(text)
    if _UUID.match(text):
        if len(text) == 36:
            return b"u" + bytes.fromhex(text.replace("-", ""))
        if text[36] == "." and _SECONDS.fullmatch(text, 37):
            return b"v" + bytes.fromhex(text[:36].replace("-", "")) + int(text[37:]).to_bytes(5, "big")
    return b"t" + text.encode()


def unpack_text(packed: bytes) -> str:
    """The text that was packed."""
    form = packed[0]
    if form == _HASHED:
        return packed[1:].hex()
    if form == _TEXT:
        return bytes(packed[1:]).decode()
    digits = packed[1:17].hex()
    text = f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
    return text if form == _ID else f"{text}.{int.from_bytes(packed[17:], 'big')}"


def pack_identifiers(identifiers: Sequence[Identifier], intern: Callable[[str], int]) -> bytes:
    """Identifiers as a flat MessagePack list: type, value, type, value…"""
    return _encode([part for kind, value in identifiers for part in (intern(kind), pack_text(value))])


def unpack_identifiers(packed: bytes, name_of: Callable[[int], str]) -> tuple[Identifier, ...]:
    """The identifiers that were packed, in order."""
    flat = iter(_decode(packed))
    return tuple([Identifier(name_of(kind), unpack_text(value)) for kind, value in zip(flat, flat, strict=True)])


def pack_trace(trace: Sequence[Step], intern: Callable[[str], int]) -> bytes | None:
    """The steps of a decision; None where it has none, as for every event that only confirms what is known."""
    if not trace:
        return None
    return _encode([_pack_step(step, intern) for step in trace])


def _pack_step(step: Step, intern: Callable[[str], int]) -> list[Any]:
    packed = [_ACTIONS.index(step.action), intern(step.identifier.type), pack_text(step.identifier.value)]
    if step.code is None and step.rule is None and not step.profiles:
        return packed
    return [*packed, step.code, step.rule, step.profiles]


def unpack_trace(packed: bytes | None, name_of: Callable[[int], str]) -> tuple[Step, ...]:
    """The steps that were packed."""
    return () if packed is None else tuple(_unpack_step(step, name_of) for step in _decode(packed))


def _unpack_step(packed: list[Any], name_of: Callable[[int], str]) -> Step:
    action, kind, value, *rest = packed
    code, rule, profiles = rest or (None, None, ())
    return Step(_ACTIONS[action], Identifier(name_of(kind), unpack_text(value)), code, rule, tuple(profiles))
