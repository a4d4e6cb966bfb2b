"""Questions to a graph: a profile, the ledger, and a picture of everything for the live page."""

from collections.abc import Iterable, Iterator, Sequence
from operator import attrgetter
from typing import Any, Final, Literal

import msgspec

from onefold.core.decision import Step
from onefold.core.graph import Node, Profile
from onefold.core.heal import Plan
from onefold.core.identifiers import PROFILE_ID_PATTERN, STAND_IN, Identifier, unpack_profile_id
from onefold.core.rules import Rules
from onefold.engine.history import Journal
from onefold.engine.situation import Present, Situation
from onefold.errors import OnefoldError
from onefold.store.database import Database, Reader, Row
from onefold.store.graph_store import Sighting, Written, sightings_in
from onefold.store.names import Names
from onefold.store.packing import pack_text, unpack_text

Purpose = Literal["advertising", "analytics"]
Trust = Literal["verified"]

_LIVE_PROFILES: Final = 40
_LIVE_EVENTS: Final = 50
_LIVE_LOOK_BACK: Final = 2_000


def canonical(rules: Rules, what: str) -> Identifier:
    """`type:value` under its type's own name and in the form it is matched on. Raises `not_found`."""
    try:
        identifier = Identifier.parse(what)
    except ValueError:
        raise OnefoldError("not_found", "Name a profile by its id (of_…) or by an identifier (type:value).") from None
    return rules.canonical(identifier)


def profile(
    situation: Situation, what: str, purpose: Purpose | None = None, trust: Trust | None = None
) -> dict[str, Any]:
    """The profile that an id (`of_…`, also one merged away) or an identifier (`type:value`) belongs to.

    With a purpose or trust it is the profile as the fitting events alone make it: `purpose="advertising"` leaves out
    what came without advertising consent (at T2), `trust="verified"` what no signed event, server or operator vouched
    for. An identifier that is shared gives `{"identifier", "shared": true, "profiles": […]}`. Raises `not_found`.
    """
    if PROFILE_ID_PATTERN.fullmatch(what):
        key = situation.key_of(what)
        if key is None:
            raise OnefoldError("not_found", "There is no profile with this id.")
        return _fitting(situation, situation.profile(key), None, purpose, trust)
    identifier = canonical(situation.rules, what)
    node = situation.node(identifier)
    if node is None or (node.owner is None and not node.shared):
        raise OnefoldError("not_found", "This identifier belongs to no profile.")
    if node.owner is None:
        ids = [situation.profile(key).id for key in situation.sharers(identifier)]
        return {"identifier": str(identifier), "shared": True, "profiles": ids}
    return _fitting(situation, situation.profile(node.owner), identifier, purpose, trust)


def _fitting(
    situation: Situation,
    found: Profile,
    identifier: Identifier | None,
    purpose: Purpose | None,
    trust: Trust | None,
) -> dict[str, Any]:
    """A profile as the events that fit a purpose and trust alone make it, around an identifier or around its beginning.

    Leaving identifiers out is not enough: two groups of them may be one person by an unfit event alone.
    """
    if purpose in (None, "analytics") and trust is None:
        return describe(situation, found, situation.sightings(found.key))
    entries = [written for written in situation.written([found.key]) if _fits(written, purpose, trust)]
    plan = situation.again(found.key, entries)
    part = _part(plan, identifier)
    if part is None:
        raise OnefoldError("not_found", "No event that fits this purpose and trust links it.")
    members = {identifier: _first_seen(situation, node) for identifier, node in part.members.items()}
    shown = msgspec.structs.replace(found, members=members, shares=part.shares)
    return describe(situation, shown, sightings_in(entries))


def _part(plan: Plan, identifier: Identifier | None) -> Profile | None:
    """The part that holds an identifier; without one, the part that the oldest entry belongs to."""
    if identifier is not None:
        node = plan.fresh.nodes.get(identifier)
        key = None if node is None else node.owner
    else:
        key = next(iter(plan.attributed.values()), None)
    return None if key is None else plan.fresh.profiles[plan.fresh.survivor(key)]


def _fits(written: Written, purpose: Purpose | None, trust: Trust | None) -> bool:
    """Whether an event may be used for a purpose and is trusted enough."""
    if purpose == "advertising" and written.event.tier not in ("T0", "T1"):
        return False
    return trust is None or written.event.verified


def profiles_of_events(database: Database, event_ids: Iterable[str]) -> dict[str, str]:
    """The id of the profile that each of these events belongs to now; those that belong to nobody are left out."""
    with database.snapshot() as reader:
        rows = reader.each("profiles_of_events", [(pack_text(event_id),) for event_id in event_ids])
    return {unpack_text(event_id): unpack_profile_id(digest) for event_id, digest in rows}


def describe(situation: Situation, found: Profile, sightings: Iterable[Sighting]) -> dict[str, Any]:
    """A profile as JSON, its identifiers with where and when its journal entries saw them. Times are ms."""
    seen = _seen(situation.rules, found, sightings)
    shared = [node for node in map(situation.node, found.shares) if node is not None]
    owned = [node for node in found.members.values() if node.identifier.type != STAND_IN]
    nodes = sorted([*owned, *shared], key=attrgetter("first_seen", "identifier"))
    return {
        "id": found.id,
        "created_at": found.created_at,
        "identifiers": [_identifier(node, *seen.get(node.identifier, (node.first_seen, []))) for node in nodes],
        "stand_ins": sorted(identifier.value for identifier in found.members if identifier.type == STAND_IN),
        "merged": [situation.profile(key).id for key in sorted(found.absorbed)],
        "flags": _flags(found, owned),
    }


def _seen(rules: Rules, found: Profile, sightings: Iterable[Sighting]) -> dict[Identifier, tuple[int, list[str]]]:
    """When each identifier was last seen, and on which sites, in the order of the first time."""
    seen: dict[Identifier, tuple[int, list[str]]] = {}
    for sent, site, ts in sightings:
        identifier = sent if sent in found.members else rules.canonical(sent)
        last, sites = seen.get(identifier, (ts, []))
        seen[identifier] = max(ts, last), sites
        if site and site not in sites:
            sites.append(site)
    return seen


def _first_seen(situation: Situation, node: Node) -> Node:
    """A node with the first time the graph knows of, which a profile resolved again does not."""
    known = situation.node(node.identifier)
    if known is None:
        return node
    return msgspec.structs.replace(node, first_seen=known.first_seen)


def _flags(found: Profile, owned: Sequence[Node]) -> list[str]:
    """What somebody who reads a profile should know first."""
    flags = []
    if found.shares:
        flags.append("uses_shared_identifier")
    if found.members and not owned:
        flags.append("anonymous_on_shared_identifier")
    if not found.members:
        flags.append("empty")
    return flags


def _identifier(node: Node, last_seen: int, sites: list[str]) -> dict[str, Any]:
    kind, value = node.identifier
    return {
        "identifier": f"{kind}:{value}",
        "type": kind,
        "value": value,
        "shared": node.shared,
        "first_seen": node.first_seen,
        "last_seen": last_seen,
        "source": node.source,
        "tier": node.tier,
        "verified": node.verified,
        "sites": sites,
    }


def ledger(database: Database, after: int, limit: int) -> list[dict[str, Any]]:
    """Ledger entries after a position, oldest first, each with its `seq`."""
    with database.snapshot() as reader:
        names = Names(reader)
        return [_ledger_entry(row, names) for row in reader.all("ledger_after", after, limit)]


def _ledger_entry(row: Row, names: Names) -> dict[str, Any]:
    seq, at, kind, event_id, body, _ = row
    head = {"seq": seq, "kind": names.text(kind), "at": at, "event_id": unpack_text(event_id)}
    return {**head, **msgspec.json.decode(body)}


def ledger_entries(database: Database, after: int = 0, page: int = 500) -> Iterator[dict[str, Any]]:
    """All ledger entries after a position."""
    while entries := ledger(database, after, page):
        yield from entries
        after = int(entries[-1]["seq"])


def live(database: Database, rules: Rules) -> dict[str, Any]:
    """The newest profiles, events and counts, for the live page of a demonstration."""
    with database.snapshot() as reader:
        journal = Journal(reader)
        present = Present(journal, rules)
        keys = [row[0] for row in reader.all("newest_profiles", _LIVE_LOOK_BACK, _LIVE_PROFILES)]
        shown = [present.profile(key) for key in dict.fromkeys(map(present.survivor, keys))]
        shared = sorted({identifier for found in shown for identifier in found.shares})
        return {
            "counts": _counts(reader),
            "profiles": [describe(present, found, present.sightings(found.key)) for found in shown],
            "shared": [{"identifier": str(i), "profiles": _ids(present, present.sharers(i))} for i in shared],
            "events": [_event(present, written) for written in journal.newest(_LIVE_EVENTS)],
        }


def _ids(situation: Situation, keys: Iterable[int]) -> list[str]:
    return [situation.profile(key).id for key in keys]


def _counts(reader: Reader) -> dict[str, int]:
    queries = {
        "profiles": "count_profiles",
        "identifiers": "count_identifiers",
        "events": "last_journal_seq",
        "shared": "count_shared",
    }
    return {name: reader.last(query) for name, query in queries.items()}


def _event(situation: Situation, written: Written) -> dict[str, Any]:
    event, decision = written.event, written.decision
    return {
        "seq": written.seq,
        "event_id": event.event_id,
        "at": event.received_at,
        "site": event.site,
        "kind": event.kind,
        "trigger": event.body.get("trigger"),
        "tier": event.tier,
        "outcome": decision.outcome,
        "profile": None if decision.profile is None else situation.profile(decision.profile).id,
        "identifiers": [str(identifier) for identifier in event.identifiers],
        "refusals": [_refusal(situation, step) for step in decision.refusals],
    }


def _refusal(situation: Situation, step: Step) -> dict[str, Any]:
    return {
        "action": step.action,
        "identifier": str(step.identifier),
        "code": step.code,
        "rule": step.rule,
        "profiles": _ids(situation, step.profiles),
    }
