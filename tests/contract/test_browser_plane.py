"""The browser plane: who may call, what is answered, which cookie is set, and what is never said."""

import os
import re
import stat
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from flask import Flask
from flask.testing import FlaskClient

from onefold.config import Config, Server
from onefold.errors import ConfigError
from onefold.web.app import create_app
from support import pictures
from support.stores import path_of
from support.web import (
    ANALYTICS_ORIGIN,
    ORIGIN,
    OTHER_ORIGIN,
    UID,
    ask_front,
    counts,
    database,
    link,
    post,
    problem,
    view,
)


@pytest.mark.parametrize("origin", [ORIGIN, OTHER_ORIGIN, ANALYTICS_ORIGIN])
def test_a_configured_page_may_read_the_answer_and_only_it(browser: FlaskClient, origin: str) -> None:
    response = post(browser, view(), origin=origin)
    assert response.headers["Access-Control-Allow-Origin"] == origin
    assert response.headers["Access-Control-Allow-Credentials"] == "true"
    assert "Origin" in response.headers["Vary"]


def test_a_configured_page_may_read_why_it_was_refused(browser: FlaskClient) -> None:
    response = post(browser, b"not json")
    assert response.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert "Origin" in response.headers["Vary"]


@pytest.mark.parametrize("origin", ["https://elsewhere.example", "null", None])
def test_no_other_page_may_read_anything(browser: FlaskClient, origin: str | None) -> None:
    response = post(browser, view(), origin=origin)
    assert "Access-Control-Allow-Origin" not in response.headers
    assert "Origin" in response.headers["Vary"]


def test_a_preflight_lets_a_configured_page_post_json(browser: FlaskClient) -> None:
    response = browser.options("/v1/events", headers={"Origin": ORIGIN, "Access-Control-Request-Method": "POST"})
    assert response.status_code == 204
    assert response.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert response.headers["Access-Control-Allow-Methods"] == "POST"
    assert response.headers["Access-Control-Allow-Headers"] == "Content-Type"
    assert "Origin" in response.headers["Vary"]


def test_a_preflight_of_another_page_is_refused(browser: FlaskClient) -> None:
    response = browser.options("/v1/events", headers={"Origin": "https://elsewhere.example"})
    assert problem(response) == (403, "origin_not_allowed")
    assert "Access-Control-Allow-Origin" not in response.headers


@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=utf-8", "text/plain"])
def test_events_come_as_json_or_as_plain_text(browser: FlaskClient, content_type: str) -> None:
    response = post(browser, [view(), link()], Content_Type=content_type)
    assert (response.status_code, response.get_json()) == (202, {"accepted": 2, "refused": []})
    assert response.headers["Cache-Control"] == "no-store"


def test_a_byte_order_mark_does_no_harm(browser: FlaskClient) -> None:
    body = b"\xef\xbb\xbf" + msgspec.json.encode(view())
    assert post(browser, body).status_code == 202


def test_part_of_an_array_may_be_refused_each_with_its_place(app: Flask, browser: FlaskClient) -> None:
    good, late = view(), link(meta_tier="T3")
    response = post(browser, [{}, good, late, 7, link(identifiers={"loyalty": "1"})])
    assert response.status_code == 202
    body = response.get_json()
    assert body["accepted"] == 2
    refused = [(line["index"], line["code"]) for line in body["refused"]]
    assert refused == [
        (0, "invalid_event"),
        (2, "consent_denied"),
        (3, "invalid_event"),
        (4, "unknown_identifier_type"),
    ]
    assert [line["event_id"] for line in body["refused"]][:3] == [None, late["event_id"], None]
    assert counts(app)["last_journal_seq"] == 2


def test_an_array_of_100_events_is_taken(app: Flask, browser: FlaskClient) -> None:
    assert post(browser, [view() for _ in range(100)]).get_json()["accepted"] == 100
    assert counts(app)["last_journal_seq"] == 100


def test_an_event_id_seen_before_is_accepted_and_changes_nothing(app: Flask, browser: FlaskClient) -> None:
    event = link()
    post(browser, event)
    before = counts(app), pictures.of_store(database(app))
    other = {**link(identifiers={"customer_id": "somebody-else"}), "event_id": event["event_id"]}
    for again in (event, other, [event, event]):
        response = post(browser, again)
        assert response.status_code == 202
        assert response.get_json()["refused"] == []
    assert (counts(app), pictures.of_store(database(app))) == before


def test_an_event_without_an_id_is_recognised_when_it_is_delivered_again(app: Flask, browser: FlaskClient) -> None:
    event = link(event_id=None)
    for _ in range(2):
        assert post(browser, event).get_json()["accepted"] == 1
    assert counts(app)["last_journal_seq"] == 1


def test_the_uid_cookie_is_kept_where_endpoint_and_page_are_one_site(browser: FlaskClient) -> None:
    cookie = post(browser, view()).headers["Set-Cookie"]
    name, *attributes = cookie.split("; ")
    assert name == f"uiaf_uid={UID}"
    assert {"Domain=brand-a.example", "Max-Age=34560000", "Secure", "SameSite=Lax", "Path=/"} <= set(attributes)
    assert "HttpOnly" not in attributes


COOKIES: Final[list[Any]] = [
    pytest.param(view(meta_tier="T0"), ORIGIN, True, id="T0"),
    pytest.param(view(meta_tier="T1"), ORIGIN, True, id="T1"),
    pytest.param(view(meta_tier="T2"), ORIGIN, True, id="T2: analytics storage is granted"),
    pytest.param(link(), OTHER_ORIGIN, True, id="another origin of the site"),
    pytest.param(link(event="consent_update", meta_tier="T3"), ORIGIN, False, id="T3: nothing may be stored"),
    pytest.param(link(event="consent_update", meta_tier="T4"), ORIGIN, False, id="T4: nothing may be stored"),
    pytest.param(view(meta_tier="T1"), ANALYTICS_ORIGIN, False, id="a page of another site"),
    pytest.param(view(meta_tier="T3"), ORIGIN, False, id="a refused event"),
    pytest.param([view(), link(event="consent_update", meta_tier="T4")], ORIGIN, False, id="withdrawn at the end"),
]


@pytest.mark.parametrize(("body", "origin", "set_"), COOKIES)
def test_the_uid_cookie_is_set_only_same_site_and_where_the_tier_allows_storage(
    browser: FlaskClient, body: Any, origin: str, set_: bool
) -> None:
    assert ("Set-Cookie" in post(browser, body, origin=origin).headers) is set_


WAYS: Final[list[Any]] = [
    pytest.param(link(), {"Origin": ORIGIN}, id="accepted"),
    pytest.param([link(), {}], {"Origin": ORIGIN}, id="partly accepted"),
    pytest.param(link(), {"Origin": ANALYTICS_ORIGIN}, id="another site, so no cookie"),
    pytest.param(link(meta_tier="T3"), {"Origin": ORIGIN}, id="refused"),
    pytest.param(link(), {"Origin": ORIGIN, "Sec-GPC": "1"}, id="Global Privacy Control"),
    pytest.param(link(), {"Origin": "https://elsewhere.example"}, id="an unknown page"),
    pytest.param(link(), {}, id="no page"),
    pytest.param(link(), {"Origin": ORIGIN, "Content-Type": "text/html"}, id="another media type"),
    pytest.param(b"{", {"Origin": ORIGIN}, id="no JSON"),
    pytest.param(b" " * (2**20 + 1), {"Origin": ORIGIN}, id="too large"),
]


def answered(status: int, headers: Iterable[tuple[str, str]], body: bytes) -> tuple[Any, ...]:
    """An answer in a form that two can be compared in."""
    told = sorted((name.lower(), re.sub("Expires=[^;]*", "", value)) for name, value in headers)
    told = [(name, value) for name, value in told if name != "content-length"]  # the server says it
    return status, told, body


@pytest.mark.parametrize(("body", "headers"), WAYS)
def test_flask_answers_an_event_as_the_front_does(app: Flask, body: Any, headers: dict[str, str]) -> None:
    data = body if isinstance(body, bytes) else msgspec.json.encode(body)
    sent = {"Content-Type": "text/plain", "X-Request-Id": "a" * 32, **headers}
    by_flask = app.test_client(use_cookies=False).post("/v1/events", data=data, headers=sent)
    by_front = ask_front(app, [data], [*sent.items(), ("Content-Length", str(len(data)))])
    assert answered(*by_front) == answered(by_flask.status_code, by_flask.headers, by_flask.data)


PLAIN: Final = {"Origin": ORIGIN, "Content-Type": "text/plain"}
WHOLE: Final = msgspec.json.encode(link())
PIECES: Final[list[Any]] = [
    pytest.param([WHOLE[:9], WHOLE[9:30], b"", WHOLE[30:]], {}, 202, None, id="in pieces, of unknown length"),
    pytest.param([b" " * 2**19] * 3, {}, 413, "too_large", id="too large, of unknown length"),
    pytest.param([], {"Content-Length": str(2**20 + 1)}, 413, "too_large", id="too large: not even read"),
    pytest.param([WHOLE], {"Content-Length": "5,5"}, 202, None, id="a length that is no number"),
    pytest.param([WHOLE[:9], None], {"Content-Length": "900"}, 422, "invalid_event", id="the sender leaves too early"),
    pytest.param([WHOLE[:9], None], {}, 400, "malformed_json", id="the sender leaves, of unknown length"),
]


@pytest.mark.parametrize(("pieces", "headers", "status", "code"), PIECES)
def test_a_body_may_come_in_pieces_and_is_bounded(
    app: Flask, pieces: list[bytes | None], headers: dict[str, str], status: int, code: str | None
) -> None:
    found, _, body = ask_front(app, pieces, [*PLAIN.items(), *headers.items()])
    assert (found, msgspec.json.decode(body).get("code")) == (status, code)
    assert counts(app)["last_journal_seq"] == (1 if status == 202 else 0)


def test_flask_too_is_given_a_body_of_unknown_length(app: Flask) -> None:
    _, _, body = ask_front(app, [b'{"target": ', b'"nobody"}'], PLAIN.items(), "/v1/tokens")
    assert msgspec.json.decode(body)["field"] == "identity.uid"  # it was read, and lacks that


@pytest.mark.parametrize("tier", ["T3", "T4"])
def test_a_withdrawal_is_recorded_and_makes_nobody_known(app: Flask, browser: FlaskClient, tier: str) -> None:
    response = post(browser, link(event="consent_update", meta_tier=tier))
    assert (response.status_code, response.get_json()["accepted"]) == (202, 1)
    found = counts(app)
    assert (found["last_journal_seq"], found["count_profiles"], found["count_identifiers"]) == (1, 0, 0)


def test_a_site_may_link_at_t2_and_ignore_global_privacy_control(browser: FlaskClient) -> None:
    assert post(browser, link(meta_tier="T2"), origin=ANALYTICS_ORIGIN).status_code == 202
    assert post(browser, link(), origin=ANALYTICS_ORIGIN, Sec_GPC="1").status_code == 202


@pytest.mark.parametrize(("value", "status"), [("1", 403), (" 1", 403), ("0", 202), ("true", 202), ("", 202)])
def test_global_privacy_control_is_the_value_1_and_nothing_else(browser: FlaskClient, value: str, status: int) -> None:
    assert post(browser, link(), Sec_GPC=value).status_code == status


def test_global_privacy_control_does_not_stop_a_page_view(browser: FlaskClient) -> None:
    assert post(browser, view(), Sec_GPC="1").status_code == 202


def test_no_answer_of_the_browser_plane_holds_the_id_of_a_profile(browser: FlaskClient) -> None:
    """Created, merged, in conflict, refused and again: a page cannot ask who somebody is."""
    other = UID.replace("f81d4fae", "a81d4fae")
    bodies = [
        link(),
        link(identifiers={"customer_id": "CUS999"}),
        link(identity={"uid": other}),
        [link(), link(identity={"uid": other}, identifiers={"customer_id": "CUS999"}), {}],
        link(identifiers={"customer_id": "a", "user_id": "b"}),
        view(),
    ]
    for body in bodies * 2:
        response = post(browser, body)
        assert not re.search(r"of_[a-z2-7]{26}", response.text + str(response.headers))


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_health(browser: FlaskClient, path: str) -> None:
    response = browser.get(path)
    assert (response.status_code, response.get_json()) == (200, {"status": "ok"})


def lose_database(app: Flask) -> None:
    """A folder takes the place of the database."""
    database(app).close()
    path = path_of(database(app))
    for file in path.parent.glob(f"{path.name}*"):
        file.unlink()
    path.mkdir()


def test_an_endpoint_without_its_database_is_alive_but_not_ready(app: Flask, browser: FlaskClient) -> None:
    lose_database(app)
    assert browser.get("/healthz").status_code == 200
    response = browser.get("/readyz")
    assert problem(response) == (503, "unavailable")
    assert response.headers["Retry-After"]


def test_events_are_answered_as_ever_while_the_database_is_away(app: Flask, browser: FlaskClient) -> None:
    body = [view(), link(identifiers={"email_hash": "no hash", "customer_id": "ANN"}), link(meta_tier="T3")]
    before = post(browser, body)
    lose_database(app)
    during = post(browser, [{**event, "event_id": str(uuid.uuid4())} for event in body])
    assert (during.status_code, during.get_json()["accepted"]) == (before.status_code, before.get_json()["accepted"])
    codes = [line["code"] for line in during.get_json()["refused"]]
    assert codes == [line["code"] for line in before.get_json()["refused"]] == ["invalid_identifier", "consent_denied"]
    assert "of_" not in during.text


def test_without_database_and_spool_an_event_is_to_come_again(app: Flask, config: Config, browser: FlaskClient) -> None:
    lose_database(app)
    config.spool_folder.write_text("in the way")
    response = post(browser, view())
    assert problem(response) == (503, "unavailable")
    assert response.headers["Retry-After"]


ELSEWHERE: Final[list[Any]] = [
    pytest.param("GET", "/nothing", 404, "not_found", id="no such path"),
    pytest.param("GET", "/live.json", 404, "not_found", id="the live page of the demonstration"),
    pytest.param("GET", "/v1/events", 405, "method_not_allowed", id="GET of events"),
    pytest.param("PUT", "/v1/events", 405, "method_not_allowed", id="PUT of events"),
    pytest.param("POST", "/healthz", 405, "method_not_allowed", id="POST of health"),
]


@pytest.mark.parametrize(("method", "path", "status", "code"), ELSEWHERE)
def test_what_is_not_there_is_answered_with_a_problem_document(
    browser: FlaskClient, method: str, path: str, status: int, code: str
) -> None:
    response = browser.open(path, method=method)
    assert problem(response) == (status, code)
    assert status != 405 or response.headers["Allow"]


def test_a_defect_is_answered_with_a_problem_document_that_tells_nothing(
    app: Flask, browser: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(events: object) -> None:
        raise ZeroDivisionError("marker@example.com")

    monkeypatch.setattr(app.extensions["onefold"].ingest, "take_soon", broken)
    response = post(browser, view())
    assert problem(response) == (500, "internal_error")
    assert "marker" not in response.text


# Secrets.


def test_secrets_are_made_once_and_only_their_owner_reads_them(app: Flask, config: Config) -> None:
    path = Path(config.secrets_path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    before = path.read_bytes()
    database(create_app(config)).close()
    assert path.read_bytes() == before


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o620])
def test_secrets_that_others_can_read_or_write_are_refused(app: Flask, config: Config, mode: int) -> None:
    os.chmod(config.secrets_path, mode)
    with pytest.raises(ConfigError, match="chmod 600"):
        create_app(config)


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", b'{"id_secret": "short"}'])
def test_a_file_that_holds_no_secrets_is_refused(config: Config, content: bytes) -> None:
    path = Path(config.secrets_path)
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(ConfigError):
        create_app(config)


def test_the_database_of_another_id_secret_is_refused(app: Flask, config: Config) -> None:
    Path(config.secrets_path).unlink()
    with pytest.raises(ConfigError, match="id_secret"):
        create_app(config)


def test_the_database_is_its_owners_alone(app: Flask) -> None:
    assert stat.S_IMODE(path_of(database(app)).stat().st_mode) == 0o600


def test_an_endpoint_elsewhere_sets_no_cookie(config: Config) -> None:
    elsewhere = create_app(msgspec.structs.replace(config, server=Server("https://id.elsewhere.example")))
    assert "Set-Cookie" not in post(elsewhere.test_client(), view()).headers
    database(elsewhere).close()
