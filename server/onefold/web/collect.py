"""POST /v1/events: what the sensor sends. Parse, gate, hand to the engine, answer once everything is committed."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import msgspec
from flask import Blueprint, request
from werkzeug import Response
from werkzeug.wsgi import get_input_stream

from onefold.config import Site
from onefold.core.claims import check_claim
from onefold.core.consent import Permitted
from onefold.core.event import Event
from onefold.errors import OnefoldError
from onefold.intake import uiaf
from onefold.web import events
from onefold.web.browser import (
    allow_origin,
    check_media_type,
    cors_headers,
    policy_of,
    preflight,
    sends_gpc,
    site_of,
    uid_cookie,
)
from onefold.web.events import Answer, Rejected
from onefold.web.problems import answer_to, problem
from onefold.web.reply import Reply
from onefold.web.state import State, now_ms, state

MAX_BODY_BYTES: Final = uiaf.MAX_BODY_BYTES
_PATH: Final = "/v1/events"

Environ = dict[str, Any]
Application = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]

blueprint = Blueprint("collect", __name__)
blueprint.after_request(allow_origin)


@blueprint.route(_PATH, methods=["OPTIONS"], provide_automatic_options=False)
def allow_events() -> Response:
    """Answer a preflight, for pages that send application/json."""
    return preflight("POST")


@blueprint.post(_PATH)
def take_events() -> Response:
    """Take one event or an array of events, for who reaches Flask past the `Collector`."""
    return collect(request.environ, state()).response()


class Collector:
    """Answers `POST /v1/events` in front of a Flask application, and hands it everything else.

    Nearly all requests are this one, and it needs neither routing nor sessions nor signals, which together take longer
    than reading and checking an event does.
    """

    def __init__(self, application: Application, state: State) -> None:
        self._application = application
        self._state = state

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        """A WSGI application."""
        if environ["PATH_INFO"] != _PATH or environ["REQUEST_METHOD"] != "POST":
            return self._application(environ, start_response)
        return collect(environ, self._state).send(start_response)


def collect(environ: Environ, state: State) -> Reply:
    """Take the event or the events in a WSGI request. Whatever goes wrong is answered with a problem document."""
    origin = environ.get("HTTP_ORIGIN")
    reply = _answer(environ, origin, state)
    reply.headers.extend(cors_headers(origin, state.config))
    return reply


def _answer(environ: Environ, origin: str | None, state: State) -> Reply:
    try:
        site = site_of(origin, state.config)
        return _respond(site, environ["HTTP_ORIGIN"], _take(environ, site, state), state)
    except OnefoldError as error:
        state.note_refused(origin, "request", error)
        return problem(error)
    except Exception as error:
        return answer_to(error)


def _take(environ: Environ, site: Site, state: State) -> list[Answer]:
    check_media_type(environ.get("CONTENT_TYPE", ""))
    received_at = now_ms()
    gpc = sends_gpc(environ.get("HTTP_SEC_GPC", ""))
    body = get_input_stream(environ, max_content_length=MAX_BODY_BYTES).read()
    return events.take(state.ingest, [_check(raw, site, gpc, received_at, state) for raw in uiaf.split(body)])


def _respond(site: Site, origin: str, answers: Sequence[Answer], state: State) -> Reply:
    state.note_refusals(site.id, answers)
    if (error := events.failure(answers)) is not None:
        return problem(error)
    headers = [("Content-Type", "application/json"), ("Cache-Control", "no-store")]
    uid = _uid_to_keep(answers)
    cookie = None if uid is None else uid_cookie(uid, origin, state.config)
    if cookie is not None:
        headers.append(("Set-Cookie", cookie))
    return Reply(202, headers, msgspec.json.encode(events.body(answers)))


def _check(raw: Any, site: Site, gpc: bool, received_at: int, state: State) -> Permitted | Rejected:
    """Parse and gate one event."""
    try:
        event = _proven(uiaf.parse(raw, received_at, site.id), raw, site, state)
    except OnefoldError as error:
        return Rejected(error)
    return events.check(event, policy_of(site), gpc)


def _proven(event: Event, raw: Any, site: Site, state: State) -> Event:
    """The event, verified when it carries a valid claim of the site's back end. Raises `claim_invalid`."""
    claim = raw.get("claim")
    if claim is None:
        return event
    secret = state.secrets.claim_secrets[site.id]
    check_claim(claim, secret, event, state.rules, event.received_at // 1000)
    return msgspec.structs.replace(event, verified=True)


def _uid_to_keep(answers: Sequence[Answer]) -> str | None:
    """The uid for the cookie: that of the last event accepted, where its tier allows storage."""
    event = [answer.event for answer in answers if answer.accepted][-1]
    if event is None or event.tier not in ("T0", "T1", "T2"):
        return None
    return next((identifier.value for identifier in event.identifiers if identifier.type == "uid"), None)
