"""Whom to believe: signed claims, unsigned events, and links that may not be used for everything."""

import time
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec
import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from onefold.config import Config
from onefold.core.claims import sign_claim
from onefold.core.rules import default_rules
from onefold.engine import ask
from onefold.engine.situation import situation
from onefold.errors import OnefoldError
from onefold.web.app import create_app
from support.brain import Brain
from support.outcome import hashed
from support.web import ANALYTICS_ORIGIN, ORIGIN, UID, counts, database, link, post, problem, stored_bytes, view

OTHER_UID: Final = "0f8fad5b-d9cb-469f-a165-70867728950e.1760090000"
WHO: Final = {"customer_id": "CUS12345"}


def claim(app: Flask, uid: str = UID, identifiers: dict[str, str] = WHO, site: str = "brand-a", age: int = 0) -> str:
    """A claim of the site's back end."""
    secret = app.extensions["onefold"].secrets.claim_secrets[site]
    return sign_claim(secret, uid, identifiers, int(time.time()) - age)


def send(browser: FlaskClient, uid: str = UID, origin: str = ORIGIN, **changes: Any) -> TestResponse:
    """Send a login from a page, with this uid."""
    return post(browser, link(identity={"uid": uid, "session_id": None}, **changes), origin=origin)


def shown(app: Flask, what: str, **filters: Any) -> dict[str, Any]:
    """The profile of an identifier."""
    with situation(database(app), default_rules()) as now:
        return ask.profile(now, what, **filters)


def identifiers(app: Flask, what: str, **filters: Any) -> set[str]:
    """The identifiers of a profile that pass the filters."""
    return {line["identifier"] for line in shown(app, what, **filters)["identifiers"]}


def test_a_signed_event_is_verified_and_an_unsigned_one_is_not(app: Flask, browser: FlaskClient) -> None:
    assert send(browser, claim=claim(app)).status_code == 202
    assert post(browser, view(identity={"uid": OTHER_UID, "session_id": None})).status_code == 202
    assert [line["verified"] for line in shown(app, "customer_id:CUS12345")["identifiers"]] == [True, True]
    assert [line["verified"] for line in shown(app, f"uid:{OTHER_UID}")["identifiers"]] == [False]


BAD_CLAIMS: Final[list[Any]] = [
    pytest.param(lambda app: claim(app, site="analytics"), id="of another site"),
    pytest.param(lambda app: claim(app, uid=OTHER_UID), id="for another browser"),
    pytest.param(lambda app: claim(app, identifiers={"customer_id": "CUS2"}), id="for somebody else"),
    pytest.param(lambda app: claim(app, identifiers={}), id="for nobody"),
    pytest.param(lambda app: claim(app, age=400), id="too old"),
    pytest.param(lambda app: claim(app, age=-60), id="from the future"),
    pytest.param(lambda app: claim(app)[:-3] + "AAA", id="tampered with"),
    pytest.param(lambda app: "!", id="not base64"),
    pytest.param(lambda app: "", id="empty"),
]


@pytest.mark.parametrize("make", BAD_CLAIMS)
def test_a_bad_claim_is_refused_and_leaves_nothing(
    app: Flask, browser: FlaskClient, make: Callable[[Flask], str]
) -> None:
    before = counts(app)
    assert problem(send(browser, claim=make(app))) == (403, "claim_invalid")
    assert counts(app) == before
    assert b"CUS12345" not in stored_bytes(app)


@pytest.mark.parametrize("value", [7, ["x"], {"a": "b"}, True])
def test_a_claim_that_is_no_text_is_an_invalid_event(app: Flask, browser: FlaskClient, value: Any) -> None:
    assert problem(send(browser, claim=value)) == (422, "invalid_event")
    assert counts(app)["last_journal_seq"] == 0


# A hostile page knows a victim's hash, and sends it with a uid of its own.


@pytest.fixture
def endpoint(config: Config) -> Iterator[Callable[[str], Flask]]:
    """Makes an endpoint that treats unsigned events in one way or another."""
    made: list[Flask] = []

    def make(unsigned: str) -> Flask:
        made.append(create_app(msgspec.structs.replace(config, rules={"unsigned": unsigned})))
        return made[-1]

    yield make
    for app in made:
        app.extensions["onefold"].database.close()


VICTIM: Final = {"email_hash": str(hashed("email_hash:victim"))[11:]}
ATTACKER: Final = {"customer_id": "MALLORY"}
HOSTILE: Final[list[Any]] = [
    pytest.param("merge", False, True, id="merge believes everybody"),
    pytest.param("attach", False, False, id="attach does not merge two known people on a page's word"),
    pytest.param("attach", True, True, id="attach believes a signed event"),
    pytest.param("refuse", False, False, id="refuse does not believe a page at all"),
    pytest.param("refuse", True, True, id="refuse believes a signed event"),
]


@pytest.mark.parametrize(("unsigned", "signed", "merges"), HOSTILE)
def test_a_page_that_sends_a_victims_hash_merges_only_where_it_is_believed(
    endpoint: Callable[[str], Flask], unsigned: str, signed: bool, merges: bool
) -> None:
    app = endpoint(unsigned)
    browser = app.test_client(use_cookies=False)
    for uid, who in ((OTHER_UID, VICTIM), (UID, ATTACKER)):
        assert send(browser, uid=uid, identifiers=who, claim=claim(app, uid, who)).status_code == 202
    proof = claim(app, UID, VICTIM) if signed else None
    assert send(browser, uid=UID, identifiers=VICTIM, claim=proof).status_code == 202
    victims = identifiers(app, f"uid:{OTHER_UID}")
    assert ("customer_id:MALLORY" in victims) is merges
    assert f"email_hash:{VICTIM['email_hash']}" in victims


def test_refuse_drops_unsigned_personal_identifiers_and_keeps_the_visit(endpoint: Callable[[str], Flask]) -> None:
    app = endpoint("refuse")
    browser = app.test_client(use_cookies=False)
    response = send(browser, identifiers=VICTIM)
    assert response.status_code == 202
    assert [(line["code"], line["identifier"]) for line in response.get_json()["refused"]] == [
        ("unverified", "email_hash")
    ]
    assert identifiers(app, f"uid:{UID}") == {f"uid:{UID}"}


def test_attach_lets_a_page_name_a_browser_that_nobody_was_known_on(endpoint: Callable[[str], Flask]) -> None:
    app = endpoint("attach")
    browser = app.test_client(use_cookies=False)
    assert post(browser, view(identity={"uid": UID, "session_id": None})).status_code == 202
    assert send(browser, uid=UID, identifiers=ATTACKER).status_code == 202
    assert identifiers(app, f"uid:{UID}") == {f"uid:{UID}", "customer_id:MALLORY"}


# What a link may be used for.


def test_every_link_remembers_whether_it_was_verified(brain: Brain) -> None:
    brain.tell("1", "customer_id:ann", "uid:1")
    brain.tell("2", "customer_id:ann", "email_hash:e1", source="server", verified=True)
    verified = {line["type"]: line["verified"] for line in brain.profile("customer_id:ann")["identifiers"]}
    assert verified == {"customer_id": False, "uid": False, "email_hash": True}
    trusted = brain.profile("customer_id:ann", trust="verified")["identifiers"]
    assert {line["type"] for line in trusted} == {"customer_id", "email_hash"}
    with pytest.raises(OnefoldError, match="No event that fits"):
        brain.profile("uid:1", trust="verified")


def test_a_merge_without_advertising_consent_joins_nobody_for_advertising(app: Flask, browser: FlaskClient) -> None:
    """Each browser was seen with consent; that they are one person was said at T2 only."""
    assert post(browser, view(identity={"uid": UID, "session_id": None})).status_code == 202
    assert send(browser, uid=OTHER_UID, identifiers=WHO).status_code == 202
    answer = send(browser, uid=UID, origin=ANALYTICS_ORIGIN, identifiers=WHO, meta_tier="T2")
    assert answer.status_code == 202
    assert identifiers(app, "customer_id:CUS12345") == {"customer_id:CUS12345", f"uid:{UID}", f"uid:{OTHER_UID}"}
    for_advertising = identifiers(app, "customer_id:CUS12345", purpose="advertising")
    assert for_advertising == {"customer_id:CUS12345", f"uid:{OTHER_UID}"}
    assert identifiers(app, f"uid:{UID}", purpose="advertising") == {f"uid:{UID}"}


def test_what_was_linked_without_advertising_consent_is_left_out_of_advertising(
    app: Flask, browser: FlaskClient
) -> None:
    """The site links at T2 for its own analytics; nothing of that leaves for advertising."""
    assert send(browser, identifiers=WHO).status_code == 202
    answer = send(browser, uid=OTHER_UID, origin=ANALYTICS_ORIGIN, identifiers=WHO, meta_tier="T2")
    assert answer.status_code == 202
    both = {"customer_id:CUS12345", f"uid:{UID}", f"uid:{OTHER_UID}"}
    assert identifiers(app, "customer_id:CUS12345") == both
    assert identifiers(app, "customer_id:CUS12345", purpose="analytics") == both
    assert identifiers(app, "customer_id:CUS12345", purpose="advertising") == both - {f"uid:{OTHER_UID}"}


def test_consent_and_trust_are_asked_together(app: Flask, browser: FlaskClient) -> None:
    assert send(browser, identifiers=WHO, claim=claim(app)).status_code == 202
    assert send(browser, uid=OTHER_UID, identifiers=WHO).status_code == 202
    asked = {"purpose": "advertising", "trust": "verified"}
    assert identifiers(app, "customer_id:CUS12345", **asked) == {"customer_id:CUS12345", f"uid:{UID}"}
