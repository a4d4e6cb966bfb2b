"""An answer as plain values, for Flask or for the server itself."""

from typing import NamedTuple

from werkzeug import Response


class Reply(NamedTuple):
    """A status, headers, and a body. Building a response object for it can be left to who needs one."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def response(self) -> Response:
        """As a Flask view returns it."""
        return Response(self.body, self.status, self.headers)
