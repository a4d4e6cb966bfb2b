"""Arriving with a token, in two engines: out of the address at once, redeemed once, for who may be linked."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest
from selenium.common.exceptions import WebDriverException

from e2e import hands
from e2e.browser import DIST, Browser, Site
from e2e.engines import Engine
from e2e.test_sensor_behaviour import STUB, until

HOST: Final = "127.0.0.1"
SNIPPET: Final = (DIST.parent / "src" / "landing.html").read_text(encoding="utf-8")
REDEEM: Final = "/v1/tokens/redeem"

pytestmark = pytest.mark.parametrize("engine", ["chromium", "webkit"], indirect=True)


def land(site: Site, engine: Engine, at: str, attributes: str = "", head: str = "", before: str = "") -> None:
    """Follow an undecorated link of another site to this address."""
    site.pages["/"] = (
        f'<!doctype html><meta charset="utf-8">{head}<script>{STUB}; {before}</script>'
        f'<script src="/onefold.js" {attributes}></script>'
    )
    site.pages["/from"] = "<!doctype html><title>from</title>"
    engine.open(site.url("localhost", "/from"))
    engine.run("setTimeout(() => { location.href = arguments[0] })", site.url(HOST, at))
    wait_through(engine, f"return location.hostname === '{HOST}' && !!window.onefold?.version")


def wait_through(engine: Engine, script: str) -> None:
    """Wait for something on the page that comes after this one: a script may meet the end of either."""

    def holds() -> bool:
        try:
            return bool(engine.glance(script))
        except WebDriverException:
            return False

    until(holds)


def redeems(site: Site) -> list[dict[str, Any]]:
    """Every request to redeem."""
    return [received.event for received in site.received if received.path == REDEEM]


def answer(engine: Engine) -> Any:
    """A request that comes after any redeem that the page may make."""
    return engine.run("return onefold('page')")


ADDRESSES: Final[dict[str, tuple[str, str, str | None]]] = {
    "a query of its own": ("/?_uiaf_token=t", "/", "t"),
    "first of several parameters": ("/?_uiaf_token=t&a=%20+b&c", "/?a=%20+b&c", "t"),
    "last of several parameters": ("/?a=%C3%A9&b=&_uiaf_token=t#part", "/?a=%C3%A9&b=#part", "t"),
    "among parameters": ("/?a=1&_uiaf_token=t&b=2", "/?a=1&b=2", "t"),
    "a hash route": ("/?x=1#/path?_uiaf_token=t&b=2", "/?x=1#/path?b=2", "t"),
    "a hash route without more": ("/#/path?_uiaf_token=t", "/#/path", "t"),
    "a fragment of parameters": ("/#a=1&_uiaf_token=t", "/#a=1", "t"),
    "several: the last counts": ("/?_uiaf_token=s&a=1&_uiaf_token=t", "/?a=1", "t"),
    "several in a row": ("/?_uiaf_token=s&_uiaf_token=t&a=1", "/?a=1", "t"),
    "an empty one is none": ("/?_uiaf_token=t&_uiaf_token=", "/", "t"),
    "only an empty one": ("/?_uiaf_token=&a=1", "/?a=1", None),
    "no value at all": ("/?_uiaf_token&a=1", "/?a=1", None),
    "another parameter": ("/?_uiaf_tokens=1&my_uiaf_token=2", "/?_uiaf_tokens=1&my_uiaf_token=2", None),
}


@pytest.mark.parametrize("head", ["", SNIPPET], ids=["the sensor", "the snippet"])
@pytest.mark.parametrize("name", ADDRESSES)
def test_the_token_leaves_the_address(site: Site, engine: Engine, name: str, head: str) -> None:
    """All else stays byte for byte, the history entry keeps its state, and the token is redeemed with the referrer."""
    at, left, token = ADDRESSES[name]
    seen = "window.states = [location.href]; const put = history.replaceState;" if head else ""
    land(site, engine, at, head=head, before=seen)
    assert engine.run("return location.href") == site.url(HOST, left)
    if head:
        assert engine.run("return states") == [site.url(HOST, left)], "scripts after the snippet see no token"
    answer(engine)
    assert [(one["token"], one["referrer"]) for one in redeems(site)] == (
        [(token, site.url("localhost", ""))] if token else []
    )
    assert site.events("page_view")[0]["_meta"]["page_url"] == site.url(HOST, left.partition("#")[0])


def test_the_state_of_the_entry_stays(site: Site, engine: Engine) -> None:
    """Only the address is replaced: a router finds its state, and no entry is added."""
    head = "<script>history.replaceState({router: 1}, '')</script>"
    land(site, engine, "/?_uiaf_token=t", head=head)
    length = engine.run("return history.length")
    assert engine.run("return [history.state, location.search]") == [{"router": 1}, ""]
    land(site, engine, "/", head=head)
    assert engine.run("return history.length") <= length + 2


def test_a_redeem_says_who_and_under_which_consent(site: Site, engine: Engine) -> None:
    """It carries the visitor's ids, tier and signals, and is told to listeners without the token."""
    before = "onefold('consent', 'T1'); onefold('on', 'redeem', (detail) => { window.heard = detail })"
    land(site, engine, "/?_uiaf_token=t", 'data-consent="manual"', before=before)
    engine.wait("return window.heard")
    (one,) = redeems(site)
    answer(engine)
    assert one["identity"] == site.events("page_view")[0]["identity"]
    assert (one["_meta"], set(one["consent"].values())) == ({"tier": "T1"}, {"granted"})
    assert engine.run("return JSON.stringify(heard)") == json.dumps(
        {"linked": True, "referrer": site.url("localhost", "")}, separators=(",", ":")
    )


def test_a_token_waits_for_consent(site: Site, engine: Engine) -> None:
    """Before it, and under a tier that allows no links, nothing is redeemed; afterwards once."""
    land(site, engine, "/?_uiaf_token=t", 'data-consent="manual"')
    assert engine.run("return location.search") == ""
    engine.run("onefold('consent', 'T2')")
    answer(engine)
    assert redeems(site) == []
    engine.run("onefold('consent', 'T1'); onefold('consent', 'T2'); onefold('consent', 'T1')")
    answer(engine)
    assert len(redeems(site)) == 1


def test_whoever_logs_out_takes_the_token_along(site: Site, engine: Engine) -> None:
    """A token that still waits is not redeemed for the next person."""
    land(site, engine, "/?_uiaf_token=t", 'data-consent="manual"')
    engine.run("onefold('consent', 'T2'); onefold('reset'); onefold('consent', 'T1')")
    answer(engine)
    assert redeems(site) == []


def test_a_page_that_nobody_sees_redeems_nothing(site: Site, engine: Engine) -> None:
    """A tab in the background waits until it is looked at."""
    before = """let state = 'hidden';
      Object.defineProperty(document, 'visibilityState', {get: () => state});
      window.show = () => { state = 'visible'; document.dispatchEvent(new Event('visibilitychange')) }"""
    land(site, engine, "/?_uiaf_token=t", before=before)
    answer(engine)
    assert redeems(site) == []
    engine.run("show(); show()")
    answer(engine)
    assert len(redeems(site)) == 1


REFUSALS: Final[dict[str, tuple[int | None, list[int]]]] = {
    "an answer": (202, []),
    "a refusal": (403, []),
    "a used token": (410, []),
    "the endpoint is down": (503, [1000, 4000, 16000, 64000]),
    "no answer": (None, [1000, 4000, 16000, 64000]),
    "too many": (429, [1000, 4000, 16000, 64000]),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_only_what_got_no_answer_is_tried_again(site: Site, engine: Engine, name: str) -> None:
    """A used or refused token is done with; otherwise it is tried four times more, and then given up."""
    status, waits = REFUSALS[name]
    site.answer = lambda received: status if received.path == REDEEM else 202
    timers = """window.waits = []; const wait = setTimeout;
      const ours = (ms) => /000$/.test(ms) && ms !== 60000;  // not those of the browser's driver
      window.setTimeout = (act, ms) => wait(act, ours(ms) ? waits.push(ms) && 0 : ms);
      onefold('on', 'redeem', (detail) => { window.heard = detail })"""
    land(site, engine, "/?_uiaf_token=t", before=timers)
    engine.wait("return window.heard")
    assert engine.run("return waits") == waits
    assert engine.run("return heard.linked") is (status == 202)
    if status is not None:  # a browser may itself repeat what got no answer
        assert len(redeems(site)) == 1 + len(waits)


def test_reload_and_history_redeem_nothing_again(site: Site, engine: Engine) -> None:
    """The address that the browser keeps has no token."""
    land(site, engine, "/?_uiaf_token=t&a=1")
    until(lambda: redeems(site))
    engine.run("setTimeout(() => location.reload())")
    until(lambda: len([one for one in site.visited if one.path.startswith("/?")]) == 2)
    wait_through(engine, "return !!window.onefold?.version")
    engine.run("setTimeout(() => { location.href = '/from' })")
    wait_through(engine, "return document.title === 'from'")
    engine.run("setTimeout(() => history.back())")
    wait_through(engine, "return location.search === '?a=1' && !!window.onefold?.version")
    answer(engine)
    assert len(redeems(site)) == 1
    paths = [one.path for one in site.visited if one.path.startswith("/?")]
    assert paths[0] == "/?_uiaf_token=t&a=1"
    assert set(paths[1:]) == {"/?a=1"}
    referers = [one.headers.get("Referer", "") for one in site.visited if one.path == "/from"]
    assert "_uiaf_token" not in "".join(referers)


def test_a_prerendered_page_redeems_when_it_is_seen(site: Site, engine: Engine) -> None:
    """What a browser prepares for later, by speculation rules, redeems nothing until it is shown; then once."""
    if not isinstance(engine, Browser):
        pytest.skip("only Chromium prerenders")
    site.pages["/next"] = """<!doctype html><script type="module">
        import {createSensor} from '/onefold.mjs';
        window.sensor = createSensor();
        await fetch('/loaded', {method: 'POST', body: '{}'});
      </script>"""
    rules = {"prerender": [{"urls": ["/next?_uiaf_token=t"], "eagerness": "immediate"}]}
    site.pages["/"] = f"""<script type="speculationrules">{json.dumps(rules)}</script>
      <a href="/next?_uiaf_token=t">Next</a>"""
    engine.open(site.url(HOST))
    until(lambda: [one for one in site.received if one.path == "/loaded"])
    assert redeems(site) == []
    hands.click(engine, "a")
    until(lambda: redeems(site))
    wait_through(engine, "return !!window.sensor")
    assert engine.run("return performance.getEntriesByType('navigation')[0].activationStart > 0")
    assert engine.run("return sensor.page()") == {"sent": True}
    assert (len(redeems(site)), engine.run("return location.href")) == (1, site.url(HOST, "/next"))
