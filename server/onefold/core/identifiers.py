"""Identifiers: what they are, which values are never one, and the profile id derived from one."""

import base64
import functools
import hashlib
import hmac
import re
from typing import Final, NamedTuple

STAND_IN: Final = "stand_in"
"""The type of the identifiers that stand in for a shared one; reserved, never sent by anybody."""

PROFILE_ID_PATTERN: Final = re.compile(r"of_[a-z2-7]{26}")
SHA256_PATTERN: Final = re.compile(r"[0-9a-f]{64}")

# Values that software writes where it has no value. Sources: the illegal ids of PostHog's person merging,
# Segment's suggested blocked values. Compared case-insensitively.
_PLACEHOLDERS: Final = (
    "anonymous", "guest", "distinct_id", "distinctid", "id", "not_authenticated", "email",
    "undefined", "true", "false", "null", "none", "nan", "nil", "[object object]", "0", "-1",
)  # fmt: skip
_PLACEHOLDER_SET: Final = frozenset(_PLACEHOLDERS)
_LONGEST_PLACEHOLDER: Final = max(map(len, _PLACEHOLDERS))
_SPELLINGS: Final = ("anonymous", "Anonymous", "guest", "Guest", "NULL", "None", "NaN", "True", "False")
_ZERO_UUID: Final = re.compile(r"0{8}-?0{4}-?0{4}-?0{4}-?0{12}(\.\d+)?")
_QUOTES: Final = "\"'`"
_PLACEHOLDER_STARTS: Final = "0" + _QUOTES

_BASE32: Final = "abcdefghijklmnopqrstuvwxyz234567"
_LETTERS: Final = [one + other for one in _BASE32 for other in _BASE32]


class Identifier(NamedTuple):
    """A `(type, value)` pair, written `type:value`."""

    type: str
    value: str

    def __str__(self) -> str:
        return f"{self.type}:{self.value}"

    @classmethod
    def parse(cls, text: str) -> "Identifier":
        """Read `type:value`; the value may itself contain colons. Raises ValueError without a type or value."""
        kind, colon, value = text.partition(":")
        if not (kind and colon and value):
            raise ValueError("write an identifier as type:value")
        return cls(kind, value)


def is_placeholder(value: str) -> bool:
    """Whether a value is blank, a stand-in that software writes for "no value", or an all-zero UUID.

    The same inside one pair of quotes counts too.
    """
    if len(value) > _LONGEST_PLACEHOLDER and value[0] not in _PLACEHOLDER_STARTS and not value[0].isspace():
        return False
    bare = value.strip().lower()
    if len(bare) >= 2 and bare[0] == bare[-1] and bare[0] in _QUOTES:
        bare = bare[1:-1].strip()
    if len(bare) <= _LONGEST_PLACEHOLDER:
        return not bare or bare in _PLACEHOLDER_SET
    return bare[0] == "0" and _ZERO_UUID.fullmatch(bare) is not None


def _null_hashes() -> frozenset[str]:
    words = {"", " ", *_PLACEHOLDERS, *_SPELLINGS, "[object Object]", "test@test.com", "test@example.com"}
    words |= {f"{quote}{word}{quote}" for word in tuple(words) for quote in "\"'"}
    words |= {"00000000-0000-0000-0000-000000000000", "00000000000000000000000000000000"}
    return frozenset(hashlib.sha256(word.encode()).hexdigest() for word in words)


NULL_HASHES: Final[frozenset[str]] = _null_hashes()
"""SHA-256 of the empty string and of every placeholder.

A sensor that hashes an empty field sends one of these (UIAF's own sample payload does), and linking through it would
merge strangers.
"""


def profile_id(secret: bytes, founding: Identifier, generation: int = 0) -> str:
    """The public id of the profile that `founding` founds: `of_` and 26 base32 characters."""
    return unpack_profile_id(profile_digest(secret, founding, generation))


def profile_digest(secret: bytes, founding: Identifier, generation: int) -> bytes:
    """The 16 bytes behind the id of the profile that `founding` founds.

    The same secret and founding identifier always give the same id, so a rebuild keeps every id. `generation` counts
    the profiles the identifier founded before (it can found again after a rule released it).
    """
    return hmac.digest(secret, f"{founding}\x00{generation}".encode(), "sha256")[:16]


@functools.lru_cache(maxsize=4_096)  # a ledger entry names the same few ids several times
def unpack_profile_id(packed: bytes) -> str:
    """The public id for its 16 bytes: base32 as RFC 4648 has it, two letters at a time, in lower case."""
    bits = int.from_bytes(packed, "big") << 2  # 26 letters have two bits more than 16 bytes
    return "of_" + "".join([_LETTERS[bits >> shift & 1023] for shift in range(120, -1, -10)])


def pack_profile_id(public_id: str) -> bytes:
    """The 16 bytes of a public id. Raises ValueError for a text that is none."""
    if PROFILE_ID_PATTERN.fullmatch(public_id) is None:
        raise ValueError("a profile id is of_ and 26 characters of a to z and 2 to 7")
    return base64.b32decode(public_id[3:].upper() + "======")


def stand_in(shared: Identifier, session_id: str | None) -> Identifier:
    """The identifier that votes in place of a shared one: one a session, or one a device where no session is known."""
    return Identifier(STAND_IN, f"{shared}#{session_id or ''}")
