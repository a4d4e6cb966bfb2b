"""POST /v1/events: what the sensor sends. Parse, gate, hand to the engine, answer once everything is committed."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import msgspec
from flask import Blueprint
from flask import request as current_request
from werkzeug import Request, Response

from onefold.config import Site
from onefold.core.claims import check_claim
from onefold.core.consent import Permitted
from onefold.core.event import Event
from onefold.errors import OnefoldError
from onefold.intake import uiaf
from onefold.web import events
from onefold.web.browser import (
    allow_current_origin,
    allow_origin,
    check_media_type,
    policy_of,
    preflight,
    sends_gpc,
    set_uid_cookie,
    site_of_request,
)
from onefold.web.events import Answer, Rejected
from onefold.web.problems import answer_to, problem
from onefold.web.state import State, as_json, now_ms, state

MAX_BODY_BYTES: Final = uiaf.MAX_BODY_BYTES
_PATH: Final = "/v1/events"

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

blueprint = Blueprint("collect", __name__)
blueprint.after_request(allow_current_origin)


@blueprint.route(_PATH, methods=["OPTIONS"], provide_automatic_options=False)
def allow_events() -> Response:
    """Answer a preflight, for pages that send application/json."""
    return preflight("POST")


@blueprint.post(_PATH)
def take_events() -> Response:
    """Take one event or an array of events, for who reaches Flask past the `Collector`."""
    return collect(current_request, state())


class Collector:
    """Answers `POST /v1/events` in front of a Flask application, and hands it everything else.

    Nearly all requests are this one, and it needs neither routing nor sessions nor signals: Flask's dispatch would take
    a third of its time.
    """

    def __init__(self, application: Application, state: State) -> None:
        self._application = application
        self._state = state

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """A WSGI application."""
        if environ["PATH_INFO"] != _PATH or environ["REQUEST_METHOD"] != "POST":
            return self._application(environ, start_response)
        request = _Request(environ)
        return allow_origin(request, collect(request, self._state), self._state.config)(environ, start_response)


class _Request(Request):
    max_content_length = MAX_BODY_BYTES


def collect(request: Request, state: State) -> Response:
    """Take one event or an array of events. Whatever goes wrong is answered with a problem document."""
    try:
        return _take(request, state, site_of_request(request, state.config))
    except OnefoldError as error:
        site = state.config.site_of(request.headers.get("Origin"))
        state.turn_away("" if site is None else site.id, "request", error.code, error.detail)
        return problem(error)
    except Exception as error:
        return answer_to(error)


def _take(request: Request, state: State, site: Site) -> Response:
    check_media_type(request)
    received_at = now_ms()
    gpc = sends_gpc(request)
    checked = [_check(raw, site, gpc, received_at, state) for raw in uiaf.split(request.get_data(cache=False))]
    answers = events.take(state.ingest, checked)
    state.note_refusals(site.id, answers)
    if (error := events.failure(answers)) is not None:
        return problem(error)
    response = Response(as_json(events.body(answers)), status=202, content_type="application/json")
    response.headers["Cache-Control"] = "no-store"
    if (uid := _uid_to_keep(answers)) is not None:
        set_uid_cookie(request, response, state.config, uid)
    return response


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
