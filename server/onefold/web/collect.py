"""POST /v1/events: what the sensor sends. Parse, gate, hand to the engine, answer once everything is committed."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from flask import Blueprint, Response, request

from onefold.config import Site
from onefold.core.claims import check_claim
from onefold.core.consent import Permitted, Refused, gate
from onefold.core.decision import Step
from onefold.core.event import Event
from onefold.core.redact import redact_text
from onefold.engine.ingest import Taken
from onefold.errors import PROBLEMS, OnefoldError
from onefold.intake import uiaf
from onefold.web.browser import (
    allow_origin,
    check_media_type,
    policy_of,
    preflight,
    sends_gpc,
    set_uid_cookie,
    site_of_request,
)
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
    permitted = [item for item in checked if isinstance(item, Permitted)]
    taken = iter(state().ingest.take(permitted) if permitted else [])
    results = [next(taken) if isinstance(item, Permitted) else None for item in checked]
    pairs = zip(checked, results, strict=True)
    return _respond(site, [_Answer(index, item, result) for index, (item, result) in enumerate(pairs)])


class _Turned:
    """An event that never reached the engine."""

    def __init__(self, error: OnefoldError, event: Event | None = None) -> None:
        self.error = error
        self.event = event


def _check(raw: Any, site: Site, received_at: int) -> Permitted | _Turned:
    """Parse and gate one event."""
    try:
        event = _proven(uiaf.parse(raw, received_at, site.id), raw, site)
    except OnefoldError as error:
        return _Turned(error)
    passed = gate(event, policy_of(site), sends_gpc())
    if isinstance(passed, Refused):
        return _Turned(OnefoldError(passed.code, passed.detail), event)
    return passed


def _proven(event: Event, raw: Any, site: Site) -> Event:
    """The event, verified when it carries a valid claim of the site's back end. Raises `claim_invalid`."""
    claim = raw.get("claim")
    if claim is None:
        return event
    secret = state().secrets.claim_secrets[site.id]
    check_claim(claim, secret, event, state().rules, event.received_at // 1000)
    return msgspec.structs.replace(event, verified=True)


class _Answer:
    """What the sender is told about one event: whether it was accepted, and what was refused of it."""

    def __init__(self, index: int, item: Permitted | _Turned, taken: Taken | None) -> None:
        self.event = item.event
        self.error = item.error if isinstance(item, _Turned) else error_of(taken)
        self.accepted = self.error is None
        self.refusals = [] if taken is None or taken.decision is None else _input_refusals(taken.decision.trace)
        self._index = index

    def lines(self) -> list[dict[str, Any]]:
        """The `refused` entries of the response."""
        head: dict[str, Any] = {"index": self._index, "event_id": None if self.event is None else self.event.event_id}
        if self.error is not None:
            line = head | {"code": self.error.code, "detail": self.error.detail}
            return [line if self.error.field is None else line | {"field": self.error.field}]
        return [
            head
            | {
                "code": step.code,
                "detail": PROBLEMS[step.code or ""][1] + ".",
                "identifier": redact_text(step.identifier.type),
            }
            for step in self.refusals
        ]


def error_of(taken: Taken | None) -> OnefoldError | None:
    """Why an event that reached the engine was not accepted; None where it was."""
    if taken is None or taken.failed:
        return OnefoldError("internal_error", "The endpoint failed on this event; the others are safe.")
    decision = taken.decision
    if decision is None or decision.code is None:
        return None
    return OnefoldError(decision.code, decision.detail or "")


def _input_refusals(trace: Sequence[Step]) -> list[Step]:
    """What was wrong with the event itself. Conflicts are about other people, and are no business of a page."""
    return [step for step in trace if step.action == "drop"]


def _respond(site: Site, answers: Sequence[_Answer]) -> Response:
    for answer in answers:
        if answer.error is not None:
            kind = "event" if answer.event is None else answer.event.kind
            state().turn_away(site.id, kind, answer.error.code, answer.error.detail)
    accepted = [answer for answer in answers if answer.accepted]
    first = next((answer.error for answer in answers if answer.error is not None), None)
    if not accepted and first is not None:
        return problem(first)
    body = {"accepted": len(accepted), "refused": [line for answer in answers for line in answer.lines()]}
    response = Response(as_json(body), status=202, content_type="application/json")
    response.headers["Cache-Control"] = "no-store"
    _keep_uid(response, accepted[-1].event)
    return response


def _keep_uid(response: Response, event: Event | None) -> None:
    """Set the cookie where the event's tier allows storage."""
    if event is not None and event.tier in ("T0", "T1", "T2"):
        uid = next((identifier.value for identifier in event.identifiers if identifier.type == "uid"), None)
        if uid is not None:
            set_uid_cookie(response, uid)
