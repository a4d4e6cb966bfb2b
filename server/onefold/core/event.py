"""The event: one message that arrived, in the one form every intake module produces."""

from typing import Any, Final, Literal

import msgspec

from onefold.core.identifiers import Identifier

Tier = Literal["T0", "T1", "T2", "T3", "T4"]
TIERS: Final[tuple[Tier, ...]] = ("T0", "T1", "T2", "T3", "T4")

Signal = Literal["granted", "denied"]

IDENTITY_LINK: Final = "identity_link"
PAGE_VIEW: Final = "page_view"
CONSENT_UPDATE: Final = "consent_update"

BROWSER_SOURCES: Final = ("sensor", "cross_domain")
"""Senders that are pages: they are never told a profile id."""

SERVER: Final = "server"
"""The source of what came over the server plane."""

FILE: Final = "file"
"""The source of what an operator read from a file."""

OPERATOR: Final = "operator"
"""The source of assertions; no sender may call itself that."""


class Event(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Who sent what, when, and under which consent. Times are milliseconds since 1970 UTC.

    `ts` is when it happened, by the sender's clock; `received_at` when it arrived. `source` names the kind of sender
    (`sensor`, `server`, `cross_domain`, or a name of the sender's own), `site` the configured website. `body` is what
    the journal keeps besides: page URL, trigger, attributes, click ids, unknown fields. It is never used to resolve.
    """

    event_id: str
    kind: str
    ts: int
    received_at: int
    identifiers: tuple[Identifier, ...]
    tier: Tier | None = None
    signals: dict[str, Signal] | None = None
    session_id: str | None = None
    site: str = ""
    source: str = "sensor"
    verified: bool = False
    body: dict[str, Any] = msgspec.field(default_factory=dict)
