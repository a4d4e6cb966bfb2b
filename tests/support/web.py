"""What the tests of the browser plane send, and what they look at afterwards."""

import asyncio
import json
import uuid
from collections import deque
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from onefold.store.database import Database
from onefold.web.bridge import ProtocolClosed
from onefold.web.front import Front
from support import pictures
from support.stores import path_of

PATIENCE_MS: Final = 60_000
"""What a commit may take in a test: a machine that is busy is no store that is away."""

ORIGIN: Final = "https://www.brand-a.example"
OTHER_ORIGIN: Final = "https://brand-a.example"
ANALYTICS_ORIGIN: Final = "https://analytics.example"
UID: Final = "f81d4fae-7dec-11d0-a765-00a0c91e6bf6.1647291600"
HASH: Final = "b" * 64
TS: Final = 1_647_291_600_000


def link(**changes: Any) -> dict[str, Any]:
    """An identity_link event with an id of its own; `None` takes a member away, `meta_…` changes one of `_meta`."""
    raw: dict[str, Any] = {
        "event": "identity_link",
        "event_id": str(uuid.uuid4()),
        "identity": {"uid": UID, "session_id": "a3b8c9d0-1234-5678-9abc-def012345678"},
        "identifiers": {"customer_id": "CUS12345"},
        "_meta": {"ts": TS, "tier": "T1"},
    }
    for name, value in changes.items():
        table, key = (raw["_meta"], name[5:]) if name.startswith("meta_") else (raw, name)
        table[key] = value
    return raw


def view(**changes: Any) -> dict[str, Any]:
    """A page_view event."""
    return link(event="page_view", identifiers=None, **changes)


def post(browser: FlaskClient, body: Any, origin: str | None = ORIGIN, **headers: str) -> TestResponse:
    """Send a body (bytes as they are, anything else as JSON) to the endpoint, as text/plain unless said otherwise."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    sent.setdefault("Content-Type", "text/plain")
    if origin is not None:
        sent["Origin"] = origin
    return browser.post("/v1/events", data=data, headers=sent)


class _Headers:
    """The headers of a request, as granian gives them."""

    def __init__(self, sent: Iterable[tuple[str, str]]) -> None:
        self._sent = [(name.lower(), value) for name, value in sent]

    def keys(self) -> list[str]:
        return [name for name, _ in self._sent]

    def get_all(self, name: str) -> list[str]:
        return [value for other, value in self._sent if other == name]

    def get(self, name: str) -> str | None:
        return next(iter(self.get_all(name)), None)


@dataclass
class _Scope:
    """A request, as granian describes it."""

    path: str
    headers: _Headers
    method: str = "POST"
    query_string: str = ""
    http_version: str = "1.1"
    scheme: str = "http"
    server: str = "127.0.0.1:8000"
    client: str = "127.0.0.1:40000"
    authority: str | None = None


class _Exchange:
    """A request's body in pieces, and its answer. None in the place of a piece: the sender leaves."""

    def __init__(self, pieces: Sequence[bytes | None]) -> None:
        self._rest = deque(pieces)
        self.answers: list[tuple[int, list[tuple[str, str]], bytes]] = []

    async def __call__(self) -> bytes:
        if None in self._rest:
            raise ProtocolClosed
        return b"".join(piece for piece in self._rest if piece)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while self._rest and (piece := self._rest.popleft()) is not None:
            yield piece

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.answers.append((status, headers, body))


def ask_front(
    app: Flask, pieces: Sequence[bytes | None], headers: Iterable[tuple[str, str]], path: str = "/v1/events"
) -> tuple[int, list[tuple[str, str]], bytes]:
    """Post to the endpoint as its server does, the body in pieces; None in their place: the sender leaves. Status,
    headers and body of the answer.
    """
    exchange = _Exchange(pieces)
    asyncio.run(Front(app)(_Scope(path, _Headers(headers)), exchange))
    (answer,) = exchange.answers
    return answer


def problem(response: TestResponse) -> tuple[int, str]:
    """Status and code of a problem document, which must be a proper one."""
    assert response.content_type == "application/problem+json"
    body = response.get_json()
    assert set(body) - {"field"} == {"type", "title", "status", "code", "detail", "instance"}
    assert body["instance"] == f"urn:onefold:request:{response.headers['X-Request-Id']}"
    assert body["status"] == response.status_code
    assert body["type"] == f"urn:onefold:problem:{body['code']}"
    assert body["title"]
    assert body["detail"]
    assert "Traceback" not in response.text
    return response.status_code, body["code"]


def database(app: Flask) -> Database:
    """The database behind an endpoint."""
    found: Database = app.extensions["onefold"].database
    return found


def counts(app: Flask) -> dict[str, int]:
    """How many rows there are."""
    return pictures.counts(database(app))


def stored_bytes(app: Flask) -> bytes:
    """Everything that lies in the database's files, the write-ahead log included."""
    path = path_of(database(app))
    return b"".join(file.read_bytes() for file in sorted(path.parent.glob(f"{path.name}*")))


def send(client: FlaskClient, body: Any, key: str | None, **headers: str) -> TestResponse:
    """Send a body to the server plane as a back end does, with a key as a bearer token."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    sent = {"Content-Type": "application/json"} | {name.replace("_", "-"): value for name, value in headers.items()}
    if key is not None:
        sent["Authorization"] = f"Bearer {key}"
    return client.post("/api/v1/events", data=data, headers=sent)
