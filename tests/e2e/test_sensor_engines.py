"""The shipped script in WebKitGTK, Safari's engine, and in Firefox: consent, ids, forms, delivery, the vectors."""

from __future__ import annotations

import json

import pytest

from e2e.browser import Site
from e2e.engines import Engine
from e2e.test_sensor_behaviour import ALL_DENIED, ALL_GRANTED, EMAIL, GTAG, PHONE, STORED, STUB, UID, until
from e2e.test_sensor_features import CMP, FORM
from e2e.test_sensor_vectors import FILES, HASH_ALL, PAGE, vectors
from onefold.core.normalize import hash_value

HOST = "127.0.0.1"


pytestmark = pytest.mark.parametrize("engine", ["webkit", "firefox"], indirect=True)


def visit(site: Site, engine: Engine, attributes: str = "", before: str = "", body: str = "") -> None:
    """Open a page whose endpoint is another site."""
    site.pages["/"] = (
        f'<!doctype html><meta charset="utf-8"><script>{STUB}</script><script>{before}</script>'
        f'<script async src="/onefold.js" data-endpoint="http://localhost:{site.port}" {attributes}></script>{body}'
    )
    engine.open(site.url(HOST))
    engine.wait("return !!window.onefold.version")


LINK = f"return onefold('link', {{email: '{EMAIL}', phone: '{PHONE}'}}, {{trigger: 'login'}})"


def test_link_and_ids(site: Site, engine: Engine) -> None:
    """A link is hashed and sent without preflight, and the uid outlives the page."""
    visit(site, engine, 'data-region="NL"')
    assert engine.run(LINK) == {"sent": True}
    (event,) = site.events()
    assert event["identifiers"] == {
        "email_hash": hash_value("email", EMAIL),
        "phone_hash": hash_value("phone", PHONE, "NL"),
    }
    assert site.preflights == 0
    uid = event["identity"]["uid"]
    assert UID.fullmatch(uid)
    engine.run("localStorage.clear()")
    visit(site, engine)
    assert engine.run("return onefold('uid')") == uid


@pytest.mark.parametrize("name", FILES)
def test_every_vector_is_normalised_and_hashed_as_written(site: Site, engine: Engine, name: str) -> None:
    """Every shared vector has its hash here too."""
    site.pages["/"] = PAGE
    engine.open(site.url(HOST))
    engine.wait("return !!window.sensor")
    cases = vectors(name)
    found = engine.run(HASH_ALL, json.dumps(cases))
    for case, (normalized, digest) in zip(cases, found, strict=True):
        assert (normalized, digest) == (case["normalized"], case["sha256"]), case


def test_consent_mode(site: Site, engine: Engine) -> None:
    """Nothing before the grant, a link after it, nothing left after the withdrawal."""
    visit(site, engine, before=f"{GTAG}; gtag('consent', 'default', {ALL_DENIED})")
    assert engine.run(STORED) == []
    engine.run(f"gtag('consent', 'update', {ALL_GRANTED})")
    assert engine.run(LINK) == {"sent": True}
    engine.run(f"gtag('consent', 'update', {ALL_DENIED})")
    assert engine.run(LINK) == {"sent": False, "reason": "consent"}
    assert engine.run(STORED) == []


def test_tcf(site: Site, engine: Engine) -> None:
    """A TCF platform is found and heard."""
    visit(site, engine, before=CMP)
    engine.run("answer('tcloaded', [1, 7])")
    assert engine.run(LINK) == {"sent": True}


def test_form(site: Site, engine: Engine) -> None:
    """A marked form links its visitor and is sent by the browser."""
    site.pages["/done"] = "<!doctype html><title>done</title>"
    visit(site, engine, body=FORM % "")
    engine.run("const f = document.forms[0]; f.e.value = 'a@b.example'; f.requestSubmit()")
    until(lambda: site.events("identity_link"))
    engine.wait("return document.title === 'done'")
    assert site.events()[0]["_meta"]["trigger"] == "login"


def test_views_of_a_single_page_app(site: Site, engine: Engine) -> None:
    """A new address is a view."""
    visit(site, engine, "data-page-views")
    engine.run("history.pushState({}, '', '/a')")
    until(lambda: len(site.events("page_view")) == 2)


def test_endpoint_down_then_up(site: Site, engine: Engine) -> None:
    """What the endpoint did not answer waits, and arrives once."""
    site.answer = lambda _received: 503
    visit(site, engine, before="window.setTimeout = () => 0")
    assert engine.run(LINK) == {"sent": False, "reason": "queued"}
    site.received.clear()
    site.answer = lambda _received: 202
    visit(site, engine)
    until(lambda: site.events("identity_link"))
    engine.wait("return !localStorage.uiaf_queue")
    assert len({event["event_id"] for event in site.events()}) == 1
