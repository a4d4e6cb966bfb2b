"""Why two identifiers are one person, or why they are not: answered from the journal, event by event.

A chain is the shortest one: the fewest journal events such that each shares an identifier with the next, from the one
end to the other.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from itertools import chain
from math import inf
from typing import Any

import msgspec

from onefold.core.assertions import ASSERTION, Assertions
from onefold.core.event import Event
from onefold.core.graph import Node, Profile
from onefold.core.identifiers import STAND_IN, Identifier, stand_in
from onefold.core.rules import WINDOW_MS, Rules
from onefold.engine.advance import assertion_of
from onefold.engine.situation import Situation
from onefold.store.graph_store import Written


class Step(msgspec.Struct, frozen=True):
    """One journal event of a chain. It carries `identifiers` of the profile; `via` leads on to the
    next step or the end.
    """

    written: Written
    identifiers: tuple[Identifier, ...]
    via: Identifier


def explain(situation: Situation, a: Identifier, b: Identifier) -> dict[str, Any]:
    """Whether two identifiers are one person, with the chain of events that says so or the reasons why not."""
    nodes = [situation.node(identifier) for identifier in (a, b)]
    owners = [None if node is None else node.owner for node in nodes]
    answer: dict[str, Any] = {"a": str(a), "b": str(b)}
    if owners[0] is not None and owners[0] == owners[1]:
        profile = situation.profile(owners[0])
        steps = [] if a == b else _chain(situation, profile, a, b)
        return {**answer, "linked": True, "profile": profile.id, "chain": [_step(situation, step) for step in steps]}
    return {**answer, "linked": False, "profile": None, "reasons": list(_reasons(situation, (a, b), nodes))}


# Why they are: breadth-first over identifiers and events.


def _chain(situation: Situation, profile: Profile, a: Identifier, b: Identifier) -> list[Step]:
    """The shortest chain. Evidence that was refused when it came counts only where nothing else connects the ends.

    A correction may have given an entry to another profile than what it once linked: then the entries that linked the
    members count as well.
    """
    written = {entry.seq: entry for entry in (*situation.written([profile.key]), *_joins(situation))}
    for refused_too, everything in ((False, False), (True, False), (True, True)):
        if steps := _shortest(_evidence(situation, written, profile, refused_too, everything), a, b):
            return steps
    linked = (situation.written_at(node.linked_by) for node in profile.members.values())
    written |= {entry.seq: entry for entry in linked if entry is not None}
    return _shortest(_evidence(situation, written, profile, True, True), a, b)


def _evidence(
    situation: Situation, written: dict[int, Written], profile: Profile, refused_too: bool, everything: bool
) -> list[tuple[Written, tuple[Identifier, ...]]]:
    """The entries that connect identifiers, each with those, in journal order."""
    entries = [entry for _, entry in sorted(written.items())]
    pairs = [(entry, tuple(_named(situation, entry, profile, refused_too, everything))) for entry in entries]
    return [pair for pair in pairs if len(pair[1]) > 1]


def _joins(situation: Situation) -> Iterator[Written]:
    """The joins in force. What one of them holds together may have moved on from where it was said."""
    for entry in situation.said():
        said = assertion_of(entry.event)
        if said.kind == "join" and said.b in situation.assertions.joined.get(said.a, ()):
            yield entry


def _named(
    situation: Situation, entry: Written, profile: Profile, refused_too: bool, everything: bool
) -> Iterator[Identifier]:
    """The identifiers of the profile that an entry names, a shared one by the stand-in of its session."""
    if entry.event.kind == ASSERTION and assertion_of(entry.event).kind != "join":
        return
    refusals = entry.decision.refusals
    passed_over = [step for step in refusals if not refused_too or (everything and step.action == "drop")]
    refused = {situation.rules.canonical(step.identifier) for step in passed_over}
    for identifier in _carried(situation.rules, entry.event):
        substitute = stand_in(identifier, entry.event.session_id)
        if (everything or identifier in profile.members) and identifier not in refused:
            yield identifier
        elif substitute in profile.members:
            yield substitute


def _carried(rules: Rules, event: Event) -> list[Identifier]:
    """What an event carried, most trusted first. Other rules may have taken it than those that hold now."""
    carried = {rules.canonical(sent) for sent in event.identifiers}
    return sorted(carried, key=lambda identifier: (rules.rule_of(identifier.type).priority, identifier))


def _shortest(evidence: Sequence[tuple[Written, tuple[Identifier, ...]]], a: Identifier, b: Identifier) -> list[Step]:
    naming: dict[Identifier, list[int]] = {}
    for index, (_, identifiers) in enumerate(evidence):
        for identifier in identifiers:
            naming.setdefault(identifier, []).append(index)
    came: dict[Identifier, tuple[Identifier, int] | None] = {a: None}
    used: set[int] = set()
    open_ends = deque([a])
    while open_ends and b not in came:
        here = open_ends.popleft()
        for index in naming.get(here, ()):
            if index not in used:
                used.add(index)
                for identifier in evidence[index][1]:
                    if identifier not in came:
                        came[identifier] = (here, index)
                        open_ends.append(identifier)
    return _walk_back(evidence, came, b)


def _walk_back(
    evidence: Sequence[tuple[Written, tuple[Identifier, ...]]],
    came: dict[Identifier, tuple[Identifier, int] | None],
    b: Identifier,
) -> list[Step]:
    steps = []
    at = b
    while (before := came.get(at)) is not None:
        written, identifiers = evidence[before[1]]
        steps.append(Step(written, identifiers, at))
        at = before[0]
    return steps[::-1]


def _step(situation: Situation, step: Step) -> dict[str, Any]:
    event = step.written.event
    return {
        **_event(event),
        "seq": step.written.seq,
        "identifiers": [_shown(identifier) for identifier in step.identifiers],
        "via": _shown(step.via),
        "rule": _rule_text(situation.rules, event, step.via),
    }


def _event(event: Event) -> dict[str, Any]:
    return {
        "event_id": event.event_id,
        "ts": event.ts,
        "source": event.source,
        "site": event.site,
        "tier": event.tier,
        "verified": event.verified,
    }


def _shown(identifier: Identifier) -> str:
    """A stand-in is shown as what it stands for."""
    return identifier.value.rpartition("#")[0] if identifier.type == STAND_IN else str(identifier)


def _rule_text(rules: Rules, event: Event, via: Identifier) -> str:
    if event.kind == ASSERTION:
        said = assertion_of(event)
        return f"assertion by {said.author or 'an operator'}: {said.reason or 'no reason given'}"
    if via.type == STAND_IN:
        return "the same session on a shared identifier"
    rule = rules.rule_of(via.type)
    limit = "no limit" if rule.limit is None else f"limit {rule.limit}"
    return f"{rule.name} links (priority {rule.priority}, {limit})"


# Why they are not.


def _reasons(
    situation: Situation, pair: tuple[Identifier, Identifier], nodes: Sequence[Node | None]
) -> Iterator[dict[str, Any]]:
    """Everything that keeps two identifiers apart, what is certain first."""
    owners = [None if node is None or node.owner is None else situation.profile(node.owner) for node in nodes]
    groups = [[i] if owner is None else list(owner.members) for i, owner in zip(pair, owners, strict=True)]
    profiles = [owner for owner in owners if owner is not None]
    if len(profiles) < 2:
        homeless = [found for found in zip(pair, nodes, owners, strict=True) if found[2] is None]
        yield from (_homeless(situation, identifier, node) for identifier, node, _ in homeless)
        yield from _separations(situation, *groups)
        return
    found = [
        *_separations(situation, *groups),
        *_limits(situation.rules, situation.assertions, profiles),
        *(_refusal(entry) for entry in _naming_both(situation, profiles)[-5:]),
    ]
    yield from found or [{"kind": "no_evidence", "text": "No journal event names identifiers of both."}]


def _homeless(situation: Situation, identifier: Identifier, node: Node | None) -> dict[str, Any]:
    """Why an identifier belongs to nobody."""
    if node is None:
        return {"kind": "unseen", "identifier": str(identifier), "text": f"{identifier} has never been seen."}
    if not node.shared:
        return {"kind": "unlinked", "identifier": str(identifier), "text": f"{identifier} is linked to nobody now."}
    reason = {"kind": "shared", "identifier": str(identifier)}
    written = situation.written_at(node.linked_by)
    if written is None:
        return reason | {"text": f"{identifier} is shared: it belongs to nobody alone."}
    rules = [step.rule for step in written.decision.trace if step.action == "share" and step.identifier == identifier]
    rule = rules[0] if rules else "assertion" if written.event.kind == ASSERTION else "suspect"
    text = f"{identifier} is shared since event {written.event.event_id} ({rule}): it belongs to nobody alone."
    return reason | _event(written.event) | {"rule": rule, "text": text}


def _separations(
    situation: Situation, ours: Sequence[Identifier], theirs: Sequence[Identifier]
) -> Iterator[dict[str, Any]]:
    apart = situation.assertions.keeps_apart(ours, theirs)
    if apart is None:
        return
    for written in reversed(situation.said()):
        said = assertion_of(written.event)
        if said.kind == "separate" and apart == f"separate({min(said.identifiers)}, {max(said.identifiers)})":
            text = f"{said.author or 'An operator'} said so: {said.reason or 'no reason given'}."
            yield {"kind": "assertion", "rule": apart, **_event(written.event), "text": text}
            return


def _limits(rules: Rules, assertions: Assertions, profiles: Sequence[Profile]) -> Iterator[dict[str, Any]]:
    """The limits that one profile of both would break today. A window ends with the newest link of its type."""
    for rule in rules.types.values():
        nodes = [
            [node for node in profile.members.values() if node.identifier.type == rule.name] for profile in profiles
        ]
        since = max((node.linked_at for node in chain(*nodes)), default=0) - (WINDOW_MS[rule.window] or inf)
        held = [[node.identifier for node in side if node.linked_at > since] for side in nodes]
        both = sorted(chain(*held))
        if rule.limit is not None and all(held) and assertions.distinct(both) > rule.limit:
            names = ", ".join(map(str, both))
            text = f"Together they would hold {names}, more than {rule.limit_text} allows."
            yield {"kind": "limit", "rule": rule.limit_text, "identifiers": [str(i) for i in both], "text": text}


def _naming_both(situation: Situation, profiles: Sequence[Profile]) -> list[Written]:
    """The events that name identifiers of both, or one that both share."""
    one, other = ({*profile.members, *profile.shares} for profile in profiles)
    found = []
    for entry in situation.written([profile.key for profile in profiles]):
        named = set(_carried(situation.rules, entry.event))
        if named & one and named & other and entry.event.kind != ASSERTION and _refusing(entry):
            found.append(entry)
    return found


def _refusing(entry: Written) -> bool:
    return any(step.code == "conflict" for step in entry.decision.trace)


def _refusal(entry: Written) -> dict[str, Any]:
    refused = [step for step in entry.decision.trace if step.code == "conflict"]
    words = {"keep": "stayed where it was", "share": "became shared", "move": "moved"}
    said = "; ".join(f"{step.identifier} {words.get(step.action, step.action)} ({step.rule})" for step in refused)
    return {
        "kind": "refusal",
        **_event(entry.event),
        "refusals": [
            {"identifier": str(step.identifier), "action": step.action, "rule": step.rule} for step in refused
        ],
        "text": f"Event {entry.event.event_id} named both: {said}.",
    }
