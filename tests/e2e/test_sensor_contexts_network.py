"""In Chromium: a network that is slow, gone or back again, a page nobody has seen yet, and two tabs without locks."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from e2e.browser import Browser, Site, open_site
from e2e.demo import Endpoint, free_port, run_server, until
from e2e.test_sensor_behaviour import EMAIL, HOST, STORED, STUB, link, page, visit

QUEUED = {"sent": False, "reason": "queued"}


@contextmanager
def network(browser: Browser, **conditions: float) -> Iterator[None]:
    """Give the open page a network like this for a while; latency in ms, throughput in bytes a second."""
    normal = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    browser.command("Network.emulateNetworkConditions", {**normal, **conditions})
    try:
        yield
    finally:
        browser.command("Network.emulateNetworkConditions", normal)


def test_offline_then_online_delivers_once(site: Site, browser: Browser) -> None:
    """What is linked without a network waits, and arrives once as soon as the browser says that it is back, however
    often it was tried in vain.
    """
    visit(site, browser)
    with network(browser, offline=True):
        assert browser.run("return navigator.onLine") is False
        assert [link(browser) for _ in range(7)] == [QUEUED] * 7  # the next pause would be a minute or two
    until(lambda: len(site.events("identity_link")) == 7, "the links")
    browser.wait("return !localStorage.uiaf_queue")
    assert browser.run("return onefold('page')") == {"sent": True}
    assert len({event["event_id"] for event in site.events()}) == len(site.events()) == 8


def test_a_slow_network_loses_nothing(site: Site, browser: Browser) -> None:
    """Calls made before a slow script arrives, and one made while the page is left, arrive as one event each."""
    browser.open(site.url(HOST, "/missing"))
    with network(browser, latency=500, downloadThroughput=20_000, uploadThroughput=20_000):
        visit(site, browser, before=f"onefold('link', {{email: '{EMAIL}'}}, {{trigger: 'early'}})")
        until(lambda: site.events("identity_link"), "the early link")
        browser.run(f"onefold('link', {{email: '{EMAIL}'}}, {{trigger: 'late'}}); location.href = '/missing'")
        until(lambda: len(site.events("identity_link")) == 2, "the late link")
    visit(site, browser)
    assert browser.run("return onefold('page')") == {"sent": True}
    triggers = {event["event_id"]: event["_meta"]["trigger"] for event in site.events()}
    assert list(triggers.values()) == ["early", "late", None]


def test_a_page_that_is_prerendered(site: Site, browser: Browser) -> None:
    """While the browser prepares a page for later nothing is stored or sent; once somebody sees it, everything is."""
    site.pages["/next"] = page(site, "data-page-views", before=f"onefold('link', {{email: '{EMAIL}'}})")
    site.pages["/next"] += (
        "<script>addEventListener('load', () => fetch('/loaded', {method: 'POST', body: '{}'}))</script>"
    )
    rules = {"prerender": [{"urls": ["/next"], "eagerness": "immediate"}]}
    site.pages["/"] = f'<script type="speculationrules">{json.dumps(rules)}</script><a href="/next">Next</a>'
    browser.open(site.url(HOST))
    until(lambda: [received for received in site.received if received.path == "/loaded"], "the prerendered page")
    assert [received.path for received in site.received] == ["/loaded"]
    assert browser.run(STORED) == []
    site.received.clear()
    browser.run("document.querySelector('a').click()")
    until(lambda: len(site.events()) == 2, "link and view")
    seen = "return performance.getEntriesByType('navigation')[0].activationStart > 0"
    assert browser.wait(seen), "it is the prerendered page that was shown"
    assert sorted(event["event"] for event in site.events()) == ["identity_link", "page_view"]


RACE = f"""<!doctype html><script>{STUB}</script>
  <script async src="/onefold.js" data-endpoint="%s" data-consent="manual"></script>
  <script>
    const both = new BroadcastChannel('both');
    const go = () => onefold('consent', 'T1');
    both.onmessage = go;
    window.race = () => {{ both.postMessage(0); go() }};
  </script>"""


def test_two_tabs_on_plain_http_and_an_endpoint_that_comes_up_late(browser: Browser, tmp_path: Path) -> None:
    """Without Web Locks both tabs may send what waits: each event at most twice, and the journal has it once."""
    endpoint = Endpoint("id.test", free_port(), tmp_path / "onefold.db", tmp_path / "output.txt")
    config = tmp_path / "onefold.toml"
    with open_site() as site:
        shop = site.url("shop.test")
        config.write_text(
            f'[server]\npublic_url = "{endpoint.origin}"\n[[sites]]\nid = "shop"\norigins = ["{shop[:-1]}"]\n'
        )
        site.pages["/"] = RACE % endpoint.origin
        open_tab(browser, shop)
        assert browser.run("onefold('consent', 'T1'); return [isSecureContext, 'locks' in navigator]") == [False, False]
        assert [link(browser) for _ in range(3)] == [QUEUED] * 3
        waiting = [event["event_id"] for event in json.loads(browser.run("return localStorage.uiaf_queue"))]
        open_tab(browser, shop)
        first = browser.driver.current_window_handle
        browser.driver.switch_to.new_window("tab")
        open_tab(browser, shop)
        browser.requests()
        browser.sent.clear()
        serve = ["serve", "--config", str(config), "--port", str(endpoint.port)]
        with run_server(serve, endpoint.host, endpoint.port, tmp_path):
            browser.run("race()")
            browser.wait("return !localStorage.uiaf_queue")
            assert browser.run("return onefold('page')") == {"sent": True}
            assert endpoint.journal_entries() == len(waiting) + 1
        posts = [json.loads(sent.body)["event_id"] for sent in browser.requests() if sent.body]
        browser.driver.close()
        browser.driver.switch_to.window(first)
    counts = Counter(posts)
    assert set(waiting) < set(counts)
    assert max(counts.values()) <= 2


def open_tab(browser: Browser, url: str) -> None:
    """Load a page in the current tab and wait for its sensor."""
    browser.open(url)
    browser.wait("return !!window.onefold.version")
