"""A Flask application behind granian's own interface, RSGI: each of its requests is answered in a thread.

Of WSGI (PEP 3333) this is what Flask asks for. A thread is taken when the whole body is there, so that who sends slowly
holds none. Answers are collected before they are sent; nothing here streams.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from io import BytesIO
from typing import Any, Final, Protocol

from flask import Flask
from granian.rsgi import ProtocolClosed as ProtocolClosed  # type: ignore[attr-defined]  # raised where the sender left
from werkzeug.test import run_wsgi_app


class Headers(Protocol):
    """The headers of a request, their names in lower case. Values that are not ASCII are left out."""

    def keys(self) -> Sequence[str]:
        """All names, one that was sent several times as often."""

    def get(self, name: str) -> str | None:
        """The first value."""

    def get_all(self, name: str) -> Sequence[str]:
        """All values, in order."""


class Scope(Protocol):
    """What granian says of a request; `path` is decoded, and addresses end with a colon and the port."""

    method: str
    path: str
    query_string: str
    http_version: str
    scheme: str
    server: str
    client: str
    authority: str | None

    @property
    def headers(self) -> Headers:
        """Its headers."""


class Exchange(Protocol):
    """The body of a request, and how to answer it."""

    def __call__(self) -> Awaitable[bytes]:
        """The whole body. Raises ProtocolClosed where the sender leaves before its end."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Its pieces; they end where the sender leaves."""

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        """Answer."""


Application = Callable[[Scope, Exchange], Awaitable[None]]
"""What granian calls for each request, as its specification of RSGI says: https://github.com/emmett-framework/granian"""

_THREADS: Final = 32
_MAX_BODY_BYTES: Final = 1_048_576
"""What a body may have where the application does not say."""


def in_threads(app: Flask) -> Application:
    """A Flask application for granian."""
    executor = ThreadPoolExecutor(_THREADS, thread_name_prefix="flask")
    most = app.config["MAX_CONTENT_LENGTH"] = app.config["MAX_CONTENT_LENGTH"] or _MAX_BODY_BYTES

    def check(length: int) -> None:
        if length > most:
            raise _TooLarge

    async def answer(scope: Scope, exchange: Exchange) -> None:
        try:
            body = await read_body(scope, exchange, check)
        except ProtocolClosed:
            return  # nobody is left to answer
        except _TooLarge:
            environ = _environ(scope, b"", most + 1)  # which the application refuses in its own way
        else:
            environ = _environ(scope, body, len(body))
        loop, context = asyncio.get_running_loop(), copy_context()
        parts, status, headers = await loop.run_in_executor(executor, context.run, run_wsgi_app, app, environ, True)
        exchange.response_bytes(int(status.partition(" ")[0]), headers.to_wsgi_list(), b"".join(parts))

    return answer


class _TooLarge(Exception):
    """A body has more bytes than it may have."""


async def read_body(scope: Scope, exchange: Exchange, check: Callable[[int], None]) -> bytes:
    """The body of a request; `check` is to raise what is to be raised for too many bytes, and is asked before they are
    read where the sender says how many. Raises ProtocolClosed where the sender leaves before the end that was declared.
    """
    declared = scope.headers.get("content-length") or ""
    if declared.isdecimal():
        check(int(declared))
        return await exchange()  # the server holds the sender to it
    body = bytearray()  # it grows in place, in however small pieces it comes
    async for piece in exchange:
        body += piece
        check(len(body))
    return bytes(body)


def _environ(scope: Scope, body: bytes, length: int) -> dict[str, Any]:
    server, _, port = scope.server.rpartition(":")
    client, _, client_port = scope.client.rpartition(":")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": scope.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": scope.path.encode().decode("latin-1"),
        "QUERY_STRING": scope.query_string,
        "CONTENT_LENGTH": str(length),
        "SERVER_NAME": server,
        "SERVER_PORT": port,
        "SERVER_PROTOCOL": f"HTTP/{scope.http_version}",
        "REMOTE_ADDR": client,
        "REMOTE_PORT": client_port,
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope.scheme,
        "wsgi.input": BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    if scope.authority:  # HTTP/2 has it in the place of a host
        environ["HTTP_HOST"] = scope.authority
    for name in set(scope.headers.keys()) - {"content-length", "transfer-encoding"}:
        if "_" not in name:  # or it would pass for the one with a hyphen
            separator = "; " if name == "cookie" else ","  # RFC 9110, 5.3, and RFC 9113, 8.2.3
            key = name.upper().replace("-", "_")
            environ[key if key == "CONTENT_TYPE" else f"HTTP_{key}"] = separator.join(scope.headers.get_all(name))
    return environ
