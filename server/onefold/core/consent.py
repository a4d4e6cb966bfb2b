"""The consent gate: the only way an event becomes something the resolver accepts.

Tiers and the right-hand column (identity_link allowed at T0 and T1 only) are UIAF's, 06-identity-resolution, "Consent".
The mapping from signals to tiers is Onefold's own, documented as such in docs/reference/consent.md.
"""

from collections.abc import Mapping
from typing import Final, final

import msgspec

from onefold.core.event import CONSENT_UPDATE, IDENTITY_LINK, Event, Signal, Tier

_GATE_KEY: Final = object()


@final
class Permitted:
    """An event that passed the gate. Only this module can make one, so nothing ungated is ever resolved."""

    __slots__ = ("event",)

    def __init__(self, event: Event, key: object) -> None:
        if key is not _GATE_KEY:
            raise TypeError("only the consent gate permits an event: call gate() or readmit()")
        self.event = event


class Refused(msgspec.Struct, frozen=True):
    """Why the gate (or the resolver) turned a whole event away: a code of the contract and a sentence."""

    code: str
    detail: str


class Policy(msgspec.Struct, frozen=True):
    """What a site decided for itself.

    `t2_identity_link`: links without advertising consent, for purely first-party analytics. `honour_gpc`: Global
    Privacy Control counts as `ad_user_data` denied (W3C GPC; a policy choice, not UIAF's).
    """

    t2_identity_link: bool = False
    honour_gpc: bool = True


def gate(event: Event, policy: Policy, gpc: bool = False) -> Permitted | Refused:
    """Let an event in, or say why not.

    `gpc` is true when the request carried `Sec-GPC: 1`: the event then counts as one made at T2. Codes:
    `consent_missing`, `consent_mismatch`, `consent_denied`.
    """
    if event.tier is None:
        return Refused("consent_missing", "Say under which tier the event was made: _meta.tier, T0 to T4.")
    if (disagreement := _disagreement(event.tier, event.signals or {})) is not None:
        return Refused("consent_mismatch", disagreement)
    objects = gpc and policy.honour_gpc and event.tier in ("T0", "T1")
    tier: Tier = "T2" if objects else event.tier
    if (denial := _denial(event.kind, tier, policy)) is not None:
        return Refused("consent_denied", f"The browser sends Global Privacy Control. {denial}" if objects else denial)
    if objects:
        event = _without_advertising(event)
    return Permitted(_withdrawn(event) if tier in ("T3", "T4") else event, _GATE_KEY)


def readmit(event: Event) -> Permitted:
    """Permit an event again that the gate let in when it arrived: one read back from the journal.

    A site's policy may have changed since; what was lawful to keep then is replayed as it was.
    """
    return Permitted(event, _GATE_KEY)


def _without_advertising(event: Event) -> Event:
    """The event as Global Privacy Control leaves it: T2, so that what it links never serves advertising."""
    body = {name: value for name, value in event.body.items() if name != "click_ids"}
    return msgspec.structs.replace(event, tier="T2", body=body)


def _withdrawn(event: Event) -> Event:
    """The record of a withdrawal: who withdrew stays on record, but nothing is resolved or linked by it."""
    said = {identifier.type: identifier.value for identifier in event.identifiers}
    return msgspec.structs.replace(event, identifiers=(), body={**event.body, "withdrawn": said})


def _disagreement(tier: Tier, signals: Mapping[str, Signal]) -> str | None:
    """Where a tier label claims something else than the signals say, in words."""
    if tier == "T0" and "denied" in signals.values():
        return "T0 means the site has no consent mechanism, but a signal is denied."
    wanted: dict[Tier, dict[str, Signal]] = {
        "T1": {"analytics_storage": "granted", "ad_user_data": "granted"},
        "T2": {"analytics_storage": "granted", "ad_user_data": "denied"},
        "T3": {"analytics_storage": "denied"},
    }
    for signal, value in wanted.get(tier, {}).items():
        if signals.get(signal, value) != value:
            return f"{tier} means {signal} is {value}, but the event says otherwise."
    return None


def _denial(kind: str, tier: Tier, policy: Policy) -> str | None:
    """Why this kind of event is not allowed at this tier, in words."""
    if kind == CONSENT_UPDATE:
        return None  # the record of a withdrawal is always taken
    if tier in ("T3", "T4"):
        return f"At {tier} nothing is collected."
    if kind == IDENTITY_LINK and tier == "T2" and not policy.t2_identity_link:
        return "At T2 ad_user_data is denied, and linking identifiers needs it."
    return None
