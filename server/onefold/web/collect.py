"""POST /v1/events: what the sensor sends. Parse, gate, hand to the engine, answer once everything is committed."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from flask import Blueprint, Response, request

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
    policy_of,
    preflight,
    sends_gpc,
    set_uid_cookie,
    site_of_request,
)
from onefold.web.events import Answer, Rejected
from onefold.web.problems import problem
from onefold.web.state import as_json, now_ms, state

MAX_BODY_BYTES: Final = uiaf.MAX_BODY_BYTES

blueprint = Blueprint("collect", __name__)
blueprint.after_request(allow_origin)


@blueprint.route("/v1/events", methods=["OPTIONS"], provide_automatic_options=False)
def allow_events() -> Response:
    """Answer a preflight, for pages that send application/json."""
    return preflight("POST")


@blueprint.post("/v1/events")
def take_events() -> Response:
    """Take one event or an array of events."""
    try:
        return _take(site_of_request())
    except OnefoldError as error:
        site = state().config.site_of(request.headers.get("Origin"))
        state().turn_away("" if site is None else site.id, "request", error.code, error.detail)
        raise


def _take(site: Site) -> Response:
    check_media_type()
    received_at = now_ms()
    checked = [_check(raw, site, received_at) for raw in uiaf.split(request.get_data(cache=False))]
    return _respond(site, events.take(state().ingest, checked))


def _check(raw: Any, site: Site, received_at: int) -> Permitted | Rejected:
    """Parse and gate one event."""
    try:
        event = _proven(uiaf.parse(raw, received_at, site.id), raw, site)
    except OnefoldError as error:
        return Rejected(error)
    return events.check(event, policy_of(site), sends_gpc())


def _proven(event: Event, raw: Any, site: Site) -> Event:
    """The event, verified when it carries a valid claim of the site's back end. Raises `claim_invalid`."""
    claim = raw.get("claim")
    if claim is None:
        return event
    secret = state().secrets.claim_secrets[site.id]
    check_claim(claim, secret, event, state().rules, event.received_at // 1000)
    return msgspec.structs.replace(event, verified=True)


def _respond(site: Site, answers: Sequence[Answer]) -> Response:
    state().note_refusals(site.id, answers)
    if (error := events.failure(answers)) is not None:
        return problem(error)
    response = Response(as_json(events.body(answers)), status=202, content_type="application/json")
    response.headers["Cache-Control"] = "no-store"
    _keep_uid(response, [answer.event for answer in answers if answer.accepted][-1])
    return response


def _keep_uid(response: Response, event: Event | None) -> None:
    """Set the cookie where the event's tier allows storage."""
    if event is not None and event.tier in ("T0", "T1", "T2"):
        uid = next((identifier.value for identifier in event.identifiers if identifier.type == "uid"), None)
        if uid is not None:
            set_uid_cookie(response, uid)
