"""Ledger entries: what a decision changed about profiles, in the words that downstream systems follow.

The facts of a `merged` entry are those of Snowplow's identity_merge 2-0-0: the survivor, every id ever merged into
it, and for each newly merged id when it was created, when it was merged, and by which event.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from onefold.core.decision import Decision
from onefold.core.event import Event
from onefold.core.graph import Graph, Profile
from onefold.core.identifiers import Identifier


class Entry(msgspec.Struct, frozen=True):
    """One change: created, merged, split, shared or reconciled. `at` is the event's time in ms, `profiles` the
    public ids concerned.
    """

    kind: str
    at: int
    event_id: str
    profiles: tuple[str, ...]
    body: dict[str, Any]

    def public(self) -> dict[str, Any]:
        """The entry as one flat JSON object."""
        return {"kind": self.kind, "at": self.at, "event_id": self.event_id, **self.body}


def entries(graph: Graph, decision: Decision, event: Event) -> list[Entry]:
    """The ledger entries of a decision that has just been applied to `graph`."""
    found: list[Entry] = []
    if decision.profile is None or not decision.trace:
        return found
    profile = graph.profiles.get(decision.profile)
    if decision.outcome == "created" and profile is not None:
        body = {"profile": profile.id, "created_at": profile.created_at}
        found.append(Entry("created", event.ts, event.event_id, (profile.id,), body))
    if decision.merged:
        found.append(merged_entry(graph, decision.profile, decision.merged, event))
    found += _shared(graph, decision, event)
    return found


def merged_entry(graph: Graph, survivor_key: int, lost: Sequence[int], event: Event) -> Entry:
    """The one entry for everything that an event merged into a profile."""
    survivor = graph.profiles[survivor_key]
    losers = [graph.profiles[key] for key in lost]
    merged = [loser.id for loser in losers]
    body: dict[str, Any] = {
        "survivor": survivor.id,
        "created_at": survivor.created_at,
        "merged": merged,
        "merges": [graph.profiles[key].id for key in sorted(survivor.absorbed)],
        "facts": [
            {
                "profile": loser.id,
                "created_at": loser.created_at,
                "merged_at": loser.merged_at,
                "triggering_event_id": event.event_id,
            }
            for loser in losers
        ],
    }
    return Entry("merged", event.ts, event.event_id, (survivor.id, *merged), body)


def shared_entry(graph: Graph, identifier: Identifier, rule: str | None, keys: Iterable[int], event: Event) -> Entry:
    """An identifier is shared by these profiles now, for this rule."""
    ids = [graph.profiles[key].id for key in keys]
    body = {"identifier": str(identifier), "rule": rule, "profiles": ids}
    return Entry("shared", event.ts, event.event_id, tuple(ids), body)


def reconciled_entry(note: Event, answered: Event, profile: Profile) -> Entry:
    """An event was answered with a fallback id while the store was away; it belongs to this profile."""
    fallback: str = note.body["fallback"]
    body = {"fallback": fallback, "profile": profile.id, "answered_event_id": answered.event_id}
    return Entry("reconciled", note.ts, note.event_id, (fallback, profile.id), body)


def _shared(graph: Graph, decision: Decision, event: Event) -> list[Entry]:
    assert decision.profile is not None
    found = []
    for step in decision.trace:
        if step.action == "share":
            keys = dict.fromkeys(graph.survivor(key) for key in (*step.profiles, decision.profile))
            found.append(shared_entry(graph, step.identifier, step.rule, keys, event))
    return found
