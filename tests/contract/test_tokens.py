"""Cross-domain tokens: what a redeemed one does, and that nothing else does it."""

import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from random import Random
from typing import Any, Final

import msgspec
import pytest

from onefold.config import rotate_token_key
from onefold.engine import tokens as desk
from onefold.engine.groupcommit import GroupCommit
from onefold.intake import uiaf
from onefold.store.database import Contended, Database, Transaction
from onefold.web import tokens
from support.stores import NewDatabase, rows
from support.tokens import (
    A_WWW,
    BLOG,
    GRANTED,
    LOOSE,
    LOOSE_TOO,
    ONE_SIDED,
    STRANGER,
    TS,
    UID_A,
    UID_B,
    UID_C,
    UID_D,
    A,
    B,
    Web,
    configured,
    minting,
    redeeming,
)
from support.web import problem

NewWeb = Callable[..., Web]


@pytest.fixture
def new_web(new_database: NewDatabase, tmp_path: Path) -> Iterator[NewWeb]:
    """Makes endpoints over empty stores, each with its own secrets; in the end each must be what its journal gives."""
    with ExitStack() as opened:

        def new(**options: Any) -> Web:
            folder = Path(tempfile.mkdtemp(dir=tmp_path))
            web = Web(configured(opened.enter_context(new_database()), folder, **options))
            opened.callback(web.check_and_close)
            return web

        yield new


@pytest.fixture
def web(new_web: NewWeb) -> Web:
    """Browsers on the websites of an endpoint over an empty store."""
    return new_web()


class Clock:
    """The endpoint's clock, stopped; in ms."""

    now = 1_760_000_000_000


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A clock that goes on when a test says so."""
    stopped = Clock()
    monkeypatch.setattr(tokens, "now_ms", lambda: stopped.now)
    return stopped


def test_a_token_is_short_and_fit_for_a_url_and_says_how_to_carry_it(web: Web) -> None:
    response = web.mint()
    assert response.status_code == 201
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["Access-Control-Allow-Origin"] == A
    body = response.get_json()
    assert (body["param"], body["expires_in"]) == ("_uiaf_token", 120)
    assert re.fullmatch(r"[A-Za-z0-9_.-]{74}", body["token"])


def test_redeeming_joins_two_anonymous_browsers(web: Web) -> None:
    web.send(A, UID_A, "page_view")
    web.send(B, UID_B, "page_view")
    assert not web.same(UID_A, UID_B)
    response = web.redeem(web.token())
    assert (response.status_code, response.get_json()) == (202, {"linked": True})
    assert response.headers["Access-Control-Allow-Origin"] == B
    assert web.same(UID_A, UID_B)


def test_a_token_works_once(web: Web) -> None:
    token = web.token()
    assert web.redeem(token).status_code == 202
    for uid in (UID_B, UID_B.replace("b", "c")):
        assert problem(web.redeem(token, uid=uid)) == (410, "token_used")
    assert web.journaled() == 1


REFUSED_MINTING: Final[list[Any]] = [
    pytest.param({"target": "https://nobody.example"}, 403, "audience_mismatch", id="an unknown target"),
    pytest.param({"target": STRANGER}, 403, "audience_mismatch", id="a site that is no partner"),
    pytest.param({"target": BLOG}, 403, "audience_mismatch", id="a partner's partner"),
    pytest.param({"target": B + "/"}, 403, "audience_mismatch", id="a URL for an origin"),
    pytest.param({"target": B + "\r\nX-Evil: 1"}, 403, "audience_mismatch", id="header injection in the target"),
    pytest.param({"target": B + "\x00"}, 403, "audience_mismatch", id="a NUL in the target"),
    pytest.param({"origin": STRANGER}, 403, "audience_mismatch", id="from a site without partners"),
    pytest.param({"origin": "https://elsewhere.example"}, 403, "origin_not_allowed", id="from no configured site"),
    pytest.param({"tier": "T2"}, 403, "consent_denied", id="at T2"),
    pytest.param({"tier": "T3"}, 403, "consent_denied", id="at T3"),
    pytest.param({"tier": "T4"}, 403, "consent_denied", id="at T4"),
    pytest.param({"tier": None}, 403, "consent_missing", id="without a tier"),
    pytest.param(
        {"consent": {**GRANTED, "ad_user_data": "denied"}}, 403, "consent_mismatch", id="signals that disagree"
    ),
    pytest.param({"Sec_GPC": "1"}, 403, "consent_denied", id="with Global Privacy Control"),
]


@pytest.mark.parametrize(("changes", "status", "code"), REFUSED_MINTING)
def test_no_token_is_issued_for(web: Web, changes: dict[str, Any], status: int, code: str) -> None:
    assert problem(web.mint(**changes)) == (status, code)
    assert web.tokens_kept() == 0


REFUSED_REDEEMING: Final[list[Any]] = [
    pytest.param({"origin": BLOG}, 403, "audience_mismatch", id="on another partner's page"),
    pytest.param({"origin": A}, 403, "audience_mismatch", id="on the source site itself"),
    pytest.param({"origin": STRANGER}, 403, "audience_mismatch", id="on a stranger's page"),
    pytest.param({"origin": "https://elsewhere.example"}, 403, "origin_not_allowed", id="on no configured site"),
    pytest.param({"referrer": None}, 403, "referrer_mismatch", id="forwarded by mail"),
    pytest.param({"referrer": ""}, 403, "referrer_mismatch", id="with an empty referrer"),
    pytest.param({"referrer": B}, 403, "referrer_mismatch", id="opened again from its own site"),
    pytest.param({"referrer": BLOG}, 403, "referrer_mismatch", id="from another partner's page"),
    pytest.param({"referrer": A + ".evil.example"}, 403, "referrer_mismatch", id="from a look-alike"),
    pytest.param({"referrer": "https://[/"}, 403, "referrer_mismatch", id="with a broken referrer"),
    pytest.param({"uid": UID_A}, 409, "token_same_uid", id="by the browser that asked for it"),
    pytest.param({"uid": UID_A.upper()}, 409, "token_same_uid", id="by the same browser in capitals"),
    pytest.param({"tier": "T2"}, 403, "consent_denied", id="at T2"),
    pytest.param({"tier": "T3"}, 403, "consent_denied", id="at T3"),
    pytest.param({"tier": "T4"}, 403, "consent_denied", id="at T4"),
    pytest.param({"tier": None}, 403, "consent_missing", id="without a tier"),
    pytest.param(
        {"consent": {**GRANTED, "ad_user_data": "denied"}}, 403, "consent_mismatch", id="signals that disagree"
    ),
    pytest.param({"Sec_GPC": "1"}, 403, "consent_denied", id="with Global Privacy Control"),
    pytest.param(
        {"uid": "00000000-0000-0000-0000-000000000000.0"}, 422, "blocked_identifier", id="a uid that many have"
    ),
]


@pytest.mark.parametrize(("changes", "status", "code"), REFUSED_REDEEMING)
def test_a_refused_redeeming_links_nothing_and_leaves_the_token_good(
    web: Web, changes: dict[str, Any], status: int, code: str
) -> None:
    token = web.token()
    assert problem(web.redeem(token, **changes)) == (status, code)
    assert web.journaled() == 0
    assert web.redeem(token).status_code == 202


def test_a_token_of_a_site_that_links_at_t2_is_of_no_use_where_that_is_not_done(web: Web) -> None:
    token = web.token(origin=LOOSE, tier="T2")
    assert problem(web.redeem(token, referrer=LOOSE)) == (403, "consent_denied")
    assert web.journaled() == 0


@pytest.mark.parametrize(("source", "target"), [("T2", "T2"), ("T2", "T1"), ("T1", "T2"), ("T0", "T2")])
def test_a_link_at_t2_is_kept_out_of_advertising(web: Web, source: str, target: str) -> None:
    """Both ends are one site that links at T2, on two domains."""
    web.send(LOOSE, UID_A, "page_view")
    web.send(LOOSE, UID_B, "page_view")
    token = web.token(origin=LOOSE, target=LOOSE_TOO, tier=source)
    assert web.redeem(token, origin=LOOSE_TOO, referrer=LOOSE, tier=target).status_code == 202
    assert web.same(UID_A, UID_B)
    for uid, other in ((UID_A, UID_B), (UID_B, UID_A)):
        assert f"uid:{other}" not in [line["identifier"] for line in web.profile(uid, "advertising")["identifiers"]]


def test_global_privacy_control_makes_a_link_one_of_t2(web: Web) -> None:
    token = web.token(origin=LOOSE, target=LOOSE_TOO, Sec_GPC="1")
    assert web.redeem(token, origin=LOOSE_TOO, referrer=LOOSE).status_code == 202
    assert {line["tier"] for line in web.profile(UID_A)["identifiers"]} == {"T2"}


@pytest.mark.parametrize("referrer", [A, A_WWW, A + "/", A + "/shop?q=1#top"])
def test_the_referrer_may_be_any_page_of_the_source_site(web: Web, referrer: str) -> None:
    assert web.redeem(web.token(), referrer=referrer).status_code == 202


def test_a_token_is_of_no_use_once_the_sites_are_partners_no_more(web: Web) -> None:
    token = web.token()
    alone = tuple(msgspec.structs.replace(site, partners=()) for site in web.config.sites)
    web.config = msgspec.structs.replace(web.config, sites=alone)
    web.start_again()
    assert problem(web.redeem(token)) == (403, "referrer_mismatch")
    assert web.journaled() == 0


@pytest.mark.parametrize("referrer", [None, "", BLOG, "https://mail.example/inbox"])
def test_where_no_referrer_is_asked_for_any_will_do(new_web: NewWeb, referrer: str | None) -> None:
    web = new_web(require_referrer=False)
    assert web.redeem(web.token(), referrer=referrer).status_code == 202
    assert problem(web.redeem(web.token(), origin=BLOG, referrer=referrer)) == (403, "audience_mismatch")


@pytest.mark.parametrize(
    ("origin", "target"),
    [
        pytest.param(A, B, id="both name each other"),
        pytest.param(BLOG, B, id="named by both"),
        pytest.param(LOOSE, B, id="the source names the target"),
        pytest.param(ONE_SIDED, B, id="only the source names the target"),
        pytest.param(B, ONE_SIDED, id="only the target names the source"),
        pytest.param(A, A_WWW, id="one site on two domains"),
    ],
)
def test_links_between_partners_carry_tokens(web: Web, origin: str, target: str) -> None:
    token = web.token(origin=origin, target=target)
    assert web.redeem(token, origin=target, referrer=origin).status_code == 202


def test_pages_send_json_or_text_and_ask_first_where_browsers_do(web: Web) -> None:
    for content_type in ("application/json", "application/json; charset=utf-8", "text/plain;charset=UTF-8"):
        assert web.redeem(web.token(Content_Type=content_type), Content_Type=content_type).status_code == 202
        web.start_again()
    for path in ("/v1/tokens", "/v1/tokens/redeem"):
        response = web.options(path, A)
        assert (response.status_code, response.headers["Access-Control-Allow-Methods"]) == (204, "POST")
        assert response.headers["Access-Control-Allow-Origin"] == A
        assert problem(web.options(path, "https://elsewhere.example")) == (403, "origin_not_allowed")
        assert problem(web.post(path, {}, A, Content_Type="text/html")) == (415, "unsupported_media_type")


# Time.


@pytest.mark.parametrize(
    ("ttl", "age", "code"),
    [
        pytest.param(120, 120_000, None, id="exactly at its end"),
        pytest.param(120, 120_001, "token_expired", id="a millisecond later"),
        pytest.param(1, 1_000, None, id="a short one at its end"),
        pytest.param(1, 1_001, "token_expired", id="a short one later"),
    ],
)
def test_a_token_is_good_for_as_long_as_the_configuration_says(
    new_web: NewWeb, clock: Clock, ttl: int, age: int, code: str | None
) -> None:
    web = new_web(ttl_seconds=ttl)
    assert web.mint().get_json()["expires_in"] == ttl
    token = web.token()
    clock.now += age
    response = web.redeem(token)
    assert (None if response.status_code == 202 else problem(response)[1]) == code
    assert web.journaled() == (0 if code else 1)


def test_expired_records_are_swept_when_tokens_are_issued(web: Web, clock: Clock) -> None:
    for _ in range(3):
        web.token()
    clock.now += 120_001
    web.token()
    assert web.tokens_kept() == 1


def test_a_redeemed_token_that_was_swept_is_expired(web: Web, clock: Clock) -> None:
    token = web.token()
    assert web.redeem(token).status_code == 202
    clock.now += 120_001
    web.token()
    assert problem(web.redeem(token)) == (410, "token_expired")


def test_sweeping_is_bounded_and_goes_on_with_the_next_minting(
    web: Web, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk, "_SWEEP_MOST", 2)
    for _ in range(5):
        web.token()
    clock.now += 120_001
    left = []
    for _ in range(4):
        web.token()
        left.append(web.tokens_kept())
    assert left == [4, 3, 3, 4]  # two go and one comes, until none is left to go


def test_a_sweep_that_fails_costs_nobody_a_token(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(*_: object) -> int:
        raise Contended

    monkeypatch.setattr(desk, "sweep_tokens", busy)
    assert web.redeem(web.token()).status_code == 202


# Hostile requests.

NO_TEXT: Final[tuple[Any, ...]] = (7, 1.5, True, [], ["x"], {}, {"x": 1})
NO_OBJECT: Final[tuple[Any, ...]] = (7, 1.5, True, [], [{}], "x")
NO_TIME: Final[tuple[Any, ...]] = (-1, 1.5, True, [], {}, "7", 2**63, TS + 10 * 365 * 86_400_000)

WRONG: Final[dict[str, tuple[Any, ...]]] = {
    "identity": NO_OBJECT,
    "identity.uid": NO_TEXT,
    "identity.session_id": NO_TEXT,
    "consent": NO_OBJECT,
    "consent.ad_storage": (*NO_TEXT, "yes"),
    "_meta": NO_OBJECT,
    "_meta.tier": (*NO_TEXT, "T5", "t1"),
    "_meta.ts": NO_TIME,
    "_meta.page_url": NO_TEXT,
}


@pytest.mark.parametrize("field", ["token", "referrer", *WRONG])
def test_a_member_of_the_wrong_type_is_named_and_links_nothing(web: Web, field: str) -> None:
    token = web.token()
    for wrong in WRONG.get(field, NO_TEXT):
        response = web.redeem(token, body=put(redeeming(token, consent={}), field, wrong))
        assert problem(response) == (422, "invalid_event"), wrong
        assert field.startswith(response.get_json().get("field", field))
    assert web.journaled() == 0


@pytest.mark.parametrize("field", ["target", *WRONG])
def test_no_token_is_issued_where_a_member_has_the_wrong_type(web: Web, field: str) -> None:
    for wrong in WRONG.get(field, NO_TEXT):
        response = web.mint(body=put(minting(consent={}), field, wrong))
        assert problem(response) == (422, "invalid_event"), wrong
    assert web.tokens_kept() == 0


def put(body: dict[str, Any], field: str, value: Any) -> dict[str, Any]:
    """A body with a value put at a path."""
    inner = body
    *parents, name = field.split(".")
    for parent in parents:
        inner = inner[parent]
    inner[name] = value
    return body


DEEP: Final = b"[" * 30_000 + b"]" * 30_000

MALFORMED: Final[list[Any]] = [
    pytest.param(b"", 400, "malformed_json", id="nothing"),
    pytest.param(b"{", 400, "malformed_json", id="half a document"),
    pytest.param(b"\xff\xfe", 400, "malformed_json", id="not UTF-8"),
    pytest.param(b'{"token": NaN}', 400, "malformed_json", id="NaN"),
    pytest.param(b'{"token": "a", "token": "b"}', 400, "malformed_json", id="a member twice"),
    pytest.param(b'{"identity": {"uid": "a", "uid": "b"}}', 400, "malformed_json", id="an inner member twice"),
    pytest.param(DEEP, 400, "malformed_json", id="depth that the parser gives up on"),
    pytest.param(b'{"identity": ' + b'{"a":' * 500 + b"1" + b"}" * 501, 422, "invalid_event", id="depth"),
    pytest.param(b"[]", 422, "invalid_event", id="an array"),
    pytest.param(b"null", 422, "invalid_event", id="null"),
    pytest.param(b'"token"', 422, "invalid_event", id="a text"),
    pytest.param(b"{}", 422, "invalid_event", id="no member"),
    pytest.param(b'{"identity": null, "token": null}', 422, "invalid_event", id="null members"),
]


@pytest.mark.parametrize(("body", "status", "code"), MALFORMED)
def test_a_body_that_is_no_request_is_refused(web: Web, body: bytes, status: int, code: str) -> None:
    for response in (web.mint(body=body), web.redeem(None, body=body)):
        assert problem(response) == (status, code)
    assert (web.tokens_kept(), web.journaled()) == (0, 0)


@pytest.mark.parametrize("uid", ["", "x", UID_B + "\x00", UID_B + " ", "\ud800", UID_B[:-11], [UID_B], None])
def test_what_is_no_uid_redeems_nothing(web: Web, uid: Any) -> None:
    token = web.token()
    assert problem(web.redeem(token, uid=uid)) == (422, "invalid_event")
    assert web.journaled() == 0


def test_a_body_beyond_the_limit_is_refused_before_it_is_parsed(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    assert problem(web.redeem(None, body=b"x" * 65_536)) == (400, "malformed_json")
    monkeypatch.setattr(uiaf, "decode", None)
    assert problem(web.redeem(None, body=b"x" * 65_537)) == (413, "too_large")
    assert problem(web.redeem("x" * 10_000_000)) == (413, "too_large")
    assert problem(web.mint(target="https://" + "x" * 10_000_000)) == (413, "too_large")


def test_forged_and_expired_tokens_cost_no_question_to_the_database(
    web: Web, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = web.token()
    clock.now += 120_001
    token = web.token()
    opened = count_sessions(monkeypatch)
    for forged in (token[:-1], token[:30] + "." + old[31:], token.swapcase(), "", "x" * 1_000, "\x00", "\ud800", old):
        assert web.redeem(forged).status_code in (400, 410)
    assert opened == []
    assert web.redeem(token).status_code == 202
    assert opened


def count_sessions(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A list that grows with every snapshot and transaction: without one, no statement can be run."""
    opened: list[str] = []
    for name in ("snapshot", "transaction"):
        original = getattr(Database, name)

        def counted(*args: Any, _name: str = name, _original: Any = original, **more: Any) -> Any:
            opened.append(_name)
            return _original(*args, **more)

        monkeypatch.setattr(Database, name, counted)
    return opened


def test_fuzzed_tokens_are_refused_over_http_without_the_database(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    token = web.token()
    chance = Random(7)
    opened = count_sessions(monkeypatch)
    for _ in range(1_000):
        at, bit = chance.randrange(len(token)), 1 << chance.randrange(7)
        mutated = token[:at] + chr(ord(token[at]) ^ bit) + token[at + chance.choice((1, 1, 1, 2, 40)) :]
        assert problem(web.redeem(mutated)) == (400, "token_malformed")
    assert opened == []


def test_rate_limits_say_when_to_come_back(new_web: NewWeb) -> None:
    web = new_web(uid_mints_per_minute=2, site_mints_per_minute=3, uid_redeems_per_minute=1, site_redeems_per_minute=2)
    tokens = [web.token(), web.token()]
    limited = [web.mint(), web.mint(uid=UID_A.upper())]
    tokens.append(web.token(uid=UID_C))
    limited.append(web.mint(uid=UID_D))
    assert web.redeem(tokens[0]).status_code == 202
    limited += [web.redeem(tokens[1])]
    assert web.redeem(tokens[1], uid=UID_D).status_code == 202
    limited += [web.redeem(tokens[2], uid=UID_C.replace("c", "e"))]
    for response in limited:
        assert problem(response) == (429, "rate_limited")
        assert 1 <= int(response.headers["Retry-After"]) <= 60
    assert web.mint(origin=B, target=A, uid=UID_B).status_code == 201


def test_forged_tokens_do_not_use_up_the_limit(new_web: NewWeb) -> None:
    web = new_web(uid_redeems_per_minute=1)
    for _ in range(5):
        assert problem(web.redeem("forged")) == (400, "token_malformed")
    assert web.redeem(web.token()).status_code == 202


# Secrecy.


def test_no_token_is_in_an_error_a_log_line_or_the_database(
    web: Web, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refused, redeemed, and met by a defect."""
    token = web.token()
    said = [web.redeem(token, referrer=None), web.redeem(token + "x"), web.redeem(token, origin=BLOG)]
    url = f"{B}/?_uiaf_token={token}#/x?_uiaf_token={token}"
    web.redeem(token, body=redeeming(token, extra=token, _meta={"tier": "T1", "page_url": url, "more": token}))
    web.send(B, UID_B, "page_view", page_url=url)
    monkeypatch.setattr(web.state.desk, "redeem", lambda _: 1 / 0)
    said.append(web.redeem(another := web.token()))
    assert [response.status_code for response in said] == [403, 400, 403, 500]
    told = "".join(response.text + str(response.headers) for response in said)
    logged = "".join(capfd.readouterr())
    assert "request_failed" in logged
    for part in (token[:30], token[31:], another[:30], another[31:]):
        assert part not in told + logged + repr(rows(web.database))


def test_the_answer_does_not_tell_whether_somebody_is_known(web: Web) -> None:
    answers = [web.redeem(web.token()).data]
    web.send(A, UID_A, customer_id="ann")
    answers.append(web.redeem(web.token()).data)
    web.send(B, UID_B, customer_id="ann")
    answers.append(web.redeem(web.token()).data)
    web.send(B, UID_C, customer_id="bob")
    answers.append(web.redeem(web.token(), uid=UID_C).data)
    assert set(answers) == {b'{"linked":true}'}


# What it does to the graph.


def test_an_anonymous_browser_joins_a_known_person(web: Web) -> None:
    web.send(A, UID_A, customer_id="ann")
    web.send(B, UID_B, "page_view")
    web.redeem(web.token())
    assert web.same(UID_A, UID_B)


def test_two_known_people_stay_two(web: Web) -> None:
    web.send(A, UID_A, customer_id="ann")
    web.send(B, UID_B, customer_id="bob")
    web.redeem(web.token())
    assert web.owner("customer_id:ann") != web.owner("customer_id:bob")
    assert not web.same(UID_A, UID_B)
    (reason,) = [
        line for line in web.explain("customer_id:ann", "customer_id:bob")["reasons"] if line["kind"] == "limit"
    ]
    assert reason["rule"] == "customer_id.limit=1"


def test_where_only_signed_events_join_known_people_a_token_does_not(new_web: NewWeb) -> None:
    """Two addresses, which the limits would allow one person."""
    web = new_web(rules={"unsigned": "attach"})
    web.send(A, UID_A, email_hash="a" * 64)
    web.send(B, UID_B, email_hash="b" * 64)
    web.redeem(web.token())
    assert web.owner(f"email_hash:{'a' * 64}") != web.owner(f"email_hash:{'b' * 64}")


def test_explain_shows_the_event_that_a_token_made(web: Web) -> None:
    web.redeem(web.token())
    (step,) = web.explain(f"uid:{UID_A}", f"uid:{UID_B}")["chain"]
    assert (step["source"], step["site"], step["tier"], step["verified"]) == ("cross_domain", "brand-b", "T1", False)


def test_a_profile_says_which_site_each_uid_was_seen_on(web: Web) -> None:
    web.redeem(web.token())
    web.send(B, UID_A, "page_view")
    sites = {line["value"]: line["sites"] for line in web.profile(UID_A)["identifiers"]}
    assert sites == {UID_A: ["brand-a", "brand-b"], UID_B: ["brand-b"]}


def test_without_any_token_the_uids_of_two_sites_join_when_somebody_logs_in_on_both(web: Web) -> None:
    """UIAF's server-side approach: both sites send their events to one endpoint."""
    web.send(A, UID_A, "page_view")
    web.send(A, UID_A, email_hash="c" * 64)
    web.send(B, UID_B, "page_view")
    assert not web.same(UID_A, UID_B)
    web.send(B, UID_B, email_hash="c" * 64)
    assert web.same(UID_A, UID_B)
    sites = {line["type"]: line["sites"] for line in web.profile(UID_A)["identifiers"] if line["value"] != UID_B}
    assert sites == {"uid": ["brand-a"], "email_hash": ["brand-a", "brand-b"]}


def test_an_event_that_carries_the_referring_sites_uid_links_both(web: Web) -> None:
    """Snowplow's alias `refr_domain_userid`."""
    web.send(A, UID_A, "page_view")
    web.send(B, UID_B, refr_domain_userid=UID_A)
    assert web.same(UID_A, UID_B)


def test_a_shared_browsers_token_links_to_nobody_known(web: Web) -> None:
    web.send(A, UID_A, customer_id="ann")
    web.send(A, UID_A, customer_id="bob")
    assert web.owner(f"uid:{UID_A}") is None
    token = web.token()
    web.redeem(token, body=put(redeeming(token), "identity.session_id", "a session on brand-b"))
    assert web.owner(f"uid:{UID_B}") not in (None, web.owner("customer_id:ann"), web.owner("customer_id:bob"))


# Crashes.


def test_a_link_that_could_not_be_written_leaves_the_token_good(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    token = web.token()
    with monkeypatch.context() as broken:
        broken.setattr(Transaction, "append_to_ledger", lambda *_: 1 / 0)
        assert problem(web.redeem(token)) == (500, "internal_error")
    assert web.journaled() == 0
    assert web.redeem(token).status_code == 202
    assert problem(web.redeem(token)) == (410, "token_used")


def test_what_was_answered_survives_another_process(web: Web) -> None:
    used, unused = web.token(), web.token()
    web.redeem(used)
    web.start_again()
    assert problem(web.redeem(used)) == (410, "token_used")
    assert web.redeem(unused).status_code == 202


def test_while_the_store_is_away_tokens_are_unavailable_and_nothing_waits_on_disk(web: Web) -> None:
    token = web.token()
    web.state.reconciler.stop()  # it would find that the store is there
    web.state.ingest.store_away = True
    for response in (web.mint(), web.redeem(token)):
        assert problem(response) == (503, "unavailable")
        assert response.headers["Retry-After"]
    web.state.ingest.store_away = False
    assert (web.tokens_kept(), web.journaled()) == (1, 0)
    assert web.redeem(token).status_code == 202


def test_a_store_that_does_not_answer_in_time_is_unavailable(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    token = web.token()
    with monkeypatch.context() as slow:
        slow.setattr(desk, "_PATIENCE_SECONDS", 0.0)
        slow.setattr(GroupCommit, "_commit_next", lambda _: 0)
        assert problem(web.mint()) == (503, "unavailable")
        assert problem(web.redeem(token)) == (503, "unavailable")
    assert web.redeem(token).status_code == 202


# Keys.


def test_tokens_on_their_way_outlive_a_rotation_of_the_keys(web: Web) -> None:
    before = web.token()
    rotate_token_key(Path(web.config.secrets_path))
    web.start_again()
    after = web.token()
    assert web.redeem(before).status_code == 202
    assert web.redeem(after).status_code == 202


def test_tokens_of_another_endpoint_are_malformed(web: Web, new_web: NewWeb) -> None:
    assert problem(web.redeem(new_web().token())) == (400, "token_malformed")
