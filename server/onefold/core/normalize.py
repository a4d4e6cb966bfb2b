"""Normalisation `uiaf-1`: one form for an email address, phone number or name, and its SHA-256.

The rules are UIAF's (06-identity-resolution, "Normalization rules by identifier type"); sensor_js/src holds the same
rules in JavaScript, and both must give the same bytes for every input. Characters behave as in Unicode 14 whatever
tables the interpreter ships, so that an upgrade never changes a hash (see `_unicode14`).
"""

import hashlib
import re
import unicodedata
from collections.abc import Callable
from typing import Final, Literal

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberFormat, ValidationResult

from onefold.core._unicode14 import LATER, STAND_INS

Kind = Literal["email", "phone", "name"]
KINDS: Final[tuple[Kind, ...]] = ("email", "phone", "name")
REFUSED: Final[dict[Kind, str]] = {
    "email": "an email address has one @ with something on both sides, and no white space inside",
    "phone": "not a possible phone number; without + it needs a region",
    "name": "nothing is left of the name",
}
"""Why a value was refused, in words that do not repeat it."""

# The White_Space property of Unicode: neither str.strip() nor JavaScript's trim() is exactly this.
_SPACE: Final = "\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_ENDS: Final = re.compile(f"^[{_SPACE}]+|[{_SPACE}]+$")
_RUN: Final = re.compile(f"[{_SPACE}]+")
_LATER: Final = re.compile(f"([{LATER}]+)")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_REGION: Final = re.compile("[A-Za-z]{2}")
# Characters whose properties changed after Unicode 14, and those that stand in for them while a text is lower-cased.
_CHANGED: Final = re.compile("[" + "".join(map(chr, STAND_INS)) + "".join(STAND_INS.values()) + "]")
_STAND_INS: Final = re.compile("[" + "".join(STAND_INS.values()) + "]")
_INERT: Final = "\ue000"  # private use: neither letter, digit nor punctuation in any version


def normalize(kind: Kind, value: str, region: str | None = None) -> str | None:
    """The normalised form, or None where the value is refused (nothing may be hashed then).

    `region` is the ISO 3166 country that a phone number without `+` is read in, e.g. `NL`.
    """
    if _SURROGATE.search(value):
        return None
    if kind == "phone":
        return _phone(_LATER.sub(_INERT, _piecewise(_nfc, value)), region)
    folded = _piecewise(_lower, value)
    return _email(folded) if kind == "email" else _name(folded)


def sha256_hex(normalized: str, salt: str = "") -> str:
    """SHA-256 of `salt + normalized` in UTF-8, as 64 lower-case hex characters."""
    return hashlib.sha256((salt + normalized).encode()).hexdigest()


def hash_value(kind: Kind, value: str, region: str | None = None, salt: str = "") -> str | None:
    """Normalise and hash in one step; None where the value is refused."""
    normalized = normalize(kind, value, region)
    return None if normalized is None else sha256_hex(normalized, salt)


def _nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _lower(text: str) -> str:
    composed = _nfc(text)
    changed = iter(_CHANGED.findall(composed))
    lowered = _STAND_INS.sub(lambda _: next(changed), composed.translate(STAND_INS).lower())
    return _nfc(lowered)  # lower-casing can leave a sequence that composes


def _piecewise(transform: Callable[[str], str], text: str) -> str:
    """Apply a transform between the characters that Unicode 14 did not know, and leave those as they are."""
    if text.isascii():
        return transform(text)
    pieces = _LATER.split(text)
    pieces[::2] = [transform(piece) for piece in pieces[::2]]
    return "".join(pieces)


def _email(folded: str) -> str | None:
    address = _ENDS.sub("", folded)
    local, _, domain = address.partition("@")
    if not local or not domain or "@" in domain or _RUN.search(address):
        return None
    if domain == "gmail.com":  # Gmail ignores dots; other providers do not
        local = local.replace(".", "")
    return f"{local}@{domain}" if local else None


def _name(folded: str) -> str | None:
    return _RUN.sub(" ", _ENDS.sub("", folded)) or None


def _phone(text: str, region: str | None) -> str | None:
    """E.164 by phonenumbers' rules, extension dropped.

    A number must have a possible length. One that is only possible *locally* (no area code) is refused: strangers in
    two towns share it.
    """
    try:
        number = phonenumbers.parse(text, region.upper() if region and _REGION.fullmatch(region) else None)
    except NumberParseException:
        return None
    if phonenumbers.is_possible_number_with_reason(number) != ValidationResult.IS_POSSIBLE:
        return None
    return str(phonenumbers.format_number(number, PhoneNumberFormat.E164))
