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
    """What the sender is told about one event: whether it was accepted, and what was refused of it."""

    def __init__(self, index: int, item: Permitted | Rejected, taken: Taken | None) -> None:
        self.index = index
        self.event = item.event
        self.error = item.error if isinstance(item, Rejected) else error_of(taken)
        self.refusals = [] if taken is None or taken.decision is None else _input_refusals(taken.decision.trace)

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
        return [self.head | _dropped(step) for step in self.refusals]


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
    permitted = [item for item in checked if isinstance(item, Permitted)]
    taken = iter(ingest.take(permitted) if permitted else [])
    results = [next(taken) if isinstance(item, Permitted) else None for item in checked]
    return [Answer(index, item, result) for index, (item, result) in enumerate(zip(checked, results, strict=True))]


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


def _input_refusals(trace: Sequence[Step]) -> list[Step]:
    """What was wrong with the event itself. Conflicts are about other people, and are no business of a page."""
    return [step for step in trace if step.action == "drop"]


def _dropped(step: Step) -> dict[str, Any]:
    detail = PROBLEMS[step.code or ""][1] + "."
    return {"code": step.code, "detail": detail, "identifier": redact_text(step.identifier.type)}
