"""Chromium, WebKitGTK (Safari's engine) and Firefox behind one small interface, for what must hold in each of them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol

from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.remote.remote_connection import RemoteConnection
from selenium.webdriver.remote.webdriver import WebDriver
from urllib3.exceptions import ReadTimeoutError
from websocket import WebSocket, create_connection

from e2e.browser import PATIENCE_SECONDS, open_browser

WEBKIT_DRIVER = "/usr/bin/WebKitWebDriver"
MINI_BROWSER = "/usr/lib/x86_64-linux-gnu/webkit2gtk-4.1/MiniBrowser"
FIREFOX = "/usr/bin/firefox-esr"


class Engine(Protocol):
    """A browser with a profile of its own and one page."""

    def open(self, url: str) -> None:
        """Load a page, and wait until it has loaded."""

    def run(self, script: str, *args: Any) -> Any:
        """Run the body of a function in the page, and return its answer, also a promised one. Fails where it throws."""

    def glance(self, script: str) -> Any:
        """As `run`, but without promises: for a page that may be about to go. May raise WebDriverException."""

    def wait(self, script: str) -> Any:
        """Run JavaScript until it answers something true, and return that."""

    def forget_cookies(self) -> None:
        """Remove the cookies of the page that is open; storage belongs to a port, and every site has its own."""


def _wait(engine: Engine, script: str) -> Any:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (answer := engine.run(script)):
        assert time.monotonic() < deadline, f"waited in vain for {script}"
        time.sleep(0.05)
    return answer


def _required(*programs: str, packages: str) -> None:
    for program in programs:
        if not shutil.which(program):
            message = f"{program} is missing: apt-get install {packages}"
            raise RuntimeError(message)


# WebKitGTK.

_GLANCE_SECONDS: Final = 10
_ANSWER_SECONDS: Final = 330  # a page may take 300 to load


@dataclass(frozen=True)
class WebKit:
    """WebKitGTK's MiniBrowser. It knows no `*.localhost`: pages are on 127.0.0.1, and localhost is another site."""

    driver: WebDriver

    def open(self, url: str) -> None:
        """See Engine."""
        self.driver.get(url)

    def run(self, script: str, *args: Any) -> Any:
        """See Engine."""
        settle = "const done = arguments[arguments.length - 1];"
        call = f"(async function () {{ {script} }}).apply(null, arguments)"
        threw, answer = self.driver.execute_async_script(
            f"{settle} {call}.then((a) => done([false, a ?? null]), (e) => done([true, String(e)]))", *args
        )
        assert not threw, answer
        return answer

    def glance(self, script: str) -> Any:
        """See Engine. WebKitGTK's driver may never answer for a promise whose page has gone, nor, which is rare, for a
        script that comes while the page goes; after that it answers again. Raises WebDriverException then.
        """
        _answer_within(self.driver, _GLANCE_SECONDS)
        try:
            return self.driver.execute_script(script)
        except ReadTimeoutError as error:
            raise WebDriverException("no answer") from error
        finally:
            _answer_within(self.driver, _ANSWER_SECONDS)

    def wait(self, script: str) -> Any:
        """See Engine."""
        return _wait(self, script)

    def forget_cookies(self) -> None:
        """See Engine."""
        self.driver.delete_all_cookies()


@contextmanager
def open_webkit(*flags: str) -> Iterator[WebKit]:
    """Start WebKitGTK with a fresh profile on a screen of its own. Raises RuntimeError where it is not installed."""
    _required(WEBKIT_DRIVER, MINI_BROWSER, "/usr/bin/Xvfb", packages="webkit2gtk-driver xvfb")
    options = webdriver.WebKitGTKOptions()
    options.binary_location = MINI_BROWSER
    for flag in ("--automation", *flags):
        options.add_argument(flag)
    with _screen() as display:
        environment = {**os.environ, "DISPLAY": display, "WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS": "1"}
        service = webdriver.WebKitGTKService(WEBKIT_DRIVER, env=environment)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # selenium's own, about itself
            driver = webdriver.WebKitGTK(options, service)
        driver.set_script_timeout(60)
        _answer_within(driver, _ANSWER_SECONDS)
        try:
            yield WebKit(driver)
        finally:
            driver.quit()


def _answer_within(driver: WebDriver, seconds: float) -> None:
    """Give up on the driver's answers after so long."""
    connection = driver.command_executor
    assert isinstance(connection, RemoteConnection)
    connection.client_config.timeout = seconds


@contextmanager
def _screen() -> Iterator[str]:
    """An X server of our own; its display."""
    reading, writing = os.pipe()
    command = ["/usr/bin/Xvfb", "-displayfd", str(writing), "-screen", "0", "1280x900x24", "-nolisten", "tcp"]
    screen = subprocess.Popen(command, pass_fds=[writing], stderr=subprocess.DEVNULL)
    os.close(writing)
    try:
        with os.fdopen(reading) as numbers:
            yield ":" + numbers.readline().strip()
    finally:
        screen.terminate()
        screen.wait()


# Firefox.

QUIET: Final = {
    "app.normandy.enabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "network.dns.localDomains": "shop.test,id.test",
    "services.settings.server": "http://127.0.0.1:9/",
}
"""What Firefox would ask its maker about; and two names that lead here without being secure contexts."""


class Firefox:
    """Firefox, spoken to in WebDriver BiDi (W3C), which it answers itself: no driver stands between."""

    def __init__(self, socket: WebSocket) -> None:
        self.socket = socket
        self.calls = 0
        self.command("session.new", capabilities={})
        (window,) = self.command("browsingContext.getTree")["contexts"]
        self.context = window["context"]

    def command(self, method: str, **params: Any) -> Any:
        """Send a command, and return its result. Fails where the answer is an error."""
        self.calls += 1
        self.socket.send(json.dumps({"id": self.calls, "method": method, "params": params}))
        while (answer := json.loads(self.socket.recv())).get("id") != self.calls:
            pass  # an event that nobody asked for
        assert answer["type"] == "success", answer
        return answer["result"]

    def open(self, url: str) -> None:
        """See Engine."""
        self.command("browsingContext.navigate", context=self.context, url=url, wait="complete")

    def run(self, script: str, *args: Any) -> Any:
        """See Engine."""
        call = f"(async function () {{ {script} }}).apply(null, JSON.parse(text))"
        result = self.command(
            "script.callFunction",
            functionDeclaration=f"async (text) => JSON.stringify(await {call}) ?? 'null'",
            arguments=[{"type": "string", "value": json.dumps(args)}],
            target={"context": self.context},
            awaitPromise=True,
        )
        assert result["type"] == "success", result
        return json.loads(result["result"]["value"])

    def glance(self, script: str) -> Any:
        """See Engine."""
        return self.run(script)

    def wait(self, script: str) -> Any:
        """See Engine."""
        return _wait(self, script)

    def forget_cookies(self) -> None:
        """See Engine."""
        self.command("storage.deleteCookies")


@contextmanager
def open_firefox(preferences: Mapping[str, bool | int | str] | None = None) -> Iterator[Firefox]:
    """Start Firefox with a fresh profile and these preferences. Raises RuntimeError where it is not installed."""
    _required(FIREFOX, packages="firefox-esr")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        settings = {**QUIET, **(preferences or {})}.items()
        lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});" for name, value in settings]
        (Path(profile) / "user.js").write_text("\n".join(lines))
        command = [FIREFOX, "--headless", "--no-remote", "--profile", profile, "--remote-debugging-port", "0"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            # The page may wait for a sensor that waits: longer than any single step of a test.
            firefox = Firefox(create_connection(_address(Path(profile)), timeout=120, suppress_origin=True))
            yield firefox
            firefox.command("browser.close")
            firefox.socket.close()
        finally:
            process.terminate()
            process.wait()


def _address(profile: Path) -> str:
    """Where Firefox listens, as it writes it into its profile."""
    written = profile / "WebDriverBiDiServer.json"
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            told = json.loads(written.read_text())
            return f"ws://{told['ws_host']}:{told['ws_port']}/session"
        except (FileNotFoundError, ValueError):
            assert time.monotonic() < deadline, "Firefox did not say where it listens"
            time.sleep(0.05)


ENGINES: Final[dict[str, Any]] = {
    # Pages must be able to wait in the back/forward cache, which automation turns off.
    "chromium": partial(open_browser, "--enable-features=BackForwardCache"),
    "webkit": open_webkit,
    "firefox": open_firefox,
}
"""How each engine is started; arguments make it a stranger one."""


def open_engine(name: str) -> AbstractContextManager[Engine]:
    """Start one of ENGINES as it comes."""
    opened: AbstractContextManager[Engine] = ENGINES[name]()
    return opened
