"""`onefold resolve`: an NDJSON file into memory, and everything that came out as one JSON object."""

from collections.abc import Iterable, Sequence
from typing import Any

from onefold.core.assertions import ASSERTION, Assertion
from onefold.core.consent import Policy, Refused, gate
from onefold.core.decision import Decision
from onefold.core.event import Event
from onefold.core.heal import Past
from onefold.core.identifiers import STAND_IN
from onefold.core.ledger import Entry
from onefold.core.rules import Rules
from onefold.engine.advance import assertion_event
from onefold.engine.memory import MemoryRun
from onefold.errors import OnefoldError
from onefold.intake import lines

_FILE_SECRET = b"onefold resolve: ids of a file, stable from run to run"


def resolve_lines(text: Iterable[bytes], rules: Rules) -> dict[str, Any]:
    """Resolve the lines in order. The result is documented in docs/reference/output.md."""
    run = _FileRun(rules)
    events = [run.take(line, number) for number, line in enumerate(text, start=1) if line.strip()]
    return {"events": events, "profiles": run.profiles(), "shared": run.shared(), "ledger": run.changes()}


class _FileRun:
    """The lines of one file on their way through memory."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._run = MemoryRun(rules, _FILE_SECRET, self._read_back)
        self._events: dict[int, Event] = {}
        self._first: dict[str, dict[str, Any]] = {}
        self._ledger: list[Entry] = []

    def take(self, line: bytes, number: int) -> dict[str, Any]:
        """The `events` entry of one line."""
        try:
            parsed = lines.parse(line, number)
            event = assertion_event(parsed, str(number), 0) if isinstance(parsed, Assertion) else parsed
            return self._take(event)
        except OnefoldError as error:
            return {"event_id": None, "line": number, **_refused(error.code, error.detail)}

    def _take(self, event: Event) -> dict[str, Any]:
        """Gate and resolve. An event id seen before changes nothing and is answered as it was."""
        if event.event_id in self._first and event.kind != ASSERTION:
            return {**self._first[event.event_id], "duplicate": True}
        permitted = gate(event, Policy())
        if isinstance(permitted, Refused):
            return {"event_id": event.event_id, **_refused(permitted.code, permitted.detail)}
        seq = len(self._events) + 1
        self._events[seq] = permitted.event
        try:
            advanced = self._run.take(permitted.event, seq)
        except OnefoldError:
            del self._events[seq]
            raise
        self._ledger += advanced.entries
        answer = self._answer(event, advanced.decision)
        if advanced.decision.outcome == "refused":
            del self._events[seq]
        else:
            self._first[event.event_id] = answer
        return answer

    def _read_back(self, positions: Sequence[int]) -> Past:
        return [(seq, self._events[seq]) for seq in positions]

    def _answer(self, event: Event, decision: Decision) -> dict[str, Any]:
        answer: dict[str, Any] = {
            "event_id": event.event_id,
            "profile": self._id(decision.profile),
            "outcome": decision.outcome,
            "refusals": [
                {
                    "identifier": str(step.identifier),
                    "code": step.code,
                    "action": step.action,
                    "rule": step.rule,
                    "profiles": [self._id(key) for key in dict.fromkeys((*step.profiles, decision.profile))]
                    if step.code == "conflict"
                    else [],
                }
                for step in decision.refusals
            ],
        }
        return answer if decision.code is None else answer | {"code": decision.code, "detail": decision.detail}

    def _id(self, key: int | None) -> str | None:
        return None if key is None else self._run.graph.profiles[key].id

    def profiles(self) -> list[dict[str, Any]]:
        """The surviving profiles, oldest first."""
        return [self._profile(key) for key in self._run.surviving()]

    def _profile(self, key: int) -> dict[str, Any]:
        profile = self._run.graph.profiles[key]
        return {
            "id": profile.id,
            "created_by": self._events[key].event_id,
            "created_at": profile.created_at,
            "identifiers": sorted(str(i) for i in {*profile.members, *profile.shares} if i.type != STAND_IN),
            "stand_ins": sorted(i.value for i in profile.members if i.type == STAND_IN),
            "merged": [self._id(other) for other in sorted(profile.absorbed)],
        }

    def shared(self) -> list[dict[str, Any]]:
        """The shared identifiers, each with the profiles it is linked to."""
        return [
            {"identifier": str(identifier), "profiles": [self._id(key) for key in keys]}
            for identifier, keys in self._run.sharers().items()
        ]

    def changes(self) -> list[dict[str, Any]]:
        """The ledger."""
        return [entry.public() for entry in self._ledger]


def _refused(code: str, detail: str) -> dict[str, Any]:
    return {"profile": None, "outcome": "refused", "code": code, "detail": detail, "refusals": []}
