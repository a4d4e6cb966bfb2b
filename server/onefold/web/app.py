"""Put the endpoint together: the database, the engine, and a Flask application around them."""

import hashlib
import hmac
from pathlib import Path
from typing import Final

from flask import Flask

from onefold.config import Config, Secrets, load_secrets
from onefold.core.rules import parse_rules
from onefold.engine.ingest import Ingest
from onefold.engine.spool import Spool
from onefold.errors import ConfigError
from onefold.store.database import Database
from onefold.web import api, collect, health, live, logs, problems, sensor, tokens
from onefold.web.metrics import Metrics
from onefold.web.state import State, now_ms

_ID_SECRET_CHECK: Final = "id_secret_check"


def create_app(config: Config, migrate: bool = True, demo: bool = False) -> Flask:
    """The endpoint as a Flask application; `web.front` puts the collection of events in front of it.

    `migrate` brings the schema up to date first; `demo` adds the live page, which shows everybody everything and is
    for this machine only. Raises ConfigError when the rules, the secrets or the database do not fit.
    """
    logs.configure(config.server.log_level)
    rules = parse_rules(config.rules)
    secrets = load_secrets(Path(config.secrets_path), config.sites)
    database = Database(config.store.url)
    if migrate:
        database.migrate()
    check_id_secret(database, secrets)
    app = Flask("onefold.web", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = collect.MAX_BODY_BYTES
    spool, metrics = Spool(config.spool_folder), Metrics()
    budget_ms = config.store.commit_budget_ms
    ingest = Ingest(database, rules, secrets.id_secret, spool=spool, budget_ms=budget_ms, watch=metrics)
    ingest.adopt(config.rules, now_ms())
    app.extensions["onefold"] = State(config, secrets, database, ingest, spool, metrics)
    problems.register(app)
    for blueprint in (api.blueprint, collect.blueprint, tokens.blueprint, sensor.blueprint, health.blueprint):
        app.register_blueprint(blueprint)
    if demo:
        app.register_blueprint(live.blueprint)
    app.wsgi_app = logs.RequestIds(app.wsgi_app)  # type: ignore[method-assign]
    return app


def check_id_secret(database: Database, secrets: Secrets) -> None:
    """Refuse a database whose profile ids were derived from another secret: a rebuild would change every id."""
    mark = hmac.digest(secrets.id_secret, b"onefold id secret", hashlib.sha256).hex()
    with database.transaction() as tx:
        known = tx.one("meta_get", _ID_SECRET_CHECK)
        if known is None:
            tx.run("meta_set", _ID_SECRET_CHECK, mark)
        elif known[0] != mark:
            raise ConfigError("the database was written with another id_secret; restore the secrets file it belongs to")
