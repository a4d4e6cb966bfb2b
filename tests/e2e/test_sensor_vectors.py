"""The shipped sensor hashes in a real browser what the endpoint hashes in Python."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e.browser import Browser, Site, open_browser, open_site
from onefold.core.normalize import normalize

VECTORS = Path(__file__).parents[1] / "vectors"
FILES = ["normalize.json", "unicode.json", "phone.json"]
PAGE = """<!doctype html><meta charset="utf-8"><script type="module">
import * as sensor from '/onefold.mjs';
window.sensor = sensor;
</script>"""

HASH_ALL = """
// As JSON: the driver does not take lone surrogates.
return Promise.all(JSON.parse(arguments[0]).map(async ({type, input, region}) => [
  window.sensor.normalize(type, input, {region}),
  await window.sensor.hash(type, input, {region}),
]));
"""

# Sixteen code points a text; a checksum for every 4,096 of them.
SWEEP_CONTEXTS = ["A{}\u03a3", "A\u03a3{}B", "e{}\u0301", "{}\u0323\u0307"]
SWEEP = """
const [from, to, contexts] = arguments;
let sum = 0;
for (let start = from; start < to; start += 16) {
  let text = '';
  for (let c = start; c < start + 16; c++) {
    for (const context of contexts) text += context.replace('{}', () => String.fromCodePoint(c)) + ' ';
  }
  for (const unit of window.sensor.normalize('name', text) ?? '') {
    sum = (Math.imul(sum, 31) + unit.codePointAt(0)) | 0;
  }
}
return sum;
"""


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with open_site() as site:
        site.pages["/"] = PAGE
        yield site


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as browser:
        yield browser


def vectors(name: str) -> list[dict[str, Any]]:
    cases: list[dict[str, Any]] = json.loads((VECTORS / name).read_text(encoding="utf-8"))["vectors"]
    return cases


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(("host", "secure"), [("shop.localhost", True), ("shop.test", False)])
def test_every_vector_is_normalised_and_hashed_as_written(
    site: Site, browser: Browser, host: str, secure: bool, name: str
) -> None:
    """Every vector has its hash, in a secure context and where crypto.subtle is absent."""
    browser.open(site.url(host))
    browser.wait("return !!window.sensor")
    assert browser.run("return [isSecureContext, 'subtle' in crypto]") == [secure, secure]
    cases = vectors(name)
    found = browser.run(HASH_ALL, json.dumps(cases))
    for case, (normalized, digest) in zip(cases, found, strict=True):
        assert (normalized, digest) == (case["normalized"], case["sha256"]), case


def test_every_code_point_lower_cases_and_composes_as_in_python(site: Site, browser: Browser) -> None:
    """Every code point, between letters, sigmas and marks, ends as it does in Python."""
    browser.open(site.url("shop.localhost"))
    browser.wait("return !!window.sensor")
    for start in range(0, 0x110000, 0x1000):
        if not 0xD800 <= start < 0xE000:
            found = browser.run(SWEEP, start, start + 0x1000, SWEEP_CONTEXTS)
            assert found == checksum(start), f"U+{start:04X} to U+{start + 0xFFF:04X}"


def checksum(start: int) -> int:
    """Do in Python what SWEEP does in the page."""
    total = 0
    for first in range(start, start + 0x1000, 16):
        points = map(chr, range(first, first + 16))
        text = "".join(c.replace("{}", point) + " " for point in points for c in SWEEP_CONTEXTS)
        for char in normalize("name", text) or "":
            total = (total * 31 + ord(char)) & 0xFFFFFFFF
    return total - 2**32 if total >= 2**31 else total
