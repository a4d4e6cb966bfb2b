"""Websites that exchange cross-domain tokens, and what their pages send."""

import json
from pathlib import Path
from typing import Any, Final

import sqlalchemy
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from onefold.config import Config, Server, Site, StoreConfig, Tokens
from onefold.core.identifiers import Identifier
from onefold.core.rules import default_rules
from onefold.engine.situation import situation
from onefold.engine.verify import verify
from onefold.store.database import Database
from onefold.web.app import create_app
from support.web import database

A: Final = "https://brand-a.example"
A_WWW: Final = "https://www.brand-a.example"
B: Final = "https://brand-b.example"
BLOG: Final = "https://blog.example"
STRANGER: Final = "https://stranger.example"
LOOSE: Final = "https://loose.example"

SITES: Final = (
    Site("brand-a", (A, A_WWW), partners=("brand-b",)),
    Site("brand-b", (B,), partners=("brand-a", "blog", "loose")),
    Site("blog", (BLOG,), partners=("brand-b",)),
    Site("loose", (LOOSE,), partners=("brand-b",), t2_identity_link=True),
    Site("stranger", (STRANGER,)),
)

UID_A: Final = "aaaaaaaa-1111-4111-8111-111111111111.1760000000"
UID_B: Final = "bbbbbbbb-2222-4222-8222-222222222222.1760000000"
SESSION: Final = "a3b8c9d0-1234-4678-9abc-def012345678"

GRANTED: Final = {"ad_storage": "granted", "ad_user_data": "granted", "analytics_storage": "granted"}


def configured(store: Database, folder: Path, **tokens: Any) -> Config:
    """An endpoint for these websites over a database."""
    return Config(
        server=Server("https://id.brand-a.example"),
        store=StoreConfig(store.url),
        sites=SITES,
        tokens=Tokens(**tokens),
        secrets_path=str(folder / "onefold.secrets"),
    )


class Web:
    """Browsers on the websites of one endpoint."""

    def __init__(self, config: Config) -> None:
        self.app: Flask = create_app(config)
        self._client: FlaskClient = self.app.test_client(use_cookies=False)

    def post(self, path: str, body: Any, origin: str | None, **headers: str) -> TestResponse:
        """Send a body (bytes as they are, anything else as JSON) from a page."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = {"Content-Type": "text/plain", **{name.replace("_", "-"): value for name, value in headers.items()}}
        if origin is not None:
            sent["Origin"] = origin
        return self._client.post(path, data=data, headers=sent)

    def mint(self, origin: str | None = A, body: Any = None, **changes: Any) -> TestResponse:
        """A page of brand-a asks for a token for a link to brand-b, but for what `changes` says."""
        headers = {name: changes.pop(name) for name in tuple(changes) if name[0].isupper()}
        return self.post("/v1/tokens", minting(**changes) if body is None else body, origin, **headers)

    def token(self, **changes: Any) -> str:
        """A token that was issued."""
        response = self.mint(**changes)
        assert response.status_code == 201, response.text
        token: str = response.get_json()["token"]
        return token

    def redeem(self, token: Any, origin: str | None = B, body: Any = None, **changes: Any) -> TestResponse:
        """A page of brand-b redeems a token, but for what `changes` says."""
        headers = {name: changes.pop(name) for name in tuple(changes) if name[0].isupper()}
        sent = redeeming(token, **changes) if body is None else body
        return self.post("/v1/tokens/redeem", sent, origin, **headers)

    def send(self, origin: str, uid: str, kind: str = "identity_link", **identifiers: str) -> None:
        """A page sends an event."""
        event = {"event": kind, "identity": {"uid": uid, "session_id": SESSION}, "identifiers": identifiers or None}
        response = self.post("/v1/events", {**event, "_meta": {"ts": 1_760_000_000_000, "tier": "T1"}}, origin)
        assert response.status_code == 202, response.text

    @property
    def database(self) -> Database:
        """The endpoint's database."""
        return database(self.app)

    def same(self, *uids: str) -> bool:
        """Whether these uids belong to somebody, and to one person."""
        with situation(self.database, default_rules()) as now:
            nodes = [now.node(Identifier("uid", uid)) for uid in uids]
        owners = {None if node is None else node.owner for node in nodes}
        return len(owners) == 1 and None not in owners

    def tokens_kept(self) -> int:
        """How many records of tokens there are."""
        engine = sqlalchemy.create_engine(self.database.url)
        with engine.connect() as connection:
            (count,) = connection.execute(sqlalchemy.text("select count(*) from token")).one()
        engine.dispose()
        return int(count)

    def differences(self) -> list[str]:
        """Where the store is not what its journal gives."""
        secrets = self.app.extensions["onefold"].secrets
        return verify(self.database, default_rules(), secrets.id_secret).differences

    def close(self) -> None:
        """Close the endpoint's database."""
        self.database.close()


def minting(uid: Any = UID_A, target: Any = B, tier: Any = "T1", **more: Any) -> dict[str, Any]:
    """The body of a request for a token."""
    return {"identity": {"uid": uid, "session_id": SESSION}, "target": target, "_meta": {"tier": tier}, **more}


def redeeming(token: Any, uid: Any = UID_B, referrer: Any = A, tier: Any = "T1", **more: Any) -> dict[str, Any]:
    """The body of a request to redeem a token."""
    identity = {"uid": uid, "session_id": SESSION}
    return {"token": token, "identity": identity, "referrer": referrer, "_meta": {"tier": tier}, **more}
