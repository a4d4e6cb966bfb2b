"""What the tests of the browser plane send, and what they look at afterwards."""

import asyncio
import json
import uuid
from collections import deque
from collections.abc import Sequence
from typing import Any, Final, cast

from a2wsgi.asgi_typing import Scope
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from onefold.store.database import Database
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


def ask_front(
    app: Flask, pieces: Sequence[bytes | None], headers: dict[str, str], path: str = "/v1/events"
) -> tuple[int, list[tuple[str, str]], bytes]:
    """Post to the endpoint as its server does, the body in pieces; None in their place: the sender leaves. Status,
    headers and body of the answer.
    """
    rest, answer = deque(pieces), list[Any]()
    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "http_version": "1.1",
        "query_string": b"",
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
    }

    async def receive() -> Any:
        piece = rest.popleft()
        if piece is None:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": piece, "more_body": bool(rest)}

    async def send(message: Any) -> None:
        answer.append(message)

    asyncio.run(Front(app)(cast(Scope, scope), receive, send))
    start, *parts = answer
    told = [(name.decode(), value.decode()) for name, value in start["headers"]]
    return start["status"], told, b"".join(part["body"] for part in parts)


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
