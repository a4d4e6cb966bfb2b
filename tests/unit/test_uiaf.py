"""UIAF events: what is read from them, what is refused, and what is never kept."""

import json
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onefold.core.event import Event
from onefold.core.identifiers import Identifier
from onefold.errors import OnefoldError
from onefold.intake import lines, uiaf

NOW: Final = 1_700_000_000_000
UID: Final = "f81d4fae-7dec-11d0-a765-00a0c91e6bf6.1647291600"
HASH: Final = "a" * 64
ADDRESS: Final = "marker@example.com"


def message(**changes: Any) -> dict[str, Any]:
    """A complete identity_link event; `None` takes a member away, a member of `_meta` is given as `meta_…`."""
    raw: dict[str, Any] = {
        "event": "identity_link",
        "event_id": "1",
        "identity": {"uid": UID, "session_id": "s1"},
        "identifiers": {"email_hash": HASH},
        "_meta": {"ts": NOW, "tier": "T1"},
    }
    for name, value in changes.items():
        table, key = (raw["_meta"], name[5:]) if name.startswith("meta_") else (raw, name)
        table[key] = value
    return raw


def parsed(**changes: Any) -> Event:
    """The event of a message."""
    return uiaf.parse(message(**changes), NOW, "brand-a")


def test_a_complete_event_is_read_whole() -> None:
    event = parsed(
        attributes={"first_name_hash": HASH},
        click_ids={"gclid": "x1"},
        consent={"analytics_storage": "granted", "ad_user_data": "granted"},
        meta_page_url="https://example.com/account",
        meta_trigger="login",
        meta_sensor="1.0.0",
        meta_normalization="uiaf-1",
    )
    assert event == Event(
        event_id="1",
        kind="identity_link",
        ts=NOW,
        received_at=NOW,
        identifiers=(Identifier("uid", UID), Identifier("email_hash", HASH)),
        tier="T1",
        signals={"analytics_storage": "granted", "ad_user_data": "granted"},
        session_id="s1",
        site="brand-a",
        source="sensor",
        verified=False,
        body={
            "page_url": "https://example.com/account",
            "trigger": "login",
            "sensor": "1.0.0",
            "normalization": "uiaf-1",
            "attributes": {"first_name_hash": HASH},
            "click_ids": {"gclid": "x1"},
        },
    )


REFUSED: Final[list[Any]] = [
    pytest.param([], "invalid_event", None, id="an array"),
    pytest.param("text", "invalid_event", None, id="a text"),
    pytest.param(None, "invalid_event", None, id="null"),
    pytest.param(1, "invalid_event", None, id="a number"),
    pytest.param({}, "invalid_event", "event", id="an empty object"),
    pytest.param(message(event=None), "invalid_event", "event", id="event is null"),
    pytest.param(message(event="purchase"), "invalid_event", "event", id="event is unknown"),
    pytest.param(message(event=1), "invalid_event", "event", id="event is a number"),
    pytest.param(message(event_id=1), "invalid_event", "event_id", id="event_id is a number"),
    pytest.param(message(event_id=""), "invalid_event", "event_id", id="event_id is empty"),
    pytest.param(message(event_id="x" * 101), "invalid_event", "event_id", id="event_id is too long"),
    pytest.param(message(event_id=ADDRESS), "invalid_event", "event_id", id="event_id is an address"),
    pytest.param(message(identity=None), "invalid_event", "identity.uid", id="no identity"),
    pytest.param(message(identity={}), "invalid_event", "identity.uid", id="no uid"),
    pytest.param(message(identity="x"), "invalid_event", "identity", id="identity is a text"),
    pytest.param(message(identity={"uid": 1}), "invalid_event", "identity.uid", id="uid is a number"),
    pytest.param(message(identity={"uid": "x"}), "invalid_event", "identity.uid", id="uid is none"),
    pytest.param(message(identity={"uid": UID + "\n"}), "invalid_event", "identity.uid", id="uid with a newline"),
    pytest.param(message(identity={"uid": UID[:36]}), "invalid_event", "identity.uid", id="uid without seconds"),
    pytest.param(message(identity={"uid": UID[:37] + "١"}), "invalid_event", "identity.uid", id="uid, Arabic digits"),
    pytest.param(
        message(identity={"uid": UID, "session_id": "x" * 101}), "invalid_event", "identity.session_id", id="session"
    ),
    pytest.param(
        message(identity={"uid": UID, "session_id": ADDRESS}),
        "invalid_event",
        "identity.session_id",
        id="session_id is an address",
    ),
    pytest.param(message(identifiers=[]), "invalid_event", "identifiers", id="identifiers is an array"),
    pytest.param(message(identifiers={"email_hash": 1}), "invalid_event", "identifiers", id="identifier is a number"),
    pytest.param(message(identifiers={"email_hash": [HASH]}), "invalid_event", "identifiers", id="identifier, array"),
    pytest.param(message(identifiers={"x" * 65: "1"}), "invalid_event", "identifiers", id="type is too long"),
    pytest.param(message(identifiers={"x": "1" * 2049}), "invalid_event", "identifiers", id="value is too long"),
    pytest.param(
        message(identifiers={f"x{n}": "1" for n in range(51)}), "invalid_event", "identifiers", id="51 identifiers"
    ),
    pytest.param(message(attributes={"a": 1}), "invalid_event", "attributes", id="attribute is a number"),
    pytest.param(message(click_ids=[]), "invalid_event", "click_ids", id="click_ids is an array"),
    pytest.param(message(consent="T1"), "invalid_event", "consent", id="consent is a text"),
    pytest.param(
        message(consent={"ad_user_data": "yes"}), "invalid_event", "consent.ad_user_data", id="a signal is unknown"
    ),
    pytest.param(message(_meta=None), "invalid_event", "_meta.ts", id="no _meta"),
    pytest.param(message(_meta=[]), "invalid_event", "_meta", id="_meta is an array"),
    pytest.param(message(meta_ts=None), "invalid_event", "_meta.ts", id="no time"),
    pytest.param(message(meta_ts="1"), "invalid_event", "_meta.ts", id="time is a text"),
    pytest.param(message(meta_ts=1.5), "invalid_event", "_meta.ts", id="time is a fraction"),
    pytest.param(message(meta_ts=True), "invalid_event", "_meta.ts", id="time is true"),
    pytest.param(message(meta_ts=-1), "invalid_event", "_meta.ts", id="time is negative"),
    pytest.param(message(meta_ts=NOW + 86_400_001), "invalid_event", "_meta.ts", id="time is over a day ahead"),
    pytest.param(message(meta_ts=2**63), "invalid_event", "_meta.ts", id="time is beyond 64 bits"),
    pytest.param(message(meta_tier="T5"), "invalid_event", "_meta.tier", id="tier is unknown"),
    pytest.param(message(meta_tier=1), "invalid_event", "_meta.tier", id="tier is a number"),
    pytest.param(message(meta_sensor="x" * 65), "invalid_event", "_meta.sensor", id="sensor is too long"),
    pytest.param(message(meta_page_url=1), "invalid_event", "_meta.page_url", id="page_url is a number"),
    pytest.param(message(extra="a\x00b"), "invalid_event", None, id="NUL in an unknown member"),
    pytest.param(message(extra={"a\x00b": 1}), "invalid_event", None, id="NUL in a name"),
    pytest.param(message(extra="\ud800"), "invalid_event", None, id="half of a surrogate pair"),
    pytest.param(message(extra=[2**63]), "invalid_event", None, id="a number beyond 64 bits"),
    pytest.param(message(extra=json.loads("[" * 20 + "]" * 20)), "invalid_event", None, id="nested too deep"),
    pytest.param(message(extra="x" * 65_536), "too_large", None, id="over 64 KiB"),
]


@pytest.mark.parametrize(("raw", "code", "field"), REFUSED)
def test_an_event_without_the_expected_form_is_refused(raw: Any, code: str, field: str | None) -> None:
    with pytest.raises(OnefoldError) as caught:
        uiaf.parse(raw, NOW)
    assert (caught.value.code, caught.value.field) == (code, field)
    assert ADDRESS not in caught.value.detail


ACCEPTED: Final[list[Any]] = [
    pytest.param({"meta_ts": 0}, id="the beginning of time"),
    pytest.param({"meta_ts": NOW + 86_400_000}, id="a day ahead: clocks are wrong"),
    pytest.param({"identity": {"uid": UID, "session_id": None}}, id="session_id is null"),
    pytest.param({"identifiers": None}, id="identifiers is null"),
    pytest.param({"identifiers": {"email_hash": None}}, id="an identifier is null"),
    pytest.param({"attributes": None, "click_ids": None, "consent": None, "claim": None}, id="the optional are null"),
    pytest.param({"meta_tier": None}, id="the tier is missing: the gate says so"),
    pytest.param({"identifiers": {f"x{n}": "1" for n in range(50)}}, id="50 identifiers"),
]


@pytest.mark.parametrize("changes", ACCEPTED)
def test_an_event_at_the_edge_of_the_expected_form_is_read(changes: dict[str, Any]) -> None:
    assert parsed(**changes).identifiers[0] == Identifier("uid", UID)


def test_a_uid_is_matched_in_lower_case() -> None:
    assert parsed(identity={"uid": UID.upper()}).identifiers[0].value == UID


@pytest.mark.parametrize("kind", ["page_view", "consent_update"])
def test_only_identity_link_carries_more_than_the_uid(kind: str) -> None:
    assert parsed(event=kind).identifiers == (Identifier("uid", UID),)


def test_an_event_without_an_id_is_known_by_its_content_whatever_the_order_of_its_members() -> None:
    raw = message(event_id=None)
    turned = dict(reversed(raw.items()))
    other = message(event_id=None, meta_ts=NOW - 1)
    assert uiaf.parse(raw, NOW).event_id == uiaf.parse(turned, NOW + 5).event_id
    assert uiaf.parse(raw, NOW).event_id != uiaf.parse(other, NOW).event_id


PAGE_URLS: Final[list[Any]] = [
    pytest.param("https://a.example/?_uiaf_token=abc", "https://a.example/", id="a token alone"),
    pytest.param("https://a.example/?x=1&_uiaf_token=abc&y=2", "https://a.example/?x=1&y=2", id="a token between"),
    pytest.param("https://a.example/#_uiaf_token=abc", "https://a.example/#", id="a token in the fragment"),
    pytest.param("https://a.example/?_UIAF_TOKEN=abc", "https://a.example/", id="a token in capitals"),
    pytest.param("https://a.example/?_uiaf_token=a&_uiaf_token=b", "https://a.example/", id="two tokens"),
    pytest.param("https://a.example/?m=ada@b.example", "https://a.example/?m=[removed]", id="an address"),
    pytest.param("https://a.example/?m=ada%40b.example&x=1", "https://a.example/?m=[removed]&x=1", id="encoded"),
    pytest.param("https://a.example/u/ada@b.example/", "https://a.example/u/[removed]/", id="an address in the path"),
    pytest.param("https://a.example/?x=1", "https://a.example/?x=1", id="nothing to remove"),
]


@pytest.mark.parametrize(("url", "kept"), PAGE_URLS)
def test_page_urls_are_kept_without_tokens_and_addresses(url: str, kept: str) -> None:
    assert parsed(meta_page_url=url).body["page_url"] == kept


def test_attributes_are_kept_only_as_hashes() -> None:
    sent = {"first_name_hash": HASH.upper(), "last_name": "Byron", "empty": "", "none": None, "mail": ADDRESS}
    assert parsed(attributes=sent).body["attributes"] == {"first_name_hash": HASH}


CLICKS: Final[list[Any]] = [
    pytest.param("T0", None, True, id="no consent mechanism"),
    pytest.param("T1", None, True, id="all granted"),
    pytest.param("T1", {"ad_storage": "granted"}, True, id="all granted, in signals too"),
    pytest.param("T1", {"ad_storage": "denied"}, False, id="advertising storage denied"),
    pytest.param("T2", None, False, id="analytics only"),
    pytest.param("T3", None, False, id="nothing granted"),
    pytest.param("T4", None, False, id="dormant"),
]


@pytest.mark.parametrize(("tier", "signals", "kept"), CLICKS)
def test_click_ids_are_kept_only_where_advertising_consent_allows(
    tier: str, signals: dict[str, str] | None, kept: bool
) -> None:
    event = parsed(click_ids={"gclid": "Raw.Value"}, consent=signals, meta_tier=tier)
    assert ("click_ids" in event.body) is kept


def test_click_ids_that_are_none_are_not_kept() -> None:
    sent = {"gclid": "x", "mail": "y", "fbclid": "z", "_fbc": "", "msclkid": "m" * 513, "ttclid": ADDRESS}
    assert parsed(click_ids=sent).body["click_ids"] == {"gclid": "x"}


def test_unknown_members_are_kept_as_history_without_addresses() -> None:
    event = parsed(cart={"note": f"from {ADDRESS}", ADDRESS: [ADDRESS, 1]}, meta_screen="1x1")
    assert event.body["extra"] == {
        "cart": {"note": "from [removed]", "[removed]": ["[removed]", 1]},
        "_meta": {"screen": "1x1"},
    }


def test_unknown_members_of_more_than_4_kib_are_not_kept() -> None:
    assert "extra" in parsed(cart="x" * 4_000).body
    assert "extra" not in parsed(cart="x" * 4_100).body


def test_the_claim_is_not_kept() -> None:
    assert "secret-claim" not in json.dumps(parsed(claim="secret-claim").body)


LEAKS: Final[list[Any]] = [
    pytest.param({"identifiers": {"customer_id": ADDRESS}}, id="an identifier"),
    pytest.param({"identifiers": {"customer_id": "marker%40example.com"}}, id="an encoded identifier"),
    pytest.param({"attributes": {ADDRESS: ADDRESS}}, id="an attribute"),
    pytest.param({"attributes": {ADDRESS: HASH}}, id="the name of an attribute"),
    pytest.param({"click_ids": {"gclid": ADDRESS}}, id="a click id"),
    pytest.param({"claim": ADDRESS}, id="the claim"),
    pytest.param({ADDRESS: ADDRESS}, id="an unknown member"),
    pytest.param({"identity": {"uid": UID, "email": ADDRESS}}, id="an unknown member of identity"),
    pytest.param({"consent": {"email": ADDRESS}}, id="an unknown signal"),
    pytest.param({"meta_page_url": f"https://x.example/?q={ADDRESS}"}, id="page_url"),
    pytest.param({"meta_trigger": ADDRESS}, id="trigger"),
    pytest.param({"meta_sensor": ADDRESS}, id="sensor"),
    pytest.param({"meta_normalization": ADDRESS}, id="normalization"),
    pytest.param({"meta_other": ADDRESS}, id="an unknown member of _meta"),
]


@pytest.mark.parametrize("changes", LEAKS)
def test_an_address_in_the_clear_is_kept_nowhere(changes: dict[str, Any]) -> None:
    text = json.dumps([str(parsed(**changes).identifiers), parsed(**changes).body])
    assert "marker" not in text
    assert "example.com" not in text


BODIES: Final[list[Any]] = [
    pytest.param(b"", "malformed_json", id="nothing"),
    pytest.param(b"{", "malformed_json", id="half an object"),
    pytest.param(b'{"a":1}{"a":1}', "malformed_json", id="two objects"),
    pytest.param(b'{"a":1,"a":1}', "malformed_json", id="a member twice"),
    pytest.param(b'[{"x":{"a":1,"a":1}}]', "malformed_json", id="a member twice, inside"),
    pytest.param(b'{"a":NaN}', "malformed_json", id="NaN"),
    pytest.param(b'{"a":-Infinity}', "malformed_json", id="infinity"),
    pytest.param(b"\xff\xfe{\x00}\x00", "malformed_json", id="UTF-16"),
    pytest.param(b'{"a":"\xff"}', "malformed_json", id="invalid UTF-8"),
    pytest.param(b"[" * 50_000, "malformed_json", id="50,000 open brackets"),
    pytest.param(b"[" * 50_000 + b"]" * 50_000, "malformed_json", id="50,000 nested arrays"),
    pytest.param(b'{"a":' * 50_000 + b"1" + b"}" * 50_000, "malformed_json", id="50,000 nested objects"),
    pytest.param(b'{"a":' + b"9" * 5_000 + b"}", "malformed_json", id="a number of 5,000 digits"),
    pytest.param(b"[]", "invalid_event", id="an empty array"),
    pytest.param(b"[" + b"{}," * 100 + b"{}]", "too_large", id="101 events"),
    pytest.param(b" " * 1_048_577, "too_large", id="over 1 MiB"),
]


@pytest.mark.parametrize(("body", "code"), BODIES)
def test_a_body_that_is_no_list_of_events_is_refused(body: bytes, code: str) -> None:
    with pytest.raises(OnefoldError) as caught:
        uiaf.split(body)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("body", "events"),
    [
        pytest.param(b"{}", [{}], id="one event"),
        pytest.param(b"\xef\xbb\xbf{}", [{}], id="with a byte order mark"),
        pytest.param(b"[1,null]", [1, None], id="an array, whatever is in it"),
        pytest.param(b"[" + b"{}," * 99 + b"{}]", [{}] * 100, id="100 events"),
    ],
)
def test_a_body_is_split_into_events(body: bytes, events: list[Any]) -> None:
    assert uiaf.split(body) == events


JSON: Final = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
MEMBERS: Final = (
    "event",
    "event_id",
    "identity",
    "identifiers",
    "attributes",
    "click_ids",
    "consent",
    "_meta",
    "claim",
)


def code_of(read: Callable[[], object]) -> str | None:
    """The code with which something is refused, None where it is read; every other exception is a defect."""
    try:
        read()
    except OnefoldError as error:
        return error.code
    return None


@settings(max_examples=200)
@given(st.dictionaries(st.sampled_from(MEMBERS), JSON, max_size=3), JSON)
def test_arbitrary_json_is_read_or_refused_and_nothing_else(changes: dict[str, Any], anything: Any) -> None:
    codes = {code_of(partial(uiaf.parse, raw, NOW)) for raw in ({**message(), **changes}, anything)}
    assert codes <= {None, "invalid_event", "too_large"}


@settings(max_examples=200)
@given(st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
def test_arbitrary_bytes_are_split_or_refused_and_nothing_else(body: bytes) -> None:
    assert code_of(lambda: uiaf.split(body)) in (None, "malformed_json", "invalid_event", "too_large")


@settings(max_examples=200)
@given(st.binary() | JSON.map(lambda value: json.dumps({"identifiers": value}).encode()))
def test_an_arbitrary_line_is_read_or_refused_and_nothing_else(line: bytes) -> None:
    assert code_of(lambda: lines.parse(line, 1)) in (None, "malformed_json", "invalid_event", "too_large")


PLAIN_LINES: Final[list[Any]] = [
    pytest.param({"identifiers": {"uid": "1"}}, "7", [("uid", "1")], id="known by its number"),
    pytest.param({"event_id": "a", "identifiers": {"uid": "1"}}, "a", [("uid", "1")], id="known by its id"),
    pytest.param({"event_id": 5, "identifiers": {"uid": "1"}}, "5", [("uid", "1")], id="a number for an id"),
    pytest.param({"identifiers": {"uid": ["1", 2]}}, "7", [("uid", "1"), ("uid", "2")], id="several values"),
    pytest.param({"identifiers": {"uid": 1, "email": None}}, "7", [("uid", "1")], id="a number, and null"),
]


@pytest.mark.parametrize(("line", "event_id", "identifiers"), PLAIN_LINES)
def test_a_plain_line(line: dict[str, Any], event_id: str, identifiers: list[tuple[str, str]]) -> None:
    event = lines.parse(json.dumps(line).encode(), 7)
    assert isinstance(event, Event)
    assert (event.event_id, list(event.identifiers), event.tier) == (event_id, identifiers, "T0")


def test_a_line_may_be_a_whole_uiaf_event() -> None:
    event = lines.parse(json.dumps(message()).encode(), 1)
    assert event == uiaf.parse(message(), 2**62, source="file")


@pytest.mark.parametrize("text", [b"{}", b"[]", b'{"identifiers":1}', b'{"identifiers":{},"typo":1}', b"{"])
def test_a_line_that_is_no_event_is_refused(text: bytes) -> None:
    with pytest.raises(OnefoldError):
        lines.parse(text, 1)
