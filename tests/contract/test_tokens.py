"""Cross-domain tokens: what a redeemed one does, and that nothing else does it."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from support.stores import NewDatabase
from support.tokens import A_WWW, BLOG, GRANTED, STRANGER, UID_A, UID_B, A, B, Web, configured
from support.web import counts, problem


@pytest.fixture
def web(new_database: NewDatabase, tmp_path: Path) -> Iterator[Web]:
    """Browsers on the websites of an endpoint over an empty store."""
    with new_database() as database:
        endpoint = Web(configured(database, tmp_path))
        yield endpoint
        assert endpoint.differences() == []
        endpoint.close()


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
    assert counts(web.app)["last_journal_seq"] == 1


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
    assert counts(web.app)["last_journal_seq"] == 0
    assert web.redeem(token).status_code == 202


@pytest.mark.parametrize("referrer", [A, A_WWW, A + "/", A + "/shop?q=1#top"])
def test_the_referrer_may_be_any_page_of_the_source_site(web: Web, referrer: str) -> None:
    assert web.redeem(web.token(), referrer=referrer).status_code == 202
