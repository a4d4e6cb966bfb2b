"""Links and forms to a partner, followed by real clicks, in two engines: what carries a token, and what does not.

The page is on 127.0.0.1, its partner on localhost, and the endpoint is a recorder that answers t1, t2, …
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest

from e2e import hands
from e2e.browser import Received, Site
from e2e.engines import Engine, WebKit
from e2e.test_sensor_behaviour import STUB, until

HOST: Final = "127.0.0.1"
PARTNER: Final = "localhost"
TOKEN: Final = "_uiaf_token=t1"
LISTEN: Final = f"""<!doctype html><meta charset="utf-8"><body><script>{STUB}
  const note = (what) => localStorage.setItem('notes', (localStorage.notes ?? '') + what + '\\n');
  const prevent = Event.prototype.preventDefault;
  Event.prototype.preventDefault = function () {{ note('prevented'); prevent.call(this) }};
  for (const type of ['pointerdown', 'mousedown', 'click', 'auxclick', 'contextmenu', 'submit'])
    for (const capture of [true, false]) addEventListener(type, (event) => {{
      const seen = [...document.querySelectorAll('*')].map((node) => node.cloneNode().outerHTML).join();
      if (/t\\d+/.test(seen.match(/_uiaf_token=t\\d+/)) && !seen.includes('given')) note('seen by a listener');
    }}, capture);
  onefold('on', 'decorate', ({{decorated, reason}}) => note(decorated ? 'decorated' : reason ?? 'late'));
</script>"""
BUTTONS: Final = "WebKitGTK's driver makes a plain click of every button"
AWAY: Final = '<p id="away" style="margin: 200px">Away</p>'


pytestmark = pytest.mark.parametrize("engine", ["chromium", "webkit"], indirect=True)


@pytest.fixture
def site(site: Site, engine: Engine) -> Iterator[Site]:
    """The site with an endpoint that mints t1, t2, …"""
    site.answer = lambda received: 201 if received.path == "/v1/tokens" else 202
    site.tell = lambda _received: {"token": f"t{len(mints(site))}", "param": "_uiaf_token", "expires_in": 120}
    yield site
    hands.close_other_tabs(engine)


def mints(site: Site) -> list[dict[str, Any]]:
    """Every request for a token."""
    return [received.event for received in site.received if received.path == "/v1/tokens"]


def visit(site: Site, engine: Engine, body: str, attributes: str = f'data-domains="{PARTNER}"') -> None:
    """Open a page with this body, in which THERE is the partner's page."""
    there = site.url(PARTNER, "/there")
    site.pages["/there"] = "<!doctype html><title>there</title>"
    site.pages["/here"] = "<!doctype html><title>here</title>"
    script = f'<script src="/onefold.js" {attributes}></script>'
    site.pages["/"] = LISTEN + body.replace("THERE", there) + AWAY + script
    engine.open(site.url(HOST))
    engine.wait("return !!window.onefold.version")


def notes(site: Site, engine: Engine) -> list[str]:
    """What the page has noted."""
    engine.open(site.url(HOST, "/here"))
    return str(engine.run("return localStorage.notes ?? ''")).split()


def arrivals(site: Site) -> list[str]:
    """The partner's pages that were asked for, by GET or POST."""
    return [received.path for received in [*site.visited, *site.received] if received.path.startswith("/there")]


def arrive(site: Site) -> str:
    """Wait for the partner's page, and return the path that it was asked for by."""
    until(lambda: arrivals(site))
    (path,) = arrivals(site)
    return path


def hover(engine: Engine, selector: str = "#x") -> None:
    """Rest on an element until its token is there."""
    hands.point(engine, selector)
    engine.wait("return performance.getEntriesByType('resource').some(({name}) => name.endsWith('/v1/tokens'))")
    engine.run("return new Promise((done) => setTimeout(done, 20))")


def focus(engine: Engine) -> None:
    """Focus an element with the keyboard's focus, and wait for its token."""
    engine.run("document.querySelector('#x').focus()")
    engine.wait("return performance.getEntriesByType('resource').some(({name}) => name.endsWith('/v1/tokens'))")
    engine.run("return new Promise((done) => setTimeout(done, 20))")


def hover_and_click(engine: Engine) -> None:
    hover(engine)
    hands.click(engine, "#x")


def middle_click(engine: Engine) -> None:
    hover(engine)
    hands.click(engine, "#x", hands.MIDDLE)


def control_click(engine: Engine) -> None:
    hover(engine)
    hands.click(engine, "#x", key=hands.CONTROL)


def shift_click(engine: Engine) -> None:
    hover(engine)
    hands.click(engine, "#x", key=hands.SHIFT)


def focus_and_enter(engine: Engine) -> None:
    focus(engine)
    hands.press(engine, hands.ENTER)


def only_click(engine: Engine) -> None:
    hands.click(engine, "#x")


LINK: Final = '<a id="x" href="THERE">There</a>'
SHADOW: Final = """<div id="x" style="display: inline-block"></div><script>
  document.querySelector('#x').attachShadow({mode: 'open'}).innerHTML = '<a href="THERE"><b>There</b></a>'</script>"""
LATE: Final = "<script>addEventListener('load', () => { document.body.insertAdjacentHTML('beforeend', '%s') })</script>"
AREA: Final = """<img id="x" width="80" height="80" usemap="#m" alt="" src="data:image/gif;base64,R0lGODlhAQABAAAAACw=">
  <map name="m"><area shape="default" href="THERE" alt="There"></map>"""
SVG: Final = """<svg width="80" height="80">
  <a href="THERE"><rect id="x" width="80" height="80"/></a></svg>"""
STOPPED: Final = '<div onclick="event.stopPropagation()"><a id="x" href="THERE">There</a></div>'

Act = Callable[[Engine], None]
DECORATED: Final[dict[str, tuple[str, Act, str]]] = {
    "a link": (LINK, hover_and_click, f"?{TOKEN}"),
    "an image in a link": ('<a href="THERE"><i><b id="x">There</b></i></a>', hover_and_click, f"?{TOKEN}"),
    "a link in an open shadow tree": (SHADOW, hover_and_click, f"?{TOKEN}"),
    "a link added later": (LATE % LINK, hover_and_click, f"?{TOKEN}"),
    "an area of an image map": (AREA, hover_and_click, f"?{TOKEN}"),
    "a link in SVG": (SVG, hover_and_click, f"?{TOKEN}"),
    "a link to a new tab": ('<a id="x" href="THERE" target="_blank">There</a>', hover_and_click, f"?{TOKEN}"),
    "a middle click": (LINK, middle_click, f"?{TOKEN}"),
    "a click with control": (LINK, control_click, f"?{TOKEN}"),
    "a click with shift": (LINK, shift_click, f"?{TOKEN}"),
    "the enter key": (LINK, focus_and_enter, f"?{TOKEN}"),
    "a click whose way up is stopped": (STOPPED, hover_and_click, f"?{TOKEN}"),
    "a query stays as it is": (
        '<a id="x" href="THERE?a=1&b=%20+%C3%A9&c#part">There</a>',
        hover_and_click,
        f"?a=1&b=%20+%C3%A9&c&{TOKEN}",
    ),
    "an older token is replaced": (
        '<a id="x" href="THERE?_uiaf_token=given&a=1&_uiaf_token=given#part">There</a>',
        hover_and_click,
        f"?a=1&{TOKEN}",
    ),
    "a form that gets": (
        '<form action="THERE?lost=1"><input name="q" value="1"><button id="x">Go</button></form>',
        hover_and_click,
        f"?q=1&{TOKEN}",
    ),
    "a form that posts": (
        '<form action="THERE?kept=1" method="post"><input name="q"><button id="x">Go</button></form>',
        hover_and_click,
        f"?kept=1&{TOKEN}",
    ),
    "a form sent with the enter key": (
        '<form action="THERE"><input name="q" id="x" value="1"></form>',
        focus_and_enter,
        f"?q=1&{TOKEN}",
    ),
    "a button with an action of its own": (
        '<form action="/here"><button id="x" formaction="THERE" formmethod="post">Go</button></form>',
        hover_and_click,
        f"?{TOKEN}",
    ),
}


@pytest.mark.parametrize("name", DECORATED)
def test_what_leads_to_a_partner_carries_a_token(site: Site, engine: Engine, name: str) -> None:
    """With a pointer or the focus on it first, no click waits, no listener of the page sees a token, one is minted."""
    body, act, expected = DECORATED[name]
    visit(site, engine, body)
    act(engine)
    assert arrive(site) == "/there" + expected
    assert notes(site, engine) == ["decorated"]
    (minted,) = mints(site)
    assert minted["target"] == site.url(PARTNER, "")
    assert minted["_meta"] == {"tier": "T0"}


SCRIPTED: Final = """<a id="x" href="THERE">There</a><script>
  %s.addEventListener('click', (event) => { event.preventDefault(); note('page') })</script>"""
UNDECORATED: Final[dict[str, str]] = {
    "a page of this very origin": '<a id="x" href="/there">There</a>',
    "a host that is not listed": '<a id="x" href="THERE">There</a>',
    "a host that only ends alike": '<a id="x" href="THERE">There</a>',
    "a download": '<a id="x" href="THERE" download>There</a>',
    "a link with noreferrer": '<a id="x" href="THERE" rel="noopener noreferrer">There</a>',
    "a form to this very origin": '<form action="/there"><button id="x">Go</button></form>',
    "a visitor who refused": '<a id="x" href="THERE">There</a>',
}
ATTRIBUTES: Final[dict[str, str]] = {
    "a host that is not listed": 'data-domains="brand-b.example, shop.example"',
    "a host that only ends alike": 'data-domains="host"',
    "a visitor who refused": f'data-domains="{PARTNER}" data-consent="manual"',
}


@pytest.mark.parametrize("name", UNDECORATED)
def test_what_carries_no_token(site: Site, engine: Engine, name: str) -> None:
    """Elsewhere, without consent, or where the page asks for no referrer, links stay as they are; nothing is minted."""
    visit(site, engine, UNDECORATED[name], ATTRIBUTES.get(name, f'data-domains="{PARTNER}"'))
    engine.run("onefold('consent', 'T2')" if name == "a visitor who refused" else "")
    hands.point(engine, "#x")
    engine.run("return new Promise((done) => setTimeout(done, 150))")
    hands.click(engine, "#x")
    if name != "a download":
        assert arrive(site).startswith("/there")
    assert "_uiaf_token" not in "".join(arrivals(site))
    assert set(notes(site, engine)) <= {"consent"}
    assert mints(site) == []


@pytest.mark.parametrize("where", ["document.querySelector('#x')", "document", "window"])
@pytest.mark.parametrize("hovers", [True, False])
def test_a_click_that_the_page_prevents_is_left_alone(site: Site, engine: Engine, where: str, hovers: bool) -> None:
    """Whoever prevents it, wherever they listen: the page stays, and so does the link's address."""
    visit(site, engine, SCRIPTED % where)
    if hovers:
        hover(engine)
    hands.click(engine, "#x")
    engine.run("return new Promise((done) => setTimeout(done, 400))")
    assert engine.run("return [location.pathname, document.querySelector('#x').href]") == [
        "/",
        site.url(PARTNER, "/there"),
    ]
    assert arrivals(site) == []
    assert notes(site, engine) == ["prevented", "page"]
    assert len(mints(site)) <= 1


def slowly(site: Site, seconds: float) -> None:
    """Let every token take a while."""

    def answer(received: Received) -> int:
        if received.path == "/v1/tokens":
            time.sleep(seconds)
            return 201
        return 202

    site.answer = answer


def test_a_click_without_warning_waits_for_its_token(site: Site, engine: Engine) -> None:
    """A token that comes within 300 ms goes along."""
    slowly(site, 0.1)
    visit(site, engine, LINK)
    hands.click(engine, "#x")
    assert arrive(site) == f"/there?{TOKEN}"
    assert notes(site, engine) == ["prevented", "decorated"]
    assert len(mints(site)) == 1


def test_a_click_does_not_wait_longer(site: Site, engine: Engine) -> None:
    """Where the token does not come the visitor goes without."""
    slowly(site, 2)
    visit(site, engine, LINK)
    hands.click(engine, "#x")
    assert arrive(site) == "/there"
    assert notes(site, engine) == ["prevented", "late"]


NEVER_WAITS: Final[dict[str, tuple[str, Act]]] = {
    "a link to a new tab": ('<a id="x" href="THERE" target="_blank">There</a>', only_click),
    "a middle click": (LINK, lambda engine: hands.click(engine, "#x", hands.MIDDLE)),
    "a click with control": (LINK, lambda engine: hands.click(engine, "#x", key=hands.CONTROL)),
    "a click with shift": (LINK, lambda engine: hands.click(engine, "#x", key=hands.SHIFT)),
    "a form": ('<form action="THERE" method="post"><button id="x">Go</button></form>', only_click),
}


@pytest.mark.parametrize("name", NEVER_WAITS)
def test_what_opens_elsewhere_never_waits(site: Site, engine: Engine, name: str) -> None:
    """New tabs and forms are the browser's own: without a token they go as they are."""
    if name == "a middle click" and isinstance(engine, WebKit):
        pytest.skip(BUTTONS)
    slowly(site, 1)
    body, act = NEVER_WAITS[name]
    visit(site, engine, body)
    act(engine)
    assert arrive(site) == "/there"
    assert notes(site, engine) == ["late"]


def test_a_refused_token_is_not_asked_for_again_at_once(site: Site, engine: Engine) -> None:
    """After a refusal links go as they are, and the endpoint is left in peace for a while."""
    site.answer = lambda received: 403 if received.path == "/v1/tokens" else 202
    visit(site, engine, LINK.replace("<a", '<a target="_blank"'))
    hover(engine)
    for _ in range(2):
        hands.click(engine, "#x")
    until(lambda: len(arrivals(site)) == 2)
    assert set(arrivals(site)) == {"/there"}
    assert len(mints(site)) == 1
    assert notes(site, engine) == ["origin_not_allowed", "origin_not_allowed"]


def test_a_token_is_used_once(site: Site, engine: Engine) -> None:
    """Each click on the same link has a token of its own, and between clicks the address is the page's."""
    visit(site, engine, LINK.replace("<a", '<a target="_blank"'))
    for count in (1, 2):
        hands.point(engine, "#x")
        until(lambda: len(mints(site)) >= count)  # noqa: B023 - asked before the next turn
        engine.run("return new Promise((done) => setTimeout(done, 50))")
        hands.click(engine, "#x")
        until(lambda: len(arrivals(site)) >= count)  # noqa: B023 - asked before the next turn
        hands.close_other_tabs(engine)
        assert engine.run("return document.querySelector('#x').outerHTML").count("_uiaf_token") == 0
        hands.point(engine, "#away")
    assert sorted(arrivals(site)) == [f"/there?{TOKEN}", "/there?_uiaf_token=t2"]


def test_nobody_can_copy_a_token(site: Site, engine: Engine) -> None:
    """The context menu, dragging and copying find the link as the page wrote it, with a token at hand."""
    if isinstance(engine, WebKit):
        pytest.skip(BUTTONS)
    visit(site, engine, LINK)
    engine.run("""window.found = [];
      for (const type of ['contextmenu', 'dragstart', 'copy'])
        addEventListener(type, (event) => found.push([type, document.querySelector('#x').href]))""")
    hover(engine)
    hands.click(engine, "#x", hands.RIGHT)
    engine.run("""document.querySelector('#x').dispatchEvent(new DragEvent('dragstart', {bubbles: true}));
      document.querySelector('#x').dispatchEvent(new ClipboardEvent('copy', {bubbles: true}))""")
    there = site.url(PARTNER, "/there")
    assert engine.run("return found") == [["contextmenu", there], ["dragstart", there], ["copy", there]]
    assert len(mints(site)) == 1


@pytest.mark.parametrize("change", ["onefold('reset')", "onefold('consent', 'T2'); onefold('consent', 'T1')"])
def test_a_token_is_dropped_with_whoever_it_was_for(site: Site, engine: Engine, change: str) -> None:
    """After logout, or consent withdrawn and given again, the click carries a new one."""
    visit(site, engine, LINK, f'data-domains="{PARTNER}" data-consent="manual"')
    engine.run("onefold('consent', 'T1')")
    hover(engine)
    engine.run(change)
    hands.click(engine, "#x")
    assert arrive(site) == "/there?_uiaf_token=t2"
    old, new = (minted["identity"]["uid"] for minted in mints(site))
    assert (old == new) == ("reset" not in change)


def test_an_old_token_is_thrown_away(site: Site, engine: Engine) -> None:
    """A token sets out in the first three quarters of its life, or not at all."""
    site.tell = lambda _received: {"token": f"t{len(mints(site))}", "expires_in": 1}
    visit(site, engine, LINK)
    hover(engine)
    engine.run("return new Promise((done) => setTimeout(done, 800))")
    hands.click(engine, "#x")
    assert arrive(site) == "/there?_uiaf_token=t2"


def test_the_decorate_command(site: Site, engine: Engine) -> None:
    """For addresses that scripts open: one to a partner gets a token, any other comes back as it was."""
    visit(site, engine, "")
    there = site.url(PARTNER, "/there?a=1#b")
    assert engine.run("return onefold('decorate', arguments[0])", there) == there.replace("#b", f"&{TOKEN}#b")
    for other in ("/there", "https://other.example/", "mailto:a@localhost", "http://[", "javascript:void 0"):
        assert engine.run("return onefold('decorate', arguments[0])", other) == other
    assert len(mints(site)) == 1


def test_the_module_has_partners_too(site: Site, engine: Engine) -> None:
    """createSensor takes a list."""
    visit(site, engine, "")
    created = (
        "const {createSensor} = await import('/onefold.mjs'); const sensor = createSensor({domains: ['LOCALHOST']});"
    )
    answer = engine.run(created + "return sensor.decorate(arguments[0])", site.url(PARTNER, "/there"))
    assert answer == site.url(PARTNER, f"/there?{TOKEN}")


def test_a_tap(site: Site, engine: Engine) -> None:
    """A finger gives no warning: its touch asks for the token that its click waits for."""
    if isinstance(engine, WebKit):
        pytest.skip("WebKitGTK's driver has no fingers")
    slowly(site, 0.1)
    visit(site, engine, LINK)
    hands.tap(engine, "#x")
    assert arrive(site) == f"/there?{TOKEN}"
    assert len(mints(site)) == 1
