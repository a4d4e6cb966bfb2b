"""`onefold resolve`: an NDJSON file into memory, and everything that came out as one JSON object."""

from collections.abc import Iterable
from typing import Any

from onefold.core.consent import Policy, Refused, gate
from onefold.core.decision import Decision
from onefold.core.event import Event
from onefold.core.identifiers import STAND_IN, Identifier
from onefold.core.rules import Rules
from onefold.engine.memory import MemoryRun
from onefold.errors import OnefoldError
from onefold.intake import lines

_FILE_SECRET = b"onefold resolve: ids of a file, stable from run to run"


def resolve_lines(text: Iterable[bytes], rules: Rules) -> dict[str, Any]:
    """Resolve the lines in order. The result has the shape of contract.md, "Command line"."""
    run = MemoryRun(rules, _FILE_SECRET)
    founders: dict[int, str] = {}
    events = []
    for number, line in enumerate(text, start=1):
        if line.strip():
            events.append(_take(run, line, number, founders))
    return {
        "events": events,
        "profiles": [_profile(run, key, founders) for key in run.surviving()],
        "shared": _shared(run),
        "ledger": [entry.public() for entry in run.ledger],
    }


def _take(run: MemoryRun, line: bytes, number: int, founders: dict[int, str]) -> dict[str, Any]:
    try:
        event = lines.parse(line, number)
    except OnefoldError as error:
        return {"event_id": None, "line": number, **_refused(error.code, error.detail)}
    permitted = gate(event, Policy())
    if isinstance(permitted, Refused):
        return {"event_id": event.event_id, **_refused(permitted.code, permitted.detail)}
    decision = run.take(permitted)
    if decision.outcome == "created":
        founders.setdefault(decision.profile or 0, event.event_id)
    return _event(run, event, decision)


def _refused(code: str, detail: str) -> dict[str, Any]:
    return {"profile": None, "outcome": "refused", "code": code, "detail": detail, "refusals": []}


def _event(run: MemoryRun, event: Event, decision: Decision) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "event_id": event.event_id,
        "profile": run.public_id(decision.profile),
        "outcome": decision.outcome,
        "refusals": [
            {
                "identifier": str(step.identifier),
                "code": step.code,
                "action": step.action,
                "rule": step.rule,
                "profiles": [run.public_id(key) for key in dict.fromkeys((*step.profiles, decision.profile)) if key]
                if step.code == "conflict"
                else [],
            }
            for step in decision.refusals
        ],
    }
    if decision.code is not None:
        answer |= {"code": decision.code, "detail": decision.detail}
    return answer


def _profile(run: MemoryRun, key: int, founders: dict[int, str]) -> dict[str, Any]:
    profile = run.graph.profiles[key]
    return {
        "id": profile.id,
        "created_by": founders[key],
        "created_at": profile.created_at,
        "identifiers": sorted(str(i) for i in {*profile.members, *profile.shares} if i.type != STAND_IN),
        "stand_ins": sorted(i.value for i in profile.members if i.type == STAND_IN),
        "merged": [run.graph.profiles[other].id for other in sorted(profile.absorbed)],
    }


def _shared(run: MemoryRun) -> list[dict[str, Any]]:
    sharers: dict[Identifier, list[str]] = {}
    for key in run.surviving():
        for identifier in run.graph.profiles[key].shares:
            sharers.setdefault(identifier, []).append(run.graph.profiles[key].id)
    return [{"identifier": str(identifier), "profiles": ids} for identifier, ids in sorted(sharers.items())]
