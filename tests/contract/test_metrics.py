"""GET /metrics: numbers that are right, shown to whoever has the token."""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest
from flask import Flask
from flask.testing import FlaskClient

from onefold import __version__
from onefold.config import Config, load_secrets
from onefold.web.state import State
from support.web import link, post, problem, view


def token_of(config: Config) -> str:
    """What a reader of the metrics has to show."""
    return load_secrets(Path(config.secrets_path), config.sites).metrics_token.decode()


def metrics(browser: FlaskClient, config: Config) -> dict[str, float]:
    """All numbers, by name and labels."""
    response = browser.get("/metrics", headers={"Authorization": f"Bearer {token_of(config)}"})
    assert response.status_code == 200
    return parsed(response.text)


def parsed(text: str) -> dict[str, float]:
    """The numbers in the text format of Prometheus."""
    pairs = (line.rpartition(" ") for line in text.splitlines() if line and not line.startswith("#"))
    return {name: float(number) for name, _, number in pairs}


def test_what_became_of_events_is_counted(browser: FlaskClient, config: Config) -> None:
    first = link(identifiers={"customer_id": "ANN"})
    for body in (
        [first, first],
        view(),
        link(identifiers={"customer_id": "null", "email_hash": "x"}),
        link(meta_tier="T3"),
    ):
        post(browser, body)
    post(browser, b"{", origin=None)
    found = metrics(browser, config)
    assert {name: number for name, number in found.items() if "total" in name and number} == {
        'onefold_events_total{outcome="created"}': 1,
        'onefold_events_total{outcome="duplicate"}': 1,
        'onefold_events_total{outcome="attached"}': 2,
        'onefold_refusals_total{code="consent_denied"}': 1,
        'onefold_refusals_total{code="origin_not_allowed"}': 1,
    }
    assert found["onefold_commit_seconds_count"] == 3
    assert found["onefold_commit_events_sum"] == 4
    assert found[f'onefold_build_info{{version="{__version__}"}}'] == 1


def test_the_spool_and_the_largest_profile_are_shown(app: Flask, browser: FlaskClient, config: Config) -> None:
    state: State = app.extensions["onefold"]
    for number in range(3):
        post(browser, link(identifiers={"customer_id": "ANN", "email_hash": f"{number}" * 64}))
    state.ingest.store_away = True
    post(browser, [view(), view()])
    state.metrics.look(state.ingest, state.spool)
    during = metrics(browser, config)
    assert during["onefold_largest_profile_identifiers"] == 5
    assert during["onefold_spooled_events_total"] == during["onefold_spool_events"] == 2
    assert during["onefold_store_away"] == 1
    assert during["onefold_spool_bytes"] > 0
    assert state.reconciler.drain()
    state.metrics.look(state.ingest, state.spool)
    after = metrics(browser, config)
    assert (after["onefold_spool_events"], after["onefold_store_away"], after["onefold_spool_oldest_seconds"]) == (
        0,
        0,
        0,
    )


SHOWN: Final = [
    pytest.param({}, 401, id="nothing"),
    pytest.param({"Authorization": "Bearer wrong"}, 401, id="another token"),
    pytest.param({"Authorization": "Bearer"}, 401, id="an empty token"),
    pytest.param({"Authorization": "Bearer ÿ"}, 401, id="characters beyond ASCII"),
    pytest.param({"Authorization": "Digest a=b"}, 401, id="another scheme"),
]


@pytest.mark.parametrize(("headers", "status"), SHOWN)
def test_who_does_not_show_the_token_is_refused(browser: FlaskClient, headers: Mapping[str, str], status: int) -> None:
    assert problem(browser.get("/metrics", headers=dict(headers))) == (status, "unauthenticated")


def test_the_token_may_be_a_user_name(browser: FlaskClient, config: Config) -> None:
    basic = base64.b64encode(f"{token_of(config)}:".encode()).decode()
    assert browser.get("/metrics", headers={"Authorization": f"Basic {basic}"}).status_code == 200


def test_the_token_is_no_user_name_of_another_scheme(browser: FlaskClient, config: Config) -> None:
    digest = {"Authorization": f'Digest username="{token_of(config)}"'}
    assert problem(browser.get("/metrics", headers=digest)) == (401, "unauthenticated")


def test_secrets_from_the_environment_need_no_token_and_then_nobody_may_read(tmp_path: Path) -> None:
    given = {"ONEFOLD_ID_SECRET": "i" * 32, "ONEFOLD_TOKEN_KEYS": "k" * 32}
    assert load_secrets(tmp_path / "none", (), given).metrics_token == b""
    assert load_secrets(tmp_path / "none", (), {**given, "ONEFOLD_METRICS_TOKEN": "m" * 32}).metrics_token == b"m" * 32
    assert not (tmp_path / "none").exists()


_PROCESS: Final = """
import json, sys
from onefold.engine.ingest import Taken
from onefold.web.metrics import Metrics
metrics = Metrics()
metrics.committed([Taken(duplicate=True)] * int(sys.argv[1]), 0.01)
metrics._waiting.set(int(sys.argv[1]))
print(json.dumps(metrics.text().decode()))
"""


def test_processes_count_together_and_the_dead_wait_for_nothing(tmp_path: Path) -> None:
    """What a process counted stays when it is gone; what it said of the present goes with it."""
    texts = [
        json.loads(
            subprocess.run(
                [sys.executable, "-c", _PROCESS, str(count)],
                env={**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)},
                check=True,
                capture_output=True,
            ).stdout
        )
        for count in (2, 3)
    ]
    found = parsed(texts[1])
    assert found['onefold_events_total{outcome="duplicate"}'] == 5
    assert found["onefold_commit_seconds_count"] == 2
    assert found["onefold_spool_events"] == 3
