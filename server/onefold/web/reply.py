"""An answer as plain values, for Flask or for a bare WSGI server."""

from collections.abc import Callable
from typing import Any, NamedTuple

from werkzeug import Response
from werkzeug.http import HTTP_STATUS_CODES


class Reply(NamedTuple):
    """A status, headers, and a body. Building a response object for it can be left to who needs one."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def response(self) -> Response:
        """As a Flask view returns it."""
        return Response(self.body, self.status, self.headers)

    def send(self, start_response: Callable[..., Any]) -> list[bytes]:
        """As a WSGI application returns it."""
        status = f"{self.status} {HTTP_STATUS_CODES[self.status].upper()}"
        start_response(status, [*self.headers, ("Content-Length", str(len(self.body)))])
        return [self.body]
