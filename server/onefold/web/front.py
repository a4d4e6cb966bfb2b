"""The endpoint as an ASGI application: events are taken in coroutines, everything else is Flask's, in threads.

Nearly every request is a `POST /v1/events`, which waits for its commit and needs nothing of Flask. Why this is no WSGI
application: docs/decisions/0023.
"""

from collections.abc import Iterable
from typing import Final, cast

from a2wsgi import WSGIMiddleware
from a2wsgi.asgi_typing import ASGIApp, HTTPScope, Receive, ReceiveEvent, Scope, Send
from a2wsgi.wsgi_typing import Environ, StartResponse, WSGIApp
from flask import Flask

from onefold.errors import OnefoldError
from onefold.intake.uiaf import check_length
from onefold.web.browser import cors_headers
from onefold.web.collect import PATH, Sent, collect
from onefold.web.logs import REQUEST_ID_HEADER, begin_request
from onefold.web.reply import Reply
from onefold.web.state import State

_THREADS: Final = 32


def in_threads(app: Flask) -> ASGIApp:
    """A Flask application as an ASGI one; each of its requests is answered in a thread."""

    def ends_by_itself(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        environ["wsgi.input_terminated"] = True  # type: ignore[typeddict-unknown-key]  # also a body of unknown length
        return cast(WSGIApp, app)(environ, start_response)

    adapted = WSGIMiddleware(ends_by_itself, workers=_THREADS)

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        async def next_message() -> ReceiveEvent:
            return await receive()  # granian's is an awaitable, but a2wsgi asks for a coroutine

        await adapted(scope, next_message, send)

    return answer


class Front:
    """Answers `POST /v1/events` for a Flask application, and hands it everything else."""

    def __init__(self, app: Flask) -> None:
        self._flask = in_threads(app)
        self._state: State = app.extensions["onefold"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """An ASGI application."""
        if scope["type"] == "http" and scope["path"] == PATH and scope["method"] == "POST":
            await self._take_events(scope, receive, send)
        else:
            await self._flask(scope, receive, send)

    async def _take_events(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        headers = _headers(scope["headers"])
        request_id = begin_request(headers.get("x-request-id", ""))
        sent = Sent(
            headers.get("origin"),
            headers.get("content-type", ""),
            headers.get("sec-gpc", ""),
            lambda: _body(headers, receive),
        )
        reply = await collect(sent, self._state)
        allowed = cors_headers(sent.origin, self._state.config)
        await _send(reply, [*reply.headers, *allowed, (REQUEST_ID_HEADER, request_id)], send)


_READ: Final = frozenset((b"x-request-id", b"origin", b"content-type", b"sec-gpc", b"content-length"))


def _headers(sent: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """The headers that are read, by their names, which ASGI has in lower case; one that was sent several times is
    joined by commas (RFC 9110, 5.3).
    """
    found: dict[str, str] = {}
    for raw_name, raw_value in sent:
        if raw_name in _READ:
            name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
            found[name] = f"{found[name]},{value}" if name in found else value
    return found


async def _body(headers: dict[str, str], receive: Receive) -> bytes:
    """Read the body. Raises `too_large`, and `invalid_event` where the sender leaves in the middle of it."""
    if (length := headers.get("content-length", "")).isdecimal():
        check_length(int(length))
    body, more = bytearray(), True  # it grows in place, in however small pieces it comes
    while more:
        message = await receive()
        if message["type"] != "http.request":
            raise OnefoldError("invalid_event", "The request ended before its body did.")
        body += message.get("body", b"")
        more = message.get("more_body", False)
        check_length(len(body))
    return bytes(body)


async def _send(reply: Reply, headers: Iterable[tuple[str, str]], send: Send) -> None:
    length = ("Content-Length", str(len(reply.body)))
    packed = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in (*headers, length)]
    await send({"type": "http.response.start", "status": reply.status, "headers": packed})
    await send({"type": "http.response.body", "body": reply.body})
