"""Fixtures for every test: databases to write to, one kind of store after another, and an endpoint."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, settings

from onefold.config import Config, Server, Site, StoreConfig
from onefold.store.database import Database
from onefold.web.app import create_app
from support.brain import Brain
from support.stores import STORES, NewDatabase
from support.web import ANALYTICS_ORIGIN, ORIGIN, OTHER_ORIGIN, PATIENCE_MS

# A slow machine is no failure, and a failure found once is found by everybody.
settings.register_profile(
    "onefold", deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("onefold")


@pytest.fixture(scope="session", params=STORES)
def new_database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NewDatabase]:
    """Makes migrated, empty databases of the store under test; each is put away at the end of its `with` block."""
    with STORES[request.param](tmp_path_factory.mktemp("databases")) as new:
        yield new


@pytest.fixture
def database(new_database: NewDatabase) -> Iterator[Database]:
    """One migrated, empty database."""
    with new_database() as fresh:
        yield fresh


SITES: Final = (
    Site("brand-a", (ORIGIN, OTHER_ORIGIN)),
    Site("analytics", (ANALYTICS_ORIGIN,), t2_identity_link=True, honour_gpc=False),
)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """An endpoint of its own, on the same site as brand-a."""
    return Config(
        server=Server("https://id.brand-a.example"),
        store=StoreConfig(f"sqlite:///{tmp_path}/onefold.db", commit_budget_ms=PATIENCE_MS),
        sites=SITES,
        secrets_path=str(tmp_path / "onefold.secrets"),
    )


@pytest.fixture
def app(config: Config) -> Iterator[Flask]:
    """The endpoint as an application, on a database file of its own."""
    endpoint = create_app(config)
    yield endpoint
    endpoint.extensions["onefold"].close()


@pytest.fixture
def browser(app: Flask) -> FlaskClient:
    """A client that keeps no cookies."""
    return app.test_client(use_cookies=False)


@pytest.fixture
def brain(database: Database) -> Iterator[Brain]:
    """An empty brain under the default rules; in the end its store must be what its journal gives."""
    fresh = Brain(database)
    yield fresh
    assert fresh.differences() == []
