"""The server plane, /api/v1: what back ends with a secret key may send and ask. One view for each request."""

from collections.abc import Mapping, Sequence
from typing import Any

from flask import Blueprint, request
from werkzeug import Response

from onefold.config import Site
from onefold.core.consent import Permitted, Policy
from onefold.engine import ask
from onefold.errors import OnefoldError
from onefold.intake import backend, uiaf
from onefold.intake.backend import Unused
from onefold.web import events
from onefold.web.backend import keep_private, needs
from onefold.web.browser import check_media_type, policy_of
from onefold.web.events import Answer, Rejected
from onefold.web.problems import problem
from onefold.web.state import as_json, now_ms, state

blueprint = Blueprint("api", __name__, url_prefix="/api/v1")
blueprint.after_request(keep_private)


@blueprint.errorhandler(OnefoldError)
def refuse(error: OnefoldError) -> Response:
    """Count a refused request, and answer it with a problem document."""
    state().turn_away("", "request", error.code, error.detail)
    return problem(error).response()


@blueprint.post("/events")
@needs("write")
def take_events() -> Response:
    """Take one event or an array of events, and say which profile each of them belongs to."""
    check_media_type(request.mimetype)
    received_at = now_ms()
    sites = {site.id: site for site in state().config.sites}
    checked = [_check(raw, received_at, sites) for raw in uiaf.split(request.get_data(cache=False))]
    answers = events.take(state().ingest, [item for item, _ in checked])
    for answer, (_, unused) in zip(answers, checked, strict=True):
        answer.dropped += [events.dropped(item.code, f"traits.{item.trait}", item.detail) for item in unused]
    return _respond(answers)


def _check(raw: Any, received_at: int, sites: Mapping[str, Site]) -> tuple[Permitted | Rejected, tuple[Unused, ...]]:
    """Parse and gate one event; the traits that were of no use come with it."""
    try:
        received = backend.parse(raw, received_at, sites, state().secrets.hash_salt)
    except OnefoldError as error:
        return Rejected(error), ()
    site = received.event.site
    policy = policy_of(sites[site]) if site else Policy()  # an event about no site has no exceptions
    return events.check(received.event, policy), received.unused


def _respond(answers: Sequence[Answer]) -> Response:
    state().note_refusals("", answers)
    if (error := events.failure(answers)) is not None:
        return problem(error).response()
    body = events.body(answers) | {"profiles": _profiles([answer for answer in answers if answer.accepted])}
    return Response(as_json(body), status=202, content_type="application/json")


def _profiles(accepted: Sequence[Answer]) -> list[dict[str, Any]]:
    """Whom each event is about; the record of a withdrawal is about nobody. While the store is away the graph cannot
    be asked, and the fallback id has to do.
    """
    committed = [answer.head["event_id"] for answer in accepted if not answer.spooled]
    found = ask.profiles_of_events(state().database, committed) if committed else {}
    return [
        answer.head | {"profile": answer.fallback or found.get(answer.head["event_id"]), "fallback": answer.spooled}
        for answer in accepted
    ]
