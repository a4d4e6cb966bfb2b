"""The log says what happened, to which request, and where; never what a request carried."""

import json
import sys
from typing import Any, Final

import pytest
import structlog
from flask import Flask
from flask.testing import FlaskClient

from onefold.core.event import Event
from onefold.intake import uiaf
from onefold.web import logs
from onefold.web.state import State
from support.web import HASH, UID, link, post, problem, view

SECRETIVE: Final = "jan.jansen@example.com"


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """What was logged since the last time."""
    logged = capsys.readouterr()
    assert logged.out == ""
    return [json.loads(line) for line in logged.err.splitlines()]


def test_a_refusal_is_logged_with_its_code_and_the_id_of_the_request(
    browser: FlaskClient, capsys: pytest.CaptureFixture[str]
) -> None:
    response = post(browser, link(meta_tier="T3"))
    (line,) = lines(capsys)
    assert (line["event"], line["level"], line["code"], line["status"]) == (
        "request_refused",
        "info",
        "consent_denied",
        403,
    )
    assert line["request_id"] == response.headers["X-Request-Id"]


def test_what_was_accepted_is_not_logged(browser: FlaskClient, capsys: pytest.CaptureFixture[str]) -> None:
    post(browser, view())
    assert lines(capsys) == []


IDS: Final = [
    pytest.param("5b1f6a0c2f0e4f3c9d1f0c6f4f0a7e11", True, id="32 hex digits, as nginx makes them"),
    pytest.param("f81d4fae-7dec-11d0-a765-00a0c91e6bf6", True, id="a UUID"),
    pytest.param("F81D4FAE-7DEC-11D0-A765-00A0C91E6BF6", True, id="a UUID in capitals"),
    pytest.param("", False, id="empty"),
    pytest.param("31612345678", False, id="a telephone number"),
    pytest.param(SECRETIVE, False, id="an address"),
    pytest.param("jan-jansen-from-amsterdam", False, id="a name"),
    pytest.param("0" * 65, False, id="too long"),
    pytest.param("0" * 31 + "\x7f", False, id="a control character"),
]


@pytest.mark.parametrize(("sent", "kept"), IDS)
@pytest.mark.parametrize("path", ["/v1/events", "/healthz"])
def test_an_id_that_a_proxy_sent_is_kept_where_it_is_well_formed(
    browser: FlaskClient, path: str, sent: str, kept: bool
) -> None:
    found = browser.get(path, headers={"X-Request-Id": sent}).headers.getlist("X-Request-Id")
    assert len(found) == 1
    assert (found == [sent]) is kept
    assert logs._WELL_FORMED.fullmatch(found[0])


def test_two_requests_have_two_ids(browser: FlaskClient) -> None:
    assert len({browser.get("/healthz").headers["X-Request-Id"] for _ in range(3)}) == 3


def failing(*_: Any) -> Event:
    """A defect whose message repeats what was sent."""
    carried = f"{SECRETIVE} {UID} {HASH}"
    try:
        raise KeyError(carried)
    except KeyError as error:
        raise ZeroDivisionError(carried) from error


def test_a_defect_is_logged_by_kind_and_place_without_any_value(
    browser: FlaskClient, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(uiaf, "parse", failing)
    assert problem(post(browser, link())) == (500, "internal_error")
    failed, refused = lines(capsys)
    assert failed["exception"] == ["ZeroDivisionError", "KeyError"]
    assert failed["where"][-1].endswith(" failing")
    assert (refused["code"], refused["level"]) == ("internal_error", "warning")
    assert [word for word in (SECRETIVE, UID, HASH) if word in json.dumps([failed, refused])] == []


def test_a_batch_that_fails_is_logged_without_any_value(
    app: Flask, browser: FlaskClient, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("onefold.engine.advance.resolve", failing)
    assert problem(post(browser, link())) == (500, "internal_error")
    logged = capsys.readouterr().err
    assert "batch_failed" in logged
    assert [word for word in (SECRETIVE, UID, HASH) if word in logged] == []


def test_an_outage_and_its_end_are_logged_without_any_value(
    app: Flask, browser: FlaskClient, capsys: pytest.CaptureFixture[str]
) -> None:
    state: State = app.extensions["onefold"]
    state.ingest.store_away = True
    post(browser, [link(identifiers={"email_hash": HASH}), view()])
    state.reconciler.drain()
    (line,) = lines(capsys)
    assert (line["event"], line["events"], line["refused"]) == ("spool_reconciled", 2, {})
    assert [word for word in (UID, HASH) if word in json.dumps(line)] == []


@pytest.mark.parametrize(("level", "wanted"), [("debug", 2), ("info", 2), ("warning", 1), ("error", 0)])
def test_nothing_below_the_level_is_logged(level: str, wanted: int, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(level)
    structlog.get_logger().info("one")
    structlog.get_logger().warning("two")
    assert len(lines(capsys)) == wanted


def test_on_a_terminal_it_is_for_people(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    logs.configure()
    structlog.get_logger().info("spool_adopted", events=3)
    logged = capsys.readouterr().err
    assert "spool_adopted" in logged
    assert "{" not in logged


ELSEWHERE: Final = [
    pytest.param("POST", "/api/v1/events", id="events with a key that is none"),
    pytest.param("GET", f"/api/v1/profiles/customer_id:{SECRETIVE}", id="a question about somebody"),
    pytest.param("GET", f"/nowhere/{SECRETIVE}?email={SECRETIVE}", id="no such path"),
    pytest.param("POST", "/v1/tokens", id="a token for an unknown page"),
    pytest.param("POST", "/v1/tokens/redeem", id="redeeming on an unknown page"),
    pytest.param("GET", "/metrics", id="the metrics"),
]


@pytest.mark.parametrize(("method", "path"), ELSEWHERE)
def test_wherever_a_request_is_refused_the_log_repeats_nothing_of_it(
    browser: FlaskClient, method: str, path: str, capsys: pytest.CaptureFixture[str]
) -> None:
    body = json.dumps({"event": SECRETIVE, "traits": {"email": SECRETIVE}, "identity": {"uid": UID}})
    headers = {
        "Authorization": f"Bearer {SECRETIVE}",
        "Origin": f"https://{SECRETIVE}",
        "Content-Type": "application/json",
        "User-Agent": SECRETIVE,
        "X-Request-Id": SECRETIVE,
    }
    response = browser.open(path, method=method, data=body, headers=headers)
    assert response.status_code >= 400
    logged = capsys.readouterr()
    assert problem(response)[1] in logged.err
    assert [word for word in (SECRETIVE, UID) if word in logged.err + logged.out] == []
