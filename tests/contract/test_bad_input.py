"""Whatever a page sends, the endpoint answers with the right code, repeats nothing of it, and stores nothing."""

import json
from collections.abc import Iterator
from typing import Any, Final

import pytest
from flask import Flask
from flask.testing import FlaskClient

from support.web import HASH, ORIGIN, UID, counts, link, post, problem, stored_bytes, view

MARKER: Final = "marker@example.com"
NOTHING: Final = "00000000-0000-0000-0000-000000000000.0"


def text(body: Any) -> bytes:
    """A body as JSON text."""
    return json.dumps(body).encode()


def marked(**changes: Any) -> bytes:
    """An event with the marker in a member nobody knows, and something wrong besides."""
    return text(link(note=MARKER, **changes))


MARKED: Final = f'"{MARKER}"'.encode()

BAD: Final[list[Any]] = [
    pytest.param(b"", 400, "malformed_json", id="empty"),
    pytest.param(MARKER.encode(), 400, "malformed_json", id="not JSON"),
    pytest.param(MARKED[:-1], 400, "malformed_json", id="half a text"),
    pytest.param(b"email=" + MARKER.encode(), 400, "malformed_json", id="a form"),
    pytest.param(b"[" * 50_000 + MARKED + b"]" * 50_000, 400, "malformed_json", id="50,000 nested arrays"),
    pytest.param(b'{"a":' * 50_000 + MARKED + b"}" * 50_000, 400, "malformed_json", id="50,000 nested objects"),
    pytest.param(b'{"event":' + MARKED + b',"event":"page_view"}', 400, "malformed_json", id="duplicate keys"),
    pytest.param(b'[{"a":NaN,"b":' + MARKED + b"}]", 400, "malformed_json", id="NaN"),
    pytest.param(b'[{"a":Infinity,"b":' + MARKED + b"}]", 400, "malformed_json", id="infinity"),
    pytest.param(b'{"a":"\xff\xfe","b":' + MARKED + b"}", 400, "malformed_json", id="invalid UTF-8"),
    pytest.param(f'{{"a":"{MARKER}"}}'.encode("utf-16"), 400, "malformed_json", id="UTF-16"),
    pytest.param(b'{"b":' + MARKED + b',"a":' + b"9" * 5_000 + b"}", 400, "malformed_json", id="5,000 digits"),
    pytest.param(MARKED * 60_000, 413, "too_large", id="over 1 MiB"),
    pytest.param(b" " * 2_097_152, 413, "too_large", id="2 MiB"),
    pytest.param(text([link(note=MARKER) for _ in range(101)]), 413, "too_large", id="101 events"),
    pytest.param(marked(more="x" * 65_536), 413, "too_large", id="an event over 64 KiB"),
    pytest.param(b"[]", 422, "invalid_event", id="an empty array"),
    pytest.param(b"{}", 422, "invalid_event", id="an empty object"),
    pytest.param(b"null", 422, "invalid_event", id="null"),
    pytest.param(b"42", 422, "invalid_event", id="a number"),
    pytest.param(b"true", 422, "invalid_event", id="true"),
    pytest.param(MARKED, 422, "invalid_event", id="a text"),
    pytest.param(text([MARKER, [MARKER], None]), 422, "invalid_event", id="an array of anything but events"),
    pytest.param(text([[link(note=MARKER)]]), 422, "invalid_event", id="an array in an array"),
    pytest.param(marked(event=MARKER), 422, "invalid_event", id="an unknown kind"),
    pytest.param(marked(event=["page_view"]), 422, "invalid_event", id="a kind in an array"),
    pytest.param(marked(event_id=MARKER), 422, "invalid_event", id="an address for an event id"),
    pytest.param(marked(event_id={MARKER: MARKER}), 422, "invalid_event", id="an object for an event id"),
    pytest.param(marked(event_id=7), 422, "invalid_event", id="a number for an event id"),
    pytest.param(marked(identity=MARKER), 422, "invalid_event", id="a text for identity"),
    pytest.param(marked(identity={"uid": 7}), 422, "invalid_event", id="a number for the uid"),
    pytest.param(marked(identity={"uid": MARKER}), 422, "invalid_event", id="a uid that is none"),
    pytest.param(marked(identity={"uid": UID.replace("-", "")}), 422, "invalid_event", id="a uid without dashes"),
    pytest.param(marked(identity={"uid": UID, "session_id": 7}), 422, "invalid_event", id="a number for the session"),
    pytest.param(
        marked(identity={"uid": UID, "session_id": MARKER}), 422, "invalid_event", id="an address for the session"
    ),
    pytest.param(marked(identifiers=[MARKER]), 422, "invalid_event", id="an array for identifiers"),
    pytest.param(marked(identifiers={MARKER: 7}), 422, "invalid_event", id="a number for an identifier"),
    pytest.param(marked(identifiers={MARKER: [MARKER]}), 422, "invalid_event", id="an array for an identifier"),
    pytest.param(marked(attributes={MARKER: 7}), 422, "invalid_event", id="a number for an attribute"),
    pytest.param(marked(consent={"ad_user_data": MARKER}), 422, "invalid_event", id="an unknown signal value"),
    pytest.param(marked(meta_ts=MARKER), 422, "invalid_event", id="a text for the time"),
    pytest.param(marked(meta_ts=None), 422, "invalid_event", id="no time"),
    pytest.param(marked(meta_ts=-1), 422, "invalid_event", id="a negative time"),
    pytest.param(marked(meta_ts=4_102_444_800_000), 422, "invalid_event", id="a time far in the future"),
    pytest.param(marked(meta_ts=2**70), 422, "invalid_event", id="a huge integer for the time"),
    pytest.param(marked(more=2**70), 422, "invalid_event", id="a huge integer anywhere"),
    pytest.param(marked(meta_tier=MARKER), 422, "invalid_event", id="an unknown tier"),
    pytest.param(marked(meta_tier="t1"), 422, "invalid_event", id="a tier in lower case"),
    pytest.param(marked(identifiers={"customer_id": "a\x00b"}), 422, "invalid_event", id="NUL in an identifier"),
    pytest.param(marked(more="\x00"), 422, "invalid_event", id="NUL anywhere"),
    pytest.param(marked(identifiers={"customer_id": "\ud800"}), 422, "invalid_event", id="half a surrogate pair"),
    pytest.param(marked(more={"\udc00": 1}), 422, "invalid_event", id="half a surrogate pair in a name"),
    pytest.param(marked(more=json.loads("[" * 40 + "]" * 40)), 422, "invalid_event", id="40 nested arrays inside"),
    pytest.param(
        marked(identifiers={"customer_id": "a", "user_id": "b"}), 422, "contradictory_identifiers", id="contradictory"
    ),
    pytest.param(
        marked(identity={"uid": NOTHING}, identifiers={MARKER: MARKER}), 422, "no_identifiers", id="nothing usable"
    ),
    pytest.param(text(view(note=MARKER, identity={"uid": NOTHING})), 422, "no_identifiers", id="a uid of zeros"),
    pytest.param(marked(meta_tier=None), 403, "consent_missing", id="no tier"),
    pytest.param(text(view(note=MARKER, meta_tier=None)), 403, "consent_missing", id="no tier on a page view"),
    pytest.param(marked(consent={"ad_user_data": "denied"}), 403, "consent_mismatch", id="T1 with ad_user_data denied"),
    pytest.param(
        marked(consent={"ad_user_data": "granted"}, meta_tier="T2"), 403, "consent_mismatch", id="T2, all granted"
    ),
    pytest.param(marked(meta_tier="T2"), 403, "consent_denied", id="a link at T2"),
    pytest.param(marked(meta_tier="T3"), 403, "consent_denied", id="a link at T3"),
    pytest.param(marked(meta_tier="T4"), 403, "consent_denied", id="a link at T4"),
    pytest.param(text(view(note=MARKER, meta_tier="T3")), 403, "consent_denied", id="a page view at T3"),
    pytest.param(text(view(note=MARKER, meta_tier="T4")), 403, "consent_denied", id="a page view at T4"),
    pytest.param(text([link(note=MARKER, meta_tier="T2"), {}]), 403, "consent_denied", id="the first of several"),
]


@pytest.fixture(autouse=True)
def _log_says_what_and_not_about_whom(capsys: pytest.CaptureFixture[str]) -> Iterator[None]:
    """Whatever is refused, the log has its code and nothing that was sent."""
    yield
    logged = capsys.readouterr()
    assert [word for word in ("marker", UID, HASH, "CUS12345") if word in logged.err + logged.out] == []
    for line in logged.err.splitlines():
        assert {"event", "level", "at", "request_id", "code"} <= set(json.loads(line))


def check_refused(app: Flask, browser: FlaskClient, body: bytes, wanted: tuple[int, str], **send: Any) -> None:
    """Send, and see that the answer is this problem, repeats nothing, and left nothing behind."""
    before = counts(app)
    response = post(browser, body, **send)
    assert problem(response) == wanted
    assert "marker" not in response.text
    assert "Set-Cookie" not in response.headers
    assert counts(app) == before
    assert b"marker" not in stored_bytes(app)


@pytest.mark.parametrize(("body", "status", "code"), BAD)
def test_a_bad_body_is_refused_and_leaves_nothing(
    app: Flask, browser: FlaskClient, body: bytes, status: int, code: str
) -> None:
    check_refused(app, browser, body, (status, code))


@pytest.mark.parametrize(("body", "status", "code"), BAD[:4])
def test_a_bad_body_is_refused_as_application_json_too(
    app: Flask, browser: FlaskClient, body: bytes, status: int, code: str
) -> None:
    check_refused(app, browser, body, (status, code), Content_Type="application/json; charset=utf-8")


SENDERS: Final[list[Any]] = [
    pytest.param({"origin": None}, 403, "origin_not_allowed", id="no origin"),
    pytest.param({"origin": "null"}, 403, "origin_not_allowed", id="an opaque origin"),
    pytest.param({"origin": ""}, 403, "origin_not_allowed", id="an empty origin"),
    pytest.param({"origin": "https://marker.example"}, 403, "origin_not_allowed", id="an unknown origin"),
    pytest.param({"origin": ORIGIN.upper()}, 403, "origin_not_allowed", id="an origin in capitals"),
    pytest.param({"origin": "http://www.brand-a.example"}, 403, "origin_not_allowed", id="another scheme"),
    pytest.param({"origin": f"{ORIGIN}:8443"}, 403, "origin_not_allowed", id="another port"),
    pytest.param({"origin": f"{ORIGIN}.marker.example"}, 403, "origin_not_allowed", id="an origin that only begins so"),
    pytest.param({"origin": f"{ORIGIN}/"}, 403, "origin_not_allowed", id="an origin with a path"),
    pytest.param({"Content_Type": "text/html"}, 415, "unsupported_media_type", id="HTML"),
    pytest.param({"Content_Type": "multipart/form-data"}, 415, "unsupported_media_type", id="a form with files"),
    pytest.param({"Content_Type": "application/x-www-form-urlencoded"}, 415, "unsupported_media_type", id="a form"),
    pytest.param({"Content_Type": ""}, 415, "unsupported_media_type", id="no content type"),
    pytest.param({"Sec_GPC": "1"}, 403, "consent_denied", id="Global Privacy Control"),
]


@pytest.mark.parametrize(("send", "status", "code"), SENDERS)
def test_a_bad_sender_is_refused_and_leaves_nothing(
    app: Flask, browser: FlaskClient, send: dict[str, Any], status: int, code: str
) -> None:
    check_refused(app, browser, marked(), (status, code), **send)


SAMPLE: Final = {
    "event": "identity_link",
    "identity": {
        "uid": "f81d4fae-7dec-11d0-a765-00a0c91e6bf6.1647291600",
        "session_id": "a3b8c9d0-1234-5678-9abc-def012345678",
    },
    "identifiers": {
        "email_hash": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "phone_hash": "d7a8fbb307d7809469ca9abcb0082e4f8d5651e46d3cdb762d02d0bf37c9e592",
        "customer_id": "CUS12345",
    },
    "_meta": {"ts": 1647291600000, "tier": "T1", "page_url": "https://example.com/account/login"},
}


def test_the_sample_of_the_uiaf_specification_is_taken_without_its_hash_of_nothing(
    app: Flask, browser: FlaskClient
) -> None:
    """Its email_hash is the SHA-256 of the empty string: linking through it would merge strangers."""
    response = post(browser, SAMPLE)
    assert response.status_code == 202
    body = response.get_json()
    assert body["accepted"] == 1
    (refusal,) = body["refused"]
    assert (refusal["index"], refusal["code"], refusal["identifier"]) == (0, "blocked_identifier", "email_hash")
    assert counts(app)["count_identifiers"] == 3


DROPPED: Final[list[Any]] = [
    pytest.param({"loyalty": "marker-1"}, "unknown_identifier_type", "loyalty", id="an undeclared type"),
    pytest.param({MARKER: "marker-1"}, "unknown_identifier_type", "[removed]", id="an address for a type"),
    pytest.param({"stand_in": "marker-1"}, "unknown_identifier_type", "stand_in", id="the resolver's own type"),
    pytest.param({"email_hash": MARKER}, "invalid_identifier", "email_hash", id="an address for its hash"),
    pytest.param({"email_hash": "marker"}, "invalid_identifier", "email_hash", id="anything for a hash"),
    pytest.param({"phone_hash": HASH[1:]}, "invalid_identifier", "phone_hash", id="a hash that is too short"),
    pytest.param({"customer_id": "undefined"}, "blocked_identifier", "customer_id", id="a value that means none"),
    pytest.param({"customer_id": MARKER}, "blocked_identifier", "customer_id", id="an address for a customer id"),
    pytest.param({"customer_id": "marker" * 50}, "invalid_identifier", "customer_id", id="a value that is too long"),
]


@pytest.mark.parametrize(("identifiers", "code", "named"), DROPPED)
def test_a_bad_identifier_is_dropped_and_the_rest_of_the_event_goes_on(
    app: Flask, browser: FlaskClient, identifiers: dict[str, str], code: str, named: str
) -> None:
    event = link(identifiers=identifiers, note=MARKER)
    response = post(browser, event)
    assert response.status_code == 202
    (refusal,) = response.get_json()["refused"]
    assert refusal["code"] == code
    assert (refusal["index"], refusal["event_id"], refusal["identifier"]) == (0, event["event_id"], named)
    assert counts(app)["count_identifiers"] == 1
    assert "marker" not in response.text
    assert b"marker" not in stored_bytes(app)


def test_names_that_nobody_declared_do_not_fill_the_table_of_names(app: Flask, browser: FlaskClient) -> None:
    for turn in range(3):
        assert post(browser, link(identifiers={f"made-up-{turn}-{n}": "x" for n in range(50)})).status_code == 202
    assert b"made-up" not in stored_bytes(app)
