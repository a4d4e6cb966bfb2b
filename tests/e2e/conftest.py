"""Browsers and one demonstration for a module of tests; each test gets a site or a visitor of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from e2e.browser import Browser, Site, open_browser, open_site
from e2e.demo import Endpoint, open_demo
from e2e.engines import ENGINES, Engine, open_engine
from e2e.visitor import Traffic, Visitor


@pytest.fixture(scope="session", autouse=True)
def _browsers_wanted() -> None:
    if os.environ.get("ONEFOLD_E2E") == "off":
        pytest.skip("ONEFOLD_E2E=off: the browser tests are not run")


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    """`onefold demo`, with the live page."""
    with open_demo(tmp_path_factory.mktemp("demo")) as demo:
        yield demo


@pytest.fixture(scope="module")
def traffic() -> Iterator[Traffic]:
    """A browser, and all it has sent in this module. Fails where there is no Chromium."""
    try:
        # Nothing may still be gliding when it is clicked.
        with open_browser("--force-prefers-reduced-motion", "--window-size=1280,900") as browser:
            yield Traffic(browser)
    except RuntimeError as error:
        pytest.fail(f"{error}; or leave the browser tests out knowingly: ONEFOLD_E2E=off", pytrace=False)


@pytest.fixture(scope="module")
def typed() -> set[str]:
    """Every email address, phone number and name that was typed in this module."""
    return set()


@pytest.fixture
def visitor(traffic: Traffic, endpoint: Endpoint, typed: set[str]) -> Iterator[Visitor]:
    """Somebody new, whose console must stay clean."""
    somebody = Visitor(traffic.browser, endpoint, traffic, typed)
    somebody.arrive()
    yield somebody
    assert somebody.complaints() == []


@pytest.fixture(scope="module")
def one_browser() -> Iterator[Browser]:
    """The module's Chromium."""
    with open_browser() as browser:
        yield browser


@pytest.fixture
def browser(one_browser: Browser) -> Browser:
    """Chromium, on no page and with no cookies."""
    one_browser.start_afresh()
    return one_browser


@pytest.fixture(scope="module", params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """Each engine in turn; a test or a module that is about some of them is parametrized indirectly."""
    with open_engine(request.param) as engine:
        yield engine


@pytest.fixture
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    """A site on a port of its own, so that its storage is empty; cookies know no ports, and an engine forgets them."""
    with open_site() as site:
        yield site
        if "engine" in request.fixturenames:
            engine: Engine = request.getfixturevalue("engine")
            engine.open(site.url("127.0.0.1", "/missing"))
            engine.forget_cookies()
