"""Ingestion: permitted events in, decisions out, everything committed before anybody is answered.

One batch is one transaction with a constant number of statements: find duplicates, load the state of every identifier
the batch touches, resolve the events one after another against that working set, save what changed.
"""

from collections.abc import Iterable, Sequence

import msgspec
import structlog

from onefold.core.consent import Permitted
from onefold.core.decision import Decision
from onefold.core.graph import Graph, NotLoaded
from onefold.core.identifiers import Identifier, stand_in
from onefold.core.ledger import Entry, entries
from onefold.core.resolve import resolve
from onefold.core.rules import Rules
from onefold.engine.groupcommit import GroupCommit
from onefold.errors import OnefoldError
from onefold.store.database import Database, Transaction
from onefold.store.graph_store import (
    Written,
    add_journal,
    add_ledger,
    known_events,
    load_identifiers,
    load_profiles,
    save_graph,
)
from onefold.store.names import Names

log = structlog.get_logger()


class Taken(msgspec.Struct, frozen=True):
    """What became of one event. `duplicate`: its id was in the journal already, nothing changed.
    `failed`: our fault.
    """

    decision: Decision | None = None
    duplicate: bool = False
    failed: bool = False


class Ingest:
    """Takes permitted events from many threads at once and commits them in groups."""

    def __init__(self, database: Database, rules: Rules, secret: bytes, most: int = 256) -> None:
        self._database = database
        self._rules = rules
        self._secret = secret
        self._group: GroupCommit[Permitted, Taken] = GroupCommit(self._commit, most)

    def take(self, events: Sequence[Permitted]) -> list[Taken]:
        """Resolve and store events in order; returns when they are durable. Raises `unavailable` when
        they cannot be.
        """
        return self._group.submit(events)

    def _commit(self, batch: list[Permitted]) -> list[Taken]:
        """Commit a batch; when it fails for another reason than the database's, each event on its own."""
        try:
            with self._database.transaction() as tx:
                return _Batch(tx, self._rules, self._secret).take(batch)
        except OnefoldError:
            raise
        except Exception:
            log.exception("batch_failed", events=len(batch))
            if len(batch) == 1:
                return [Taken(failed=True)]
        return [taken for permitted in batch for taken in self._commit([permitted])]


class _Batch:
    """One transaction's work."""

    def __init__(self, tx: Transaction, rules: Rules, secret: bytes) -> None:
        self._tx = tx
        self._rules = rules
        self._names = Names(tx)
        self._graph = Graph(secret, complete=False)
        self._written: list[Written] = []
        self._ledger: list[tuple[int, Entry]] = []

    def take(self, batch: Sequence[Permitted]) -> list[Taken]:
        """Resolve the events in order and write everything."""
        seen = known_events(self._tx, [permitted.event.event_id for permitted in batch])
        self._preload(batch)
        seq = self._last("last_journal_seq")
        taken = []
        for permitted in batch:
            if permitted.event.event_id in seen:
                taken.append(Taken(duplicate=True))
                continue
            decision = self._resolve(permitted, seq + 1)
            if decision.outcome != "refused":
                seq += 1
                seen.add(permitted.event.event_id)
                self._apply(permitted, decision, seq)
            taken.append(Taken(decision))
        self._save()
        return taken

    def _resolve(self, permitted: Permitted, seq: int) -> Decision:
        """Resolve one event, loading what the working set turns out to lack."""
        while True:
            try:
                return resolve(self._graph, permitted, self._rules, seq)
            except NotLoaded as missing:
                load_identifiers(self._tx, self._names, self._graph, missing.identifiers)
                load_profiles(self._tx, self._names, self._graph, missing.profiles)

    def _apply(self, permitted: Permitted, decision: Decision, seq: int) -> None:
        self._graph.apply(decision, permitted.event, seq)
        self._written.append(Written(seq, permitted.event, decision))
        self._ledger += [(seq, entry) for entry in entries(self._graph, decision, permitted.event)]

    def _save(self) -> None:
        save_graph(self._tx, self._names, self._graph)
        add_journal(self._tx, self._names, self._written)
        add_ledger(self._tx, self._names, self._last("last_ledger_seq") + 1, self._ledger)

    def _last(self, query: str) -> int:
        row = self._tx.one(query)
        return int(row[0]) if row else 0

    # Loading for the whole batch at once: identifiers, then the stand-ins of shared ones, then the profiles that may
    # change.

    def _preload(self, batch: Sequence[Permitted]) -> None:
        usable = [self._usable(permitted) for permitted in batch]
        self._load(identifier for identifiers in usable for identifier in identifiers)
        self._load(
            stand_in(identifier, permitted.event.session_id)
            for permitted, identifiers in zip(batch, usable, strict=True)
            for identifier in identifiers
            if (node := self._graph.nodes[identifier]) is not None and node.shared
        )
        keys = [key for identifiers in usable for key in self._changing(identifiers)]
        load_profiles(self._tx, self._names, self._graph, keys)

    def _usable(self, permitted: Permitted) -> list[Identifier]:
        """The identifiers under their types' own names; whether they are valid is the resolver's business."""
        rules = ((self._rules.rule(sent.type), sent) for sent in permitted.event.identifiers)
        return [Identifier(rule.name, rule.canonical(sent.value)) for rule, sent in rules if rule is not None]

    def _load(self, identifiers: Iterable[Identifier]) -> None:
        load_identifiers(self._tx, self._names, self._graph, identifiers)

    def _changing(self, identifiers: Sequence[Identifier]) -> list[int]:
        """The owners among which an event may link or merge: none where all its identifiers are of one profile
        already.
        """
        nodes = [self._graph.nodes[identifier] for identifier in identifiers]
        owners = [None if node is None else node.owner for node in nodes]
        return [owner for owner in owners if owner is not None] if len(set(owners)) > 1 else []
