"""Secret keys of the server plane: their form, and what they allow.

A key is `ofk_`, 8 characters that name it, `_`, 32 characters that are secret, and 7 of a checksum, all in base32. The
prefix lets scanners for secrets find a key that leaked; the checksum tells a key from a typing error without a
database.
"""

import base64
import hashlib
import re
import zlib
from collections.abc import Collection
from typing import Final, Literal

Scope = Literal["read", "write", "admin"]
SCOPES: Final[tuple[Scope, ...]] = ("read", "write", "admin")

KEY_PATTERN: Final = re.compile(r"(ofk_[a-z2-7]{8})_[a-z2-7]{32}([a-z2-7]{7})")
KEY_ID_PATTERN: Final = re.compile(r"ofk_[a-z2-7]{8}")
RANDOM_BYTES: Final = 25
"""What a new key is made of: 5 bytes name it, 20 are secret."""

_CHECK_LENGTH: Final = 7


def new_key(random: bytes) -> str:
    """A key made of 25 random bytes."""
    body = f"ofk_{_base32(random[:5])}_{_base32(random[5:RANDOM_BYTES])}"
    return body + _check(body)


def key_id(key: str) -> str | None:
    """The part of a key that names it and may be shown; None for a text that is no key."""
    found = KEY_PATTERN.fullmatch(key)
    return found[1] if found is not None and found[2] == _check(key[:-_CHECK_LENGTH]) else None


def key_digest(key: str) -> bytes:
    """What is stored of a key: its SHA-256. Nobody guesses 160 bits, so no slow hash is needed."""
    return hashlib.sha256(key.encode()).digest()


def allows(scopes: Collection[Scope], wanted: Scope) -> bool:
    """Whether a key with these scopes may do what needs `wanted`; `admin` may do everything."""
    return wanted in scopes or "admin" in scopes


def _check(body: str) -> str:
    """CRC-32 in base32."""
    return _base32(zlib.crc32(body.encode()).to_bytes(4, "big"))


def _base32(raw: bytes) -> str:
    return base64.b32encode(raw).decode().lower().rstrip("=")
