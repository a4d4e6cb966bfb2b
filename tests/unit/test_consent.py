"""The consent gate: which event is let in under which tier, with which signals."""

import json
from itertools import product
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from onefold.core.consent import Permitted, Policy, Refused, gate, readmit
from onefold.core.event import CONSENT_UPDATE, IDENTITY_LINK, PAGE_VIEW, TIERS, Event, Signal, Tier
from support.streams import make_event

KINDS: Final = (IDENTITY_LINK, PAGE_VIEW, CONSENT_UPDATE)
Signals = dict[str, Signal]

SIGNALS: Final[dict[str, Signals | None]] = {
    "no signals": None,
    "all granted": {"analytics_storage": "granted", "ad_user_data": "granted"},
    "analytics only": {"analytics_storage": "granted", "ad_user_data": "denied"},
    "advertising only": {"analytics_storage": "denied", "ad_user_data": "granted"},
    "all denied": {"analytics_storage": "denied", "ad_user_data": "denied"},
    "ad_storage alone denied": {"ad_storage": "denied"},
}

# Which signals a tier may carry without contradicting them; no signals never contradict.
AGREES: Final[dict[Tier, set[str]]] = {
    "T0": {"no signals", "all granted"},
    "T1": {"no signals", "all granted", "ad_storage alone denied"},
    "T2": {"no signals", "analytics only", "ad_storage alone denied"},
    "T3": {"no signals", "advertising only", "all denied", "ad_storage alone denied"},
    "T4": set(SIGNALS),
}


def admits(kind: str, tier: Tier, gpc: bool, t2_link: bool) -> bool:
    """The contract's table: what is taken at a tier whose label agrees with the signals."""
    if kind == CONSENT_UPDATE:
        return True
    if tier in ("T3", "T4"):
        return False
    return kind == PAGE_VIEW or t2_link or (tier in ("T0", "T1") and not gpc)


def verdict(event: Event, policy: Policy | None = None, gpc: bool = False) -> str:
    """The gate's answer as a word."""
    passed = gate(event, policy or Policy(), gpc)
    return passed.code if isinstance(passed, Refused) else "permitted"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("signals", SIGNALS)
def test_the_whole_table(kind: str, tier: Tier, signals: str) -> None:
    """Every kind at every tier with every combination of signals, Global Privacy Control and the site's T2 choice."""
    event = make_event("1", "uid:1", kind=kind, tier=tier, signals=SIGNALS[signals])
    for gpc, t2_link in product((False, True), repeat=2):
        found = verdict(event, Policy(t2_identity_link=t2_link), gpc)
        if signals not in AGREES[tier]:
            assert found == "consent_mismatch"
        else:
            assert found == ("permitted" if admits(kind, tier, gpc, t2_link) else "consent_denied")


@pytest.mark.parametrize("kind", KINDS)
def test_a_missing_tier_is_refused(kind: str) -> None:
    assert verdict(make_event("1", "uid:1", kind=kind, tier=None)) == "consent_missing"


def test_a_site_may_ignore_global_privacy_control() -> None:
    event = make_event("1", "uid:1", tier="T1")
    assert verdict(event, Policy(honour_gpc=False), gpc=True) == "permitted"


def test_only_the_gate_makes_a_permitted_event() -> None:
    with pytest.raises(TypeError, match="only the consent gate"):
        Permitted(make_event("1", "uid:1"), object())


@pytest.mark.parametrize(("tier", "left"), [("T0", 1), ("T1", 1), ("T2", 1), ("T3", 0), ("T4", 0)])
def test_a_withdrawal_is_let_in_without_its_identifiers(tier: Tier, left: int) -> None:
    """At T3 and T4 no uid may be stored: nothing is resolved, only the record that somebody withdrew is kept."""
    passed = gate(make_event("1", "uid:1", kind=CONSENT_UPDATE, tier=tier), Policy())
    assert isinstance(passed, Permitted)
    assert len(passed.event.identifiers) == left


def test_an_event_of_the_journal_is_let_in_again_whatever_the_policy_is_now() -> None:
    event = make_event("1", "uid:1", tier="T3")
    assert readmit(event).event is event


SHARED: Final = [
    pytest.param(vector, id=vector["description"])
    for vector in json.loads((Path(__file__).parents[1] / "vectors" / "consent.json").read_text(encoding="utf-8"))[
        "vectors"
    ]
    if vector["tier"] is not None
]


@pytest.mark.parametrize("vector", SHARED)
def test_sensor_and_endpoint_let_the_same_events_pass(vector: dict[str, Any]) -> None:
    """What the shared vectors let the sensor send, the gate takes; what they forbid, it refuses."""
    may = {
        kind: verdict(make_event("1", "uid:1", kind=kind, tier=vector["tier"]), gpc=vector["gpc"]) == "permitted"
        for kind in KINDS
    }
    assert may == {
        PAGE_VIEW: "store" in vector["may"],
        IDENTITY_LINK: "link" in vector["may"],
        CONSENT_UPDATE: True,
    }


@pytest.mark.parametrize("tier", ["T0", "T1"])
def test_what_global_privacy_control_lets_through_is_kept_as_made_without_advertising_consent(tier: Tier) -> None:
    """A site that links for analytics must not find these links in an export for advertising."""
    event = make_event("1", "uid:1", "customer_id:C1", kind=IDENTITY_LINK, tier=tier)
    event = msgspec.structs.replace(event, body={"click_ids": {"gclid": "x"}, "trigger": "login"})
    passed = gate(event, Policy(t2_identity_link=True), gpc=True)
    assert isinstance(passed, Permitted)
    assert (passed.event.tier, passed.event.body) == ("T2", {"trigger": "login"})
