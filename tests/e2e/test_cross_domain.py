"""From one brand to the other by a link, in a real browser, at the real endpoint: two visitors become one person."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pytest

from e2e import hands
from e2e.browser import open_site
from e2e.demo import Endpoint, free_port, run_onefold, run_server, until
from e2e.engines import open_engine
from e2e.test_cross_domain_landing import wait_through
from e2e.visitor import Request, Visitor

TO_B: Final = "footer a[href*=brand-b]"


def posts(visitor: Visitor, path: str) -> list[Request]:
    """The visitor's requests of one kind to the endpoint."""
    return [one for one in visitor.to_endpoint() if one.url.endswith(path) and one.method == "POST"]


def landings(visitor: Visitor) -> list[str]:
    """The addresses with a token that the visitor's browser has asked for."""
    return [one.url for one in visitor.requested() if "_uiaf_token=" in one.url]


def stroll(visitor: Visitor) -> tuple[str, str]:
    """Visit both brands without a link between them, and end on the first; the uids."""
    visitor.visit("brand-b")
    uid_b = visitor.uid()
    visitor.look()
    visitor.visit("brand-a")
    visitor.look()
    return visitor.uid(), uid_b


def cross(visitor: Visitor) -> None:
    """Rest on the link to brand-b until its token is there, and click."""
    minted = len(posts(visitor, "/v1/tokens"))
    visitor.browser.run(f"document.querySelector('{TO_B}').scrollIntoView({{block: 'center'}})")
    hands.point(visitor.browser, TO_B)
    until(lambda: len(posts(visitor, "/v1/tokens")) > minted, "a token")
    visitor.browser.run("return new Promise((done) => setTimeout(done, 100))")
    hands.click(visitor.browser, TO_B)
    there = "location.hostname.startsWith('brand-b') && window.onefold?.version"
    wait_through(visitor.browser, f"return {there} && document.readyState === 'complete'")


def test_a_link_joins_two_anonymous_visitors(visitor: Visitor, endpoint: Endpoint) -> None:
    """Known by nothing but their uids, both are one profile after the click; one token was asked for and redeemed."""
    uid_a, uid_b = stroll(visitor)
    assert endpoint.profile(uid_a)["id"] != endpoint.profile(uid_b)["id"]
    cross(visitor)
    until(lambda: endpoint.profile(uid_a)["id"] == endpoint.profile(uid_b)["id"], "one profile")
    assert (len(posts(visitor, "/v1/tokens")), len(posts(visitor, "/v1/tokens/redeem"))) == (1, 1)


def test_the_token_is_nowhere_afterwards(visitor: Visitor, endpoint: Endpoint) -> None:
    """Not in the address, its history, the next page's referrer, the journal, or what the server says."""
    stroll(visitor)
    cross(visitor)
    until(lambda: posts(visitor, "/v1/tokens/redeem"), "a redeem")
    visitor.look()
    entries = visitor.browser.command("Page.getNavigationHistory", {})["entries"]
    assert not [entry for entry in entries if "_uiaf_token" in entry["url"] + entry["title"]]
    visitor.click("header a[href='/newsletter']")
    visitor.browser.wait("return location.pathname === '/newsletter' && window.onefold?.version")
    assert visitor.browser.run("return document.referrer") == endpoint.site("brand-b") + "/"
    (landing,) = landings(visitor)
    token = landing.partition("_uiaf_token=")[2]
    assert token
    files = [path.read_bytes() for path in endpoint.database.parent.iterdir() if path.is_file()]
    assert not any(token.encode() in content for content in [*files, endpoint.output.read_bytes()])
    assert "_uiaf_token" not in json.dumps(endpoint.live())


def test_reload_back_and_forward_redeem_nothing_again(visitor: Visitor) -> None:
    """The entry in the history has no token any more, whether the page is loaded again or comes from the cache."""
    stroll(visitor)
    cross(visitor)
    until(lambda: posts(visitor, "/v1/tokens/redeem"), "a redeem")
    visitor.browser.driver.refresh()
    visitor.browser.wait("return window.onefold?.version")
    for step, host in (("back", "brand-a"), ("forward", "brand-b"), ("back", "brand-a"), ("forward", "brand-b")):
        getattr(visitor.browser.driver, step)()
        wait_through(visitor.browser, f"return location.hostname.startsWith('{host}') && window.onefold?.version")
    visitor.look()
    assert len(posts(visitor, "/v1/tokens/redeem")) == 1
    assert len(landings(visitor)) == 1


def test_the_same_address_opened_twice_links_once(visitor: Visitor, endpoint: Endpoint) -> None:
    """Whoever kept the address with its token finds it used, and the page works as ever."""
    visitor.expected.append("/v1/tokens/redeem - Failed to load resource: the server responded with a status of 4")
    stroll(visitor)
    cross(visitor)
    until(lambda: posts(visitor, "/v1/tokens/redeem"), "a redeem")
    (address,) = landings(visitor)
    visitor.browser.run("setTimeout(() => { location.href = arguments[0] })", address)
    until(lambda: len(posts(visitor, "/v1/tokens/redeem")) == 2, "another attempt")
    visitor.browser.wait("return location.search === '' && window.onefold?.version")
    visitor.look()
    assert endpoint.live()["refused"][0]["code"] == "token_used"


@pytest.mark.parametrize("tier", ["T2", "T3"])
def test_without_consent_links_carry_nothing(visitor: Visitor, tier: str) -> None:
    """A visitor who refused is neither asked for a token nor linked."""
    visitor.visit("brand-a", tier)
    visitor.browser.run(f"document.querySelector('{TO_B}').scrollIntoView({{block: 'center'}})")
    hands.point(visitor.browser, TO_B)
    visitor.browser.run("return new Promise((done) => setTimeout(done, 150))")
    hands.click(visitor.browser, TO_B)
    wait_through(visitor.browser, "return location.hostname.startsWith('brand-b') && window.onefold?.version")
    assert posts(visitor, "/v1/tokens") == []
    assert landings(visitor) == []


@pytest.mark.parametrize("name", ["chromium", "webkit"])
def test_two_sites_of_ones_own(name: str, tmp_path: Path) -> None:
    """On an endpoint of one's own, in each engine: a click on one site joins its visitor with that of the other."""
    port = free_port()
    database = f"sqlite:///{tmp_path}/onefold.db"
    with open_site() as site, open_engine(name) as engine:
        a, b = site.url("127.0.0.1", ""), site.url("localhost", "")
        config = f'[server]\npublic_url = "http://127.0.0.1:{port}"\n'
        config += f'[[sites]]\nid = "a"\norigins = ["{a}"]\npartners = ["b"]\n[[sites]]\nid = "b"\norigins = ["{b}"]\n'
        (tmp_path / "onefold.toml").write_text(config)
        script = f'<script src="http://127.0.0.1:{port}/onefold.js" data-domains="localhost"></script>'
        site.pages["/"] = f'<!doctype html><a id="x" href="{b}/">There</a>{script}'
        arguments = ["serve", "--config", str(tmp_path / "onefold.toml"), "--db", database, "--port", str(port)]
        with run_server(arguments, "127.0.0.1", port, tmp_path):
            engine.open(a + "/")
            uid_a = engine.wait("return window.onefold?.version && onefold('uid')")
            hands.click(engine, "#x")
            wait_through(engine, "return location.hostname === 'localhost' && !!window.onefold?.version")
            uid_b = engine.run("return onefold('uid')")
            assert engine.run("return location.search") == ""

            def profile(uid: str) -> Any:
                done = run_onefold(tmp_path, "profile", f"uid:{uid}", "--json", "--db", database)
                return json.loads(done.stdout)["id"] if done.returncode == 0 else uid

            assert uid_a != uid_b
            until(lambda: profile(uid_a) == profile(uid_b), "one profile")
