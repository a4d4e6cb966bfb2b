"""UIAF events, the wire format of the sensor: from JSON text to `Event`.

The shape is documented in docs/reference/events.md; its origin is UIAF's 06-identity-resolution. Unknown members are
kept as history up to 4 KiB, `null` equals absent, and every refusal names the member but never repeats its value.
"""

import codecs
import hashlib
import json
import re
import uuid
from collections.abc import Mapping
from typing import Any, Final, Literal, NoReturn

import msgspec

from onefold.core.event import CONSENT_UPDATE, FILE, IDENTITY_LINK, SERVER, Event, Signal, Tier
from onefold.core.identifiers import SHA256_PATTERN, Identifier
from onefold.core.redact import looks_like_email, redact, redact_url
from onefold.errors import OnefoldError

MAX_EVENT_BYTES: Final = 65_536
MAX_BODY_BYTES: Final = 1_048_576
MAX_EVENTS: Final = 100
MAX_EXTRA_BYTES: Final = 4_096
MAX_DEPTH: Final = 16
_TOO_DEEP: Final = f"An event may be nested at most {MAX_DEPTH} levels deep."
_ESCAPED_NUL: Final = b"\\u0000"
MAX_IDENTIFIERS: Final = 50
MAX_TEXT: Final = 2_048
_MAX_CLOCK_SKEW_MS: Final = 86_400_000

CLICK_IDS: Final = frozenset(
    ("gclid", "gbraid", "wbraid", "_fbc", "_fbp", "msclkid", "ttclid", "li_fat_id", "epik", "twclid", "ScCid")
)
UID_PATTERN: Final = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\.[0-9]{1,12}", re.IGNORECASE | re.ASCII
)
_PATH: Final = re.compile(r"at `\$\.?(?:key in )?([^`]*)`")


class _Identity(msgspec.Struct):
    uid: str | None = None
    session_id: str | None = None


class _Meta(msgspec.Struct):
    ts: int | None = None
    tier: Tier | None = None
    page_url: str | None = None
    trigger: str | None = None
    sensor: str | None = None
    normalization: str | None = None


class _Consent(msgspec.Struct, omit_defaults=True):
    ad_storage: Signal | None = None
    ad_user_data: Signal | None = None
    ad_personalization: Signal | None = None
    analytics_storage: Signal | None = None


class _Message(msgspec.Struct):
    """The members the endpoint understands; all others are history."""

    event: Literal["identity_link", "page_view", "consent_update"] | None = None
    event_id: str | None = None
    identity: _Identity | None = None
    identifiers: dict[str, str | None] | None = None
    attributes: dict[str, str | None] | None = None
    click_ids: dict[str, str | None] | None = None
    consent: _Consent | None = None
    claim: str | None = None
    meta: _Meta | None = msgspec.field(name="_meta", default=None)


TRAITS: Final = "traits"
"""The member that raw values come in, from back ends; no page should send it."""

_RAW: Final = frozenset((TRAITS, "email", "phone", "first_name", "last_name"))
"""Members that hold raw values by their name, wherever they stand: nothing ever keeps them."""

# The types' descriptions are built when they are first used. Done by two threads at once that ends the process
# (msgspec 0.22), so it is done here, by the one that imports.
msgspec.convert({}, _Message)

_KNOWN: Final = frozenset(field.encode_name for field in msgspec.structs.fields(_Message))
_KNOWN_META: Final = frozenset(field.encode_name for field in msgspec.structs.fields(_Meta))


def check_length(length: int) -> None:
    """Raise `too_large` for a body of more bytes than that."""
    if length > MAX_BODY_BYTES:
        raise OnefoldError("too_large", "A request may have at most 1 MiB.")


def split(body: bytes) -> list[Any]:
    """The events in a request body, each still plain JSON data. Raises OnefoldError for what spoils
    the whole request.
    """
    check_length(len(body))
    document = decode(body)
    events = document if isinstance(document, list) else [document]
    if not events:
        raise OnefoldError("invalid_event", "Send one event or an array of at least one.")
    if len(events) > MAX_EVENTS:
        raise OnefoldError("too_large", f"A request may carry at most {MAX_EVENTS} events.")
    return events


def decode(body: bytes) -> Any:
    """JSON text to data, strictly: UTF-8, no duplicate member, no NaN. Raises `malformed_json`."""
    try:
        return _DECODER.decode(body.removeprefix(codecs.BOM_UTF8).decode())
    except (ValueError, RecursionError):
        raise OnefoldError("malformed_json", "Send JSON in UTF-8, every member of an object named once.") from None


def _unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member is named twice")
    return members


def _not_a_number(name: str) -> NoReturn:
    raise ValueError(name)


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_unique_members, parse_constant=_not_a_number)


def parse(raw: Any, received_at: int, site: str = "", source: str = "sensor") -> Event:
    """One event from plain JSON data.

    `received_at` is in ms and bounds how far in the future the event may claim to be. Raises OnefoldError:
    `invalid_event` with the member's path, or `too_large`.
    """
    check_size(raw)
    message = _convert(raw)
    if message.event is None:
        raise OnefoldError("invalid_event", "Say what happened: event.", "event")
    meta = message.meta or _Meta()
    identity = message.identity or _Identity()
    return Event(
        event_id=_event_id(message, raw),
        kind=message.event,
        ts=_time(meta.ts, received_at),
        received_at=received_at,
        identifiers=_identifiers(message, _uid(message, identity.uid, source), source),
        tier=meta.tier,
        signals=_signals(message.consent),
        session_id=_id("identity.session_id", identity.session_id),
        site=site,
        source=source,
        body=_history(message, meta, raw),
    )


def check_size(raw: Any) -> None:
    """Raise `invalid_event` for what is no object or cannot be kept, `too_large` for more than 64 KiB."""
    if not isinstance(raw, dict):
        raise OnefoldError("invalid_event", "An event is a JSON object.")
    encoded = _encoded(raw)
    if len(encoded) > MAX_EVENT_BYTES:
        raise OnefoldError("too_large", "An event may have at most 64 KiB.")
    if encoded.count(b"{") + encoded.count(b"[") > MAX_DEPTH or _ESCAPED_NUL in encoded:  # few need a closer look
        _check_values(raw, MAX_DEPTH)


def _encoded(raw: dict[str, Any]) -> bytes:
    """JSON again. Refuses lone surrogates, and nesting without end."""
    try:
        return msgspec.json.encode(raw)
    except UnicodeEncodeError:
        raise OnefoldError("invalid_event", "A text holds half of a surrogate pair.") from None
    except RecursionError:
        raise OnefoldError("invalid_event", _TOO_DEEP) from None


def _check_values(value: Any, depth: int) -> None:
    """Refuse what is nested too deep, and NUL, which PostgreSQL does not keep."""
    if depth < 0:
        raise OnefoldError("invalid_event", _TOO_DEEP)
    if isinstance(value, str) and "\x00" in value:
        raise OnefoldError("invalid_event", "A text holds a NUL character.")
    if isinstance(value, dict):
        for key, item in value.items():
            _check_values(key, depth)
            _check_values(item, depth - 1)
    elif isinstance(value, list):
        for item in value:
            _check_values(item, depth - 1)


def _convert(raw: Any) -> _Message:
    try:
        return msgspec.convert(raw, _Message)
    except msgspec.ValidationError as error:
        path = _PATH.search(str(error))
        field = re.sub(r"\[[^\]]*\]", "", path[1]).strip(".") if path else ""
        detail = f"{field or 'The event'} does not have the expected type."
        raise OnefoldError("invalid_event", detail, field or None) from None


def _event_id(message: _Message, raw: Any) -> str:
    """The sender's id; without one, an id made of the content, so that a repeated delivery is recognised."""
    if message.event_id is None:
        return content_id(raw)
    if not message.event_id:
        raise OnefoldError("invalid_event", "event_id must not be empty.", "event_id")
    return _id("event_id", message.event_id) or ""


def content_id(raw: Any) -> str:
    """An id for plain JSON data: the same for the same content."""
    digest = hashlib.sha256(msgspec.json.encode(raw, order="sorted")).digest()
    return str(uuid.UUID(bytes=digest[:16]))


def _time(ts: int | None, received_at: int) -> int:
    if ts is None:
        raise OnefoldError("invalid_event", "Say when it happened: _meta.ts, in milliseconds since 1970.", "_meta.ts")
    if not 0 <= ts <= received_at + _MAX_CLOCK_SKEW_MS:
        raise OnefoldError("invalid_event", "_meta.ts is negative or more than a day in the future.", "_meta.ts")
    return ts


def _uid(message: _Message, uid: str | None, source: str) -> str | None:
    """The browser's uid. A back end that links what it knows of a person may not know any browser of theirs."""
    if uid is None and source == SERVER and message.event == IDENTITY_LINK:
        return None
    if uid is None or UID_PATTERN.fullmatch(uid) is None:
        raise OnefoldError("invalid_event", "identity.uid must be {uuid}.{unix seconds}.", "identity.uid")
    return uid.lower()


def _id(field: str, text: str | None) -> str | None:
    """An id of the sender's; one that holds an address in the clear is refused, for ids are kept and answered with."""
    if text is not None and looks_like_email(text):
        raise OnefoldError("invalid_event", f"{field} must not hold an email address.", field)
    return _short(field, text, 100)


def _short(field: str, text: str | None, most: int) -> str | None:
    if text is not None and len(text) > most:
        raise OnefoldError("invalid_event", f"{field} may have at most {most} characters.", field)
    return text or None


def _identifiers(message: _Message, uid: str | None, source: str) -> tuple[Identifier, ...]:
    """The identifiers of the event; page views and consent updates carry the uid alone.

    Nobody sends an address in the clear as an identifier: what looks like one is emptied, so that the resolver drops it
    as invalid and nothing keeps it. Only the operator's own files are read as they are.
    """
    found = [] if uid is None else [Identifier("uid", uid)]
    sent = message.identifiers or {}
    if message.event != IDENTITY_LINK:
        return tuple(found)
    if len(sent) > MAX_IDENTIFIERS:
        raise OnefoldError("invalid_event", f"identifiers may have at most {MAX_IDENTIFIERS} members.", "identifiers")
    for name, value in sent.items():
        if len(name) > 64 or (value is not None and len(value) > MAX_TEXT):
            raise OnefoldError("invalid_event", "identifiers holds a name or value that is too long.", "identifiers")
        if value is not None:
            emptied = source != FILE and looks_like_email(value)
            found.append(Identifier(name, "" if emptied else value))
    return tuple(found)


def _signals(consent: _Consent | None) -> dict[str, Signal] | None:
    return None if consent is None else msgspec.to_builtins(consent) or None


def _history(message: _Message, meta: _Meta, raw: Mapping[str, Any]) -> dict[str, Any]:
    """What the journal keeps of the event besides identifiers and times."""
    kept: dict[str, Any] = {
        "page_url": None if meta.page_url is None else redact_url(meta.page_url)[:MAX_TEXT],
        "trigger": None if meta.trigger is None else redact(meta.trigger)[:64],
        "sensor": redact(_short("_meta.sensor", meta.sensor, 64)),
        "normalization": redact(_short("_meta.normalization", meta.normalization, 64)),
        "attributes": redact({k: v.lower() for k, v in (message.attributes or {}).items() if v and _is_hash(v)}),
        "click_ids": _click_ids(message, meta),
        "extra": _extra(raw),
    }
    return {name: value for name, value in kept.items() if value}


def _is_hash(value: str) -> bool:
    return SHA256_PATTERN.fullmatch(value.lower()) is not None


def _click_ids(message: _Message, meta: _Meta) -> dict[str, str]:
    """Click ids are kept raw (UIAF, "Never hash click IDs"), and only where advertising consent allows."""
    denied = message.consent is not None and message.consent.ad_storage == "denied"
    if denied or meta.tier not in ("T0", "T1") or message.event == CONSENT_UPDATE:
        return {}
    sent = message.click_ids or {}
    return {name: value for name, value in sent.items() if name in CLICK_IDS and value and _is_click_id(value)}


def _is_click_id(value: str) -> bool:
    return len(value) <= 512 and not looks_like_email(value)


def _extra(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Members the endpoint does not know, as they came but for raw values; nothing where they exceed 4 KiB."""
    extra = {name: value for name, value in raw.items() if name not in _KNOWN}
    meta = raw.get("_meta")
    unknown_meta = {k: v for k, v in meta.items() if k not in _KNOWN_META} if isinstance(meta, dict) else {}
    if unknown_meta:
        extra["_meta"] = unknown_meta
    extra = redact(_kept(extra))
    return extra if len(msgspec.json.encode(extra)) <= MAX_EXTRA_BYTES else {}


def _kept(value: Any) -> Any:
    """A member's value without what is raw by its name. Refuses numbers that other programs could not read back."""
    if isinstance(value, int) and abs(value) >= 2**63:
        raise OnefoldError("invalid_event", "A number is beyond 64 bits.")
    if isinstance(value, list):
        return [_kept(item) for item in value]
    if isinstance(value, dict):
        return {name: _kept(item) for name, item in value.items() if name.lower() not in _RAW}
    return value
