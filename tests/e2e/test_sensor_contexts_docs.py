"""What the documentation of the sensor tells people to paste, pasted; and what it says they will see, seen."""

from __future__ import annotations

import re
from typing import Any

import pytest

from docs.pages import blocks, page, table
from e2e.browser import DIST, Browser, Site
from e2e.test_sensor_behaviour import HOST, STORED, STUB, link, until, visit
from e2e.test_sensor_features import CMP
from onefold.core.normalize import hash_value

ENDPOINT = "https://id.example.com"
CONSENT = page("docs/how-to/connect-consent.md")
SENT, REFUSED = {"sent": True}, {"sent": False, "reason": "consent"}


def section(text: str, heading: str) -> str:
    """What a page says below a heading, down to the next one."""
    return re.split(r"^#+ ", text.partition(f"# {heading}\n")[2], flags=re.MULTILINE)[0]


def pasted(site: Site, text: str) -> str:
    """The first block of HTML of a section, for this site's endpoint."""
    html = next(block.text for block in blocks(text) if block.language == "html")
    assert ENDPOINT in html
    return html.replace(ENDPOINT, f"http://id.localhost:{site.port}")


def open_page(site: Site, browser: Browser, html: str) -> None:
    """Open a page with this in its head, and wait for the sensor."""
    site.pages["/"] = f'<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,">{html}'
    browser.open(site.url(HOST))
    browser.wait("return !!window.onefold?.version")


@pytest.mark.parametrize("heading", ["Google Consent Mode", "By hand"])
def test_each_consent_recipe_goes_from_nothing_to_everything_and_back(
    site: Site, browser: Browser, heading: str
) -> None:
    """Pasted as documented, nothing is stored before the choice; each documented call has the tier it says."""
    recipe = section(CONSENT, heading)
    open_page(site, browser, pasted(site, recipe))
    assert browser.run(STORED) == []
    calls = next(block.text for block in blocks(recipe) if block.language == "js").splitlines()
    browser.run("window.tiers = []; onefold('on', 'consent', ({tier}) => tiers.push(tier))")
    expected = {"T1": (SENT, SENT), "T2": (REFUSED, SENT), "T3": (REFUSED, REFUSED)}
    for call, tier in zip(calls, ("T1", "T2", "T3"), strict=True):
        browser.run(call)
        assert browser.wait("return tiers.at(-1)") == tier
        assert (link(browser), browser.run("return onefold('page')")) == expected[tier]
    assert browser.run(STORED) == []
    until(lambda: {event["_meta"]["tier"] for event in site.events("consent_update")} == {"T2", "T3"})


def test_without_anybody_to_ask_a_link_leaves_at_once(site: Site, browser: Browser) -> None:
    """The last recipe is T0."""
    open_page(site, browser, pasted(site, section(CONSENT, "None")))
    assert link(browser) == SENT
    assert [event["_meta"]["tier"] for event in site.events()] == ["T0"]


PLATFORM = """<!doctype html><iframe name="__tcfapiLocator" hidden></iframe><script>%s
  addEventListener('message', ({data, source}) => {
    const call = data?.__tcfapiCall;
    if (call) window.__tcfapi(call.command, call.version, (returnValue, success) =>
      source.postMessage({__tcfapiReturn: {returnValue, success, callId: call.callId}}, '*'));
  });
  addEventListener('message', ({data}) => { if (data.outcome) window.heard = data.outcome });
  </script><iframe src="%s"></iframe>"""
ASK = "<script>onmessage = ({data}) => data === 'link' && onefold('link', {email: 'a@b.example'}).then((outcome) => \
  parent.postMessage({outcome}, '*'))</script>"
FRAMES = [
    ("the shim brings the platform's consent into a frame of another site", True, "answer('tcloaded', [1, 7])", SENT),
    ("its denial as well", True, "answer('tcloaded', [1])", REFUSED),
    ("without the shim a frame has no consent", False, "answer('tcloaded', [1, 7])", REFUSED),
]


@pytest.mark.parametrize(("shim", "answer", "outcome"), [case[1:] for case in FRAMES], ids=[case[0] for case in FRAMES])
def test_a_frame_below_a_tcf_platform(
    site: Site, browser: Browser, shim: bool, answer: str, outcome: dict[str, Any]
) -> None:
    """The documented shim speaks the messages of TCF 2.2 with the window above."""
    html = pasted(site, section(CONSENT, "In a frame"))
    if not shim:
        html = re.sub(r"^<script>.*?</script>\n", "", html, count=1, flags=re.DOTALL)
    site.pages["/frame"] = f"<!doctype html><script>{STUB}</script>{html}{ASK}"
    site.pages["/"] = PLATFORM % (CMP, site.url("news.localhost", "/frame"))
    browser.open(site.url(HOST))
    if shim:
        browser.wait("return !!window.answer")
        browser.run(answer)
    browser.run("document.querySelector('[src]').contentWindow.postMessage('link', '*')")
    assert browser.wait("return window.heard") == outcome


def test_the_script_under_a_name_of_its_own(site: Site, browser: Browser) -> None:
    """Served by the page's own site under another name, it sends to the endpoint that the tag names."""
    site.pages["/assets/site.js"] = (DIST / "onefold.v1.js").read_text()
    open_page(site, browser, pasted(site, page("docs/how-to/self-host-the-script.md")))
    assert link(browser) == SENT
    assert [sent.url for sent in browser.requests() if sent.method == "POST"] == [
        f"http://id.localhost:{site.port}/v1/events"
    ]


def test_the_module_of_a_single_page_application(site: Site, browser: Browser) -> None:
    """The documented import, found through the documented import map, sends a view of each address."""
    guide = page("docs/how-to/single-page-applications.md")
    endpoint = f"http://id.localhost:{site.port}"
    module = next(block.text for block in blocks(guide) if "import {" in block.text).replace(ENDPOINT, endpoint)
    site.pages["/"] = (
        f'<!doctype html>{pasted(site, guide)}<script type="module">{module}; window.sensor = sensor</script>'
    )
    browser.open(site.url(HOST))
    browser.wait("return !!window.sensor")
    browser.run("history.pushState({}, '', '/next')")
    until(lambda: len(site.events("page_view")) == 2)
    assert [event["_meta"]["page_url"] for event in site.events()] == [site.url(HOST), site.url(HOST, "/next")]


FILL_IN = """document.body.innerHTML = arguments[0];
  const form = document.forms[0];
  form.mail.value = 'Ann@Example.com';
  form.phone.value = '06-12345678';
  form.given.value = 'Ann';
  form.addEventListener('submit', (event) => event.preventDefault());
  form.requestSubmit()"""


def test_the_documented_form_is_read(site: Site, browser: Browser) -> None:
    """The form of the guide links what its table says."""
    guide = page("docs/how-to/read-forms.md")
    form = next(block.text for block in blocks(guide) if block.language == "html")
    visit(site, browser, 'data-region="NL"')
    browser.run(FILL_IN, form)
    until(lambda: site.events("identity_link"))
    (event,) = site.events()
    assert event["_meta"]["trigger"] == "signup"
    assert event["attributes"] == {"first_name_hash": hash_value("name", "Ann")}
    assert event["identifiers"] == {
        "email_hash": hash_value("email", "Ann@Example.com"),
        "phone_hash": hash_value("phone", "06-12345678", "NL"),
        "customer_id": "CUS12345",
    }


# --- troubleshooting ------------------------------------------------------------------------------

SAID = """window.said = [];
  const shown = (word) => typeof word === 'string' ? word
    : JSON.stringify(word).replace(/"(\\w+)":/g, '$1: ').replaceAll('"', "'").replaceAll(',', ', ');
  console.debug = (...words) => said.push(words.map(shown).join(' '));"""
LINKING = "onefold('link', {email: 'a@b.example'})"
PARTNERS, DECORATING = 'data-domains="brand-b.example"', "onefold('decorate', 'https://brand-b.example/')"
TRACES: dict[str, tuple[str, str, int]] = {
    "consent {tier: 'T1', …}": ('data-consent="manual"', "onefold('consent', 'T1')", 202),
    "link {sent: true}": ("", LINKING, 202),
    "page {sent: true}": ("data-page-views", "", 202),
    "link {sent: false, reason: 'consent'}": ('data-consent="manual"', f"onefold('consent', 'T2'); {LINKING}", 202),
    "ignored granted": ('data-consent="manual"', "onefold('consent', 'granted')", 202),
    "ignored ['phone']": ("", "onefold('link', {phone: '06-12345678', email: 'a@b.example'})", 202),
    "link {sent: false, reason: 'no_identifiers'}": ("", "onefold('link', {})", 202),
    "link {sent: false, reason: 'queued'}": ("", LINKING, 503),
    "link {sent: false, reason: 'reset'}": ('data-consent="manual"', f"{LINKING}; onefold('reset')", 202),
    "dropped {…, reason: 'origin_not_allowed'}": ("", LINKING, 403),
    "decorate {…, decorated: true}": (PARTNERS, DECORATING, 201),
    "decorate {…, reason: 'consent'}": (
        f'{PARTNERS} data-consent="manual"',
        f"onefold('consent', 'T2'); {DECORATING}",
        201,
    ),
    "decorate {…, reason: 'audience_mismatch'}": (PARTNERS, DECORATING, 409),
    "redeem {linked: true…}": ("", "", 202),
    "redeem {…, reason: 'referrer_mismatch'}": ("", "", 409),
    "redeem {…, reason: 'token_used'}": ("", "", 410),
    "reset f81d4fae-…": ("", "onefold('reset')", 202),
}


def test_every_documented_trace_is_tried() -> None:
    """The table of the guide and the table of these tests have the same lines."""
    assert set(table(page("docs/how-to/troubleshoot-the-sensor.md"), "What the trace says")) == set(TRACES)


@pytest.mark.parametrize("trace", TRACES)
def test_the_console_says_what_the_guide_shows(site: Site, browser: Browser, trace: str) -> None:
    """In the situation that a line is about, the console has that line."""
    attributes, script, status = TRACES[trace]
    site.answer = lambda _received: status
    site.tell = lambda _received: {
        "token": "t",
        "expires_in": 120,
        "code": "".join(re.findall(r"reason: '(\w+)'", trace)),
    }
    at = "/?_uiaf_token=t" if trace.startswith("redeem") else "/"
    visit(site, browser, f"data-debug {attributes}", before=SAID, at=at)
    browser.run(script)
    pattern = re.escape("[onefold] " + trace.replace("f81d4fae-", "")).replace("…", ".*")
    until(lambda: any(re.fullmatch(pattern, line) for line in browser.run("return said")))
