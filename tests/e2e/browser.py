"""Chromium for end-to-end tests, and a small site that serves pages and records what they send.

`*.localhost` is a secure context in browsers, `*.test` is not; both lead to this machine.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from selenium import webdriver
from selenium.webdriver.support.ui import WebDriverWait

CHROMIUM = "/usr/bin/chromium"
CHROMEDRIVER = "/usr/bin/chromedriver"
DIST = Path(__file__).resolve().parents[2] / "sensor_js" / "dist"
SCRIPTS = tuple(sorted(path.name for path in DIST.glob("onefold*js")))
LINKS = next(name for name in reversed(SCRIPTS) if ".links." in name)
"""What `onefold.js` loads besides on pages with partners: that of the next version."""
PATIENCE_SECONDS = 20
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP *.test 127.0.0.1",
]


@dataclass(frozen=True)
class Sent:
    """One request the browser sent, as its network log has it."""

    url: str
    method: str
    body: str | None


@dataclass
class Browser:
    """A browser with an empty profile, and everything it has requested so far."""

    driver: webdriver.Chrome
    sent: list[Sent] = field(default_factory=list)

    def open(self, url: str) -> None:
        """Load a page."""
        self.driver.get(url)

    def run(self, script: str, *args: Any) -> Any:
        """Run JavaScript in the page; a promise is waited for."""
        return self.driver.execute_script(script, *args)

    def glance(self, script: str) -> Any:
        """As `run`; for engines that tell the difference."""
        return self.run(script)

    def wait(self, script: str) -> Any:
        """Run JavaScript until it answers something true, and return that."""
        waiting = WebDriverWait(self.driver, PATIENCE_SECONDS, poll_frequency=0.05)
        return waiting.until(lambda driver: driver.execute_script(script), script)

    def requests(self) -> list[Sent]:
        """Return every request since the browser started."""
        for entry in self.driver.get_log("performance"):  # type: ignore[no-untyped-call]
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                one = message["params"]["request"]
                self.sent.append(Sent(one["url"], one["method"], one.get("postData")))
        return self.sent

    def command(self, name: str, parameters: dict[str, Any]) -> Any:
        """Send a DevTools command."""
        return self.driver.execute_cdp_cmd(name, parameters)

    def forget_cookies(self) -> None:
        """Remove every cookie."""
        self.command("Network.clearBrowserCookies", {})

    def start_afresh(self) -> None:
        """Leave the page, and forget cookies and requests; storage belongs to the ports that are gone."""
        self.open("about:blank")
        self.forget_cookies()
        self.requests()
        self.sent.clear()

    def report(self) -> str:
        """Return what page and console said, for when something dies."""
        return "\n".join(str(line["message"]) for line in self.driver.get_log("browser"))  # type: ignore[no-untyped-call]


@contextmanager
def open_browser(*flags: str, preferences: Mapping[str, Any] | None = None) -> Iterator[Browser]:
    """Start Chromium with a fresh profile and these preferences; print its console if the test fails.

    Raises RuntimeError where Chromium or its driver is not installed.
    """
    for program in (CHROMIUM, CHROMEDRIVER):
        if not shutil.which(program):
            message = f"{program} is missing: apt-get install chromium chromium-driver"
            raise RuntimeError(message)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM
        for flag in [*FLAGS, f"--user-data-dir={profile}", *flags]:
            options.add_argument(flag)
        options.add_experimental_option("prefs", dict(preferences or {}))
        options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
        service = webdriver.ChromeService(CHROMEDRIVER)
        driver = webdriver.Chrome(options, service)
        driver.set_script_timeout(120)
        browser = Browser(driver)
        try:
            yield browser
        except BaseException:
            print(browser.report(), file=sys.stderr)
            raise
        finally:
            driver.quit()


@dataclass(frozen=True)
class Received:
    """One request the site has got: a POST, or a page that was asked for."""

    path: str
    headers: dict[str, str]
    text: str

    @property
    def event(self) -> dict[str, Any]:
        """The body, which is one event."""
        parsed: dict[str, Any] = json.loads(self.text)
        return parsed


class Site:
    """Pages, the shipped sensor, and an endpoint that records; every host name leads here.

    `answer` decides what a POST gets: a status, or None to hang up without an answer; then it is `lost`. `tell` is what
    it is told where it is taken. `headers` are given with every page and every answer; `script_delay` holds the script
    back for so many seconds. `visited` are the pages that browsers asked for.
    """

    def __init__(self) -> None:
        self.pages: dict[str, str] = {}
        self.headers: dict[str, str] = {}
        self.script_delay = 0.0
        self.visited: list[Received] = []
        self.received: list[Received] = []
        self.lost: list[Received] = []
        self.preflights = 0
        self.answer: Callable[[Received], int | None] = lambda _received: 202
        self.tell: Callable[[Received], dict[str, Any]] = lambda _received: {}
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        # Looking often whether to end keeps every test from waiting half a second for it.
        self.thread = Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)

    def url(self, host: str, path: str = "/") -> str:
        """Return the address of a page on a host."""
        return f"http://{host}:{self.port}{path}"

    def events(self, name: str | None = None) -> list[dict[str, Any]]:
        """Return the events received, of one name or of all."""
        events = [received.event for received in list(self.received)]
        return [event for event in events if name in (None, event.get("event"))]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        site = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, format: str, *args: object) -> None:
                """Keep quiet."""

            def do_GET(self) -> None:
                path = self.path.split("?")[0]
                script = DIST / path[1:]
                if path in site.pages:
                    site.visited.append(Received(self.path, dict(self.headers.items()), ""))
                    kind = "text/javascript" if path.endswith(".js") else "text/html"
                    self.reply(200, site.pages[path].encode(), f"{kind}; charset=utf-8")
                elif path[1:] in SCRIPTS:
                    time.sleep(site.script_delay)
                    self.reply(200, script.read_bytes(), "text/javascript; charset=utf-8")
                else:
                    self.reply(404, b"", "text/plain")

            def do_OPTIONS(self) -> None:
                site.preflights += 1
                self.reply(204, b"", "text/plain")

            def do_POST(self) -> None:
                text = self.rfile.read(int(self.headers["content-length"])).decode(errors="replace")
                received = Received(self.path, dict(self.headers.items()), text)
                status = site.answer(received)
                if status is None:
                    self.close_connection = True
                    site.lost.append(received)
                    return
                site.received.append(received)
                answer = {"code": "origin_not_allowed"} if status == 403 else site.tell(received)
                self.reply(status, json.dumps(answer).encode(), "application/json")

            def reply(self, status: int, body: bytes, kind: str) -> None:
                self.send_response(status)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(body)))
                for name, value in site.headers.items():
                    self.send_header(name, value)
                origin = self.headers.get("origin")
                if origin:
                    self.send_header("access-control-allow-origin", origin)
                    self.send_header("access-control-allow-credentials", "true")
                    self.send_header("access-control-expose-headers", "retry-after")
                self.end_headers()
                self.wfile.write(body)

        return Handler


@contextmanager
def open_site() -> Iterator[Site]:
    """Serve a Site on a free port of this machine."""
    site = Site()
    site.thread.start()
    try:
        yield site
    finally:
        site.server.shutdown()
        site.server.server_close()
