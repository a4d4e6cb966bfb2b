"""The shipped script in WebKitGTK, Safari's engine: consent, ids, forms, delivery, and the shared vectors."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from selenium.webdriver.remote.webdriver import WebDriver
from selenium.webdriver.support.ui import WebDriverWait

from e2e.browser import PATIENCE_SECONDS, Site, open_site, open_webkit
from e2e.test_sensor_behaviour import ALL_DENIED, ALL_GRANTED, EMAIL, GTAG, PHONE, STORED, STUB, UID, until
from e2e.test_sensor_features import CMP, FORM
from e2e.test_sensor_vectors import FILES, HASH_ALL, PAGE, vectors
from onefold.core.normalize import hash_value

HOST = "127.0.0.1"


@pytest.fixture(scope="module")
def webkit() -> Iterator[WebDriver]:
    with open_webkit() as driver:
        yield driver


@pytest.fixture
def site(webkit: WebDriver) -> Iterator[Site]:
    """A site on a port of its own, so that its storage is empty; cookies know no ports, and are removed."""
    with open_site() as site:
        yield site
        webkit.get(site.url(HOST, "/missing"))
        webkit.delete_all_cookies()


def wait(webkit: WebDriver, script: str) -> Any:
    return WebDriverWait(webkit, PATIENCE_SECONDS, 0.05).until(lambda driver: driver.execute_script(script), script)


def visit(site: Site, webkit: WebDriver, attributes: str = "", before: str = "", body: str = "") -> None:
    """Open a page whose endpoint is another site."""
    site.pages["/"] = (
        f'<!doctype html><meta charset="utf-8"><script>{STUB}</script><script>{before}</script>'
        f'<script async src="/onefold.js" data-endpoint="http://localhost:{site.port}" {attributes}></script>{body}'
    )
    webkit.get(site.url(HOST))
    wait(webkit, "return !!window.onefold.version")


def ask(webkit: WebDriver, call: str) -> Any:
    """Call the sensor, and wait for what it answers."""
    script = f"const done = arguments[0]; Promise.resolve({call}).then((a) => done(a ?? null))"
    return webkit.execute_async_script(script)


LINK = f"onefold('link', {{email: '{EMAIL}', phone: '{PHONE}'}}, {{trigger: 'login'}})"


def test_link_and_ids(site: Site, webkit: WebDriver) -> None:
    """On a plain http page a link is hashed and sent without preflight, and the uid outlives the page."""
    visit(site, webkit, 'data-region="NL"')
    assert webkit.execute_script("return [isSecureContext, 'subtle' in crypto]")[0] is not None
    assert ask(webkit, LINK) == {"sent": True}
    (event,) = site.events()
    assert event["identifiers"] == {
        "email_hash": hash_value("email", EMAIL),
        "phone_hash": hash_value("phone", PHONE, "NL"),
    }
    assert site.preflights == 0
    uid = event["identity"]["uid"]
    assert UID.fullmatch(uid)
    webkit.execute_script("localStorage.clear()")
    visit(site, webkit)
    assert ask(webkit, "onefold('uid')") == uid


@pytest.mark.parametrize("name", FILES)
def test_every_vector_is_normalised_and_hashed_as_written(site: Site, webkit: WebDriver, name: str) -> None:
    """Every shared vector has its hash here too."""
    site.pages["/"] = PAGE
    webkit.get(site.url(HOST))
    wait(webkit, "return !!window.sensor")
    cases = vectors(name)
    script = f"const done = arguments[1]; (async function () {{ {HASH_ALL} }}).call(null, arguments[0]).then(done)"
    found = webkit.execute_async_script(
        script.replace("arguments[0]).map", "CASES).map").replace(
            "(async function ()", "const CASES = arguments[0]; (async function ()"
        ),
        json.dumps(cases),
    )
    for case, (normalized, digest) in zip(cases, found, strict=True):
        assert (normalized, digest) == (case["normalized"], case["sha256"]), case


def test_consent_mode(site: Site, webkit: WebDriver) -> None:
    """Nothing before the grant, a link after it, nothing left after the withdrawal."""
    visit(site, webkit, before=f"{GTAG}; gtag('consent', 'default', {ALL_DENIED})")
    assert webkit.execute_script(STORED) == []
    webkit.execute_script(f"gtag('consent', 'update', {ALL_GRANTED})")
    assert ask(webkit, LINK) == {"sent": True}
    webkit.execute_script(f"gtag('consent', 'update', {ALL_DENIED})")
    assert ask(webkit, LINK) == {"sent": False, "reason": "consent"}
    assert webkit.execute_script(STORED) == []


def test_tcf(site: Site, webkit: WebDriver) -> None:
    """A TCF platform is found and heard."""
    visit(site, webkit, before=CMP)
    webkit.execute_script("answer('tcloaded', [1, 7])")
    assert ask(webkit, LINK) == {"sent": True}


def test_form(site: Site, webkit: WebDriver) -> None:
    """A marked form links its visitor and is sent by the browser."""
    site.pages["/done"] = "<!doctype html><title>done</title>"
    visit(site, webkit, body=FORM % "")
    webkit.execute_script("const f = document.forms[0]; f.e.value = 'a@b.example'; f.requestSubmit()")
    until(lambda: site.events("identity_link"))
    wait(webkit, "return document.title === 'done'")
    assert site.events()[0]["_meta"]["trigger"] == "login"


def test_views_of_a_single_page_app(site: Site, webkit: WebDriver) -> None:
    """A new address is a view; so is a page that comes back from the cache."""
    visit(site, webkit, "data-page-views")
    webkit.execute_script("history.pushState({}, '', '/a')")
    webkit.execute_script("dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))")
    until(lambda: len(site.events("page_view")) == 3)


def test_endpoint_down_then_up(site: Site, webkit: WebDriver) -> None:
    """What the endpoint did not answer waits, and arrives once."""
    site.answer = lambda _received: 503
    visit(site, webkit, before="window.setTimeout = () => 0")
    assert ask(webkit, LINK) == {"sent": False, "reason": "queued"}
    site.received.clear()
    site.answer = lambda _received: 202
    visit(site, webkit)
    until(lambda: site.events("identity_link"))
    wait(webkit, "return !localStorage.uiaf_queue")
    assert len({event["event_id"] for event in site.events()}) == 1


def test_blocked_storage(site: Site, webkit: WebDriver) -> None:
    """With every storage throwing, links are sent under one uid."""
    block = """for (const name of ['localStorage', 'sessionStorage'])
          Object.defineProperty(window, name, {get() { throw new DOMException('no', 'SecurityError') }});
        Object.defineProperty(document, 'cookie',
          {get() { throw new DOMException('no') }, set() { throw new DOMException('no') }});"""
    visit(site, webkit, before=block)
    assert [ask(webkit, LINK), ask(webkit, LINK)] == [{"sent": True}, {"sent": True}]
    assert len({event["identity"]["uid"] for event in site.events()}) == 1


def test_strict_policy(site: Site, webkit: WebDriver) -> None:
    """A policy without unsafe-* is enough."""
    site.headers["content-security-policy"] = (
        f"default-src 'none'; script-src 'self' 'nonce-n1'; connect-src http://localhost:{site.port}"
    )
    site.pages["/"] = (
        f'<!doctype html><script nonce="n1">{STUB}</script>'
        f'<script async src="/onefold.js" data-endpoint="http://localhost:{site.port}"></script>'
    )
    webkit.get(site.url(HOST))
    wait(webkit, "return !!window.onefold.version")
    assert ask(webkit, LINK) == {"sent": True}
