"""Between rows and the graph: load what a batch touches into a working set, and save what changed."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any, Final

import msgspec

from onefold.core.decision import OUTCOMES, Decision, Step
from onefold.core.event import OPERATOR, TIERS, Event
from onefold.core.graph import Graph, Node, Profile
from onefold.core.identifiers import STAND_IN, Identifier, stand_in
from onefold.core.ledger import Entry
from onefold.core.tokens import CROSS_DOMAIN, places
from onefold.store.database import Reader, Row, Transaction
from onefold.store.names import Names
from onefold.store.packing import (
    pack_identifiers,
    pack_text,
    pack_trace,
    unpack_identifiers,
    unpack_text,
    unpack_trace,
)

_encode: Final = msgspec.json.Encoder().encode
_TIER_NUMBERS: Final[dict[str, int]] = {tier: number for number, tier in enumerate(TIERS)}
_OUTCOME_NUMBERS: Final = {outcome: number for number, outcome in enumerate(OUTCOMES)}
_MEMBER: Final = 2
_SHARED: Final = 3
"""What a row of `profiles` is about, where not a profile: one that was asked for is 0, one that it absorbed 1."""


Sighting = tuple[Identifier, str, int]
"""An identifier, the site it was seen on, and when: ms, by the sender's clock."""


class Written(msgspec.Struct, frozen=True, gc=False):
    """A journal entry: an event at its place, with what was decided."""

    seq: int
    event: Event
    decision: Decision


def known_events(reader: Reader, event_ids: Sequence[str]) -> set[str]:
    """Which of these event ids the journal has already."""
    return ask_known_events(reader, Names(reader), event_ids)()


def ask_known_events(reader: Reader, names: Names, event_ids: Sequence[str]) -> Callable[[], set[str]]:
    """As `known_events`, to be called when the answer is needed."""
    names.packed.add(event_ids)
    answer = reader.each_ahead("known_events", [(names.packed[event_id],) for event_id in event_ids])
    return lambda: {unpack_text(row[0]) for row in answer()}


def load_identifiers(reader: Reader, names: Names, graph: Graph, identifiers: Iterable[Identifier]) -> None:
    """Put what is stored of these identifiers into the working set; the others become known to be unseen."""
    ask_identifiers(reader, names, graph, identifiers)()


def ask_identifiers(
    reader: Reader, names: Names, graph: Graph, identifiers: Iterable[Identifier]
) -> Callable[[], None]:
    """As `load_identifiers`, to be called before the working set is used."""
    fresh = [identifier for identifier in dict.fromkeys(identifiers) if identifier not in graph.nodes]
    graph.nodes.update(dict.fromkeys(fresh))
    keys = dict(zip(_keys(names, fresh), fresh, strict=True))
    answer = reader.each_ahead("identifiers", tuple(keys))

    def load() -> None:
        for row in answer():
            identifier = keys[row[:2]]
            graph.nodes[identifier] = _node(identifier, row, names)

    return load


def _keys(names: Names, identifiers: Sequence[Identifier]) -> list[tuple[int, bytes]]:
    """What identifiers are found by."""
    values = [identifier.value for identifier in identifiers]
    names.packed.add(values)
    return [(names.numbers[kind], names.packed[value]) for kind, value in identifiers]


def load_profiles(reader: Reader, names: Names, graph: Graph, keys: Iterable[int]) -> None:
    """Put these profiles into the working set, whole: members, shared identifiers, and all they absorbed."""
    _load_whole(reader, names, graph, [(key, None, None) for key in keys if key not in graph.profiles])


def load_owner(reader: Reader, names: Names, graph: Graph, identifier: Identifier) -> None:
    """Put the profile that owns an identifier into the working set, whole; does nothing where none owns it."""
    kind, value = identifier
    _load_whole(reader, names, graph, [(None, names.id(kind), pack_text(value))])


def _load_whole(reader: Reader, names: Names, graph: Graph, wanted: Sequence[tuple[Any, ...]]) -> None:
    for what, *row in sorted(reader.each("profiles", wanted), key=itemgetter(0)):
        if what == _MEMBER:
            _adopt(graph, _node(Identifier(names.text(row[0]), unpack_text(row[1])), row, names))
        elif what == _SHARED:
            kind, value, key, *_ = row
            graph.profiles[key].shares[Identifier(names.text(kind), unpack_text(value))] = None
        else:
            _settle(graph, row)


def _settle(graph: Graph, row: Sequence[Any]) -> None:
    """Give the working set a profile, and its survivor what it absorbed."""
    profile = graph.profiles.setdefault(row[0], _profile(row))
    survivor = None if profile.merged_into is None else graph.profiles.get(profile.merged_into)
    if survivor is not None and profile.key not in survivor.absorbed:
        survivor.absorbed.append(profile.key)


def _adopt(graph: Graph, node: Node) -> None:
    """Give a profile its member: the node the working set has already, or the one just read."""
    known = graph.nodes.get(node.identifier) or node
    graph.nodes[node.identifier] = known
    if known.owner is not None:
        graph.profiles[known.owner].members[known.identifier] = known


def save_graph(tx: Transaction, names: Names, graph: Graph) -> None:
    """Write everything that changed in the working set."""
    tx.write("save_identifiers", [_identifier_row(node, names) for node in graph.changed_nodes.values()])
    tx.write("save_profiles", [_profile_row(profile) for profile in graph.changed_profiles.values()])
    links = {True: [], False: []}  # type: dict[bool, list[tuple[Any, ...]]]
    for (identifier, key), linked in graph.changed_shares.items():
        links[linked].append((names.id(identifier.type), pack_text(identifier.value), key))
    tx.write("add_shares", links[True])
    tx.write("drop_shares", links[False])
    graph.saved()


def add_journal(tx: Transaction, names: Names, written: Sequence[Written]) -> None:
    """Append entries to the journal."""
    tx.write("add_journal", _journal_rows(written, names))


def add_ledger(tx: Transaction, names: Names, found: Sequence[tuple[int, Entry]]) -> None:
    """Append ledger entries, each with the journal position of its event."""
    rows = [
        (entry.at, names.id(entry.kind), journal_seq, msgspec.json.encode(entry.body).decode())
        for journal_seq, entry in found
    ]
    tx.append_to_ledger(rows)


def add_assertion(tx: Transaction, seq: int) -> None:
    """Note that the journal entry at `seq` is an assertion."""
    tx.write("add_assertion", [(seq,)])


def assertions_said(reader: Reader, names: Names) -> list[Event]:
    """All journaled assertions, in order."""
    return [written_from(row, names).event for row in reader.all("assertions")]


def written_of(reader: Reader, names: Names, keys: Iterable[int]) -> list[Written]:
    """The journal entries that belong to these profiles, in order."""
    return [written_from(row, names) for row in sorted(reader.each("journal_of", [(key,) for key in keys]))]


def sightings_of(reader: Reader, names: Names, keys: Iterable[int]) -> list[Sighting]:
    """Which identifiers the journal entries of these profiles brought from which sites, and when last; in the order of
    the first time.
    """
    rows = sorted(reader.each("sightings_of", [(key,) for key in keys]))
    crossed = [seq for seq, _, _, source, _ in rows if names.text(source) == CROSS_DOMAIN]
    across = {written.seq: written.event for written in written_at(reader, names, crossed)} if crossed else {}
    latest: dict[tuple[int, int, bytes], int] = {}  # most entries of a busy profile are page views that say the same
    for seq, ts, site, _, packed in rows:
        said = (seq if seq in across else 0, site, packed)
        latest[said] = max(ts, latest.get(said, ts))
    found: list[Sighting] = []
    for (seq, site, packed), ts in latest.items():
        if seq:
            found += [(*place, ts) for place in places(across[seq])]
        else:
            name = names.text(site)
            found += [(identifier, name, ts) for identifier in unpack_identifiers(packed, names.text)]
    return found


def sightings_in(entries: Iterable[Written]) -> Iterator[Sighting]:
    """The same of entries that were read already, each pair as often as it comes."""
    return ((*place, written.event.ts) for written in entries for place in places(written.event))


def written_at(reader: Reader, names: Names, positions: Sequence[int]) -> list[Written]:
    """The journal entries at these positions, in order."""
    return [written_from(row, names) for row in sorted(reader.each("journal_at", [(seq,) for seq in positions]))]


def written_as(reader: Reader, names: Names, event_ids: Iterable[str]) -> list[Written]:
    """The journal entries with these event ids, in order."""
    wanted = [(pack_text(event_id),) for event_id in event_ids]
    return [written_from(row, names) for row in sorted(reader.each("journal_as", wanted))]


def move_journal(tx: Transaction, attributed: Mapping[int, int]) -> None:
    """Let journal entries belong to other profiles."""
    tx.write_each("move_journal", [(key, seq) for seq, key in attributed.items()])


def sharers(reader: Reader, names: Names, shared: Identifier) -> list[int]:
    """The profiles a shared identifier is linked to, oldest first."""
    return sorted(row[2] for row in reader.each("sharers", [(names.id(shared.type), pack_text(shared.value))]))


def linked_to(reader: Reader, names: Names, shared: Identifier) -> list[int]:
    """The profiles linked to a shared identifier, and those that own one of its stand-ins, oldest first."""
    keys = set(sharers(reader, names, shared))
    prefix = pack_text(stand_in(shared, None).value)
    after = prefix[:-1] + bytes([prefix[-1] + 1])
    keys |= {row[0] for row in reader.all("owners_between", names.id(STAND_IN), prefix, after)}
    return sorted(keys)


def written_from(row: Row, names: Names, with_body: bool = True, with_trace: bool = True) -> Written:
    """The journal entry in a row of `journal_from` or its like; the body of one that is no event is always decoded."""
    (
        seq,
        event_id,
        received_at,
        ts,
        kind,
        site,
        source,
        tier,
        verified,
        session,
        identifiers,
        outcome,
        key,
        trace,
        body,
    ) = row
    source_name = names.text(source)
    event = Event(
        event_id=unpack_text(event_id),
        kind=names.text(kind),
        ts=ts,
        received_at=received_at,
        identifiers=unpack_identifiers(identifiers, names.text),
        tier=TIERS[tier],
        session_id=None if session is None else unpack_text(session),
        site=names.text(site),
        source=source_name,
        verified=bool(verified),
        body={} if body is None or not (with_body or source_name == OPERATOR) else msgspec.json.decode(body),
    )
    steps = unpack_trace(trace, names.text) if with_trace else ()
    return Written(seq, event, Decision(OUTCOMES[outcome], key, trace=steps))


def _node(identifier: Identifier, row: Sequence[Any], names: Names) -> Node:
    _, _, owner, shared, founded, linked_by, linked_at, first_seen, source, tier, verified = row
    return Node(
        identifier,
        owner,
        bool(shared),
        founded,
        linked_by,
        linked_at,
        first_seen,
        names.text(source),
        TIERS[tier],
        bool(verified),
    )


def _identifier_row(node: Node, names: Names) -> tuple[Any, ...]:
    return (
        names.id(node.identifier.type),
        names.packed[node.identifier.value],
        node.owner,
        int(node.shared),
        node.founded,
        node.linked_by,
        node.linked_at,
        node.first_seen,
        names.id(node.source),
        _TIER_NUMBERS[node.tier],
        int(node.verified),
    )


def _profile(row: Sequence[Any]) -> Profile:
    key, digest, created_at, merged_into, merged_at, merged_by, *_ = row
    return Profile(key, digest, created_at, merged_into=merged_into, merged_at=merged_at, merged_by=merged_by)


def _profile_row(profile: Profile) -> tuple[Any, ...]:
    return (profile.key, profile.digest, profile.created_at, profile.merged_into, profile.merged_at, profile.merged_by)


UNDECLARED: Final = "undeclared"
"""What the journal calls every type that the rules do not declare."""

NEVER_KEPT: Final = ("invalid_identifier", "unknown_identifier_type")
"""The codes of identifiers whose values are never stored."""


def _journal_rows(written: Sequence[Written], names: Names) -> list[tuple[Any, ...]]:
    """Rows of the journal, made column by column: there are many, and most have much in common."""
    events = [entry.event for entry in written]
    decisions = [entry.decision for entry in written]
    names.packed.add(event.event_id for event in events)
    names.packed.add(event.session_id for event in events if event.session_id is not None)
    numbers, packed = names.numbers, names.packed
    columns = (
        [entry.seq for entry in written],
        [packed[event.event_id] for event in events],
        [event.received_at for event in events],
        [event.ts for event in events],
        [numbers[event.kind] for event in events],
        [numbers[event.site] for event in events],
        [numbers[event.source] for event in events],
        [_TIER_NUMBERS[event.tier or "T0"] for event in events],
        [int(event.verified) for event in events],
        [None if event.session_id is None else packed[event.session_id] for event in events],
        [pack_identifiers(_kept(entry), numbers, packed) for entry in written],
        [_OUTCOME_NUMBERS[decision.outcome] for decision in decisions],
        [decision.profile for decision in decisions],
        [pack_trace(_kept_trace(decision), names.id) for decision in decisions],
        [_encode(_body(event)).decode() if event.body or event.signals else None for event in events],
    )
    return list(zip(*columns, strict=True))


def _kept(entry: Written) -> Sequence[Identifier]:
    """What the journal keeps of an event's identifiers: what was dropped as invalid or undeclared may be anything."""
    sent, trace = entry.event.identifiers, entry.decision.trace
    if not trace:
        return sent
    dropped = {step.identifier for step in trace if step.code in NEVER_KEPT}
    return [identifier for identifier in sent if identifier not in dropped]


def _kept_trace(decision: Decision) -> Sequence[Step]:
    """The steps of a decision, without those values."""
    trace = decision.trace
    return trace and [_emptied(step) if step.code in NEVER_KEPT else step for step in trace]


def _emptied(step: Step) -> Step:
    return Step(step.action, unkept(step), step.code, step.rule)


def unkept(step: Step) -> Identifier:
    """What is kept of an identifier that is not: its type, where that is declared. Pages could fill the table of names
    with others.
    """
    return Identifier(UNDECLARED if step.code == "unknown_identifier_type" else step.identifier.type, "")


def _body(event: Event) -> dict[str, Any]:
    return event.body if event.signals is None else {**event.body, "consent": event.signals}
