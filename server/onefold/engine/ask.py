"""Questions to the stored graph: a profile, the ledger, and a picture of everything for the live page."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import msgspec

from onefold.core.decision import Step
from onefold.core.graph import Graph, Node, Profile
from onefold.core.identifiers import PROFILE_ID_PATTERN, STAND_IN, Identifier, pack_profile_id
from onefold.core.rules import Rules
from onefold.errors import OnefoldError
from onefold.store.database import Database, Reader
from onefold.store.graph_store import Written, load_identifiers, load_profiles, written_from
from onefold.store.names import Names
from onefold.store.packing import pack_text, unpack_text

_LIVE_PROFILES: Final = 40
_LIVE_EVENTS: Final = 50
_LIVE_LOOK_BACK: Final = 2_000


class View:
    """A part of the stored graph, read in one snapshot."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.names = Names(reader)
        self.graph = Graph(b"", complete=False)

    def load(self, keys: Iterable[int]) -> None:
        """Read these profiles, and the shared identifiers they are linked to."""
        load_profiles(self.reader, self.names, self.graph, keys)
        shares = [identifier for profile in self.graph.profiles.values() for identifier in profile.shares]
        load_identifiers(self.reader, self.names, self.graph, shares)

    def public_id(self, key: int) -> str:
        """The public id of a profile, read when it is not there yet."""
        load_profiles(self.reader, self.names, self.graph, [key])
        return self.graph.profiles[key].id

    def sharers(self, identifiers: Sequence[Identifier]) -> dict[Identifier, list[int]]:
        """The profiles that each shared identifier is linked to, oldest first."""
        if not identifiers:
            return {}
        found: dict[Identifier, list[int]] = {}
        wanted = [(self.names.id(i.type), pack_text(i.value)) for i in identifiers]
        for kind, value, key in sorted(set(self.reader.each("sharers", wanted))):
            found.setdefault(Identifier(self.names.text(kind), unpack_text(value)), []).append(key)
        return found


def profile(database: Database, rules: Rules, what: str) -> dict[str, Any]:
    """The profile that an id (`of_…`, also one merged away) or an identifier (`type:value`) belongs to.

    An identifier that is shared gives `{"identifier", "shared": true, "profiles": […]}`: it belongs to nobody alone.
    Raises `not_found`.
    """
    with database.snapshot() as reader:
        view = View(reader)
        if PROFILE_ID_PATTERN.fullmatch(what):
            return _profile_by_id(view, what)
        return _profile_by_identifier(view, canonical(rules, what))


def canonical(rules: Rules, what: str) -> Identifier:
    """`type:value` under its type's own name and in the form it is matched on. Raises `not_found`."""
    try:
        identifier = Identifier.parse(what)
    except ValueError:
        raise OnefoldError("not_found", "Name a profile by its id (of_…) or by an identifier (type:value).") from None
    rule = rules.rule(identifier.type)
    return identifier if rule is None else Identifier(rule.name, rule.canonical(identifier.value))


def _profile_by_id(view: View, public_id: str) -> dict[str, Any]:
    row = view.reader.one("profile_by_id", pack_profile_id(public_id))
    if row is None:
        raise OnefoldError("not_found", "There is no profile with this id.")
    key = row[0] if row[1] is None else row[1]
    view.load([key])
    return describe(view, view.graph.profiles[key])


def _profile_by_identifier(view: View, identifier: Identifier) -> dict[str, Any]:
    load_identifiers(view.reader, view.names, view.graph, [identifier])
    node = view.graph.node(identifier)
    if node is None or (node.owner is None and not node.shared):
        raise OnefoldError("not_found", "This identifier belongs to no profile.")
    if node.owner is None:
        keys = view.sharers([identifier]).get(identifier, [])
        return {"identifier": str(identifier), "shared": True, "profiles": [view.public_id(key) for key in keys]}
    view.load([node.owner])
    return describe(view, view.graph.profiles[node.owner])


def describe(view: View, found: Profile) -> dict[str, Any]:
    """A profile as JSON. Times are ms."""
    shared = [node for identifier in found.shares if (node := view.graph.nodes.get(identifier)) is not None]
    owned = [node for node in found.members.values() if node.identifier.type != STAND_IN]
    nodes = sorted([*owned, *shared], key=lambda node: (node.first_seen, node.identifier))
    return {
        "id": found.id,
        "created_at": found.created_at,
        "identifiers": [_identifier(node) for node in nodes],
        "stand_ins": sorted(identifier.value for identifier in found.members if identifier.type == STAND_IN),
        "merged": [view.graph.profiles[key].id for key in sorted(found.absorbed)],
        "flags": _flags(found),
    }


def _flags(found: Profile) -> list[str]:
    """What somebody who reads a profile should know first."""
    flags = []
    if found.shares:
        flags.append("uses_shared_identifier")
    if any(identifier.type == STAND_IN for identifier in found.members) and len(found.members) == 1:
        flags.append("anonymous_on_shared_identifier")
    if not found.members:
        flags.append("empty")
    return flags


def _identifier(node: Node) -> dict[str, Any]:
    return {
        "identifier": str(node.identifier),
        "type": node.identifier.type,
        "value": node.identifier.value,
        "shared": node.shared,
        "first_seen": node.first_seen,
        "last_seen": node.last_seen,
        "source": node.source,
        "tier": node.tier,
        "verified": node.verified,
    }


def ledger(database: Database, after: int, limit: int) -> list[dict[str, Any]]:
    """Ledger entries after a position, oldest first, each with its `seq`."""
    with database.snapshot() as reader:
        names = Names(reader)
        return [
            {
                "seq": seq,
                "kind": names.text(kind),
                "at": at,
                "event_id": unpack_text(event_id),
                **msgspec.json.decode(body),
            }
            for seq, at, kind, event_id, body in reader.all("ledger_after", after, limit)
        ]


def ledger_entries(database: Database, after: int = 0, page: int = 500) -> Iterator[dict[str, Any]]:
    """All ledger entries after a position."""
    while entries := ledger(database, after, page):
        yield from entries
        after = int(entries[-1]["seq"])


def live(database: Database) -> dict[str, Any]:
    """The newest profiles, events and counts, for the live page of a demonstration."""
    with database.snapshot() as reader:
        view = View(reader)
        keys = [row[0] for row in reader.all("newest_profiles", _LIVE_LOOK_BACK, _LIVE_PROFILES)]
        view.load(keys)
        keys = list(dict.fromkeys(view.graph.survivor(key) for key in keys))
        view.load(keys)
        shown = [view.graph.profiles[key] for key in keys]
        shared = view.sharers([identifier for found in shown for identifier in found.shares])
        return {
            "counts": _counts(reader),
            "profiles": [describe(view, found) for found in shown],
            "shared": [{"identifier": str(i), "profiles": [view.public_id(k) for k in ks]} for i, ks in shared.items()],
            "events": [
                _event(view, written_from(row, view.names)) for row in reader.all("newest_journal", _LIVE_EVENTS)
            ],
        }


def _counts(reader: Reader) -> dict[str, int]:
    queries = {
        "profiles": "count_profiles",
        "identifiers": "count_identifiers",
        "events": "last_journal_seq",
        "shared": "count_shared",
    }
    return {name: int((reader.one(query) or (0,))[0]) for name, query in queries.items()}


def _event(view: View, written: Written) -> dict[str, Any]:
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
        "profile": None if decision.profile is None else view.public_id(decision.profile),
        "identifiers": [str(identifier) for identifier in event.identifiers],
        "refusals": [_refusal(view, step) for step in decision.refusals],
    }


def _refusal(view: View, step: Step) -> dict[str, Any]:
    return {
        "action": step.action,
        "identifier": str(step.identifier),
        "code": step.code,
        "rule": step.rule,
        "profiles": [view.public_id(key) for key in step.profiles],
    }
