"""A person at a browser: what they click and type on the demonstration's sites, what their browser sends and keeps."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from selenium.webdriver.common.by import By

from e2e.browser import Browser
from e2e.demo import BRANDS, Endpoint, until

PASSWORD = "correct horse"
_NOISE = ("DEBUG", "INFO")


@dataclass
class Request:
    """One request as it left: `headers` are all of them, cookies included; `body` is None where there was none."""

    url: str
    method: str
    headers: list[dict[str, str]]
    body: str | None

    @property
    def text(self) -> str:
        """Everything that was sent, in one piece."""
        return "\n".join([self.method, self.url, *map(str, self.headers), self.body or ""])


@dataclass
class Traffic:
    """Every request of a browser, from its network log."""

    browser: Browser
    requests: list[Request] = field(default_factory=list)
    _headers: dict[str, list[dict[str, str]]] = field(default_factory=dict)

    def read(self) -> list[Request]:
        """Return every request so far."""
        for entry in self.browser.driver.get_log("performance"):  # type: ignore[no-untyped-call]
            message = json.loads(entry["message"])["message"]
            if message["method"] in ("Network.requestWillBeSent", "Network.requestWillBeSentExtraInfo"):
                self._take(message["params"])
        return self.requests

    def _take(self, params: dict[str, Any]) -> None:
        # What the page asked for and what really went over the wire are two messages, in either order.
        headers = self._headers.setdefault(params["requestId"], [])
        if "request" not in params:
            headers.append(params["headers"])
            return
        request = params["request"]
        assert not request.get("hasPostData") or "postData" in request, f"the log lacks a body sent to {request['url']}"
        headers.append(request["headers"])
        self.requests.append(Request(request["url"], request["method"], headers, request.get("postData")))


@dataclass
class Visitor:
    """Somebody with an empty browser.

    `typed` collects the raw values of every visitor of a module; `expected` are words of console messages that a
    test brings about on purpose.
    """

    browser: Browser
    endpoint: Endpoint
    traffic: Traffic
    typed: set[str]
    expected: list[str] = field(default_factory=list)
    _before: int = 0

    def arrive(self) -> None:
        """Begin with nothing: no cookie, no storage, no session."""
        self.clear()
        self.complaints()
        self._before = len(self.traffic.read())

    def clear(self) -> None:
        """Erase what the browser keeps: cookies, local storage, and with the tab its session storage."""
        self.new_session()
        self.browser.command("Network.clearBrowserCookies", {})
        for name in ("id", *BRANDS):
            wanted = {"origin": self.endpoint.site(name), "storageTypes": "all"}
            self.browser.command("Storage.clearDataForOrigin", wanted)

    def new_session(self) -> None:
        """Close every tab and go on in a new one."""
        driver = self.browser.driver
        old = driver.window_handles
        driver.switch_to.new_window("tab")
        fresh = driver.current_window_handle
        for handle in old:
            driver.switch_to.window(handle)
            driver.close()
        driver.switch_to.window(fresh)

    def open(self, brand: str, path: str = "/") -> None:
        """Open a page of a site and wait until the sensor runs on it."""
        self.browser.open(self.endpoint.site(brand) + path)
        self.browser.wait("return window.onefold && onefold.version && document.readyState === 'complete'")

    def choose(self, tier: str) -> None:
        """Answer the page's consent question, also where it was answered before."""
        if not self.browser.run("return document.querySelector('#consent').open"):
            self.click("#consent-now")
        self.click(f"button[name=tier][value={tier}]")
        self.browser.wait(f"return document.cookie.includes('demo_consent={tier}')")

    def visit(self, brand: str, tier: str = "T1") -> None:
        """Open the front page of a site and answer its consent question."""
        self.open(brand)
        self.choose(tier)

    def click(self, selector: str) -> None:
        """Click what is there, in the middle of the window: the consent bar covers its lower edge."""
        found = self.browser.driver.find_element(By.CSS_SELECTOR, selector)
        self.browser.run("arguments[0].scrollIntoView({block: 'center'})", found)
        found.click()

    def fill(self, brand: str, form: str, **values: str) -> None:
        """Open a form, type into its fields and send it; what is already in other fields stays."""
        self.open(brand, f"/{form}")
        for name, value in values.items():
            box = self.browser.driver.find_element(By.CSS_SELECTOR, f"#{form} [name={name}]")
            box.clear()
            box.send_keys(value)
        self.typed |= {value for name, value in values.items() if name != "password"}
        self.click(f"#{form} .button")

    def submit(self, brand: str, form: str, **values: str) -> dict[str, Any]:
        """Send a form, wait until its link is in the graph, and return that event as the live feed has it."""
        known = len(self.sent("identity_link"))
        self.fill(brand, form, **values)
        until(lambda: len(self.sent("identity_link")) > known, f"a link from {form} on {brand}")
        return self.journaled("identity_link")

    def log_in(self, brand: str, email: str) -> dict[str, Any]:
        """Log in, or become a customer on the spot."""
        return self.submit(brand, "login", email=email, password=PASSWORD)

    def told(self) -> str:
        """Wait until the page shows what the sensor was told of, and return all that it shows."""
        called = "document.querySelector('#did').innerText"
        return str(self.browser.wait(f"return /called|Heard/.test({called}) && {called}"))

    def look(self) -> dict[str, Any]:
        """Count a look at this page, and return that page view as the live feed has it."""
        assert self.browser.run("return onefold('page')") == {"sent": True}
        return self.journaled("page_view")

    def uid(self) -> str:
        """The browser's id on the site that is open, as an identifier."""
        return "uid:" + str(self.browser.run("return onefold('uid')"))

    def customer_id(self, brand: str) -> str:
        """The customer number that the site shows to who is logged in."""
        self.open(brand, "/profile")
        return self.browser.driver.find_element(By.CSS_SELECTOR, ".sheet strong").text

    def requested(self) -> list[Request]:
        """Every request since the visitor arrived."""
        return self.traffic.read()[self._before :]

    def to_endpoint(self) -> list[Request]:
        """Every request to the endpoint since the visitor arrived."""
        return [one for one in self.requested() if one.url.startswith(self.endpoint.origin)]

    def sent(self, kind: str | None = None) -> list[dict[str, Any]]:
        """The events sent since the visitor arrived, of one kind or of all."""
        bodies = [one.body for one in self.to_endpoint() if one.method == "POST" and one.url.endswith("/v1/events")]
        events = [json.loads(body) for body in bodies if body is not None]
        return [event for event in events if kind in (None, event["event"])]

    def journaled(self, kind: str) -> dict[str, Any]:
        """Wait until the last event of a kind that was sent is in the graph, and return it as the live feed has it."""
        event_id = self.sent(kind)[-1]["event_id"]

        def find() -> dict[str, Any] | None:
            return next((event for event in self.endpoint.live()["events"] if event["event_id"] == event_id), None)

        found = until(find, f"a {kind} in the live feed")
        assert found is not None
        return found

    def kept(self) -> set[str]:
        """The names of every cookie, and of everything stored for the site that is open."""
        cookies = self.browser.command("Network.getAllCookies", {})["cookies"]
        stored = self.browser.run("return [...Object.keys(localStorage), ...Object.keys(sessionStorage)]")
        return {cookie["name"] for cookie in cookies} | set(stored)

    def complaints(self) -> list[str]:
        """The errors and warnings of the console since the last call, without those a test expects."""
        log = self.browser.driver.get_log("browser")  # type: ignore[no-untyped-call]
        lines = [str(line["message"]) for line in log if line["level"] not in _NOISE]
        return [line for line in lines if not any(words in line for words in self.expected)]
