"""What both planes do with events: gate them, hand them to the engine, and say what became of each. Nothing here knows
of requests and responses.
"""

from collections.abc import Sequence
from typing import Any

from onefold.core.consent import Permitted, Policy, Refused, gate
from onefold.core.decision import Step
from onefold.core.event import Event
from onefold.core.redact import redact_text
from onefold.engine.ingest import Ingest, Taken
from onefold.errors import PROBLEMS, OnefoldError


class Rejected:
    """An event that never reached the engine."""

    def __init__(self, error: OnefoldError, event: Event | None = None) -> None:
        self.error = error
        self.event = event


class Answer:
    """What the sender is told about one event: whether it was accepted, and what was refused of it.

    `spooled` and `fallback` are those of `Taken`; only a back end is told them.
    """

    def __init__(self, index: int, item: Permitted | Rejected, taken: Taken | None) -> None:
        self.index = index
        self.event = item.event
        self.error = item.error if isinstance(item, Rejected) else error_of(taken)
        self.spooled = taken is not None and taken.spooled
        self.fallback = None if taken is None else taken.fallback
        self.dropped = [] if taken is None or taken.decision is None else _dropped(taken.decision.trace)

    @property
    def accepted(self) -> bool:
        """Whether the event was taken, if not all of it."""
        return self.error is None

    @property
    def head(self) -> dict[str, Any]:
        """Which event of the request it is about."""
        return {"index": self.index, "event_id": None if self.event is None else self.event.event_id}

    def lines(self) -> list[dict[str, Any]]:
        """The `refused` entries of the response."""
        if self.error is not None:
            line = self.head | {"code": self.error.code, "detail": self.error.detail}
            return [line if self.error.field is None else line | {"field": self.error.field}]
        return [self.head | dropped for dropped in self.dropped]


def check(event: Event, policy: Policy, gpc: bool = False) -> Permitted | Rejected:
    """Ask the consent gate."""
    passed = gate(event, policy, gpc)
    if isinstance(passed, Refused):
        return Rejected(OnefoldError(passed.code, passed.detail), event)
    return passed


def take(ingest: Ingest, checked: Sequence[Permitted | Rejected]) -> list[Answer]:
    """Hand what is permitted to the engine, in order, and answer for every event once it is committed. Raises
    `unavailable`.
    """
    permitted = _permitted(checked)
    return _answers(checked, ingest.take(permitted) if permitted else [])


async def take_soon(ingest: Ingest, checked: Sequence[Permitted | Rejected]) -> list[Answer]:
    """As `take`, for a coroutine."""
    permitted = _permitted(checked)
    return _answers(checked, await ingest.take_soon(permitted) if permitted else [])


def _permitted(checked: Sequence[Permitted | Rejected]) -> list[Permitted]:
    return [item for item in checked if isinstance(item, Permitted)]


def _answers(checked: Sequence[Permitted | Rejected], taken: Sequence[Taken]) -> list[Answer]:
    results = iter(taken)
    return [
        Answer(index, item, next(results) if isinstance(item, Permitted) else None)
        for index, item in enumerate(checked)
    ]


def failure(answers: Sequence[Answer]) -> OnefoldError | None:
    """What the whole request is refused with: the first refusal, where no event was accepted."""
    return None if any(answer.accepted for answer in answers) else answers[0].error


def body(answers: Sequence[Answer]) -> dict[str, Any]:
    """The answer to a request of which at least one event was accepted."""
    accepted = sum(answer.accepted for answer in answers)
    return {"accepted": accepted, "refused": [line for answer in answers for line in answer.lines()]}


def error_of(taken: Taken | None) -> OnefoldError | None:
    """Why an event that reached the engine was not accepted; None where it was."""
    if taken is None or taken.failed:
        return OnefoldError("internal_error", "The endpoint failed on this event; the others are safe.")
    decision = taken.decision
    if decision is None or decision.code is None:
        return None
    return OnefoldError(decision.code, decision.detail or "")


def dropped(code: str, identifier: str, detail: str | None = None) -> dict[str, Any]:
    """What is said of a part of an event that was dropped."""
    return {"code": code, "detail": detail or PROBLEMS[code][1] + ".", "identifier": identifier}


def _dropped(trace: Sequence[Step]) -> list[dict[str, Any]]:
    """What was wrong with the event itself. Conflicts are about other people, and are no business of a page."""
    return [
        dropped(step.code, redact_text(step.identifier.type))
        for step in trace
        if step.action == "drop" and step.code is not None
    ]
