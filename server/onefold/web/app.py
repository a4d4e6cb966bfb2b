"""Put the endpoint together: the database, the engine, and a Flask application around them."""

from pathlib import Path
from typing import Final

from flask import Flask

from onefold.config import Config, load_secrets
from onefold.core.rules import parse_rules
from onefold.engine.ingest import Ingest
from onefold.engine.opening import Opening, check_id_secret
from onefold.engine.spool import Spool
from onefold.store.database import Database
from onefold.web import api, collect, health, live, logs, problems, sensor, tokens
from onefold.web.metrics import Metrics
from onefold.web.state import State, now_ms

_PATIENCE_SECONDS: Final = 10.0
"""How long a start waits for a store that neither answers nor fails."""


def create_app(config: Config, migrate: bool = True, demo: bool = False) -> Flask:
    """The endpoint as a Flask application; `web.front` puts the collection of events in front of it.

    `migrate` brings the schema up to date first; `demo` adds the live page, which shows everybody everything and is
    for this machine only. Where the store is away, it is opened as soon as it is there, and events wait in the spool
    until then. Raises ConfigError when the rules, the secrets or the database do not fit.
    """
    logs.configure(config.server.log_level)
    rules = parse_rules(config.rules)
    secrets = load_secrets(Path(config.secrets_path), config.sites)
    database = Database(config.store.url)
    app = Flask("onefold.web", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = collect.MAX_BODY_BYTES
    spool, metrics = Spool(config.spool_folder), Metrics()
    budget_ms = config.store.commit_budget_ms
    ingest = Ingest(database, rules, secrets.id_secret, spool=spool, budget_ms=budget_ms, watch=metrics)

    def open_store() -> None:
        database.migrate() if migrate else database.check_schema()
        check_id_secret(database, secrets.id_secret)
        ingest.adopt(config.rules, now_ms())

    ingest.store_away = True  # until the rules are adopted
    opening = Opening(open_store)
    opening.begin(_PATIENCE_SECONDS)
    app.extensions["onefold"] = State(config, secrets, database, ingest, spool, metrics, opening)
    problems.register(app)
    for blueprint in (api.blueprint, collect.blueprint, tokens.blueprint, sensor.blueprint, health.blueprint):
        app.register_blueprint(blueprint)
    if demo:
        app.register_blueprint(live.blueprint)
    app.wsgi_app = logs.RequestIds(app.wsgi_app)  # type: ignore[method-assign]
    return app
