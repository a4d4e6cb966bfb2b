"""A Flask application behind the server's interface that answers with what it was asked."""

from typing import Final

import msgspec
from flask import Flask, Response, request

from onefold.web.bridge import Application, in_threads

MOST: Final = 1_000
"""How many bytes a body may have."""


def application() -> Application:
    """What a worker runs."""
    app = Flask("echo", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MOST

    @app.route("/", defaults={"path": ""}, methods=["GET", "POST"])
    @app.route("/<path:path>", methods=["GET", "POST"])
    def echo(path: str) -> Response:
        headers = {name: value for name, value in request.headers.items() if name.startswith(("X-", "Cookie"))}
        told = {
            "method": request.method,
            "path": path,
            "query": request.query_string.decode(),
            "host": request.host,
            "headers": headers,
            "body": request.get_data(as_text=True),
        }
        response = Response(msgspec.json.encode(told), content_type="application/json")
        response.set_cookie("one", "1")
        response.set_cookie("two", "2")
        return response

    @app.route("/nothing")
    def nothing() -> tuple[str, int]:
        return "", 204

    return in_threads(app)
