"""What must not be kept even when a page sends it: email addresses in places where only history belongs, and tokens in
URLs.
"""

import re
from typing import Any, Final

TOKEN_PARAM: Final = "_uiaf_token"

_EMAIL: Final = re.compile(r"[^\s/?&#=:;,<>\"'()\[\]]+(?:@|%40)[^\s/?&#=:;,<>\"'()\[\]]+", re.IGNORECASE)
_TOKEN: Final = re.compile(rf"(^|[?&#;/])(?:{TOKEN_PARAM}=[^&#;]*&?)+", re.IGNORECASE)
REMOVED: Final = "[removed]"


def looks_like_email(value: str) -> bool:
    """Whether a value holds something of the form of an email address, percent-encoded or not."""
    return _EMAIL.search(value) is not None


def redact_text(text: str) -> str:
    """The text with everything that looks like an email address replaced by `[removed]`."""
    return _EMAIL.sub(REMOVED, text)


def redact_url(url: str) -> str:
    """A page URL as it may be stored: without cross-domain tokens (query or fragment) and email addresses."""
    stripped = _TOKEN.sub(r"\1", url)
    return redact_text(stripped.rstrip("?&") if stripped != url else url)


def redact(value: Any) -> Any:
    """A JSON value with every string in it redacted, member names too."""
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, list):
        return [redact(item) for item in value]
    if isinstance(value, dict):
        return {redact_text(key): redact(item) for key, item in value.items()}
    return value
