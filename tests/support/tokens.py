"""Websites that exchange cross-domain tokens, and what their pages send."""

import json
from pathlib import Path
from typing import Any, Final, Literal

from flask import Flask
from werkzeug.test import TestResponse

from onefold.config import Config, Server, Site, StoreConfig, Tokens
from onefold.core.identifiers import Identifier
from onefold.engine import ask
from onefold.engine.explain import explain
from onefold.engine.situation import situation
from onefold.engine.verify import verify
from onefold.store.database import Database
from onefold.web.app import create_app
from onefold.web.state import State
from support.stores import rows
from support.web import PATIENCE_MS

A: Final = "https://brand-a.example"
A_WWW: Final = "https://www.brand-a.example"
B: Final = "https://brand-b.example"
BLOG: Final = "https://blog.example"
LOOSE: Final = "https://loose.example"
LOOSE_TOO: Final = "https://loose.test"
ONE_SIDED: Final = "https://one-sided.example"
STRANGER: Final = "https://stranger.example"

SITES: Final = (
    Site("brand-a", (A, A_WWW), partners=("brand-b",)),
    Site("brand-b", (B,), partners=("brand-a", "blog", "loose")),
    Site("blog", (BLOG,), partners=("brand-b",)),
    Site("loose", (LOOSE, LOOSE_TOO), partners=("brand-b",), t2_identity_link=True),
    Site("one-sided", (ONE_SIDED,), partners=("brand-b",)),
    Site("stranger", (STRANGER,)),
)

UID_A: Final = "aaaaaaaa-1111-4111-8111-111111111111.1760000000"
UID_B: Final = "bbbbbbbb-2222-4222-8222-222222222222.1760000000"
UID_C: Final = "cccccccc-3333-4333-8333-333333333333.1760000000"
UID_D: Final = "dddddddd-4444-4444-8444-444444444444.1760000000"
SESSION: Final = "a3b8c9d0-1234-4678-9abc-def012345678"
TS: Final = 1_760_000_000_000

GRANTED: Final = {"ad_storage": "granted", "ad_user_data": "granted", "analytics_storage": "granted"}


def configured(store: Database, folder: Path, rules: dict[str, Any] | None = None, **tokens: Any) -> Config:
    """An endpoint for these websites over a database."""
    return Config(
        server=Server("https://id.brand-a.example"),
        store=StoreConfig(store.url, commit_budget_ms=PATIENCE_MS),
        sites=SITES,
        tokens=Tokens(**tokens),
        rules=rules or {},
        secrets_path=str(folder / "onefold.secrets"),
    )


class Web:
    """Browsers on the websites of one endpoint."""

    def __init__(self, config: Config, migrate: bool = False) -> None:
        self.config = config
        self.app: Flask = create_app(config, migrate)

    @property
    def state(self) -> State:
        """What the endpoint is made of."""
        found: State = self.app.extensions["onefold"]
        return found

    @property
    def database(self) -> Database:
        """The endpoint's database."""
        return self.state.database

    def start_again(self) -> None:
        """Let another process take over the same database and secrets."""
        self.state.close()
        self.app = create_app(self.config, migrate=False)

    def check_and_close(self) -> None:
        """In the end the store must be what its journal gives."""
        found = verify(self.database, self.state.rules, self.state.secrets.id_secret).differences
        self.state.close()
        assert found == []

    # What pages send.

    def post(self, path: str, body: Any, origin: str | None, **headers: str) -> TestResponse:
        """Send a body (bytes as they are, anything else as JSON) from a page."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = {"Content-Type": "text/plain", **{name.replace("_", "-"): value for name, value in headers.items()}}
        if origin is not None:
            sent["Origin"] = origin
        return self.app.test_client(use_cookies=False).post(path, data=data, headers=sent)

    def options(self, path: str, origin: str) -> TestResponse:
        """Send a CORS preflight."""
        return self.app.test_client(use_cookies=False).options(path, headers={"Origin": origin})

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

    def send(self, origin: str, uid: str, kind: str = "identity_link", page_url: str = "", **identifiers: str) -> None:
        """A page sends an event."""
        event = {"event": kind, "identity": {"uid": uid, "session_id": SESSION}, "identifiers": identifiers or None}
        sent = {**event, "_meta": {"ts": TS, "tier": "T1", "page_url": page_url}}
        response = self.post("/v1/events", sent, origin)
        assert response.status_code == 202, response.text

    # What has become of it.

    def owner(self, identifier: str) -> int | None:
        """The key of the profile that owns an identifier; None where nobody does."""
        with situation(self.database, self.state.rules) as now:
            node = now.node(Identifier.parse(identifier))
            return None if node is None else node.owner

    def same(self, *uids: str) -> bool:
        """Whether these uids belong to somebody, and to one person."""
        owners = {self.owner(f"uid:{uid}") for uid in uids}
        return len(owners) == 1 and None not in owners

    def profile(self, uid: str, purpose: Literal["advertising"] | None = None) -> dict[str, Any]:
        """The profile of a uid, as it is shown."""
        with situation(self.database, self.state.rules) as now:
            return ask.profile(now, f"uid:{uid}", purpose)

    def explain(self, a: str, b: str) -> dict[str, Any]:
        """Why two identifiers are one person or not."""
        with situation(self.database, self.state.rules) as now:
            return explain(now, Identifier.parse(a), Identifier.parse(b))

    def journaled(self) -> int:
        """How many events the journal has; on PostgreSQL there are gaps between their positions."""
        return len(rows(self.database)["journal"])

    def tokens_kept(self) -> int:
        """How many records of tokens there are."""
        return len(rows(self.database)["token"])


def minting(uid: Any = UID_A, target: Any = B, tier: Any = "T1", **more: Any) -> dict[str, Any]:
    """The body of a request for a token."""
    return {"identity": {"uid": uid, "session_id": SESSION}, "target": target, "_meta": {"tier": tier}, **more}


def redeeming(token: Any, uid: Any = UID_B, referrer: Any = A, tier: Any = "T1", **more: Any) -> dict[str, Any]:
    """The body of a request to redeem a token."""
    identity = {"uid": uid, "session_id": SESSION}
    return {"token": token, "identity": identity, "referrer": referrer, "_meta": {"tier": tier}, **more}
