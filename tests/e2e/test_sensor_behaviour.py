"""What the shipped script does in a real page: what it sends, stores, and never does."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

import pytest

from e2e.browser import PATIENCE_SECONDS, Browser, Site
from onefold.core.normalize import hash_value

HOST = "shop.localhost"
EMAIL = "J.Doe@Gmail.com"
PHONE = "06-12345678"
UID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\.\d{10}")
STUB = "window.onefold=window.onefold||function(){(onefold.q=onefold.q||[]).push(arguments)}"
GTAG = "window.dataLayer=window.dataLayer||[];function gtag(){dataLayer.push(arguments)}"
STORED = """return [document.cookie, ...Object.keys(localStorage), ...Object.keys(sessionStorage)]
  .filter(Boolean)"""
ALL_GRANTED = "{ad_storage:'granted',ad_user_data:'granted',ad_personalization:'granted',analytics_storage:'granted'}"
ALL_DENIED = ALL_GRANTED.replace("granted", "denied")


def page(site: Site, attributes: str = "", before: str = "", after: str = "") -> str:
    """Return a page with the stub, the script, and more script around them."""
    endpoint = f'data-endpoint="http://id.localhost:{site.port}"'
    return (
        f'<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,">'
        f"<script>{STUB}</script><script>{before}</script>"
        f'<script async src="/onefold.js" {endpoint} {attributes}></script>'
        f"<script>{after}</script>"
    )


def visit(site: Site, browser: Browser, attributes: str = "", before: str = "", after: str = "", at: str = "/") -> None:
    """Open a page with these parts, and wait until the sensor runs."""
    site.pages["/"] = page(site, attributes, before, after)
    browser.open(site.url(HOST, at))
    browser.wait("return !!window.onefold.version")


def link(browser: Browser, more: str = "") -> Any:
    """Link an email address, and return what became of it."""
    return browser.run(f"return onefold('link', {{email: '{EMAIL}'}}{more})")


def until(test: Callable[[], Any]) -> None:
    """Wait until something holds that happens outside the page."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not test():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def test_link_sends_hashes_and_no_raw_value(site: Site, browser: Browser) -> None:
    """A link carries the hashes of what was said, and nothing of what was said itself."""
    visit(site, browser, 'data-region="NL"', at="/?x=1&_uiaf_token=secret&mail=a%40b.example#part")
    outcome = browser.run(
        f"""return onefold('link', {{email: '{EMAIL}', phone: '{PHONE}', customer_id: 'CUS12345',
            first_name: ' Jane ', last_name: '', favourite: 'blue'}}, {{trigger: 'login'}})"""
    )
    assert outcome == {"sent": True}
    (received,) = [one for one in site.received if one.path == "/v1/events"]
    event = received.event
    assert UID.fullmatch(event["identity"]["uid"])
    assert re.fullmatch(r"[0-9a-f-]{36}", event["event_id"])
    assert event == {
        "event": "identity_link",
        "event_id": event["event_id"],
        "identity": {
            "uid": browser.run("return onefold('uid')"),
            "session_id": browser.run("return sessionStorage.uiaf_session_id"),
        },
        "identifiers": {
            "email_hash": hash_value("email", EMAIL),
            "phone_hash": hash_value("phone", PHONE, "NL"),
            "customer_id": "CUS12345",
        },
        "attributes": {"first_name_hash": hash_value("name", "Jane")},
        "click_ids": None,
        "consent": dict.fromkeys(("ad_storage", "ad_user_data", "ad_personalization", "analytics_storage")),
        "claim": None,
        "_meta": {
            "ts": event["_meta"]["ts"],
            "tier": "T0",
            "page_url": site.url(HOST, "/?x=1"),
            "trigger": "login",
            "sensor": browser.run("return onefold.version"),
            "normalization": "uiaf-1",
        },
    }
    headers = {name.lower(): value for name, value in received.headers.items()}
    assert headers["content-type"].startswith("text/plain")
    assert site.preflights == 0
    whole = received.text.lower()
    assert not any(raw in whole for raw in ("doe@", "gmail", "12345678", "jane", "blue", "secret"))
    posts = [sent.body for sent in browser.requests() if sent.method == "POST" and sent.url.endswith("/v1/events")]
    assert posts == [received.text]


def test_the_uid_is_kept_in_cookie_and_local_storage(site: Site, browser: Browser) -> None:
    """The cookie lasts 400 days, is Lax and readable, and either copy restores the other."""
    visit(site, browser)
    uid = browser.run("return onefold('uid')")
    cookie = browser.driver.get_cookie("uiaf_uid")
    assert cookie is not None
    assert cookie["value"] == uid
    assert (cookie["sameSite"], cookie["httpOnly"], cookie["secure"]) == ("Lax", False, False)
    assert abs(cookie["expiry"] - time.time() - 34560000) < 3600
    browser.driver.delete_cookie("uiaf_uid")
    visit(site, browser)
    assert browser.run("return onefold('uid')") == uid
    assert browser.driver.get_cookie("uiaf_uid") is not None
    browser.run("localStorage.clear()")
    visit(site, browser)
    assert browser.run("return [onefold('uid'), localStorage.uiaf_uid]") == [uid, uid]


def test_subdomains_share_the_uid(site: Site, browser: Browser) -> None:
    """The cookie stands on the widest domain the browser takes."""
    site.pages["/"] = page(site)
    found = []
    for host in ("www.shop.test", "blog.shop.test"):
        browser.open(site.url(host))
        browser.wait("return !!window.onefold.version")
        found.append(browser.run("return onefold('uid')"))
    assert found[0] == found[1]
    cookie = browser.driver.get_cookie("uiaf_uid")
    assert cookie is not None
    assert cookie["domain"].lstrip(".") == "shop.test"


def test_calls_made_before_the_script_are_replayed_once(site: Site, browser: Browser) -> None:
    """What the stub collected is done when the script arrives."""
    visit(site, browser, before=f"onefold('link', {{email: '{EMAIL}'}})")
    until(site.events)
    (event,) = site.events()
    assert event["identifiers"] == {"email_hash": hash_value("email", EMAIL)}


def test_a_second_script_changes_nothing(site: Site, browser: Browser) -> None:
    """Loading the script again keeps the first sensor, and replays nothing again."""
    visit(site, browser, "data-page-views", before=f"onefold('link', {{email: '{EMAIL}'}})")
    until(lambda: len(site.events()) == 2)
    browser.run("""window.first = onefold;
        return new Promise((done) => {
          const again = document.createElement('script');
          again.src = '/onefold.js';
          again.dataset.pageViews = '';
          again.onload = done;
          document.head.append(again);
        })""")
    assert browser.run("return window.first === onefold")
    assert link(browser) == {"sent": True}
    names = sorted(event["event"] for event in site.events())
    assert names == ["identity_link", "identity_link", "page_view"]


def test_a_page_view_has_the_uid_and_no_identifier(site: Site, browser: Browser) -> None:
    """One page_view a load where the attribute asks for it, with raw click ids under T0."""
    visit(site, browser, "data-page-views", before="document.cookie='_fbp=fb.1.2.3'", at="/?gclid=A%2Bb")
    until(site.events)
    (event,) = site.events()
    assert event["event"] == "page_view"
    assert (event["identifiers"], event["attributes"]) == (None, None)
    assert event["click_ids"] == {"gclid": "A+b", "_fbp": "fb.1.2.3"}


@pytest.mark.parametrize("tier", ["T2", "T3", "T4"])
def test_no_link_leaves_without_advertising_consent(site: Site, browser: Browser, tier: str) -> None:
    """At T2, T3 and T4 link() answers that consent is missing, and nothing is posted."""
    visit(site, browser, 'data-consent="manual"', before=f"onefold('consent', '{tier}')")
    assert link(browser) == {"sent": False, "reason": "consent"}
    assert site.events() == []


@pytest.mark.parametrize("tier", ["T3", "T4"])
def test_nothing_is_stored_without_consent(site: Site, browser: Browser, tier: str) -> None:
    """Before consent is known, and at T3 and T4, no cookie and no storage is written."""
    visit(site, browser, 'data-consent="manual" data-page-views')
    assert browser.run(STORED) == []
    browser.run(f"onefold('consent', '{tier}')")
    assert link(browser) == {"sent": False, "reason": "consent"}
    assert browser.run("return onefold('page')") == {"sent": False, "reason": "consent"}
    browser.run("onefold('reset')")
    assert browser.run("return onefold('uid')") is None
    assert browser.run(STORED) == []
    assert site.events() == []


def test_t2_sends_page_views_without_click_ids(site: Site, browser: Browser) -> None:
    """Analytics consent alone allows the uid and page_view; click ids are not even in the address."""
    visit(site, browser, 'data-consent="manual"', at="/?gclid=abc&y=2")
    browser.run("onefold('consent', {analytics_storage: 'granted'})")
    assert browser.run("return onefold('page')") == {"sent": True}
    (event,) = site.events()
    assert (event["_meta"]["tier"], event["click_ids"]) == ("T2", None)
    assert event["_meta"]["page_url"] == site.url(HOST, "/?y=2")


def test_a_held_link_is_decided_when_consent_arrives(site: Site, browser: Browser) -> None:
    """A link made before consent waits in memory, and leaves once consent allows it."""
    visit(site, browser, 'data-consent="manual"')
    browser.run(f"window.held = onefold('link', {{email: '{EMAIL}'}}); return 1")
    assert site.events() == []
    assert browser.run(STORED) == []
    browser.run("onefold('consent', 'T1')")
    assert browser.run("return window.held") == {"sent": True}
    assert [event["_meta"]["tier"] for event in site.events()] == ["T1"]


@pytest.mark.parametrize("tier", ["T3", "T4"])
def test_withdrawal_reports_once_and_forgets_everything(site: Site, browser: Browser, tier: str) -> None:
    """Entering T3 or T4 sends one consent_update with the old uid, then nothing is left."""
    visit(site, browser, 'data-consent="manual"', before="window.setTimeout = () => 0")
    browser.run("onefold('consent', 'T1')")
    assert link(browser) == {"sent": True}
    uid = browser.run("return onefold('uid')")
    site.answer = lambda _received: 503
    assert link(browser) == {"sent": False, "reason": "queued"}
    assert "uiaf_queue" in browser.run(STORED)
    site.answer = lambda _received: 202
    browser.run(f"onefold('consent', '{tier}')")
    until(lambda: site.events("consent_update"))
    assert browser.run(STORED) == []
    (update,) = site.events("consent_update")
    assert (update["identity"]["uid"], update["_meta"]["tier"]) == (uid, tier)
    assert update["identity"]["session_id"] is None
    assert set(update["consent"].values()) == {"denied"}
    posted = len(site.received)
    assert link(browser) == {"sent": False, "reason": "consent"}
    visit(site, browser, 'data-consent="manual"', before=f"onefold('consent', '{tier}')")
    assert browser.run("return onefold('uid')") is None
    assert len(site.received) == posted


def test_withdrawal_to_t2_drops_queued_links_and_keeps_the_uid(site: Site, browser: Browser) -> None:
    """Where only advertising is withdrawn, the uid stays and no queued link leaves any more."""
    # A retry by timer could come in between.
    visit(site, browser, 'data-consent="manual"', before="window.setTimeout = () => 0")
    browser.run("onefold('consent', 'T1')")
    uid = browser.run("return onefold('uid')")
    site.answer = lambda _received: 503
    link(browser)
    site.received.clear()
    site.answer = lambda _received: 202
    browser.run("onefold('consent', {ad_user_data: 'denied'})")
    until(lambda: site.events("consent_update"))
    assert browser.run("return onefold('uid')") == uid
    assert "uiaf_queue" not in browser.run(STORED)
    visit(site, browser, 'data-consent="manual"', before="onefold('consent', 'T2')")
    assert browser.run("return onefold('page')") == {"sent": True}
    assert site.events("identity_link") == []


def test_a_returning_visitor_is_not_reported_again(site: Site, browser: Browser) -> None:
    """A consent tool that states the same tier on every page causes no consent_update."""
    for _ in range(2):
        visit(site, browser, 'data-consent="manual"', before="onefold('consent', 'T1')")
        assert browser.run("return onefold('page')") == {"sent": True}
    assert site.events("consent_update") == []


def test_consent_mode_is_found_and_followed(site: Site, browser: Browser) -> None:
    """With a denied default nothing happens until an update grants; both are arguments objects."""
    visit(site, browser, before=f"{GTAG} gtag('consent', 'default', {ALL_DENIED})")
    assert browser.run(STORED) == []
    assert link(browser) == {"sent": False, "reason": "consent"}
    browser.run(f"gtag('consent', 'update', {ALL_GRANTED})")
    assert link(browser) == {"sent": True}
    names = [(event["event"], event["_meta"]["tier"]) for event in site.events()]
    assert names == [("consent_update", "T1"), ("identity_link", "T1")]
    assert set(site.events()[1]["consent"].values()) == {"granted"}


def test_consent_mode_ignores_what_google_ignores(site: Site, browser: Browser) -> None:
    """A plain array in dataLayer is no command: the default stays."""
    visit(site, browser, before=f"{GTAG} gtag('consent', 'default', {ALL_DENIED})")
    browser.run(f"dataLayer.push(['consent', 'update', {ALL_GRANTED}])")
    assert link(browser) == {"sent": False, "reason": "consent"}


def test_a_default_that_comes_late_is_followed(site: Site, browser: Browser) -> None:
    """Where a tag manager brings the default after the sensor started, it holds from then on."""
    visit(site, browser, before=GTAG)
    assert link(browser) == {"sent": True}
    browser.run(f"gtag('consent', 'default', Object.assign({ALL_DENIED}, {{wait_for_update: 0}}))")
    browser.run("return new Promise((done) => setTimeout(done, 50))")
    assert link(browser) == {"sent": False, "reason": "consent"}


def test_a_regional_default_may_deny_but_not_grant(site: Site, browser: Browser) -> None:
    """A default for some regions only counts where it denies."""
    regional = f"Object.assign({ALL_GRANTED}, {{region: ['US'], ad_user_data: 'denied'}})"
    before = f"{GTAG} gtag('consent', 'default', {regional});"
    visit(site, browser, before=before + f"gtag('consent', 'default', {ALL_GRANTED})")
    assert link(browser) == {"sent": False, "reason": "consent"}
    assert browser.run("return onefold('page')") == {"sent": True}
    assert [event["_meta"]["tier"] for event in site.events()] == ["T2"]


@pytest.mark.parametrize("attribute", ["", 'data-consent="nonsense"'])
def test_an_unread_consent_mechanism_allows_nothing(site: Site, browser: Browser, attribute: str) -> None:
    """With a TCF banner, or a source nobody knows, nothing happens until the page calls consent()."""
    visit(site, browser, attribute + " data-page-views", before="window.__tcfapi = () => {}")
    assert browser.run(STORED) == []
    assert browser.run("return onefold('uid')") is None
    browser.run("onefold('consent', 'T1')")
    until(lambda: site.events("page_view"))


def test_a_default_is_no_withdrawal(site: Site, browser: Browser) -> None:
    """A returning visitor keeps the uid while the page's denied default awaits their stored choice."""
    parts = f"{GTAG} gtag('consent', 'default', {ALL_DENIED});"
    granted = f"gtag('consent', 'update', {ALL_GRANTED})"
    visit(site, browser, before=parts + granted)
    uid = browser.run("return onefold('uid')")
    assert uid
    visit(site, browser, before=parts)
    assert link(browser) == {"sent": False, "reason": "consent"}
    assert browser.run("return onefold('uid')") is None
    browser.run(granted)
    assert browser.run("return onefold('uid')") == uid
    assert site.events("consent_update") == []


def test_global_privacy_control_denies_user_data(site: Site, browser: Browser) -> None:
    """With GPC a site without consent mechanism is at T2: page views, no links."""
    gpc = "Object.defineProperty(navigator, 'globalPrivacyControl', {value: true})"
    visit(site, browser, before=gpc)
    assert link(browser) == {"sent": False, "reason": "consent"}
    assert browser.run("return onefold('page')") == {"sent": True}
    (event,) = site.events()
    assert event["_meta"]["tier"] == "T2"
    assert event["consent"]["ad_user_data"] == "denied"


def test_an_endpoint_that_is_down_gets_the_event_once_later(site: Site, browser: Browser) -> None:
    """A failed link throws nothing, outlives the page and its lost beacon, and is delivered once."""
    errors = "window.errors=[]; onerror=onunhandledrejection=(e)=>{errors.push(String(e))};"
    # A retry by timer could come while the page is left: of timers, only the one that starts the sensor runs.
    visit(site, browser, before=errors + "const real = setTimeout; window.setTimeout = (f, ms) => ms ? 0 : real(f)")
    browser.wait("return localStorage.uiaf_uid")
    site.answer = lambda _received: None
    assert link(browser) == {"sent": False, "reason": "queued"}
    assert browser.run("return errors") == []
    browser.open("about:blank")
    until(lambda: len(site.lost) == 2)
    site.answer = lambda _received: 202
    visit(site, browser)
    until(site.events)
    browser.wait("return !localStorage.uiaf_queue")
    visit(site, browser)
    assert browser.run("return onefold('page')") == {"sent": True}
    assert [event["event"] for event in site.events()] == ["identity_link", "page_view"]
    assert {lost.event["event_id"] for lost in site.lost} == {site.events()[0]["event_id"]}


def test_a_failed_event_is_tried_again_on_the_same_page(site: Site, browser: Browser) -> None:
    """After a 503 the same event comes again by itself, under the same id."""
    site.answer = lambda _received: 202 if len(site.received) > 1 else 503
    visit(site, browser)
    assert link(browser) == {"sent": False, "reason": "queued"}
    until(lambda: len(site.received) == 3)
    browser.wait("return !localStorage.uiaf_queue")
    assert len({event["event_id"] for event in site.events()}) == 1


@pytest.mark.parametrize(
    ("status", "outcome", "queued"),
    [
        (403, {"sent": False, "reason": "origin_not_allowed"}, False),
        (422, {"sent": False, "reason": "http_422"}, False),
        (408, {"sent": False, "reason": "queued"}, True),
        (429, {"sent": False, "reason": "queued"}, True),
        (500, {"sent": False, "reason": "queued"}, True),
    ],
)
def test_only_what_may_pass_later_is_tried_again(
    site: Site, browser: Browser, status: int, outcome: dict[str, Any], queued: bool
) -> None:
    """408, 429 and server errors are queued; every other refusal is final and says why."""
    site.answer = lambda _received: status
    visit(site, browser)
    assert link(browser) == outcome
    assert browser.run("return !!localStorage.uiaf_queue") is queued


def test_what_waits_leaves_by_beacon_with_the_page(site: Site, browser: Browser) -> None:
    """On pagehide the queued event is handed to sendBeacon, whole."""
    site.answer = lambda _received: 503
    # A retry by timer would hide who sent it.
    visit(site, browser, before="window.setTimeout = () => 0")
    assert link(browser) == {"sent": False, "reason": "queued"}
    site.received.clear()
    site.answer = lambda _received: 202
    browser.open("about:blank")
    until(site.events)
    (event,) = site.events()
    assert event["identifiers"] == {"email_hash": hash_value("email", EMAIL)}


def test_a_link_made_while_the_page_is_left_arrives(site: Site, browser: Browser) -> None:
    """Hashing is done at once, so that a click handler may link and navigate."""
    visit(site, browser)
    browser.run(f"onefold('link', {{email: '{EMAIL}'}}); location.href = 'about:blank'")
    until(lambda: site.events("identity_link"))


def test_reset_gives_a_new_uid_and_session(site: Site, browser: Browser) -> None:
    """After logout the same browser is somebody unknown."""
    visit(site, browser)
    link(browser)
    browser.run("onefold('reset')")
    link(browser)
    before, after = site.events()
    assert before["identity"]["uid"] != after["identity"]["uid"]
    assert before["identity"]["session_id"] != after["identity"]["session_id"]
    assert after["identity"]["uid"] in browser.run("return document.cookie")


def test_nothing_a_page_says_throws(site: Site, browser: Browser) -> None:
    """Wrong calls answer calmly."""
    visit(site, browser, "data-debug")
    calls = {
        "onefold('link')": {"sent": False, "reason": "no_identifiers"},
        "onefold('link', null)": {"sent": False, "reason": "no_identifiers"},
        "onefold('link', 7, null)": {"sent": False, "reason": "no_identifiers"},
        "onefold('link', {email: 'nobody'})": {"sent": False, "reason": "no_identifiers"},
        "onefold('link', {first_name: 'Jane'})": {"sent": False, "reason": "no_identifiers"},
        "onefold('link', {get email() { throw 1 }})": {"sent": False, "reason": "error"},
        "onefold('nonsense', 1)": None,
        "onefold()": None,
        "onefold('consent', 42)": None,
        "onefold('on', 'sent', 5)": {},
    }
    for call, answer in calls.items():
        assert browser.run(f"return {call}") == answer, call
    assert site.events() == []


def test_listeners_hear_what_happens_and_may_fail(site: Site, browser: Browser) -> None:
    """on() tells what was sent and which tier applies; a listener that throws harms nobody."""
    visit(site, browser, 'data-consent="manual"')
    browser.run("""window.heard = [];
        onefold('on', 'consent', () => { throw 1 });
        onefold('on', 'consent', ({tier}) => heard.push(tier));
        window.stop = onefold('on', 'sent', ({event}) => heard.push(event.event));
        onefold('consent', 'T1')""")
    link(browser)
    browser.run("stop()")
    link(browser)
    assert browser.run("return heard") == ["T1", "identity_link"]


def test_the_module_starts_a_sensor_of_its_own(site: Site, browser: Browser) -> None:
    """createSensor from the ES module links like the script, to the page's own origin by default."""
    site.pages["/"] = """<!doctype html><meta charset="utf-8"><script type="module">
        import {createSensor} from '/onefold.mjs';
        window.sensor = createSensor({region: 'NL'});
      </script>"""
    browser.open(site.url("shop.test"))
    browser.wait("return !!window.sensor")
    assert browser.run(f"return sensor.link({{phone: '{PHONE}'}})") == {"sent": True}
    (event,) = site.events()
    assert event["identifiers"] == {"phone_hash": hash_value("phone", PHONE, "NL")}


NO_TIMERS = "window.setTimeout = () => 0"


def test_a_call_made_before_the_sensor_has_started_starts_it(site: Site, browser: Browser) -> None:
    """Loading only puts the API into the page; the first call is answered at once, after those of the stub."""
    visit(site, browser, before=NO_TIMERS + ";onefold('page')")
    assert browser.run("return [document.cookie, localStorage.length]") == ["", 0]
    assert browser.run("return onefold('uid')") == browser.run("return localStorage.uiaf_uid")
    assert link(browser) == {"sent": True}
    assert [event["event"] for event in site.events()] == ["page_view", "identity_link"]


def test_a_form_submitted_before_the_sensor_has_started_is_linked(site: Site, browser: Browser) -> None:
    """The submit event itself starts the sensor, which then still reads the form."""
    form = "<form data-onefold=signup action=/elsewhere><input type=email value=a@b.example></form>"
    site.pages["/elsewhere"] = "elsewhere"
    visit(site, browser, before=f"{NO_TIMERS};document.write('{form}')")
    browser.run("document.querySelector('form').requestSubmit()")
    until(lambda: site.events("identity_link"))
    assert site.events()[0]["_meta"]["trigger"] == "signup"


def test_calls_of_the_stub_leave_with_a_page_that_is_left_before_the_sensor_has_started(
    site: Site, browser: Browser
) -> None:
    """The end of the page starts the sensor, too."""
    visit(site, browser, before=NO_TIMERS + f";onefold('link', {{email: '{EMAIL}'}})")
    assert not site.events()
    browser.open("about:blank")
    until(lambda: site.events("identity_link"))
