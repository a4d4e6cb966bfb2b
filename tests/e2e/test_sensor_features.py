"""TCF, forms, page changes, match keys, two tabs and a blocked or slow script: the shipped script in Chromium."""

from __future__ import annotations

import time
from hashlib import sha256
from typing import Any

import pytest

from e2e.browser import Browser, Site
from e2e.test_sensor_behaviour import EMAIL, GTAG, HOST, PHONE, STORED, link, page, until, visit
from onefold.core.normalize import hash_value

GPC = "Object.defineProperty(navigator, 'globalPrivacyControl', {value: true});"
CMP = """window.__tcfapi = (command, version, callback) => {
    if (command !== 'addEventListener' || version !== 2) throw 'unexpected';
    window.answer = (eventStatus, purposes, gdprApplies = true, success = true) => callback(
      {eventStatus, gdprApplies, purpose: {consents: Object.fromEntries(purposes.map((p) => [p, true]))}}, success);
    answer('cmpuishown', [1, 7]);
  };"""
FORM = '<form data-onefold="login" action="/done" %s><input type="email" name="e"><button>Go</button></form>'


def digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()


# --- TCF ------------------------------------------------------------------------------------------

TCF_CASES: list[tuple[str, str, dict[str, Any], list[str]]] = [
    ("purposes 1 and 7 are consent to link", "answer('tcloaded', [1, 7])", {"sent": True}, ["T1"]),
    ("a choice made now counts like a stored one", "answer('useractioncomplete', [1, 7])", {"sent": True}, ["T1"]),
    ("without purpose 7 there is no link", "answer('tcloaded', [1])", {"sent": False, "reason": "consent"}, ["T2"]),
    ("without purpose 1 nothing is", "answer('tcloaded', [7])", {"sent": False, "reason": "consent"}, []),
    ("where GDPR does not apply nothing is asked", "answer('tcloaded', [], false)", {"sent": True}, ["T0"]),
    ("an open banner is no answer", "answer('cmpuishown', [1, 7])", {"sent": False, "reason": "consent"}, []),
    ("a failure is no answer", "answer('tcloaded', [1, 7], true, false)", {"sent": False, "reason": "consent"}, []),
    ("a silent platform is no consent", "0", {"sent": False, "reason": "consent"}, []),
]


@pytest.mark.parametrize(
    ("answer", "outcome", "tiers"), [case[1:] for case in TCF_CASES], ids=[c[0] for c in TCF_CASES]
)
def test_tcf_answers(site: Site, browser: Browser, answer: str, outcome: dict[str, Any], tiers: list[str]) -> None:
    """A TCF platform is found and asked; what it says, or does not say in half a second, decides."""
    visit(site, browser, before=CMP)
    browser.run(answer)
    assert link(browser) == outcome
    browser.run("return onefold('page')")
    assert sorted({event["_meta"]["tier"] for event in site.events()}) == tiers
    if not tiers:
        assert browser.run(STORED) == []


def test_tcf_withdrawal_forgets(site: Site, browser: Browser) -> None:
    """A later answer of the platform applies at once."""
    visit(site, browser, 'data-consent="tcf"', before=CMP)
    browser.run("answer('tcloaded', [1, 3, 4, 7])")
    assert link(browser) == {"sent": True}
    assert set(site.events("identity_link")[0]["consent"].values()) == {"granted"}
    browser.run("answer('useractioncomplete', [])")
    until(lambda: site.events("consent_update"))
    assert browser.run(STORED) == []
    assert link(browser) == {"sent": False, "reason": "consent"}


def test_a_tcf_platform_may_come_late(site: Site, browser: Browser) -> None:
    """Where the page names TCF and the platform loads after the sensor, it is asked then."""
    visit(site, browser, 'data-consent="tcf"')
    assert link(browser) == {"sent": False, "reason": "consent"}
    browser.run(CMP)
    browser.wait("return !!window.answer")
    browser.run("answer('tcloaded', [1, 7])")
    assert link(browser) == {"sent": True}


def test_consent_that_flips_while_events_wait(site: Site, browser: Browser) -> None:
    """Granted, denied and granted again: what waited under the first consent never leaves under the last."""
    visit(site, browser, 'data-consent="manual"', before="window.setTimeout = () => 0; onefold('consent', 'T1')")
    # The sensor has started and looked into its queue: nothing else will send what is queued now.
    assert browser.run("return onefold('page')") == {"sent": True}
    site.answer = lambda _received: 503
    assert link(browser) == {"sent": False, "reason": "queued"}
    site.received.clear()
    site.answer = lambda _received: 202
    browser.run("onefold('consent', 'T3'); onefold('consent', 'T1')")
    assert browser.run("return onefold('page')") == {"sent": True}
    assert site.events("identity_link") == []


# --- forms ----------------------------------------------------------------------------------------


def with_form(site: Site, browser: Browser, body: str, attributes: str = "") -> None:
    site.pages["/"] = page(site, attributes) + body
    site.pages["/done"] = "<!doctype html><title>done</title>"
    browser.open(site.url(HOST))
    browser.wait("return !!window.onefold.version")


def test_a_marked_form_links_who_filled_it_in(site: Site, browser: Browser) -> None:
    """Fields are known by autocomplete, type, or data-onefold-field; the form is sent once, by the browser."""
    fields = """<input autocomplete="section-a shipping email" value=""><input type="email" value="J.Doe@Gmail.com">
        <input autocomplete="tel-national" type="text" value="no"><input autocomplete="tel" value="06-12345678">
        <input autocomplete="given-name" value=" Jane "><input type="password" value="secret">
        <input data-onefold-field="customer_id" value="CUS1"><button>Go</button>"""
    with_form(site, browser, f'<form data-onefold="signup" action="/done">{fields}</form>', 'data-region="NL"')
    browser.run("document.querySelector('button').click()")
    until(lambda: site.events("identity_link"))
    browser.wait("return document.title === 'done'")
    (event,) = site.events()
    assert event["_meta"]["trigger"] == "signup"
    assert event["identifiers"] == {
        "email_hash": hash_value("email", EMAIL),
        "phone_hash": hash_value("phone", PHONE, "NL"),
        "customer_id": "CUS1",
    }
    assert event["attributes"] == {"first_name_hash": hash_value("name", "Jane")}


SUBMIT = "document.forms[0].dispatchEvent(new Event('submit', {bubbles: true, cancelable: true}))"
FORM_CASES = [
    ("a form without mark is not read", FORM.replace('data-onefold="login"', "") % "", "a@b.example", "", 0),
    ("an invalid form is not read", FORM % "", "nobody", "", 0),
    ("with novalidate the page decides what is valid", FORM % "novalidate", "a@b.example", "", 1),
    ("data-forms=false turns it off", FORM % "", "a@b.example", 'data-forms="false"', 0),
    ("one listener, one link", FORM % "", "a@b.example", "data-forms", 1),
]


@pytest.mark.parametrize(
    ("form", "typed", "attributes", "links"), [c[1:] for c in FORM_CASES], ids=[c[0] for c in FORM_CASES]
)
def test_which_forms_are_read(site: Site, browser: Browser, form: str, typed: str, attributes: str, links: int) -> None:
    """Marked and valid forms are; the sensor neither stops the event nor sends the form again."""
    with_form(site, browser, form, attributes)
    found = browser.run(
        """const form = document.forms[0]; let heard = 0;
        form.submit = form.requestSubmit = () => { heard += 100 };
        form.addEventListener('invalid', () => { heard += 1000 }, true);
        form.addEventListener('submit', () => heard++);
        form.e.value = arguments[0];
        const free = """
        + SUBMIT
        + "; return [heard, free]",
        typed,
    )
    assert found == [1, True]
    assert browser.run("return onefold('page')") == {"sent": True}
    until(lambda: len(site.events("identity_link")) == links)


def test_a_late_form_of_a_single_page_app_is_read(site: Site, browser: Browser) -> None:
    """The listener is on the document: forms may come later, and a page may stop the event and send by itself."""
    with_form(site, browser, "")
    browser.run(
        """document.body.innerHTML = arguments[0];
        document.forms[0].addEventListener('submit', (event) => { event.preventDefault(); event.stopPropagation() });
        document.forms[0].e.value = 'a@b.example';
        document.forms[0].requestSubmit()""",
        FORM % "",
    )
    until(lambda: len(site.events("identity_link")) == 1)
    assert site.events()[0]["_meta"]["trigger"] == "login"


# --- pages ----------------------------------------------------------------------------------------


def test_a_single_page_app_sends_a_view_for_each_address(site: Site, browser: Browser) -> None:
    """pushState and going back are page views where the address changes; the page's own history is left as it is."""
    visit(site, browser, "data-page-views")
    browser.run(
        "history.pushState({a: 1}, '', '/a'); history.pushState({}, '', '/a#x'); history.replaceState({}, '', '/a')"
    )
    until(lambda: len(site.events()) == 2)
    browser.run("history.back()")
    browser.run("history.back()")
    until(lambda: len(site.events()) == 3)
    paths = [event["_meta"]["page_url"] for event in site.events()]
    assert paths == [site.url(HOST, path) for path in ("/", "/a", "/")]
    assert browser.run("return history.length") >= 3


def test_a_held_view_keeps_the_address_where_it_happened(site: Site, browser: Browser) -> None:
    """What waits for consent tells the address of its time, click ids included."""
    visit(site, browser, 'data-consent="manual" data-page-views', at="/?gclid=g1")
    browser.run("history.pushState({}, '', '/next'); onefold('consent', 'T1')")
    until(lambda: len(site.events("page_view")) == 2)
    found = {event["_meta"]["page_url"]: event["click_ids"] for event in site.events("page_view")}
    assert found == {site.url(HOST, "/?gclid=g1"): {"gclid": "g1"}, site.url(HOST, "/next"): None}


# --- match keys -----------------------------------------------------------------------------------

MATCH_CASES = [
    ("dots and plus go at Gmail", {"email": "J.Doe+x@Gmail.com"}, {"google_email_hash": "jdoe@gmail.com"}),
    ("and at googlemail.com", {"email": "J.Doe+x@googlemail.com"}, {"google_email_hash": "jdoe@googlemail.com"}),
    ("other domains stay", {"email": "j.doe+x@a.example"}, {"google_email_hash": "j.doe+x@a.example"}),
    ("phones lose the plus", {"phone": PHONE}, {"phone_digits_hash": "31612345678"}),
]


@pytest.mark.parametrize(("identity", "keys"), [c[1:] for c in MATCH_CASES], ids=[c[0] for c in MATCH_CASES])
def test_match_keys(site: Site, browser: Browser, identity: dict[str, str], keys: dict[str, str]) -> None:
    """Where the page asks, the forms that ad platforms match on travel beside the identifiers, unsalted."""
    visit(site, browser, 'data-region="NL" data-match-keys data-salt="pepper"')
    assert browser.run("return onefold('link', arguments[0])", identity) == {"sent": True}
    (event,) = site.events()
    assert event["match_keys"] == {name: digest(text) for name, text in keys.items()}


def test_match_keys_are_off_by_default(site: Site, browser: Browser) -> None:
    """Nobody gets them without asking."""
    visit(site, browser)
    link(browser)
    assert "match_keys" not in site.events()[0]


# --- delivery -------------------------------------------------------------------------------------


def test_offline_then_online_delivers_once_from_two_tabs(site: Site, browser: Browser) -> None:
    """Two tabs share one queue: when both come online, one of them sends."""
    site.answer = lambda _received: None
    visit(site, browser)
    assert link(browser) == {"sent": False, "reason": "queued"}
    first = browser.driver.current_window_handle
    browser.driver.switch_to.new_window("tab")
    browser.open(site.url(HOST))
    browser.wait("return !!window.onefold.version")
    site.answer = lambda _received: 202
    for handle in (browser.driver.current_window_handle, first):
        browser.driver.switch_to.window(handle)
        browser.run("dispatchEvent(new Event('online'))")
    browser.wait("return !localStorage.uiaf_queue")
    time.sleep(2)  # the other tab's turn, at most 1.5 seconds later
    assert len(site.events("identity_link")) == 1
    for handle in [h for h in browser.driver.window_handles if h != first]:
        browser.driver.switch_to.window(handle)
        browser.driver.close()
    browser.driver.switch_to.window(first)


def test_retry_after_is_waited_for(site: Site, browser: Browser) -> None:
    """The next try is not before the time the endpoint names."""
    site.headers["retry-after"] = "100"
    site.answer = lambda _received: 429
    waits = "window.waits = []; const real = setTimeout; window.setTimeout = (f, ms) => { waits.push(ms); return 0 };"
    visit(site, browser, before=waits)
    assert link(browser) == {"sent": False, "reason": "queued"}
    assert browser.run("return waits.filter(Boolean)") == [100_000]


def test_a_refused_beacon_leaves_the_event_queued(site: Site, browser: Browser) -> None:
    """sendBeacon's answer is looked at: after the first refusal no more are tried, and nothing is lost."""
    site.answer = lambda _received: 503
    visit(
        site,
        browser,
        before="window.setTimeout = () => 0; window.tries = 0; navigator.sendBeacon = () => { tries++; return false }",
    )
    link(browser)
    link(browser)
    browser.run("dispatchEvent(new PageTransitionEvent('pagehide'))")
    assert browser.run("return [tries, JSON.parse(localStorage.uiaf_queue).length]") == [1, 2]


def test_events_do_not_write_to_local_storage_each(site: Site, browser: Browser) -> None:
    """One page writes the uid once: more would only wake other tabs."""
    visit(site, browser)
    browser.run(
        "window.writes = 0; const set = Storage.prototype.setItem;"
        "Storage.prototype.setItem = function (...a) { if (this === localStorage) writes++; set.apply(this, a) }"
    )
    for _ in range(3):
        link(browser)
    assert browser.run("return writes") == 0


# --- reset ----------------------------------------------------------------------------------------


def test_reset_before_consent_drops_what_waits(site: Site, browser: Browser) -> None:
    """A link that waits for consent when somebody logs out never meets the next person's uid."""
    visit(site, browser, 'data-consent="manual"')
    browser.run("window.held = onefold('link', {email: 'a@b.example'}); onefold('reset'); onefold('consent', 'T1')")
    assert browser.run("return window.held") == {"sent": False, "reason": "reset"}
    assert site.events("identity_link") == []


def test_another_tab_follows_a_reset(site: Site, browser: Browser) -> None:
    """What one tab resets, an open tab no longer sends."""
    visit(site, browser)
    old = browser.run("return onefold('uid')")
    first = browser.driver.current_window_handle
    browser.driver.switch_to.new_window("tab")
    browser.open(site.url(HOST))
    browser.wait("return !!window.onefold.version")
    browser.run("onefold('reset')")
    new = browser.run("return onefold('uid')")
    browser.driver.close()
    browser.driver.switch_to.window(first)
    assert old != new
    assert browser.run("return onefold('uid')") == new


@pytest.mark.parametrize("domain", ["shop.localhost", "shop.test"], ids=["as on https", "on plain http"])
def test_an_open_page_follows_a_reset_on_another_subdomain(site: Site, browser: Browser, domain: str) -> None:
    """The two share nothing but the cookie."""
    site.pages["/"] = page(site)
    browser.open(site.url(f"www.{domain}"))
    browser.wait("return !!window.onefold.version")
    assert link(browser) == link(browser) == {"sent": True}
    first = browser.driver.current_window_handle
    browser.driver.switch_to.new_window("tab")
    browser.open(site.url(f"blog.{domain}"))
    browser.wait("return !!window.onefold.version")
    browser.run("onefold('reset')")
    new = browser.run("return onefold('uid')")
    browser.driver.close()
    browser.driver.switch_to.window(first)
    assert link(browser) == {"sent": True}
    uids = [event["identity"]["uid"] for event in site.events("identity_link")]
    assert uids[0] == uids[1] != new
    assert uids[2] == new


def test_another_tab_follows_a_withdrawal(site: Site, browser: Browser) -> None:
    """Where one tab takes consent back, an open tab sends nothing more and stores nothing, until it is given again."""
    visit(site, browser, 'data-consent="manual"', before="onefold('consent', 'T1')")
    assert link(browser) == {"sent": True}
    first = browser.driver.current_window_handle
    browser.driver.switch_to.new_window("tab")
    browser.open(site.url(HOST))
    browser.wait("return !!window.onefold.version")
    browser.run("onefold('consent', 'T3')")
    browser.driver.switch_to.window(first)
    assert link(browser) == {"sent": False, "reason": "consent"}
    assert browser.run("return onefold('uid')") is None
    assert browser.run(STORED) == []
    (second,) = [handle for handle in browser.driver.window_handles if handle != first]
    browser.driver.switch_to.window(second)
    browser.run("onefold('consent', 'T1')")
    browser.driver.close()
    browser.driver.switch_to.window(first)
    assert link(browser) == {"sent": True}


# --- surroundings ---------------------------------------------------------------------------------


def test_a_blocked_script_harms_nothing(site: Site, browser: Browser) -> None:
    """Where the script never arrives, calls go nowhere and no error is thrown."""
    site.pages["/"] = page(site).replace("/onefold.js", "/blocked.js")
    browser.open(site.url(HOST))
    assert browser.run("return [onefold('link', {email: 'a@b.example'}) === undefined, onefold.q.length]") == [True, 1]


def test_a_slow_script_loses_no_call(site: Site, browser: Browser) -> None:
    """Calls made while the script is on its way are done when it is there."""
    site.script_delay = 1.0
    visit(site, browser, before=f"onefold('link', {{email: '{EMAIL}'}})")
    until(lambda: site.events("identity_link"))


@pytest.mark.parametrize("name", ["onefold.js", "onefold.lite.js"])
def test_one_global_and_a_silent_console(site: Site, browser: Browser, name: str) -> None:
    """The script adds one name to the window, draws nothing, and says nothing."""
    before = """window.loud = []; for (const level of Object.keys(console)) console[level] = () => loud.push(level);
        window.names = []; names.push(...Object.getOwnPropertyNames(window))"""
    site.pages["/"] = page(site, "data-page-views", before).replace("/onefold.js", "/" + name)
    browser.open(site.url(HOST))
    browser.wait("return !!window.onefold.version")
    link(browser)
    driver = r"/^cdc_|^ret_nodes$/"  # what the driver itself leaves in a page
    found = f"return [Object.getOwnPropertyNames(window).filter((n) => !names.includes(n) && !{driver}.test(n)), loud]"
    assert browser.run(found) == [[], []]
    assert browser.run("return document.body.children.length") == 0


def test_debug_traces_each_decision_without_raw_values(site: Site, browser: Browser) -> None:
    """With data-debug the console tells what was ignored, refused and sent."""
    visit(
        site,
        browser,
        'data-debug data-consent="manual"',
        before="window.said = []; console.debug = (...w) => said.push(JSON.stringify(w));",
    )
    browser.run("onefold('consent', 'T2')")
    link(browser)
    browser.run("onefold('consent', 'T1')")
    browser.run("return onefold('link', {email: 'a@b.example', nick: 'secret'})")
    said = "\n".join(browser.run("return said"))
    for part in (
        '"link",{"sent":false,"reason":"consent"}',
        '"ignored",["nick"]',
        '"link",{"sent":true}',
        '"tier":"T1"',
    ):
        assert part in said, said
    assert "secret" not in said
    assert "a@b.example" not in said


def test_parameters_of_the_address_stand_in_for_attributes(site: Site, browser: Browser) -> None:
    """A tag manager that allows no attributes puts them into the script's address; attributes win."""
    site.pages["/"] = page(site, 'data-consent="manual"').replace(
        "/onefold.js", "/onefold.js?region=NL&consent=none&pageViews"
    )
    browser.open(site.url(HOST))
    browser.wait("return !!window.onefold.version")
    assert browser.run("return onefold('uid')") is None
    browser.run("onefold('consent', 'T1')")
    assert browser.run(f"return onefold('link', {{phone: '{PHONE}'}})") == {"sent": True}
    assert site.events("identity_link")[0]["identifiers"] == {"phone_hash": hash_value("phone", PHONE, "NL")}
    until(lambda: site.events("page_view"))


def test_gpc_with_a_consent_mode_grant_still_denies(site: Site, browser: Browser) -> None:
    """Global Privacy Control outranks a banner's grant of user data."""
    grant = "gtag('consent', 'default', {analytics_storage: 'granted', ad_user_data: 'granted'})"
    visit(site, browser, before=GPC + GTAG + ";" + grant)
    assert link(browser) == {"sent": False, "reason": "consent"}


def test_the_lite_build_knows_numbers_with_a_plus_only(site: Site, browser: Browser) -> None:
    """Without the table a number is taken as it stands, or refused."""
    site.pages["/"] = page(site, 'data-region="NL"').replace("/onefold.js", "/onefold.lite.js")
    browser.open(site.url(HOST))
    browser.wait("return !!window.onefold.version")
    refused = {"sent": False, "reason": "no_identifiers"}
    assert browser.run(f"return onefold('link', {{phone: '{PHONE}'}})") == refused
    assert browser.run("return onefold('link', {phone: '+31 (0)6 12345678'})") == refused
    assert browser.run("return onefold('link', {phone: '+31 6-1234.5678'})") == {"sent": True}
    assert site.events()[0]["identifiers"] == {"phone_hash": hash_value("phone", "+31612345678")}
