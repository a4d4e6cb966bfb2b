"""What goes into the log: what happened and where, never what a request carried.

One line an event, on standard error: JSON for programs, or readable on a terminal. Each line of a request has its id,
which the answer has too.
"""

import logging
import re
import sys
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from random import getrandbits
from traceback import extract_tb
from typing import Any, Final

import structlog
from structlog.typing import EventDict, Processor

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

REQUEST_ID_HEADER: Final = "X-Request-Id"
# Long enough for no phone number, and no letters beyond f for no name: the id is logged as it came.
_WELL_FORMED: Final = re.compile(r"[0-9A-Fa-f-]{16,64}")
_FRAMES: Final = 12
_request_id: Final[ContextVar[str | None]] = ContextVar("request_id", default=None)


def configure(level: str = "info") -> None:
    """Log from this level on: `debug`, `info`, `warning`, `error`."""
    last: Processor = (
        structlog.dev.ConsoleRenderer() if sys.stderr.isatty() else structlog.processors.JSONRenderer(sort_keys=True)
    )
    structlog.configure(
        processors=[
            _with_request_id,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
            _without_values,
            last,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
        cache_logger_on_first_use=False,
    )


def request_id() -> str | None:
    """The id of the request that is answered here."""
    return _request_id.get()


def begin_request(sent: str) -> str:
    """The id of the request whose answer begins here: what a proxy sent, where it is well-formed, or a fresh one."""
    found = sent if _WELL_FORMED.fullmatch(sent) else f"{getrandbits(128):032x}"
    _request_id.set(found)
    return found


class RequestIds:
    """Gives each request of a WSGI application an id, which its answer has too."""

    def __init__(self, application: Application) -> None:
        self._application = application

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """A WSGI application."""
        found = begin_request(environ.get("HTTP_X_REQUEST_ID", ""))

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            return start_response(status, [*headers, (REQUEST_ID_HEADER, found)], exc_info)

        return self._application(environ, start)


def _with_request_id(_: Any, __: str, entry: EventDict) -> EventDict:
    if (found := _request_id.get()) is not None:
        entry["request_id"] = found
    return entry


def _without_values(_: Any, __: str, entry: EventDict) -> EventDict:
    """Say of an exception what kind it is and where it came from. Its message and the variables around it may hold
    uids, hashes and tokens.
    """
    given = entry.pop("exc_info", None)
    error = given if isinstance(given, BaseException) else sys.exc_info()[1] if given else None
    if error is not None:
        entry["exception"] = [type(link).__qualname__ for link in _chain(error)]
        frames = extract_tb(error.__traceback__)[-_FRAMES:]
        entry["where"] = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
    return entry


def _chain(error: BaseException | None) -> Iterable[BaseException]:
    """An exception and what led to it."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
