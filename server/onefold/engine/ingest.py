"""Ingestion: permitted events in, decisions out, everything committed before anybody is answered.

One batch is one transaction with a constant number of statements: find duplicates, load the state of every identifier
the batch touches, resolve the events one after another against that working set, save what changed.
"""

import asyncio
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Any, Final, Protocol

import msgspec
import structlog

from onefold.core.assertions import Assertion, Assertions
from onefold.core.consent import Permitted
from onefold.core.decision import Decision
from onefold.core.event import BROWSER_SOURCES, Event
from onefold.core.graph import Graph, NotLoaded
from onefold.core.heal import Past
from onefold.core.identifiers import Identifier, profile_id, stand_in
from onefold.core.ledger import Entry
from onefold.core.resolve import Admitted, admit, resolve
from onefold.core.rules import Rules, parse_rules
from onefold.engine.advance import (
    RECONCILED_PREFIX,
    Advance,
    Advanced,
    assertion_event,
    assertion_of,
    operator_event,
    reconciled_event,
)
from onefold.engine.deadline import within
from onefold.engine.groupcommit import GroupCommit, Overdue
from onefold.engine.history import CURRENT_RULES, FIRST_RULES, RULES_CHANGED
from onefold.engine.locking import Locks, Needs, Unlocked
from onefold.engine.spool import Spool, Spooled
from onefold.errors import PROBLEMS, OnefoldError
from onefold.store.database import Answer, Contended, Database, Transaction
from onefold.store.graph_store import (
    NEVER_KEPT,
    Written,
    add_assertion,
    add_journal,
    add_ledger,
    ask_identifiers,
    ask_known_events,
    assertions_said,
    known_events,
    linked_to,
    load_profiles,
    move_journal,
    save_graph,
    unkept,
    written_as,
    written_of,
)
from onefold.store.names import Names

log = structlog.get_logger()

SAY_PATIENCE_SECONDS: Final = 60.0
"""How long an operator waits for an assertion, unless they say otherwise: one that heals many people takes a while."""

_TRIES: Final = 5
_ASSERTIONS_DECIDE: Final = ("contradictory_identifiers",)
"""Refusals that an operator's word may stand against: those that were joined count as one."""


class Taken(msgspec.Struct, frozen=True, gc=False):
    """What became of one event. `duplicate`: its id was in the journal already. `failed`: our fault,
    nothing changed.

    `spooled`: the store is slow or away, and the event waits on disk for its turn. The decision is then what can be
    said without the graph: what was dropped and why, no profile. `fallback` is the id to answer a back end with until
    the ledger says which profile it is (`reconciled`); a browser is never told any id.
    """

    decision: Decision | None = None
    duplicate: bool = False
    failed: bool = False
    spooled: bool = False
    fallback: str | None = None


class Watch(Protocol):
    """Whoever wants to know what ingestion does, told from the thread that does it."""

    def committed(self, taken: Sequence[Taken], seconds: float) -> None:
        """A batch was committed."""

    def failed(self) -> None:
        """A batch could not be committed now."""

    def spooled(self, count: int) -> None:
        """Events went to the spool."""


class Ingest:
    """Takes permitted events from many threads at once and commits them in groups; assertions take their turn too."""

    def __init__(
        self,
        database: Database,
        rules: Rules,
        secret: bytes,
        most: int = 256,
        spool: Spool | None = None,
        budget_ms: int = 250,
        watch: Watch | None = None,
    ) -> None:
        self._database = database
        self._rules = rules
        self._secret = secret
        self._assertions: tuple[int, Assertions] = (0, Assertions())
        self._adopted: str | None = None
        self._group: GroupCommit[Permitted, Taken] = GroupCommit(self._watched, most)
        self._spool = spool
        self._budget_seconds = budget_ms / 1000
        self._watch = watch
        self.largest_profile = 0
        """The most identifiers of any profile that could have changed since this process began."""
        self.store_away = False
        """Whether the last commit failed or is overdue; nobody waits for the store then, until it has shown itself."""

    @property
    def rules(self) -> Rules:
        """The rules in force, as far as this process has heard."""
        return self._rules

    def take(self, events: Sequence[Permitted]) -> list[Taken]:
        """Resolve and store events in order; returns once they are durable.

        With a spool, events that are not committed within the budget go there. Raises `unavailable` when they can be
        kept nowhere.
        """
        if self._spool is None:
            return self._group.submit(events)
        with self._unless_away() as away:
            if not away:
                return self._group.submit_within(events, self._budget_seconds)
        return self._defer(events, self._spool)

    async def take_soon(self, events: Sequence[Permitted]) -> list[Taken]:
        """As `take`, for a coroutine; there must be a spool."""
        assert self._spool is not None
        with self._unless_away() as away:
            if not away:
                return await self._group.submit_soon(events, self._budget_seconds)
        return await asyncio.to_thread(self._defer, events, self._spool)

    @contextmanager
    def _unless_away(self) -> Iterator[bool]:
        """Try the store, unless it is away; what shows that it is away goes no further."""
        try:
            yield self.store_away
        except Overdue:
            if not self.store_away:
                log.warning("store_overdue")
            self.store_away = True
        except OnefoldError as error:
            if error.code != "unavailable":
                raise

    def take_late(self, events: Sequence[Permitted], seconds: float) -> list[Taken]:
        """Resolve and store events that may not go to the spool, or come from there, each in its turn among the others.

        Raises Overdue after so many seconds, and `unavailable`; they are then to be brought again.
        """
        return self._group.submit_within(events, seconds)

    def reconcile(self, answered: Mapping[str, str], now: int) -> None:
        """Note in journal and ledger which profiles the fallback ids stand for that events were answered with.

        `answered` has the fallback id for each event id; those that stand for themselves, and those noted already,
        need no note. `now` is in ms.
        """
        if answered:
            with self._database.transaction() as tx:
                self._batch(tx).reconcile(answered, now)

    def probe(self) -> None:
        """See whether the store takes transactions again. Raises `unavailable`."""
        with self._database.transaction(alone=False) as tx:
            tx.one("ping")
        self.store_away = False

    def close(self) -> None:
        """Commit what was handed over, and end the thread that does."""
        self._group.close()

    def _defer(self, events: Sequence[Permitted], spool: Spool) -> list[Taken]:
        """Keep events in the spool, but for those that are refused whatever the graph holds."""
        taken = [self._foreseen(permitted) for permitted in events]
        waiting = [_spooled(p.event, t) for p, t in zip(events, taken, strict=True) if t.spooled]
        if not waiting:
            return taken
        try:
            spool.append(waiting)
        except OSError as error:
            detail = f"The store does not answer, and the spool cannot be written: {error.strerror or error}."
            raise OnefoldError("unavailable", detail) from error
        if self._watch is not None:
            self._watch.spooled(len(waiting))
        return taken

    def _foreseen(self, permitted: Permitted) -> Taken:
        """What can be said of an event without the graph: the decision that an empty one would give."""
        decision = resolve(Graph(self._secret, assertions=self._assertions[1]), permitted, self._rules, 0)
        if decision.outcome == "refused" and (self._adopted is not None or decision.code not in _ASSERTIONS_DECIDE):
            return Taken(decision)
        told = permitted.event.source not in BROWSER_SOURCES and decision.identifiers
        fallback = profile_id(self._secret, decision.identifiers[0]) if told else None
        drops = tuple(step for step in decision.trace if step.action == "drop")
        return Taken(Decision("recorded", trace=drops), spooled=True, fallback=fallback)

    def say(self, said: Assertion, now: int, patience_seconds: float = SAY_PATIENCE_SECONDS) -> Advanced:
        """Journal an assertion and let it take effect. `now` is in ms.

        Raises `conflict` when it cannot hold, the code of an identifier that no event could carry, and `unavailable`
        where the store does not take it in time.
        """
        _check(said, self._rules)

        def speak(about_to_commit: Callable[[], None]) -> Advanced:
            with self._database.transaction() as tx:
                advanced = self._batch(tx).say(said, now)
                tx.one("ping")  # raises what a write has failed with
                about_to_commit()
                return advanced

        return within(patience_seconds, speak)

    def adopt(self, document: Mapping[str, Any], now: int) -> None:
        """Journal that these rules hold from here on, if others did before: a replay must know when which held. From
        then on the store counts as there, and its assertions as heard.
        """
        text = msgspec.json.encode(document, order="sorted").decode()
        with self._database.transaction() as tx:
            self._heed(tx, tx.ahead("in_force", CURRENT_RULES))
            current = tx.one("meta_get", CURRENT_RULES)
            if current is None:
                tx.run("meta_set", FIRST_RULES, text)
            elif current[0] != text:
                self._batch(tx).note_rules(document, now)
            tx.run("meta_set", CURRENT_RULES, text)
        self._adopted, self._rules = text, parse_rules(document)
        self.store_away = False

    def _watched(self, batch: list[Permitted]) -> list[Taken]:
        """Commit a batch, and note how the store does."""
        begun = time.perf_counter()
        try:
            taken = self._commit(batch)
        except OnefoldError:
            self.store_away = True
            if self._watch is not None:
                self._watch.failed()
            raise
        self.store_away = False
        if self._watch is not None:
            self._watch.committed(taken, time.perf_counter() - begun)
        return taken

    def _commit(self, batch: list[Permitted]) -> list[Taken]:
        """Commit a batch; when it fails for another reason than the database's, each event on its own."""
        try:
            return self._take_beside_others(batch)
        except OnefoldError:
            raise
        except Exception:
            log.exception("batch_failed", events=len(batch))
            if len(batch) == 1:
                return [Taken(failed=True)]
        return [taken for permitted in batch for taken in self._commit([permitted])]

    def _take_beside_others(self, batch: Sequence[Permitted]) -> list[Taken]:
        """Take a batch while others write, beginning again where they are in the way; in the end alone."""
        needs = Needs()
        for _ in range(_TRIES):
            try:
                with self._database.transaction(alone=False) as tx:
                    return self._take_within(tx, batch, needs)
            except Unlocked as found:
                needs.add(found.needs)
            except Contended:
                pass
        with self._database.transaction() as tx:
            return self._take_within(tx, batch, needs)

    def _take_within(self, tx: Transaction, batch: Sequence[Permitted], needs: Needs) -> list[Taken]:
        in_force = tx.ahead("in_force", CURRENT_RULES)
        if tx.alone:
            self._heed(tx, in_force)
        work = _Batch(tx, self._rules, self._secret, self._assertions[1], needs)
        take = work.look(batch)
        if not tx.alone and self._heed(tx, in_force):
            raise Contended  # it looked by rules that hold no more
        taken = take()
        self.largest_profile = max(self.largest_profile, work.largest_profile())
        return taken

    def _batch(self, tx: Transaction) -> "_Batch":
        self._heed(tx, tx.ahead("in_force", CURRENT_RULES))
        return _Batch(tx, self._rules, self._secret, self._assertions[1], Needs())

    def _heed(self, tx: Transaction, in_force: Answer) -> bool:
        """Go by the rules that were adopted last and the assertions in force; whether others have come."""
        ((rules, newest),) = in_force()
        heard = rules in (None, self._adopted), newest == self._assertions[0]
        if not heard[0]:
            self._adopted, self._rules = rules, parse_rules(msgspec.json.decode(rules))
        if not heard[1]:
            said = assertions_said(tx, Names(tx))
            self._assertions = (newest, Assertions(assertion_of(event) for event in said))
        return not all(heard)


def _check(said: Assertion, rules: Rules) -> None:
    """Refuse what is no identifier before it is journaled: an address where its hash belongs, for one."""
    for identifier in said.identifiers:
        if (code := rules.fault(identifier)) is not None:
            raise OnefoldError(code, f"{said.kind}: {PROBLEMS[code][1]}.")
    if said.a == said.b:
        raise OnefoldError("conflict", f"{said.kind}: name two different identifiers.")


def _spooled(event: Event, taken: Taken) -> Spooled:
    """The event as the spool keeps it: without the values that the journal does not keep either."""
    assert taken.decision is not None
    emptied = {step.identifier: unkept(step) for step in taken.decision.trace if step.code in NEVER_KEPT}
    kept = tuple(emptied.get(identifier, identifier) for identifier in event.identifiers)
    return Spooled(msgspec.structs.replace(event, identifiers=kept), taken.fallback)


class _Batch:
    """One transaction's work, and the archive that its healings read."""

    def __init__(self, tx: Transaction, rules: Rules, secret: bytes, assertions: Assertions, needs: Needs) -> None:
        self._tx = tx
        self._needs = needs
        self._rules = rules
        self._names = Names(tx)
        self._locks = Locks(tx)
        self._graph = Graph(secret, complete=False, assertions=assertions)
        self._advance = Advance(self._graph, rules, self)
        self._written: list[Written] = []
        self._ledger: list[tuple[int, Entry]] = []

    def look(self, batch: Sequence[Permitted]) -> Callable[[], list[Taken]]:
        """Ask at once all that can be asked before anything is locked. What it gives locks, and takes the events."""
        known = ask_known_events(self._tx, self._names, [permitted.event.event_id for permitted in batch])
        admitted = [admit(permitted.event, self._rules) for permitted in batch]
        self._locks.look()
        load = self._ask(chain(self._needs.identifiers, *(some.identifiers for some in admitted)))

        def take() -> list[Taken]:
            load()
            seen = known()
            named = self._with_stand_ins(admitted, [permitted.event for permitted in batch])
            self._ask(chain.from_iterable(named))()
            fresh = sum(permitted.event.event_id not in seen for permitted in batch)
            return self._take_all(batch, seen, admitted, self._lock(named, fresh))

        return take

    def _lock(self, named: Sequence[Sequence[Identifier]], count: int) -> Iterator[int]:
        """Lock what events name, and take so many positions. What others have changed before is read again."""
        self._locks.take(self._graph, named, self._needs)
        positions = self._tx.take_positions(count)
        self._load_changing(named)
        if not self._locks.stand():
            self._graph.forget()
            self._load(chain(self._needs.identifiers, chain.from_iterable(named)))
            self._load_changing(named)
        return positions

    def _take_all(
        self, batch: Sequence[Permitted], seen: set[str], admitted: Sequence[Admitted], positions: Iterator[int]
    ) -> list[Taken]:
        """Resolve the events in order and write everything. Raises Unlocked."""
        try:
            taken = self._resolve(zip(batch, admitted, strict=True), seen, positions)
        except Exception:
            self._locks.settle()  # what was not locked may have changed under our hands
            raise
        self._save()
        return taken

    def _resolve(
        self, batch: Iterable[tuple[Permitted, Admitted]], seen: set[str], positions: Iterator[int]
    ) -> list[Taken]:
        seq, taken = next(positions, 0), []
        for permitted, admitted in batch:
            if permitted.event.event_id in seen:
                taken.append(Taken(duplicate=True))
                continue
            decision = self._advance.decide(permitted, seq, admitted)
            taken.append(Taken(decision))
            if decision.outcome != "refused":
                self._carry_out(decision, permitted.event, seq)
                seen.add(permitted.event.event_id)
                seq = next(positions, 0)
        return taken

    def _carry_out(self, decision: Decision, event: Event, seq: int) -> None:
        self._written.append(Written(seq, event, decision))
        if decision.trace:  # most have nothing to carry out: they confirm what is known
            self._note(seq, self._advance.apply(decision, event, seq))
            self._note(seq, self._advance.heal(decision, event, seq))

    def largest_profile(self) -> int:
        """The most identifiers of a profile that was loaded whole, as every one is that gains some."""
        return max((len(profile.members) for profile in self._graph.profiles.values()), default=0)

    def say(self, said: Assertion, now: int) -> Advanced:
        """Let an assertion take effect and write everything."""
        (seq,) = self._tx.take_positions(1)
        event = assertion_event(said, str(uuid.uuid4()), now)
        advanced = self._advance.say(said, event, seq)
        self._write(seq, event, advanced.decision, advanced.entries)
        self._save()
        add_assertion(self._tx, seq)
        return advanced

    def reconcile(self, answered: Mapping[str, str], now: int) -> None:
        """Journal which profile each fallback id stands for, where it is another one."""
        positions = self._tx.take_positions(len(answered))
        noted = known_events(self._tx, [RECONCILED_PREFIX + event_id for event_id in answered])
        for written in written_as(self._tx, self._names, answered):
            note = reconciled_event(written.seq, written.event, answered[written.event.event_id], now)
            if note.event_id not in noted and (entries := self._advance.reconcile(note, written.event)):
                self._write(next(positions), note, Decision("recorded"), entries)
        self._save()

    def note_rules(self, document: Mapping[str, Any], now: int) -> None:
        """Journal other rules."""
        (seq,) = self._tx.take_positions(1)
        event = operator_event(RULES_CHANGED, str(uuid.uuid4()), now, {"rules": document})
        self._write(seq, event, Decision("recorded"), [])
        self._save()

    def _write(self, seq: int, event: Event, decision: Decision, entries: Iterable[Entry]) -> None:
        self._written.append(Written(seq, event, decision))
        self._note(seq, entries)

    def _note(self, seq: int, entries: Iterable[Entry]) -> None:
        for entry in entries:
            self._ledger.append((seq, entry))

    def _save(self) -> None:
        """Write everything; the ledger last, because nobody else can append to it from then on."""
        self._flush()
        if self._ledger:
            add_ledger(self._tx, self._names, self._ledger)
            self._ledger = []

    def _flush(self) -> None:
        self._locks.settle()
        save_graph(self._tx, self._names, self._graph)
        add_journal(self._tx, self._names, self._written)
        self._written = []

    # The archive: what has not been written yet is written first, so that it is read back too.

    def past(self, keys: Iterable[int]) -> Past:
        """The entries that belong to these profiles or to what they absorbed, in order."""
        self._flush()
        self._load_profiles(keys)
        wanted = {other for key in keys for other in (key, *self._graph.profile(key).absorbed)}
        found = [(written.seq, written.event) for written in written_of(self._tx, self._names, wanted)]
        admitted = [admit(event, self._rules) for _, event in found]
        self._load(chain.from_iterable(some.identifiers for some in admitted))
        self._load(chain.from_iterable(self._with_stand_ins(admitted, [event for _, event in found])))
        return found

    def move(self, keys: Iterable[int], attributed: dict[int, int]) -> None:
        """Note where entries belong now."""
        self._locks.settle()
        move_journal(self._tx, attributed)

    def linked(self, shared: Identifier) -> list[int]:
        """The profiles linked to a shared identifier, and those that own one of its stand-ins."""
        self._flush()
        keys = linked_to(self._tx, self._names, shared)
        self._load_profiles(keys)
        return keys

    def load(self, missing: NotLoaded) -> None:
        """Read what the working set lacks."""
        self._load(missing.identifiers)
        self._load_profiles(missing.profiles)

    # Loading for the whole batch at once: identifiers, then the stand-ins of shared ones, then the profiles that may
    # change.

    def _with_stand_ins(self, admitted: Sequence[Admitted], events: Iterable[Event]) -> list[Sequence[Identifier]]:
        """What each event names, and what stands in for the shared ones among it; to be called when it is loaded."""
        shared = {node.identifier for node in self._graph.nodes.values() if node is not None and node.shared}
        if not shared:
            return [some.identifiers for some in admitted]
        return [
            [*some.identifiers, *(stand_in(found, event.session_id) for found in some.identifiers if found in shared)]
            for some, event in zip(admitted, events, strict=True)
        ]

    def _ask(self, identifiers: Iterable[Identifier]) -> Callable[[], None]:
        """Ask for identifiers; what it gives loads them."""
        return ask_identifiers(self._tx, self._names, self._graph, identifiers)

    def _load(self, identifiers: Iterable[Identifier]) -> None:
        """Load identifiers that should be locked by now."""
        fresh = [identifier for identifier in dict.fromkeys(identifiers) if identifier not in self._graph.nodes]
        self._ask(fresh)()
        self._locks.check(self._graph, fresh)

    def _load_changing(self, named: Iterable[Sequence[Identifier]]) -> None:
        self._load_profiles([key for identifiers in named for key in self._changing(identifiers)])

    def _load_profiles(self, keys: Iterable[int]) -> None:
        fresh = [key for key in keys if key not in self._graph.profiles]
        load_profiles(self._tx, self._names, self._graph, fresh)
        self._locks.check_profiles(fresh)

    def _changing(self, identifiers: Sequence[Identifier]) -> list[int]:
        """The owners among which an event may link or merge; none where one profile has all its identifiers."""
        if len(identifiers) < 2:
            return []
        nodes = [self._graph.nodes[identifier] for identifier in identifiers]
        owners = [None if node is None else node.owner for node in nodes]
        return [owner for owner in owners if owner is not None] if len(set(owners)) > 1 else []
