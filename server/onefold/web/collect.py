"""POST /v1/events: what the sensor sends. Parse, gate, hand to the engine, answer once everything is committed."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, NamedTuple

import msgspec
from flask import Blueprint, request
from werkzeug import Response

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
    site_of,
    uid_cookie,
)
from onefold.web.events import Answer, Rejected
from onefold.web.problems import answer_to, problem
from onefold.web.reply import Reply
from onefold.web.state import State, now_ms, state

MAX_BODY_BYTES: Final = uiaf.MAX_BODY_BYTES
PATH: Final = "/v1/events"

blueprint = Blueprint("collect", __name__)
blueprint.after_request(allow_origin)


class Sent(NamedTuple):
    """What is asked of a request that brings events; an absent header is empty, and `origin` None. `body` reads the
    body, and raises `too_large`.
    """

    origin: str | None
    media_type: str
    gpc: str
    body: Callable[[], Awaitable[bytes]]


@blueprint.route(PATH, methods=["OPTIONS"], provide_automatic_options=False)
def allow_events() -> Response:
    """Answer a preflight, for pages that send application/json."""
    return preflight("POST")


@blueprint.post(PATH)
def take_events() -> Response:
    """Take one event or an array of events, under a WSGI server."""
    headers = request.headers

    async def body() -> bytes:
        uiaf.check_length(request.content_length or 0)
        return request.get_data(cache=False)

    sent = Sent(headers.get("Origin"), headers.get("Content-Type", ""), headers.get("Sec-GPC", ""), body)
    return asyncio.run(collect(sent, state())).response()


async def collect(sent: Sent, state: State) -> Reply:
    """Take the event or the events of a request. Whatever goes wrong is answered with a problem document."""
    try:
        site = site_of(sent.origin, state.config)
        return _respond(site, sent.origin or "", await _take(sent, site, state), state)
    except OnefoldError as error:
        state.note_refused(sent.origin, "request", error)
        return problem(error)
    except Exception as error:
        return answer_to(error)


async def _take(sent: Sent, site: Site, state: State) -> list[Answer]:
    check_media_type(sent.media_type)
    received_at, gpc = now_ms(), sends_gpc(sent.gpc)
    checked = [_check(raw, site, gpc, received_at, state) for raw in uiaf.split(await sent.body())]
    return await events.take_soon(state.ingest, checked)


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
