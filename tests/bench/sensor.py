"""The sensor beside other scripts, in Chromium slowed down four times.

Every script is put into the page as text, so that what is timed is compiling and running it, not the network; for one
column it is also loaded as pages load it. All scripts take turns, each in a page of its own, so that whatever else the
machine does falls on all of them.

    loaded       how long a page that loads it with `<script async src>` is held up until it has run. What Chromium
                 compiles in other threads then does not count
    evaluated    until the script, put into the page as text, has been compiled and run
    ready        until it takes a call: the same, and its own `init` where it has one. onefold takes calls as soon as
                 it has run, and starts in a task of its own, which the next two columns have
    main thread  processor time of all tasks of the page's main thread, from before the script until long after it
                 has come to rest, less those of an empty script: work that is put off counts here
    long tasks   tasks above 50 ms in that time and during the call, over all rounds
    request      from a call, when all is quiet, until the page hands the first request to the browser
    at once      the same for a call made right after `ready`, in a page of its own

Times are medians, in milliseconds.
"""

from __future__ import annotations

import gzip
import json
import statistics
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from e2e.browser import DIST, Browser, open_browser, open_site

SENSOR_JS = DIST.parent
PEERS = SENSOR_JS / "bench" / "node_modules"
SLOWER = 4
SETTLE_MS = 1200


@dataclass(frozen=True)
class Script:
    """A script: how it is prepared before it is run, started after it has run, and what call is timed.

    Without a file it is an empty one, beside which the others' work is measured.
    """

    name: str
    file: Path | None
    before: str
    start: str
    call: str
    module: bool = False


SCRIPTS = [
    Script("nothing", None, "", "", ""),
    Script(
        "onefold",
        DIST / "onefold.js",
        "data.endpoint = origin",
        "",
        "onefold('link', {email: 'a@b.example', phone: '+31612345678'})",
    ),
    Script(
        "plausible",
        PEERS / "@plausible-analytics/tracker/plausible.js",
        "",
        "plausible.init({domain: 'x.example', endpoint: origin + '/p', autoCapturePageviews: false,"
        "captureOnLocalhost: true, bindToWindow: false})",
        "plausible.track('x', {})",
        module=True,
    ),
    Script(
        "snowplow",
        PEERS / "@snowplow/browser-tracker/dist/index.umd.min.js",
        "",
        "snowplowBrowserTracking.newTracker('sp', origin, {appId: 'bench'})",
        "snowplowBrowserTracking.trackPageView()",
    ),
    Script(
        "segment",
        PEERS / "@segment/analytics-next/dist/umd/standalone.js",
        "window.analytics = []; analytics._writeKey = 'k'; analytics._cdn = origin; analytics.initialize = false;"
        "analytics.load = () => {}; analytics._loadOptions = {};"
        # As its snippet does it: calls wait in the array.
        "analytics.identify = (...args) => analytics.push(['identify', ...args])",
        "",
        "analytics.identify('u', {email: 'a@b.example'})",
    ),
    Script(
        "posthog",
        PEERS / "posthog-js/dist/array.js",
        "window.posthog = []; posthog._i = [['phc_x', {api_host: origin, autocapture: false, capture_pageview: false,"
        "disable_session_recording: true, advanced_disable_flags: true, opt_out_useragent_filter: true}, 'posthog']];"
        "posthog.__SV = 1",
        "",
        "posthog.capture('x', {}, {send_instantly: true})",
    ),
]

WATCH = """
window.requests = []; window.long = [];
const note = (target, name) => {
  const real = target[name];
  target[name] = function (...args) { requests.push(performance.now()); return real.apply(this, args); };
};
note(window, 'fetch'); note(XMLHttpRequest.prototype, 'send'); note(Navigator.prototype, 'sendBeacon');
new PerformanceObserver((list) => list.getEntries().forEach((e) => long.push(e.duration))).observe({type: 'longtask'});
"""
LOAD = """
const [text, before, start, call, settle] = arguments; const origin = location.origin;
const pause = (ms) => new Promise((done) => setTimeout(done, ms));
return (async () => {
  const script = document.createElement('script'); const data = script.dataset;
  eval(before);
  script.textContent = text;
  const t0 = performance.now();
  document.head.append(script);
  const t1 = performance.now();
  eval(start);
  const t2 = performance.now();
  requests.length = 0;
  eval(call);
  await pause(settle);
  return {evaluated: t1 - t0, ready: t2 - t0, request: requests.length ? requests[0] - t2 : null, long: window.long};
})();
"""
# A page that is always about to do something: how long it has to wait when the script comes.
FETCH = """
const [address, before] = arguments; const origin = location.origin;
return new Promise((done) => {
  const script = document.createElement('script'); const data = script.dataset;
  eval(before);
  const { port1, port2 } = new MessageChannel();
  let last; let waiting = true;
  port1.onmessage = () => { last = performance.now(); if (waiting) port2.postMessage(0); };
  port2.postMessage(0);
  script.onload = () => { done(performance.now() - last); waiting = false; };
  script.async = true;
  script.src = address;
  document.head.append(script);
});
"""
CALL = """
const [call, settle] = arguments; const origin = location.origin;
return (async () => {
  requests.length = 0;
  const t0 = performance.now();
  eval(call);
  await new Promise((done) => setTimeout(done, settle));
  return {request: requests.length ? requests[0] - t0 : null, long: window.long};
})();
"""


def _text(script: Script) -> str:
    if not script.file:
        return ""
    if not script.module:
        return script.file.read_text(encoding="utf-8")
    command = [
        "node_modules/.bin/esbuild",
        str(script.file),
        "--bundle",
        "--format=iife",
        f"--global-name={script.name}",
    ]
    return subprocess.run([*command, "--minify"], cwd=SENSOR_JS, capture_output=True, text=True, check=True).stdout


def _open(browser: Browser, url: str) -> None:
    browser.start_afresh()
    browser.open(url)
    time.sleep(0.3)
    browser.command("Emulation.setCPUThrottlingRate", {"rate": SLOWER})
    browser.run("window.long.length = 0")


def _busy(browser: Browser) -> float:
    """Return the milliseconds that the page's main thread has been busy so far."""
    metrics = browser.command("Performance.getMetrics", {})["metrics"]
    seconds: float = next(one["value"] for one in metrics if one["name"] == "TaskDuration")
    return seconds * 1000


def _once(browser: Browser, url: str, script: Script, text: str) -> dict[str, Any]:
    """Load a script and call it when all is quiet; in a new page, call it at once; in a third, load it by address."""
    _open(browser, url)
    before = _busy(browser)
    found: dict[str, Any] = browser.run(LOAD, text, script.before, script.start, "", SETTLE_MS)
    found["busy"] = _busy(browser) - before
    found |= browser.run(CALL, script.call, SETTLE_MS)
    browser.command("Emulation.setCPUThrottlingRate", {"rate": 1})
    _open(browser, url)
    loaded = browser.run(LOAD, text, script.before, script.start, script.call, SETTLE_MS)
    browser.command("Emulation.setCPUThrottlingRate", {"rate": 1})
    _open(browser, url)
    # No address comes twice, so that nothing is there from the last time.
    fetched = browser.run(FETCH, f"/{script.name}.js?{time.monotonic_ns()}", script.before)
    browser.command("Emulation.setCPUThrottlingRate", {"rate": 1})
    return found | {"at once": loaded["request"], "loaded": fetched}


def _median(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(statistics.median(known), 1) if known else None


def measure(rounds: int) -> Iterator[dict[str, Any]]:
    """Measure every script: bytes in gzip, medians in milliseconds, and the number of long tasks of all rounds."""
    texts = {script.name: _text(script) for script in SCRIPTS}
    found: dict[str, list[dict[str, Any]]] = {script.name: [] for script in SCRIPTS}
    with open_site() as site, open_browser() as browser:
        settings = {"integrations": {"Segment.io": {"apiKey": "k", "apiHost": f"127.0.0.1:{site.port}/v1"}}, "plan": {}}
        site.pages["/v1/projects/k/settings"] = json.dumps(settings)
        site.pages["/"] = f'<!doctype html><link rel="icon" href="data:,"><script>{WATCH}</script><body>'
        site.pages |= {f"/{name}.js": text for name, text in texts.items()}
        # The thread's own clock: what other processes take of the machine counts for nobody.
        browser.command("Performance.enable", {"timeDomain": "threadTicks"})
        for _ in range(rounds):
            for script in SCRIPTS:
                found[script.name].append(_once(browser, site.url("shop.localhost"), script, texts[script.name]))
    idle = _median([one["busy"] for one in found["nothing"]]) or 0.0
    for script in SCRIPTS[1:]:
        columns = ("loaded", "evaluated", "ready", "busy", "request", "at once")
        medians = {column: _median([one[column] for one in found[script.name]]) for column in columns}
        medians["busy"] = round((medians["busy"] or 0.0) - idle, 1)
        long = sum(len(one["long"]) for one in found[script.name])
        yield {"script": script.name, "gz": _gz(script), "long": long, **medians}


def _gz(script: Script) -> int:
    return len(gzip.compress(script.file.read_bytes(), 9)) if script.file else 0


def print_table(rounds: int) -> None:
    """Measure and print one line a script. Tells how to install the others where they are missing."""
    if not PEERS.is_dir():
        print("\nThe sensor beside others: run `npm ci` in sensor_js/bench first")
        return
    print(f"\nThe sensor beside others, CPU {SLOWER}x slower, medians of {rounds} rounds, ms")
    titles = ("bytes gz", "loaded", "evaluated", "ready", "main thread", "long tasks", "request", "at once")
    print(f"{'':<10}" + "".join(f" {title:>11}" for title in titles))
    for found in measure(rounds):
        times = [found[column] for column in ("loaded", "evaluated", "ready", "busy", "long", "request", "at once")]
        cells = [f"{found['gz']:,}", *("none" if value is None else f"{value:,}" for value in times)]
        print(f"{found['script']:<10}" + "".join(f" {cell:>11}" for cell in cells))
