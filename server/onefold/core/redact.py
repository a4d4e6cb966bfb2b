"""What must not be kept even when a page sends it: email addresses in places where only history belongs, and tokens in
URLs.
"""

import re
from typing import Any, Final

TOKEN_PARAM: Final = "_uiaf_token"

# Looked for word by word, so that the time taken is linear in the length: pages choose what is searched.
_WORD: Final = re.compile(r"[^\s/?&#=:;,<>\"'()\[\]]+")
_EMAIL: Final = re.compile(r".(?:@|%40).", re.DOTALL)


def _encoded(characters: str) -> str:
    """An expression for any one of these characters, percent-encoded once or several times over."""
    codes = {f"{ord(case):02x}" for character in characters for case in character.lower() + character.upper()}
    return f"%(?:25)*(?:{'|'.join(sorted(codes))})"


def _spelled(characters: str) -> str:
    """An expression for any one of these characters, encoded or not."""
    return f"(?:[{re.escape(characters)}]|{_encoded(characters)})"


_PARAM: Final = f"{''.join(map(_spelled, TOKEN_PARAM))}{_spelled('=')}(?:(?!{_spelled('&#;')}).)*"
# In the URL, or in a link in the URL, which is encoded once more.
_TOKEN: Final = re.compile(
    rf"(^|[?&#;/])(?:{_PARAM}&?)+|({_encoded('?&#;/')})(?:{_PARAM}(?:{_encoded('&')})?)+", re.IGNORECASE
)
# Whatever else has the form of a token goes too: a parameter of another name may hold a copy.
_TOKEN_FORM: Final = re.compile(rf"[A-Za-z0-9_-]{{30}}(?i:{_spelled('.')})[A-Za-z0-9_-]{{43}}")
REMOVED: Final = "[removed]"


def looks_like_email(value: str) -> bool:
    """Whether a value holds something of the form of an email address, percent-encoded or not."""
    return _has_at(value) and any(_EMAIL.search(word) for word in _WORD.findall(value))


def redact_text(text: str) -> str:
    """The text with everything that looks like an email address replaced by `[removed]`."""
    return _WORD.sub(_redact_word, text) if _has_at(text) else text


def _has_at(text: str) -> bool:
    """Whether there can be an address in it at all; most texts need no closer look."""
    return "@" in text or "%40" in text


def _redact_word(word: re.Match[str]) -> str:
    return REMOVED if _EMAIL.search(word[0]) else word[0]


def redact_url(url: str) -> str:
    """A page URL as it may be stored: without cross-domain tokens (query or fragment) and email addresses."""
    stripped = _TOKEN.sub(r"\1\2", url) if _may_hold_token(url) else url
    return redact_text(_TOKEN_FORM.sub(REMOVED, stripped.rstrip("?&") if stripped != url else url))


def _may_hold_token(url: str) -> bool:
    """Whether there can be a token's parameter in it, encoded or not; most URLs need no closer look."""
    return "%" in url or TOKEN_PARAM in url.lower()


def redact(value: Any) -> Any:
    """A JSON value with every string in it redacted, member names too."""
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, list):
        return [redact(item) for item in value]
    if isinstance(value, dict):
        return {redact_text(key): redact(item) for key, item in value.items()}
    return value
