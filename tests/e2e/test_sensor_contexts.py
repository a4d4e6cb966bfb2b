"""Surroundings as browsers really make them, in every engine: blocked cookies, a full storage, frames, policies."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from docs.pages import blocks, page
from e2e.browser import Site, open_site
from e2e.demo import free_port, run_onefold, run_server
from e2e.engines import ENGINES, Engine, open_firefox
from e2e.test_sensor_behaviour import EMAIL, PHONE, STORED, STUB, UID, until
from e2e.test_sensor_engines import HOST, LINK, visit
from onefold.core.normalize import hash_value

ERRORS = "window.errors = []; onerror = onunhandledrejection = (e) => { errors.push(String(e.reason ?? e)) };"
SENT = {"sent": True}


# --- plain http -----------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["chromium", "firefox"], indirect=True)
def test_a_page_on_plain_http(site: Site, engine: Engine) -> None:
    """Without a secure context, and so without crypto.subtle and Web Locks, all is as on https."""
    site.pages["/"] = (
        f'<!doctype html><script>{STUB}</script><script async src="{site.url("id.test", "/onefold.js")}"'
        ' data-region="NL"></script>'
    )
    for _ in range(2):
        engine.open(site.url("shop.test"))
        engine.wait("return !!window.onefold.version")
        assert engine.run("return [isSecureContext, 'subtle' in crypto, 'locks' in navigator]") == [False] * 3
        assert engine.run(LINK) == SENT
    first, second = site.events()
    assert first["identity"]["uid"] == second["identity"]["uid"]
    assert first["identifiers"] == {
        "email_hash": hash_value("email", EMAIL),
        "phone_hash": hash_value("phone", PHONE, "NL"),
    }


# --- storage --------------------------------------------------------------------------------------

BLOCKED: dict[str, tuple[list[str], dict[str, Any]]] = {
    "chromium": ([], {"preferences": {"profile.default_content_setting_values.cookies": 2}}),
    "webkit": (["--cookies-policy=never"], {}),
    "firefox": ([], {"preferences": {"network.cookie.cookieBehavior": 2}}),
}


@pytest.mark.parametrize("name", BLOCKED)
def test_cookies_that_the_visitor_blocks(name: str) -> None:
    """With cookies blocked in the browser's settings, links leave under one uid, and nothing throws."""
    flags, options = BLOCKED[name]
    with open_site() as site, ENGINES[name](*flags, **options) as engine:
        visit(site, engine, before=ERRORS)
        assert engine.run("document.cookie = 'probe=1'; return document.cookie") == ""
        assert [engine.run(LINK), engine.run(LINK)] == [SENT, SENT]
        (uid,) = {event["identity"]["uid"] for event in site.events()}
        assert UID.fullmatch(uid)
        assert engine.run("return errors") == []


FILL = """let size = 1 << 20, parts = 0;
  while (size) try { localStorage.setItem('part' + parts, 'x'.repeat(size)); parts++ } catch { size >>= 1 }
  try { localStorage.setItem('uiaf_queue', '[]') } catch (error) { return error.name }"""


def test_a_storage_that_is_full(site: Site, engine: Engine) -> None:
    """Where localStorage takes nothing more, an event that must wait does so in memory, and arrives."""
    visit(site, engine, before=ERRORS)
    assert engine.run(FILL) == "QuotaExceededError"
    site.answer = lambda _received: 503
    assert engine.run(LINK) == {"sent": False, "reason": "queued"}
    site.received.clear()
    site.answer = lambda _received: 202
    until(lambda: site.events("identity_link"))
    assert engine.run("return errors") == []


# --- frames ---------------------------------------------------------------------------------------

FRAME = """addEventListener('load', async () => {
    const outcomes = [await onefold('link', {email: 'a@b.example'}), await onefold('link', {email: 'a@b.example'})];
    parent.postMessage({outcomes, errors, uid: onefold('uid')}, '*');
  })"""
OUTER = "<!doctype html><script>onmessage = ({data}) => { window.heard = data }</script>"


def framed(site: Site, engine: Engine, frame: str) -> Any:
    """Open a page with a frame that runs the sensor, and return what the frame says of it."""
    endpoint = f'data-endpoint="http://localhost:{site.port}"'
    site.pages["/inner"] = (
        f"<!doctype html><script>{STUB};{ERRORS}</script>"
        f'<script async src="/onefold.js" {endpoint} data-page-views></script><script>{FRAME}</script>'
    )
    site.pages["/"] = OUTER + frame
    engine.open(site.url(HOST))
    return engine.wait("return window.heard")


def test_a_sandboxed_frame(site: Site, engine: Engine) -> None:
    """Without an origin every storage throws; the sensor works for the page, and lets nothing out."""
    found = framed(site, engine, '<iframe sandbox="allow-scripts" src="/inner"></iframe>')
    assert (found["outcomes"], found["errors"]) == ([SENT, SENT], [])
    assert {event["identity"]["uid"] for event in site.events()} == {found["uid"]}


def test_a_frame_of_another_site(site: Site, engine: Engine) -> None:
    """In a third-party frame no Lax cookie is set; the browser's partitioned storage keeps the uid."""
    frame = f'<iframe src="{site.url("localhost", "/inner")}"></iframe>'
    first, second = framed(site, engine, frame), framed(site, engine, frame)
    assert (first["outcomes"], first["errors"]) == ([SENT, SENT], [])
    assert first["uid"] == second["uid"]


# --- caches ---------------------------------------------------------------------------------------


PERSISTED = "addEventListener('pageshow', (event) => { window.persisted = event.persisted });"


def away_and_back(engine: Engine) -> None:
    """Leave the page for /away once its view is answered, and come back to it as it was; /away may withdraw first."""
    engine.wait("return performance.getEntriesByType('resource').some(({name}) => name.endsWith('/v1/events'))")
    engine.run("setTimeout(() => { location.href = '/away' })")
    engine.wait("return document.title === 'away' && !localStorage.uiaf_tier")
    engine.run("setTimeout(() => history.back())")
    engine.wait("return window.persisted")


def test_a_page_from_the_back_forward_cache(site: Site, engine: Engine) -> None:
    """A page that comes back as it was has kept its sensor, and sends one more view."""
    site.pages["/away"] = "<!doctype html><title>away</title>"
    visit(site, engine, "data-page-views", PERSISTED)
    until(lambda: len(site.events("page_view")) == 1)
    away_and_back(engine)
    until(lambda: len(site.events("page_view")) == 2)
    assert engine.run(LINK) == SENT
    assert len({event["identity"]["uid"] for event in site.events()}) == 1


def test_a_withdrawal_reaches_a_page_in_the_back_forward_cache(site: Site, engine: Engine) -> None:
    """What is withdrawn on the next page holds on the one that comes back: nothing is sent, and no uid is made."""
    manual = 'data-consent="manual" data-page-views'
    visit(site, engine, manual, "onefold('consent', 'T3')")
    site.pages["/away"] = site.pages["/"].replace("<script", "<title>away</title><script", 1)
    visit(site, engine, manual, PERSISTED + "onefold('consent', 'T1')")
    until(lambda: len(site.events("page_view")) == 1)
    away_and_back(engine)
    until(lambda: len(site.events("consent_update")) == 1)
    assert engine.run(LINK) == {"sent": False, "reason": "consent"}
    assert engine.run(STORED) == []
    assert [event["event"] for event in site.events()] == ["page_view", "consent_update"]


def test_a_reset_reaches_a_page_in_the_back_forward_cache(site: Site, engine: Engine) -> None:
    """Whoever logs out on the next page is not who comes back."""
    visit(site, engine, "", "onefold('reset')")
    site.pages["/away"] = site.pages["/"].replace("<script", "<title>away</title><script", 1)
    visit(site, engine, "", PERSISTED)
    assert engine.run(LINK) == SENT
    away_and_back(engine)
    assert engine.run(LINK) == SENT
    before, after = [event["identity"]["uid"] for event in site.events("identity_link")]
    assert before != after
    assert engine.run("return onefold('uid')") == after


# --- policies -------------------------------------------------------------------------------------

POLICIES = [block.text for block in blocks(page("docs/how-to/content-security-policy.md")) if block.language == "http"]
VIOLATIONS = """window.broken = [];
  document.addEventListener('securitypolicyviolation', ({blockedURI, violatedDirective}) => {
    if (!blockedURI.endsWith('/favicon.ico')) broken.push(violatedDirective);  // the browser's own wish
  })"""


@pytest.mark.parametrize("policy", POLICIES, ids=["nonce", "hash"])
def test_the_documented_policies_are_enough(site: Site, engine: Engine, policy: str) -> None:
    """Each header of the documentation lets the sensor work and has nothing to report."""
    name, _, value = policy.strip().partition(": ")
    endpoint = f"http://localhost:{site.port}"
    value = value.replace("https://id.example.com", endpoint)
    site.headers[name] = value.replace("script-src", "script-src 'nonce-test'")  # for the script that listens here
    nonce = "".join(re.findall(r"'nonce-([^']+)'", value))
    site.pages["/"] = (
        f'<!doctype html><script nonce="test">{VIOLATIONS}</script>'
        f'<script nonce="{nonce}">{STUB}</script>'
        f'<script async src="{endpoint}/onefold.js" data-page-views data-domains="brand-b.example"></script>'
    )
    site.answer = lambda received: 201 if received.path == "/v1/tokens" else 202
    site.tell = lambda _received: {"token": "t", "param": "_uiaf_token", "expires_in": 120}
    engine.open(site.url(HOST))
    engine.wait("return !!window.onefold?.version")
    assert engine.run(LINK) == SENT
    until(lambda: len(site.events()) == 2)
    link = "https://brand-b.example/"
    assert engine.run(f"return onefold('decorate', '{link}')") == f"{link}?_uiaf_token=t"
    assert engine.run("return broken") == []


def test_there_are_two_documented_policies() -> None:
    """One with a nonce, one with the stub's hash; neither allows anything unsafe, and both enforce Trusted Types."""
    assert ["'nonce-" in policy for policy in POLICIES] == [True, False]
    for policy in POLICIES:
        assert "unsafe" not in policy
        assert "default-src 'none'" in policy
        assert "require-trusted-types-for 'script'; trusted-types 'none'" in policy


# --- Global Privacy Control -----------------------------------------------------------------------


def test_global_privacy_control_as_a_browser_has_it() -> None:
    """Firefox with the setting on sends the header, and the sensor sends page views and no links."""
    with open_site() as site, open_firefox({"privacy.globalprivacycontrol.enabled": True}) as engine:
        visit(site, engine, "data-page-views")
        assert engine.run(LINK) == {"sent": False, "reason": "consent"}
        until(site.events)
        (received,) = site.received
        assert received.headers["Sec-GPC"] == "1"
        assert (received.event["event"], received.event["_meta"]["tier"]) == ("page_view", "T2")


# --- subresource integrity ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pinned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, str]]:
    """A site of a real endpoint, and the pinned script tag that `onefold init` has printed for it."""
    folder, port = tmp_path_factory.mktemp("pinned"), free_port()
    with open_site() as site:
        done = run_onefold(folder, "init", "--url", f"http://localhost:{port}", "--origin", site.url(HOST, ""))
        (tag,) = re.findall(r"<script async .*integrity=.*</script>", done.stdout)
        with run_server(["serve", "--port", str(port)], "localhost", port, folder):
            yield site, tag


def test_the_printed_hash_lets_the_script_run(pinned: tuple[Site, str], engine: Engine) -> None:
    """With the tag that `onefold init` prints, the versioned file is loaded and links."""
    site, tag = pinned
    site.pages["/"] = f"<!doctype html><script>{STUB}</script>{tag}"
    engine.open(site.url(HOST))
    engine.wait("return !!window.onefold.version")
    assert engine.run(LINK) == SENT


def test_another_hash_keeps_it_out(pinned: tuple[Site, str], engine: Engine) -> None:
    """Where the content is not what the page expects the browser runs nothing, and calls stay in the stub's queue."""
    site, tag = pinned
    wrong = re.sub(r"sha384-.{4}", "sha384-AAAA", tag).replace("<script", "<script onerror='window.refused = true'")
    site.pages["/"] = f"<!doctype html><script>{STUB};{ERRORS}</script>{wrong}"
    engine.open(site.url(HOST))
    engine.wait("return window.refused")
    waiting = engine.run("onefold('link', {email: 'a@b.example'}); return [!!onefold.version, onefold.q.length]")
    assert waiting == [False, 1]
    assert engine.run("return errors") == []
