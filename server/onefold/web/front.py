"""The endpoint as granian runs it: events are taken in coroutines, everything else is Flask's, in threads.

Nearly every request is a `POST /v1/events`, which waits for its commit and needs nothing of Flask. Why this is no WSGI
application: docs/decisions/0023.
"""

from flask import Flask

from onefold.errors import OnefoldError
from onefold.intake.uiaf import check_length
from onefold.web.bridge import Exchange, ProtocolClosed, Scope, in_threads, read_body
from onefold.web.browser import cors_headers
from onefold.web.collect import PATH, Sent, collect
from onefold.web.logs import REQUEST_ID_HEADER, begin_request
from onefold.web.state import State


class Front:
    """Answers `POST /v1/events` for a Flask application, and hands it everything else."""

    def __init__(self, app: Flask) -> None:
        self._flask = in_threads(app)
        self._state: State = app.extensions["onefold"]

    async def __call__(self, scope: Scope, exchange: Exchange) -> None:
        """An RSGI application."""
        if scope.path == PATH and scope.method == "POST":
            await self._take_events(scope, exchange)
        else:
            await self._flask(scope, exchange)

    async def _take_events(self, scope: Scope, exchange: Exchange) -> None:
        request_id = begin_request(_header(scope, "x-request-id") or "")
        sent = Sent(
            _header(scope, "origin"),
            _header(scope, "content-type") or "",
            _header(scope, "sec-gpc") or "",
            lambda: _body(scope, exchange),
        )
        reply = await collect(sent, self._state)
        allowed = cors_headers(sent.origin, self._state.config)
        headers = [*reply.headers, *allowed, (REQUEST_ID_HEADER, request_id)]
        exchange.response_bytes(reply.status, headers, reply.body)


def _header(scope: Scope, name: str) -> str | None:
    """A header; one that was sent several times is joined by commas (RFC 9110, 5.3)."""
    sent = scope.headers.get_all(name)
    return ",".join(sent) if sent else None


async def _body(scope: Scope, exchange: Exchange) -> bytes:
    """Read the body. Raises `too_large`, and `invalid_event` where the sender leaves in the middle of it."""
    try:
        return await read_body(scope, exchange, check_length)
    except ProtocolClosed:
        raise OnefoldError("invalid_event", "The request ended before its body did.") from None
