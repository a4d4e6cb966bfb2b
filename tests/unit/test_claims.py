"""Claims: what a site's back end signs is what verifies an event, and nothing else does."""

import base64
import hashlib
import hmac
import json
from typing import Any, Final

import pytest

from onefold.core.claims import check_claim, sign_claim
from onefold.core.event import Event
from onefold.core.rules import default_rules
from onefold.errors import OnefoldError
from support.streams import make_event

SECRET: Final = b"correct horse battery staple"
UID: Final = "f81d4fae-7dec-41d0-a765-00a0c91e6bf6.1760000000"
HASH: Final = "ab" * 32
NOW: Final = 1_760_000_000
IDENTIFIERS: Final = {"customer_id": "CUS1", "email_hash": HASH}
EVENT: Final = make_event("1", f"uid:{UID}", "customer_id:CUS1", f"email_hash:{HASH}")


def b64(raw: bytes) -> str:
    """URL-safe base64 without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def by_hand(content: Any, now: int = NOW, secret: bytes = SECRET, salt: bytes = b"onefold.claim") -> str:
    """A claim as another language would make it, from the documented form alone: `payload.time.signature`."""
    seconds = now.to_bytes((now.bit_length() + 7) // 8, "big")
    signed = f"{b64(json.dumps(content).encode())}.{b64(seconds)}"
    key = hmac.digest(secret, salt, hashlib.sha256)
    return f"{signed}.{b64(hmac.digest(key, signed.encode(), hashlib.sha256))}"


def refusal(claim: str, event: Event = EVENT, now: int = NOW) -> str | None:
    """Why a claim does not verify an event; None where it does."""
    try:
        check_claim(claim, SECRET, event, default_rules(), now)
    except OnefoldError as error:
        assert (error.code, error.status) == ("claim_invalid", 403)  # noqa: PT017
        return error.detail
    return None


CONTENT: Final[dict[str, Any]] = {"uid": UID, "identifiers": IDENTIFIERS}

VALID: Final[list[Any]] = [
    pytest.param(sign_claim(SECRET, UID, IDENTIFIERS, NOW), EVENT, id="signed here"),
    pytest.param(by_hand(CONTENT), EVENT, id="signed by hand"),
    pytest.param(by_hand({"identifiers": IDENTIFIERS, "uid": UID}), EVENT, id="members in another order"),
    pytest.param(by_hand(CONTENT), make_event("1", f"uid:{UID}", "customer_id:CUS1"), id="it says more than the event"),
    pytest.param(by_hand(CONTENT), make_event("1", f"uid:{UID}", "user_id:CUS1"), id="the event uses an alias"),
    pytest.param(
        by_hand({"uid": UID, "identifiers": {"user_id": "CUS1"}}),
        make_event("1", f"uid:{UID}", "customer_id:CUS1"),
        id="the claim uses an alias",
    ),
    pytest.param(
        by_hand({"uid": UID, "identifiers": {"email_hash": HASH.upper()}}),
        make_event("1", f"uid:{UID}", f"email_hash:{HASH}"),
        id="a hash in capitals",
    ),
    pytest.param(sign_claim(SECRET, UID.upper(), {}, NOW), make_event("1", f"uid:{UID}"), id="a uid in capitals"),
]


@pytest.mark.parametrize(("claim", "event"), VALID)
def test_a_claim_that_vouches_for_the_event_verifies_it(claim: str, event: Event) -> None:
    assert refusal(claim, event) is None


def changed(claim: str, part: int, at: int) -> str:
    """The claim with one character of one of its parts changed."""
    parts = claim.split(".")
    old = parts[part]
    parts[part] = old[:at] + ("A" if old[at] != "A" else "B") + old[at + 1 :]
    return ".".join(parts)


SIGNED: Final = by_hand(CONTENT)
OTHER_IDENTIFIERS: Final = "The claim vouches for another uid or other identifiers than the event."
NOT_SIGNED: Final = "The claim is not signed with this site's claim secret."
NO_CONTENT: Final = "The claim must hold uid and identifiers."

INVALID: Final[list[Any]] = [
    pytest.param(by_hand(CONTENT, secret=b"the secret of another site"), NOT_SIGNED, id="another secret"),
    pytest.param(by_hand(CONTENT, salt=b"onefold.token"), NOT_SIGNED, id="another salt"),
    pytest.param(by_hand(CONTENT, salt=b"itsdangerous"), NOT_SIGNED, id="the library's own salt"),
    pytest.param(changed(SIGNED, 0, 3), NOT_SIGNED, id="another payload"),
    pytest.param(changed(SIGNED, 1, 2), NOT_SIGNED, id="another time"),
    pytest.param(changed(SIGNED, 2, 5), NOT_SIGNED, id="another signature"),
    pytest.param(SIGNED.rpartition(".")[0], NOT_SIGNED, id="no signature"),
    pytest.param("", NOT_SIGNED, id="nothing"),
    pytest.param("not base64 at all!", NOT_SIGNED, id="not base64"),
    pytest.param("ä.ö.ü", NOT_SIGNED, id="not ASCII"),
    pytest.param("\ud800", NOT_SIGNED, id="a lone surrogate"),
    pytest.param("." * 10_000, NOT_SIGNED, id="only points"),
    pytest.param(by_hand({**CONTENT, "uid": UID[:-1] + "1"}), OTHER_IDENTIFIERS, id="another uid"),
    pytest.param(by_hand({"uid": UID, "identifiers": {"customer_id": "CUS1"}}), OTHER_IDENTIFIERS, id="one too few"),
    pytest.param(
        by_hand({"uid": UID, "identifiers": {**IDENTIFIERS, "customer_id": "CUS2"}}), OTHER_IDENTIFIERS, id="another"
    ),
    pytest.param(by_hand([]), NO_CONTENT, id="an array"),
    pytest.param(by_hand({"uid": UID}), NO_CONTENT, id="no identifiers"),
    pytest.param(by_hand({"uid": 1, "identifiers": {}}), NO_CONTENT, id="a number for the uid"),
    pytest.param(by_hand({"uid": UID, "identifiers": []}), NO_CONTENT, id="a list of identifiers"),
]


@pytest.mark.parametrize(("claim", "why"), INVALID)
def test_any_other_claim_is_refused_and_says_why(claim: str, why: str) -> None:
    assert refusal(claim) == why


@pytest.mark.parametrize(("age", "good"), [(0, True), (299, True), (300, True), (301, False), (-1, False)])
def test_a_claim_is_good_for_five_minutes(age: int, good: bool) -> None:
    assert (refusal(SIGNED, now=NOW + age) is None) is good


def test_no_refusal_echoes_what_was_claimed() -> None:
    for parameters in INVALID:
        claim, _ = parameters.values
        assert not {HASH, "CUS1", "CUS2"} & set(str(refusal(claim)).split())
