"""What pages send to mint and to redeem a cross-domain token: from JSON text to an event and what goes with it.

Identity, consent and tier have the form that events have, and are read by the same parser; docs/reference/tokens.md.
"""

from typing import Any, Final, NamedTuple

from onefold.core.event import IDENTITY_LINK, Event
from onefold.errors import OnefoldError
from onefold.intake import uiaf

MAX_BODY_BYTES: Final = 65_536
_META: Final = ("ts", "tier", "page_url", "sensor")


class Minting(NamedTuple):
    """A page asks for a token for its links to `target`, an origin."""

    event: Event
    target: str


class Redeeming(NamedTuple):
    """A page was opened with a token; `referrer` is where from, as the page says: a URL or an origin."""

    event: Event
    token: str
    referrer: str | None


def parse_minting(body: bytes, received_at: int, site: str) -> Minting:
    """Raises OnefoldError: `malformed_json`, or `invalid_event` with the member's path."""
    raw = _object(body)
    return Minting(_event(raw, received_at, site), _required(raw, "target"))


def parse_redeeming(body: bytes, received_at: int, site: str) -> Redeeming:
    """Raises OnefoldError: `malformed_json`, or `invalid_event` with the member's path."""
    raw = _object(body)
    return Redeeming(_event(raw, received_at, site), _required(raw, "token"), _text(raw, "referrer"))


def _object(body: bytes) -> dict[str, Any]:
    raw = uiaf.decode(body)
    if not isinstance(raw, dict):
        raise OnefoldError("invalid_event", "Send one JSON object.")
    return raw


def _event(raw: dict[str, Any], received_at: int, site: str) -> Event:
    """The sender as an event, with nothing in it that tokens do not need: least of all the token."""
    sent = raw.get("_meta")
    meta = {name: sent[name] for name in _META if sent.get(name) is not None} if isinstance(sent, dict) else sent
    if meta is None or isinstance(meta, dict):
        meta = {"ts": received_at, **(meta or {})}
    event = {
        "event": IDENTITY_LINK,
        "event_id": "token",  # it gets its own when it is redeemed
        "identity": raw.get("identity"),
        "consent": raw.get("consent"),
        "_meta": meta,
    }
    return uiaf.parse(event, received_at, site)


def _required(raw: dict[str, Any], name: str) -> str:
    text = _text(raw, name)
    if text is None:
        raise OnefoldError("invalid_event", f"Send {name}.", name)
    return text


def _text(raw: dict[str, Any], name: str) -> str | None:
    value = raw.get(name)
    if value is not None and not isinstance(value, str):
        raise OnefoldError("invalid_event", f"{name} does not have the expected type.", name)
    return value
