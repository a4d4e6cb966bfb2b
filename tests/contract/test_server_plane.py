"""The server plane: who may call, what is taken and answered, and that no raw value survives the arrival."""

import base64
import json
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from onefold.config import Config
from onefold.core.identifiers import Identifier, profile_id
from onefold.core.keys import Scope, new_key
from onefold.core.normalize import hash_value
from onefold.engine import ask
from onefold.engine.keys import create_key, list_keys, revoke
from onefold.engine.situation import situation
from onefold.engine.verify import verify
from onefold.errors import OnefoldError
from onefold.store.database import Database
from onefold.web.app import create_app
from onefold.web.state import now_ms
from support.brain import Brain
from support.web import ORIGIN, TS, UID, counts, database, link, post, problem, send, view

OTHER_UID: Final = UID.replace("f81d4fae", "a81d4fae")


@pytest.fixture
def key(app: Flask) -> str:
    """A key that may send events."""
    return new(app, "shop", "write")


def new(app: Flask, name: str, *scopes: Scope) -> str:
    """A new key."""
    return create_key(database(app), name, scopes, now_ms())


def order(**changes: Any) -> dict[str, Any]:
    """An event of a back end that knows no browser."""
    return link(**{"identity": None} | changes)


def profile(app: Flask, what: str) -> dict[str, Any]:
    """The profile that something belongs to."""
    with situation(database(app), app.extensions["onefold"].rules) as now:
        return ask.profile(now, what)


def told(response: TestResponse) -> list[str | None]:
    """The profiles that an answer names."""
    assert response.status_code == 202, response.text
    return [line["profile"] for line in response.get_json()["profiles"]]


# Who may call.


def basic(key: str, password: str = "") -> str:
    """A header of Basic authentication with a key as the user name."""
    return "Basic " + base64.b64encode(f"{key}:{password}".encode()).decode()


def test_a_key_comes_as_a_bearer_token_or_as_the_user_name_of_basic(browser: FlaskClient, key: str) -> None:
    for header in (f"Bearer {key}", f"bearer {key}", basic(key), basic(key, "anything")):
        assert send(browser, order(), None, Authorization=header).status_code == 202


STRANGER: Final = new_key(bytes(25))

NO_KEY: Final[list[Any]] = [
    pytest.param(None, id="no header"),
    pytest.param("", id="an empty header"),
    pytest.param("Bearer", id="a scheme alone"),
    pytest.param("Bearer ", id="an empty token"),
    pytest.param("KEY", id="a key without a scheme"),
    pytest.param("Token KEY", id="another scheme"),
    pytest.param("Digest username=KEY", id="Digest"),
    pytest.param(f"Bearer {STRANGER}", id="a key that nobody made"),
    pytest.param(basic(STRANGER), id="a key that nobody made, as Basic"),
    pytest.param(basic("", STRANGER), id="a key as the password"),
    pytest.param("Basic !!!", id="Basic that is no base64"),
    pytest.param("Basic " + base64.b64encode(b"\xff\xfe:").decode(), id="Basic that is no UTF-8"),
    pytest.param("Bearer KEY, Bearer KEY", id="two keys"),
    pytest.param("Bearer KEYa", id="a key and a letter"),
    pytest.param("Bearer ofk_", id="a short key"),
    pytest.param("Bearer " + "ofk_" * 250_000, id="a key of a megabyte"),
    pytest.param("Bearer ÄÖÜ", id="letters beyond ASCII"),
    pytest.param("Bearer KEY\r\nSet-Cookie: a=b", id="a header inside the header"),
]


@pytest.mark.parametrize("header", NO_KEY)
def test_without_a_key_in_force_nothing_is_read_and_nothing_told(
    app: Flask, browser: FlaskClient, key: str, header: str | None
) -> None:
    environ = {} if header is None else {"HTTP_AUTHORIZATION": header.replace("KEY", key)}
    response = browser.post("/api/v1/events", data=b"not even JSON", environ_overrides=environ)
    assert problem(response) == (401, "unauthenticated")
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="onefold"'
    assert key not in response.text + str(response.headers)
    assert "Set-Cookie" not in response.headers
    assert counts(app)["last_journal_seq"] == 0


def test_a_revoked_key_is_refused(app: Flask, browser: FlaskClient, key: str) -> None:
    revoke(database(app), key, now_ms())
    assert problem(send(browser, order(), key)) == (401, "unauthenticated")


@pytest.mark.parametrize(("scopes", "status"), [(("write",), 202), (("admin",), 202), (("read",), 403), ((), 403)])
def test_sending_events_needs_the_scope_write(
    app: Flask, browser: FlaskClient, scopes: tuple[Scope, ...], status: int
) -> None:
    response = send(browser, order(), new(app, "other", *scopes))
    assert response.status_code == status
    if status == 403:
        assert problem(response) == (403, "scope_missing")
        assert counts(app)["last_journal_seq"] == 0


def test_the_use_of_a_key_is_noted(app: Flask, browser: FlaskClient, key: str) -> None:
    send(browser, order(), key)
    (stored,) = list_keys(database(app))
    assert stored.last_used is not None


@pytest.mark.parametrize("body", [link(), {}, b"{"], ids=["accepted", "refused", "no JSON"])
@pytest.mark.parametrize("with_key", [True, False])
def test_no_answer_lets_a_page_read_it_sets_a_cookie_or_may_be_cached(
    browser: FlaskClient, key: str, body: Any, with_key: bool
) -> None:
    response = send(browser, body, key if with_key else None, Origin=ORIGIN)
    assert not [name for name, _ in response.headers if name.startswith("Access-Control-") or name == "Set-Cookie"]
    assert response.headers["Cache-Control"] == "no-store"


def test_a_preflight_is_not_answered_as_a_page_would_need(browser: FlaskClient) -> None:
    asked = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST"}
    response = browser.options("/api/v1/events", headers=asked)
    assert not [name for name, _ in response.headers if name.startswith("Access-Control-")]


def test_a_key_is_of_no_use_on_the_browser_plane(browser: FlaskClient, key: str) -> None:
    response = post(browser, order(), origin=None, Authorization=f"Bearer {key}")
    assert problem(response) == (403, "origin_not_allowed")


def test_refused_requests_are_counted(app: Flask, browser: FlaskClient, key: str) -> None:
    send(browser, order(), None)
    send(browser, b"{", key)
    text = app.extensions["onefold"].metrics.text().decode()
    for code in ("unauthenticated", "malformed_json"):
        assert f'onefold_refusals_total{{code="{code}"}} 1.0' in text


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_another_method_is_refused(browser: FlaskClient, method: str) -> None:
    assert problem(browser.open("/api/v1/events", method=method)) == (405, "method_not_allowed")


# What is taken and answered.


def test_every_accepted_event_is_answered_with_the_profile_it_belongs_to(
    app: Flask, browser: FlaskClient, key: str
) -> None:
    events = [
        order(identifiers={"customer_id": "ANN"}),
        {},
        order(identifiers={"customer_id": "BOB"}),
        link(identifiers={"customer_id": "ANN"}),
        view(),
    ]
    response = send(browser, events, key)
    body = response.get_json()
    ann, bob = (profile(app, f"customer_id:{name}")["id"] for name in ("ANN", "BOB"))
    assert (body["accepted"], [line["index"] for line in body["refused"]]) == (4, [1])
    assert body["profiles"] == [
        {"index": index, "event_id": events[index]["event_id"], "profile": of, "fallback": False}
        for index, of in ((0, ann), (2, bob), (3, ann), (4, ann))
    ]


def test_an_event_sent_again_is_answered_with_the_profile_it_belongs_to_by_now(
    app: Flask, browser: FlaskClient, key: str
) -> None:
    first, second = link(identifiers={}), order(identifiers={"customer_id": "ANN"})
    before = told(send(browser, [first, second], key))
    assert len(set(before)) == 2
    (survivor,) = told(send(browser, link(identifiers={"customer_id": "ANN"}), key))
    assert told(send(browser, [first, second], key)) == [survivor, survivor]
    assert counts(app)["last_journal_seq"] == 3


def test_the_record_of_a_withdrawal_is_about_nobody(browser: FlaskClient, key: str) -> None:
    assert told(send(browser, link(event="consent_update", meta_tier="T3"), key)) == [None]


def test_an_event_is_verified_and_says_that_a_server_sent_it(app: Flask, browser: FlaskClient, key: str) -> None:
    told(send(browser, order(claim="not looked at"), key))
    (line,) = profile(app, "customer_id:CUS12345")["identifiers"]
    assert (line["source"], line["verified"]) == ("server", True)


def test_rules_that_want_signatures_take_what_a_server_vouches_for(config: Config) -> None:
    app = create_app(msgspec.structs.replace(config, rules={"unsigned": "refuse"}))
    client = app.test_client()
    assert told(send(client, order(), new(app, "shop", "write")))
    refused = post(client, link()).get_json()["refused"]
    assert [line["code"] for line in refused] == ["unverified"]
    app.extensions["onefold"].close()


def test_the_profiles_of_events_are_those_that_hold_now(brain: Brain) -> None:
    brain.tell("1", "uid:a")
    brain.tell("2", "customer_id:ann")
    brain.tell("3", "customer_id:bob")
    brain.tell("4", "uid:a", "customer_id:ann")
    brain.tell("5", kind="consent_update", tier="T4")
    found = ask.profiles_of_events(brain.database, ["1", "2", "3", "4", "5", "unknown"])
    ids = {name: brain.id_of(f"customer_id:{name}") for name in ("ann", "bob")}
    assert found == {"1": ids["ann"], "2": ids["ann"], "3": ids["bob"], "4": ids["ann"]}


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "text/plain"])
def test_events_come_as_json_or_as_plain_text(browser: FlaskClient, key: str, content_type: str) -> None:
    assert send(browser, [order(), order()], key, Content_Type=content_type).get_json()["accepted"] == 2


def test_while_the_store_is_away_an_event_is_answered_with_a_fallback_id(
    app: Flask, browser: FlaskClient, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (known,) = told(send(browser, link(traits={"email": "ann@example.com"}), key))
    event = order(identifiers=None, traits={"email": "ANN@example.com"})
    with monkeypatch.context() as outage:
        for method in ("transaction", "snapshot"):
            outage.setattr(Database, method, _away)
        (line,) = send(browser, event, key).get_json()["profiles"]
    founder = Identifier("email_hash", hash_value("email", "ann@example.com") or "")
    fallback = profile_id(app.extensions["onefold"].secrets.id_secret, founder)
    assert (line["profile"], line["fallback"]) == (fallback, True)
    assert app.extensions["onefold"].reconciler.drain()
    (again,) = send(browser, event, key).get_json()["profiles"]
    assert (again["profile"], again["fallback"]) == (known, False)
    reconciled = [entry for entry in ask.ledger_entries(database(app)) if entry["kind"] == "reconciled"]
    assert [(entry["fallback"], entry["profile"]) for entry in reconciled] == [(fallback, known)]


def _away(*_: Any, **__: Any) -> None:
    raise OnefoldError("unavailable", "The database cannot be used right now.")


def test_a_journal_with_events_of_servers_is_replayed_exactly(app: Flask, browser: FlaskClient, key: str) -> None:
    send(browser, [order(traits={"email": f"{n % 3}@example.com"}, identifiers={}) for n in range(9)], key)
    send(browser, [link(traits={"email": "1@example.com"}), view(identity={"uid": OTHER_UID})], key)
    post(browser, link())
    state = app.extensions["onefold"]
    assert verify(database(app), state.rules, state.secrets.id_secret).differences == []


# Sites and consent.


SITES: Final[list[Any]] = [
    pytest.param({"site": "brand-a"}, 202, None, id="a configured site"),
    pytest.param({}, 202, None, id="no site"),
    pytest.param({"site": None}, 202, None, id="null for no site"),
    pytest.param({"meta_page_url": "https://elsewhere.example/"}, 202, None, id="a page of another site"),
    pytest.param({"site": "nowhere"}, 422, "invalid_event", id="an unknown site"),
    pytest.param({"site": ""}, 422, "invalid_event", id="an empty site"),
    pytest.param({"site": 7}, 422, "invalid_event", id="a number"),
    pytest.param({"site": ["brand-a"]}, 422, "invalid_event", id="an array"),
    pytest.param({"site": {"brand-a": 1}}, 422, "invalid_event", id="an object"),
    pytest.param({"site": "brand-a\r\nSet-Cookie: a=b"}, 422, "invalid_event", id="a header in it"),
    pytest.param({"meta_tier": None}, 403, "consent_missing", id="no tier"),
    pytest.param({"meta_tier": "T2"}, 403, "consent_denied", id="T2 and no site"),
    pytest.param({"meta_tier": "T2", "site": "brand-a"}, 403, "consent_denied", id="T2"),
    pytest.param({"meta_tier": "T2", "site": "analytics"}, 202, None, id="T2 on a site that links at T2"),
    pytest.param({"meta_tier": "T3", "site": "analytics"}, 403, "consent_denied", id="T3"),
    pytest.param({"meta_tier": "T0", "consent": {"ad_storage": "denied"}}, 403, "consent_mismatch", id="T0, denied"),
]


@pytest.mark.parametrize(("changes", "status", "code"), SITES)
def test_an_event_names_its_site_and_that_sites_consent_policy_holds(
    app: Flask, browser: FlaskClient, key: str, changes: dict[str, Any], status: int, code: str | None
) -> None:
    response = send(browser, order(**changes), key)
    assert (response.status_code, response.get_json().get("code")) == (status, code)
    assert counts(app)["last_journal_seq"] == (1 if code is None else 0)
    assert code != "invalid_event" or response.get_json()["field"] == "site"


def test_the_site_is_remembered(app: Flask, browser: FlaskClient, key: str) -> None:
    send(browser, order(site="brand-a", more="history"), key)
    (line,) = profile(app, "customer_id:CUS12345")["identifiers"]
    assert line["sites"] == ["brand-a"]


def test_global_privacy_control_is_a_header_of_browsers(browser: FlaskClient, key: str) -> None:
    assert send(browser, order(site="brand-a"), key, Sec_GPC="1").status_code == 202


# Traits.

EMAIL: Final = "Zelda.Quark@Example.com"
TRAITS: Final = {
    "email": EMAIL,
    "phone": "06-87654321",
    "region": "NL",
    "first_name": "Zeldarina",
    "last_name": "Quarkstein",
}
RAW: Final = ("zelda", "quark", "87654321")
"""What may be found nowhere, in any case."""


def test_traits_meet_the_hashes_of_the_sensor(app: Flask, browser: FlaskClient, key: str) -> None:
    hashes = {name: hash_value(name, TRAITS[name], "NL") for name in ("email", "phone")}
    post(browser, link(identifiers={"email_hash": hashes["email"]}))
    post(browser, link(identity={"uid": OTHER_UID}, identifiers={"phone_hash": hashes["phone"]}))
    (answered,) = told(send(browser, order(traits=TRAITS, identifiers=None), key))
    person = profile(app, f"uid:{UID}")
    assert person["id"] == answered
    found = {line["identifier"] for line in person["identifiers"]}
    wanted = {f"{name}_hash:{value}" for name, value in hashes.items()}
    assert found == {*wanted, f"uid:{UID}", f"uid:{OTHER_UID}"}


def test_names_are_history_under_the_names_that_the_sensor_gives_them(
    app: Flask, browser: FlaskClient, key: str
) -> None:
    send(browser, order(traits=TRAITS), key)
    with database(app).snapshot() as reader:
        (row,) = reader.all("newest_journal", 1)
    assert json.loads(row[-1])["attributes"] == {
        "first_name_hash": hash_value("name", "Zeldarina"),
        "last_name_hash": hash_value("name", "Quarkstein"),
    }


@pytest.mark.parametrize("where", ["environment", "file"])
def test_a_salt_is_the_same_as_the_sensors(config: Config, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if where == "environment":
        monkeypatch.setenv("ONEFOLD_HASH_SALT", "pepper")
    else:
        path = Path(config.secrets_path)
        path.write_text(json.dumps({"id_secret": "x" * 32, "hash_salt": "pepper"}), encoding="utf-8")
        path.chmod(0o600)
    app = create_app(config)
    told(send(app.test_client(), order(traits={"email": EMAIL}, identifiers=None), new(app, "shop", "write")))
    assert profile(app, f"email_hash:{hash_value('email', EMAIL, salt='pepper')}")["identifiers"]
    app.extensions["onefold"].close()


DROPPED: Final[list[Any]] = [
    pytest.param({"email": "zelda"}, ["invalid_identifier traits.email"], id="no address"),
    pytest.param({"email": ""}, ["invalid_identifier traits.email"], id="an empty text"),
    pytest.param({"email": None}, [], id="null is absent"),
    pytest.param({"phone": "06-87654321"}, ["invalid_identifier traits.phone"], id="a number without its country"),
    pytest.param({"phone": "06-87654321", "region": "Zelda"}, ["invalid_identifier traits.phone"], id="no country"),
    pytest.param({"first_name": "  "}, ["invalid_identifier traits.first_name"], id="blanks for a name"),
    pytest.param({"emial": EMAIL}, ["unknown_identifier_type traits.emial"], id="a typing error"),
    pytest.param({"address": {"city": "Quark"}}, ["unknown_identifier_type traits.address"], id="anything else"),
    pytest.param({EMAIL: "x"}, ["unknown_identifier_type traits.…"], id="an address for a name"),
    pytest.param({"customer_id": "zelda"}, ["unknown_identifier_type traits.customer_id"], id="an identifier"),
    pytest.param(
        {"email": "zelda", "plan": 7, "phone": "x"},
        ["invalid_identifier traits.email", "unknown_identifier_type traits.plan", "invalid_identifier traits.phone"],
        id="several, in their order",
    ),
]


@pytest.mark.parametrize(("traits", "said"), DROPPED)
def test_a_trait_of_no_use_is_dropped_and_told_and_the_event_goes_on(
    app: Flask, browser: FlaskClient, key: str, traits: dict[str, Any], said: list[str]
) -> None:
    event = order(traits=traits)
    response = send(browser, [view(), event], key)
    body = response.get_json()
    assert body["accepted"] == 2
    assert [f"{line['code']} {line['identifier']}" for line in body["refused"]] == said
    assert all((line["index"], line["event_id"]) == (1, event["event_id"]) for line in body["refused"])
    assert all(line["detail"].endswith(".") for line in body["refused"])
    check_nothing_raw(app, response)


WRONG: Final[list[Any]] = [
    pytest.param([EMAIL], "traits", id="an array for traits"),
    pytest.param(EMAIL, "traits", id="a text for traits"),
    pytest.param({f"zelda{n}": "x" for n in range(51)}, "traits", id="51 traits"),
    pytest.param({"email": 7}, "traits.email", id="a number for an address"),
    pytest.param({"email": [EMAIL]}, "traits.email", id="an array for an address"),
    pytest.param({"phone": 31687654321}, "traits.phone", id="a number for a phone"),
    pytest.param({"first_name": {"zelda": 1}}, "traits.first_name", id="an object for a name"),
    pytest.param({"region": 7, "email": EMAIL}, "traits.region", id="a number for the region"),
    pytest.param({"email": True}, "traits.email", id="true for an address"),
    pytest.param({"email": "zelda" * 1_000}, "traits.email", id="a long text"),
]


@pytest.mark.parametrize(("traits", "field"), WRONG)
def test_traits_of_the_wrong_type_refuse_the_event(
    app: Flask, browser: FlaskClient, key: str, traits: Any, field: str
) -> None:
    response = send(browser, order(traits=traits), key)
    assert problem(response) == (422, "invalid_event")
    assert response.get_json()["field"] == field
    check_nothing_raw(app, response)


def check_nothing_raw(app: Flask, response: TestResponse | None, *texts: str) -> None:
    """Neither an answer, nor a file of the endpoint, nor any of these texts holds a raw value, in any case."""
    folder = Path(app.extensions["onefold"].config.secrets_path).parent
    files = [path.read_bytes().decode("latin-1") for path in folder.rglob("*") if path.is_file()]
    answer = "" if response is None else response.text + str(response.headers)
    for text in (answer, *files, *texts):
        assert [raw for raw in RAW if raw in text.lower()] == []


STORIES: Final[list[Any]] = [
    pytest.param(order(traits=TRAITS), 202, id="accepted"),
    pytest.param(order(traits=TRAITS, event_id=None), 202, id="accepted, without an id"),
    pytest.param(view(traits=TRAITS), 202, id="a page view"),
    pytest.param(link(event="consent_update", traits=TRAITS, meta_tier="T4"), 202, id="a withdrawal"),
    pytest.param([order(traits=TRAITS)] * 3, 202, id="three times the same"),
    pytest.param(order(traits=TRAITS | {"zelda@quark": "Quark"}), 202, id="an unknown trait"),
    pytest.param(order(traits={"email": "Zelda Quark"}, identifiers=None), 422, id="nobody is left"),
    pytest.param(order(traits=TRAITS, identifiers={"customer_id": EMAIL}), 202, id="an address for a customer id"),
    pytest.param(order(traits=TRAITS, identifiers={"email": EMAIL}), 202, id="an address for an undeclared type"),
    pytest.param(order(traits=TRAITS, identifiers={"email_hash": "a" * 64}), 422, id="another hash beside it"),
    pytest.param(order(traits=TRAITS, attributes={"first_name_hash": "a" * 64}), 422, id="another name beside it"),
    pytest.param(order(traits=TRAITS, attributes={"first_name": "Zelda"}), 202, id="a name for an attribute"),
    pytest.param(order(phone="06-87654321", note=EMAIL), 202, id="traits outside of traits"),
    pytest.param(order(context=[{"Traits": {"name": "Zelda"}}]), 202, id="traits somewhere deep"),
    pytest.param(order(meta_First_Name="Zelda"), 202, id="a name in _meta"),
    pytest.param(order(traits=TRAITS, identifiers=[EMAIL]), 422, id="an array for identifiers"),
    pytest.param(order(traits=TRAITS, attributes=EMAIL), 422, id="a text for attributes"),
    pytest.param(order(traits=TRAITS, site="Zelda"), 422, id="an unknown site"),
    pytest.param(order(traits=TRAITS, event_id=EMAIL), 422, id="an address for an event id"),
    pytest.param(order(traits=TRAITS, meta_ts="Zelda"), 422, id="a text for the time"),
    pytest.param(order(traits=TRAITS, meta_tier="T3"), 403, id="no consent"),
    pytest.param(order(traits=TRAITS, meta_page_url=f"https://x.example/?to={EMAIL}"), 202, id="an address in a URL"),
    pytest.param(order(traits=TRAITS | {"email": "zelda\x00@quark.example"}), 422, id="NUL"),
    pytest.param(order(traits=TRAITS | {"email": "\ud800zelda@quark.example"}), 422, id="half a surrogate pair"),
    pytest.param([order(traits=TRAITS, more="x" * 65_536)], 413, id="an event that is too large"),
    pytest.param([order(traits=TRAITS)] * 101, 413, id="101 events"),
    pytest.param([order(traits=TRAITS, n=n, more="x" * 12_000) for n in range(100)], 413, id="over 1 MiB"),
    pytest.param(json.dumps(order(traits=TRAITS)).encode()[:-1], 400, id="half a text"),
    pytest.param(json.dumps(order(traits=TRAITS)).encode("utf-16"), 400, id="UTF-16"),
    pytest.param(b'{"traits":{"email":"zelda@quark.example","email":"x"}}', 400, id="a trait named twice"),
    pytest.param(b"[" * 50_000 + b'"zelda"' + b"]" * 50_000, 400, id="50,000 nested arrays"),
]


@pytest.mark.parametrize(("body", "status"), STORIES)
def test_whatever_becomes_of_an_event_no_raw_value_is_answered_stored_or_logged(
    app: Flask, browser: FlaskClient, key: str, capfd: pytest.CaptureFixture[str], body: Any, status: int
) -> None:
    response = send(browser, body, key)
    assert response.status_code == status
    check_nothing_raw(app, response, *capfd.readouterr())


@pytest.mark.parametrize("where", ["onefold.intake.backend.hash_value", "onefold.engine.ingest.Ingest.take"])
def test_a_defect_tells_and_logs_no_raw_value(
    app: Flask,
    browser: FlaskClient,
    key: str,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    where: str,
) -> None:
    def broken(*arguments: Any) -> None:
        raise KeyError(*arguments)

    monkeypatch.setattr(where, broken)
    response = send(browser, order(traits=TRAITS), key)
    assert problem(response) == (500, "internal_error")
    logged = capfd.readouterr()
    assert "request_failed" in "".join(logged)
    check_nothing_raw(app, response, *logged)


def test_a_page_that_sends_traits_has_none_of_them_kept(app: Flask, browser: FlaskClient) -> None:
    assert post(browser, link(traits=TRAITS)).status_code == 202
    check_nothing_raw(app, None)


def test_many_useless_traits_do_not_make_a_large_answer(browser: FlaskClient, key: str) -> None:
    useless = {f"t{chr(97 + n // 26)}{chr(97 + n % 26)}": "" for n in range(50)}
    response = send(browser, [order(traits=useless) for _ in range(100)], key)
    assert len(response.get_json()["refused"]) == 5_000
    assert len(response.data) < 2_000_000


# An event without an id.


def test_two_events_that_differ_in_a_trait_or_in_their_site_alone_are_two(
    app: Flask, browser: FlaskClient, key: str
) -> None:
    plain = {"event": "identity_link", "identifiers": {"customer_id": "ANN"}, "_meta": {"ts": TS, "tier": "T1"}}
    events = [
        plain,
        plain | {"traits": {"email": "1@example.com"}},
        plain | {"traits": {"email": "2@example.com"}},
        plain | {"site": "brand-a"},
        plain | {"site": "analytics"},
    ]
    for _ in range(2):
        assert send(browser, events, key).get_json()["accepted"] == 5
    assert counts(app)["last_journal_seq"] == 5


UIDS: Final[list[Any]] = [
    pytest.param(order(), 202, None, id="a link without a browser"),
    pytest.param(order(identity={"session_id": "s"}), 202, None, id="a link with a session alone"),
    pytest.param(order(identifiers=None), 422, "no_identifiers", id="a link of nobody"),
    pytest.param(order(identity={"uid": "1"}), 422, "invalid_event", id="a uid that is none"),
    pytest.param(view(identity=None), 422, "invalid_event", id="a page view without a browser"),
    pytest.param(order(event="consent_update"), 422, "invalid_event", id="a withdrawal without a browser"),
]


@pytest.mark.parametrize(("event", "status", "code"), UIDS)
def test_only_a_link_may_be_about_no_browser(
    browser: FlaskClient, key: str, event: dict[str, Any], status: int, code: str | None
) -> None:
    response = send(browser, event, key)
    assert (response.status_code, response.get_json().get("code")) == (status, code)
    assert post(browser, event).status_code == 422
