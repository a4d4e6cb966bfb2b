"""The sensor's files, as the endpoint serves them: what may be kept for ever, and what follows the endpoint."""

import base64
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from flask import Flask
from flask.testing import FlaskClient

from onefold.web import problems, sensor

SIZES: Final = {
    "onefold.js": {},
    "onefold.v1.js": {"frozen": True},
    "onefold.v2.js": {"frozen": True},
    "onefold.v10.js": {},
}


@pytest.fixture
def browser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FlaskClient]:
    """An endpoint with two released versions and one that is not."""
    for name in SIZES:
        (tmp_path / name).write_text(f"/* {name} */")
    (tmp_path / "sizes.json").write_text(json.dumps(SIZES))
    monkeypatch.setattr(sensor, "_INSTALLED", tmp_path)
    sensor._read.cache_clear()
    app = Flask("sensor")
    app.register_blueprint(sensor.blueprint)
    problems.register(app)
    yield app.test_client()
    sensor._read.cache_clear()


@pytest.mark.parametrize(
    ("name", "immutable"),
    [("onefold.js", False), ("onefold.v1.js", True), ("onefold.v2.js", True), ("onefold.v10.js", False)],
)
def test_only_a_released_version_is_served_as_immutable(browser: FlaskClient, name: str, immutable: bool) -> None:
    """A browser may keep a released version for a year; everything else it asks for again after an hour."""
    answer = browser.get(f"/{name}")
    assert answer.text == f"/* {name} */"
    assert (answer.headers["Cache-Control"] == "public, max-age=31536000, immutable") == immutable
    assert ("max-age=3600" in answer.headers["Cache-Control"]) == (not immutable)
    assert answer.headers["Access-Control-Allow-Origin"] == "*", "SRI reads the file across origins"


def test_a_version_that_was_never_built_is_not_there(browser: FlaskClient) -> None:
    """404, and not some other version."""
    assert browser.get("/onefold.v3.js").status_code == 404


def test_the_newest_version_is_the_highest_number(browser: FlaskClient) -> None:
    """Ten comes after two; its hash is that of its bytes."""
    assert sensor.newest_version() == "onefold.v10.js"
    digest = base64.b64encode(hashlib.sha384(b"/* onefold.v10.js */").digest()).decode()
    assert sensor.integrity("onefold.v10.js") == f"sha384-{digest}"
