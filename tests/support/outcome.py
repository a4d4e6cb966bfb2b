"""Check what `onefold resolve` printed against what a scenario or worked example expects."""

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import Any, Final

_HASHED: Final = re.compile(r"((?:email|phone)_hash):(?![0-9a-fA-F]{64}|!)([^ :]+)")


def hashed(value: Any) -> Any:
    """A text, or a table of texts, with the SHA-256 of `ada` in place of `email_hash:ada`: readable when written."""
    if isinstance(value, str):
        return _HASHED.sub(lambda found: f"{found[1]}:{hashlib.sha256(found[2].encode()).hexdigest()}", value)
    if isinstance(value, dict):
        return {hashed(key): hashed(item) for key, item in value.items()}
    return [hashed(item) for item in value] if isinstance(value, list) else value


def event(event_id: str, *identifiers: str, **more: Any) -> dict[str, Any]:
    """One line for `onefold resolve`: identifiers are `type:value`; `more` are session_id, ts, source, verified."""
    values: dict[str, list[str]] = {}
    for identifier in identifiers:
        kind, _, value = str(hashed(identifier)).partition(":")
        values.setdefault(kind, []).append(value)
    return {"event_id": event_id, "identifiers": values, **more}


def lines(events: Sequence[Mapping[str, Any]]) -> list[bytes]:
    """Events as lines of NDJSON."""
    return [json.dumps(item).encode() + b"\n" for item in events]


class Outcome:
    """The printed result, with the look-ups that expectations need."""

    def __init__(self, result: Mapping[str, Any]) -> None:
        self.result = result
        self.events: dict[str, dict[str, Any]] = {item["event_id"]: item for item in result["events"]}
        self.shared = {item["identifier"]: item["profiles"] for item in result["shared"]}
        self.survivor: dict[str, str] = {
            old: item["id"] for item in result["profiles"] for old in (item["id"], *item["merged"])
        }
        self.owner = {
            identifier: item["id"]
            for item in result["profiles"]
            for identifier in item["identifiers"]
            if identifier not in self.shared
        }

    def profile(self, event_id: str) -> str:
        """The surviving id that an event's answer stands for now."""
        return self.survivor[self.answered(event_id)]

    def kinds(self, kind: str) -> list[dict[str, Any]]:
        """The ledger entries of one kind."""
        return [entry for entry in self.result["ledger"] if entry["kind"] == kind]

    def answered(self, event_id: str) -> str:
        """The id that an event was answered with."""
        return str(self.events[event_id]["profile"])


def _event_profile(outcome: Outcome, expected: Mapping[str, str]) -> None:
    """One label, one profile once all merges are done; two labels, two answers."""
    for one, other in combinations(expected, 2):
        if expected[one] == expected[other]:
            assert outcome.profile(one) == outcome.profile(other), f"events {one} and {other} should be one profile"
        else:
            assert outcome.answered(one) != outcome.answered(other), f"events {one} and {other} should be two profiles"


def _answered(outcome: Outcome, expected: Mapping[str, str]) -> None:
    """One label, one answered id, merges or not."""
    for one, other in combinations(expected, 2):
        same = outcome.answered(one) == outcome.answered(other)
        assert same is (expected[one] == expected[other]), f"events {one} and {other}: the same answer is {same}"


def _merge_events(outcome: Outcome, expected: int) -> None:
    assert len(outcome.kinds("merged")) == expected


def _same(outcome: Outcome, expected: Sequence[Sequence[str]]) -> None:
    for group in expected:
        owners = {outcome.owner.get(identifier) for identifier in group}
        assert len(owners) == 1, f"{group} should be one profile"
        assert None not in owners, f"{group} should belong to somebody"


def _different(outcome: Outcome, expected: Sequence[Sequence[str]]) -> None:
    for group in expected:
        _all_different(outcome, group)


def _all_different(outcome: Outcome, expected: Sequence[str]) -> None:
    owners = [outcome.owner.get(identifier) for identifier in expected]
    assert None not in owners, f"{expected} should each belong to somebody"
    assert len(set(owners)) == len(expected), f"{expected} should be different profiles"


def _shared(outcome: Outcome, expected: Sequence[str]) -> None:
    assert set(outcome.shared) == set(expected)


def _not_identifiers(outcome: Outcome, expected: Sequence[str]) -> None:
    for identifier in expected:
        assert identifier not in outcome.owner
        assert identifier not in outcome.shared


def _free(outcome: Outcome, expected: Sequence[str]) -> None:
    _not_identifiers(outcome, expected)


def _sharers(outcome: Outcome, expected: Mapping[str, Sequence[str]]) -> None:
    """Which profiles a shared identifier is linked to, each named by an identifier that it owns."""
    for identifier, known_by in expected.items():
        assert set(outcome.shared[identifier]) == {outcome.owner[name] for name in known_by}


def _outcomes(outcome: Outcome, expected: Mapping[str, str]) -> None:
    for event_id, wanted in expected.items():
        found = outcome.events[event_id]
        assert found["outcome"] == wanted.split()[0], f"event {event_id}: {found}"
        assert wanted.split()[1:] == ([found["code"]] if "code" in found else [])


def _refusals(outcome: Outcome, expected: Mapping[str, Sequence[str]]) -> None:
    """For each event all its refusals, as `identifier code` or `identifier action rule` for a conflict."""
    for event_id, wanted in expected.items():
        found = [_refusal(item) for item in outcome.events[event_id]["refusals"]]
        assert found == list(wanted)


def _refusal(item: Mapping[str, Any]) -> str:
    if item["code"] == "conflict":
        return f"{item['identifier']} {item['action']} {item['rule']}"
    return f"{item['identifier']} {item['code']}"


def _created_by(outcome: Outcome, expected: Mapping[str, str]) -> None:
    """The event that founded the profile an identifier belongs to."""
    founders = {item["id"]: item["created_by"] for item in outcome.result["profiles"]}
    for identifier, event_id in expected.items():
        assert founders[outcome.owner[identifier]] == event_id


def _profiles(outcome: Outcome, expected: int) -> None:
    assert len(outcome.result["profiles"]) == expected


def _ledger(outcome: Outcome, expected: Sequence[str]) -> None:
    assert [f"{entry['event_id']} {entry['kind']}" for entry in outcome.result["ledger"]] == expected


_CHECKS: Final[dict[str, Callable[[Outcome, Any], None]]] = {
    "event_profile": _event_profile,
    "answered": _answered,
    "merge_events": _merge_events,
    "same": _same,
    "different": _different,
    "all_different": _all_different,
    "shared": _shared,
    "sharers": _sharers,
    "not_identifiers": _not_identifiers,
    "free": _free,
    "outcomes": _outcomes,
    "refusals": _refusals,
    "created_by": _created_by,
    "profiles": _profiles,
    "ledger": _ledger,
}


def check(result: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    """Hold a printed result against every expectation; an expectation nobody knows is an error."""
    outcome = Outcome(result)
    for key, wanted in expected.items():
        _CHECKS[key](outcome, wanted)
