"""The sensor beside other scripts, in Chromium slowed down four times: bytes, evaluation, long tasks, call to request.

Every script is put into the page as text, so that what is timed is compiling and running it, not the network. Each is
then given one call; `request` is the time until the page hands the first request after that to the browser.
"""

from __future__ import annotations

import gzip
import json
import statistics
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from e2e.browser import DIST, Browser, open_browser, open_site

SENSOR_JS = DIST.parent
PEERS = SENSOR_JS / "bench" / "node_modules"
SLOWER = 4
SETTLE_MS = 1500


@dataclass(frozen=True)
class Script:
    """A script: how it is prepared before it is run, started after it has run, and what call is timed."""

    name: str
    file: Path
    before: str
    start: str
    call: str
    module: bool = False


SCRIPTS = [
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
        "analytics.load = () => {}; analytics._loadOptions = {}",
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
RUN = """
const [text, before, start, call, settle] = arguments; const origin = location.origin;
const pause = (ms) => new Promise((done) => setTimeout(done, ms));
return (async () => {
  await pause(300);
  window.long.length = 0;
  const script = document.createElement('script'); const data = script.dataset;
  eval(before);
  script.textContent = text;
  const t0 = performance.now();
  document.head.append(script);
  const evaluated = performance.now() - t0;
  eval(start);
  await pause(settle);
  requests.length = 0;
  const t1 = performance.now();
  eval(call);
  await pause(settle);
  return {evaluated, request: requests.length ? requests[0] - t1 : null, long: window.long};
})();
"""


def _text(script: Script) -> str:
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


def _once(browser: Browser, url: str, script: Script, text: str) -> dict[str, Any]:
    browser.start_afresh()
    browser.open(url)
    browser.command("Emulation.setCPUThrottlingRate", {"rate": SLOWER})
    try:
        found: dict[str, Any] = browser.run(RUN, text, script.before, script.start, script.call, SETTLE_MS)
    finally:
        browser.command("Emulation.setCPUThrottlingRate", {"rate": 1})
    return found


def _median(values: list[float]) -> float | None:
    return round(statistics.median(values), 1) if values else None


def measure(rounds: int) -> Iterator[dict[str, Any]]:
    """Measure every script: bytes in gzip, medians in milliseconds, and the number of long tasks of all rounds."""
    with open_site() as site, open_browser() as browser:
        settings = {"integrations": {"Segment.io": {"apiKey": "k", "apiHost": f"127.0.0.1:{site.port}/v1"}}, "plan": {}}
        site.pages["/v1/projects/k/settings"] = json.dumps(settings)
        site.pages["/"] = f'<!doctype html><link rel="icon" href="data:,"><script>{WATCH}</script><body>'
        for script in SCRIPTS:
            text = _text(script)
            found = [_once(browser, site.url("shop.localhost"), script, text) for _ in range(rounds)]
            yield {
                "script": script.name,
                "gz": len(gzip.compress(script.file.read_bytes(), 9)),
                "evaluated": _median([one["evaluated"] for one in found]),
                "request": _median([one["request"] for one in found if one["request"] is not None]),
                "long": sum(len(one["long"]) for one in found),
            }


def print_table(rounds: int) -> None:
    """Measure and print one line a script. Tells how to install the others where they are missing."""
    if not PEERS.is_dir():
        print("\nThe sensor beside others: run `npm ci` in sensor_js/bench first")
        return
    print(f"\nThe sensor beside others, CPU {SLOWER}x slower, medians of {rounds} rounds")
    print(f"{'':<10} {'bytes gz':>9} {'evaluated ms':>13} {'long tasks':>11} {'request ms':>11}")
    for found in measure(rounds):
        request = "none" if found["request"] is None else f"{found['request']:.1f}"
        print(f"{found['script']:<10} {found['gz']:>9,} {found['evaluated']:>13.1f} {found['long']:>11} {request:>11}")
