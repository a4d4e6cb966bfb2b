"""How texts and decisions lie in a row: hashes and UUIDs as their bytes, decisions as compact MessagePack.

Packing is a bijection: every text has exactly one packed form, so packed bytes can be compared and indexed in place
of the text.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, get_args

import msgspec

from onefold.core.decision import Action, Step
from onefold.core.identifiers import Identifier

_HASH: Final = re.compile(r"[0-9a-f]{64}")
_UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_SECONDS: Final = re.compile(r"(0|[1-9][0-9]{0,11})", re.ASCII)
# Lines of one form: of the uids those whose seconds are of this century.
_HASHES: Final = re.compile(rf"(?:{_HASH.pattern}\n)*")
_UUIDS: Final = re.compile(rf"(?:{_UUID.pattern}\n)*")
_UIDS: Final = re.compile(rf"(?:{_UUID.pattern}\.[1-9][0-9]{{9}}\n)*")
_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder().decode
_HASHED, _ID, _TEXT = b"hut"
_ACTIONS: Final[tuple[Action, ...]] = get_args(Action)


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


class Packed(dict[str, bytes]):
    """Packed texts, each packed once: a batch looks the same one up, journals and saves it."""

    def __missing__(self, text: str) -> bytes:
        packed = self[text] = pack_text(text)
        return packed

    def add(self, texts: Iterable[str]) -> None:
        """Pack texts that will be asked for, those of one form at once, which takes half the time."""
        alike: dict[int, list[str]] = defaultdict(list)
        for text in texts:
            alike[len(text)].append(text)
        for length, pack in _PACK_ALIKE.items():
            if some := alike.get(length):
                self.update(zip(some, pack(some), strict=False))


def _pack_hashes(texts: Sequence[str]) -> Iterable[bytes]:
    lines = "\n".join(texts) + "\n"
    return _cut(b"h", 32, lines) if _HASHES.fullmatch(lines) else ()


def _pack_uuids(texts: Sequence[str]) -> Iterable[bytes]:
    lines = "\n".join(texts) + "\n"
    return _cut(b"u", 16, lines) if _UUIDS.fullmatch(lines) else ()


def _pack_uids(texts: Sequence[str]) -> Iterable[bytes]:
    if not _UIDS.fullmatch("\n".join(texts) + "\n"):
        return ()
    uuids = _cut(b"v", 16, "".join([text[:36] for text in texts]))
    return [uuid + int(text[37:]).to_bytes(5, "big") for uuid, text in zip(uuids, texts, strict=True)]


def _cut(form: bytes, size: int, digits: str) -> list[bytes]:
    raw = bytes.fromhex(digits.replace("-", ""))  # which passes over the ends of lines
    return [form + raw[at : at + size] for at in range(0, len(raw), size)]


_PACK_ALIKE: Final = {64: _pack_hashes, 36: _pack_uuids, 47: _pack_uids}
"""How to pack texts of one length, if all are of the form that most of that length are of; otherwise nothing."""


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


def pack_identifiers(
    identifiers: Iterable[Identifier], numbers: Mapping[str, int], packed: Mapping[str, bytes]
) -> bytes:
    """Identifiers as a flat MessagePack list: type, value, type, value… `numbers` has those of the types."""
    return _encode([part for kind, value in identifiers for part in (numbers[kind], packed[value])])


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
