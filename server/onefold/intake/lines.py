"""Lines of NDJSON for `onefold resolve`: plain events, assertions, or whole UIAF events."""

from typing import Any, Final

import msgspec

from onefold.core.assertions import Assertion, AssertionKind
from onefold.core.event import FILE, IDENTITY_LINK, Event
from onefold.core.identifiers import Identifier
from onefold.errors import OnefoldError
from onefold.intake import uiaf

_FAR_FUTURE_MS: Final = 2**62


class _Line(msgspec.Struct, forbid_unknown_fields=True):
    identifiers: dict[str, str | int | list[str | int] | None]
    event_id: str | int | None = None
    ts: int = 0
    source: str = FILE
    session_id: str | None = None
    verified: bool = False


class _Assertion(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    kind: AssertionKind = msgspec.field(name="assert")
    a: str
    b: str | None = None
    author: str = "file"
    reason: str = ""
    ts: int = 0


def parse(text: bytes, number: int) -> Event | Assertion:
    """The event or assertion on line `number` (from 1). Raises OnefoldError for a line that is none.

    A plain line needs only `identifiers`: the operator's own file is taken as permitted (T0). Without an `event_id` it
    is known by its number.
    """
    raw = uiaf.decode(text)
    if isinstance(raw, dict) and "assert" in raw:
        return _assertion(raw)
    if isinstance(raw, dict) and "event" in raw:
        return uiaf.parse(raw, _FAR_FUTURE_MS, source=FILE)
    return _plain(raw, number)


def _plain(raw: Any, number: int) -> Event:
    line = _convert(raw, _Line)
    return Event(
        event_id=str(number if line.event_id is None else line.event_id),
        kind=IDENTITY_LINK,
        ts=line.ts,
        received_at=line.ts,
        identifiers=tuple(Identifier(name, str(value)) for name, value in _pairs(line)),
        tier="T0",
        session_id=line.session_id,
        source=line.source,
        verified=line.verified,
    )


def _pairs(line: _Line) -> list[tuple[str, str | int]]:
    pairs: list[tuple[str, str | int]] = []
    for name, value in line.identifiers.items():
        values = value if isinstance(value, list) else [value]
        pairs += [(name, item) for item in values if item is not None]
    return pairs


def _assertion(raw: Any) -> Assertion:
    line = _convert(raw, _Assertion)
    try:
        a = Identifier.parse(line.a)
        b = None if line.b is None else Identifier.parse(line.b)
    except ValueError as error:
        raise OnefoldError("invalid_event", f"not an assertion: {error}") from None
    if (b is None) == (line.kind in ("join", "separate")):
        raise OnefoldError(
            "invalid_event", f"not an assertion: {line.kind} takes {'a and b' if b is None else 'only a'}"
        )
    return Assertion(line.kind, a, b, line.author, line.reason)


def _convert(raw: Any, kind: type[Any]) -> Any:
    try:
        return msgspec.convert(raw, kind)
    except msgspec.ValidationError as error:
        raise OnefoldError("invalid_event", f"not an event: {error}") from None
