"""One journal entry after another through a graph: resolve, apply, heal, and say what changed.

Ingestion, replay, simulation and files all advance a graph with this; they differ in where the graph is kept and
where past entries are read.
"""

from collections.abc import Callable, Iterable
from typing import Any, Final, Protocol, TypeVar

import msgspec

from onefold.core.assertions import ASSERTED, ASSERTION, Assertion, Assertions
from onefold.core.consent import Permitted, readmit
from onefold.core.decision import Decision
from onefold.core.event import OPERATOR, Event
from onefold.core.graph import Graph, Node, NotLoaded, Profile
from onefold.core.heal import Past, carry_out, reresolve
from onefold.core.identifiers import Identifier, stand_in
from onefold.core.ledger import Entry, entries, reconciled_entry, shared_entry
from onefold.core.resolve import Admitted, admit, resolve
from onefold.core.rules import Rules
from onefold.errors import OnefoldError

Answer = TypeVar("Answer")

RECONCILED: Final = "reconciled"
"""The kind of a journal entry that says: an event was answered with a fallback id, look where it belongs now."""

RECONCILED_PREFIX: Final = "reconciled:"
"""Before an event's id it is the id of the entry that reconciles it, so that none is reconciled twice."""


class Archive(Protocol):
    """Where a graph's past is: its journal entries by profile, and who is linked to a shared identifier."""

    def past(self, keys: Iterable[int]) -> Past:
        """The journal entries that belong to these profiles, in order."""

    def move(self, keys: Iterable[int], attributed: dict[int, int]) -> None:
        """Note which profile each of the journal entries that belonged to `keys` belongs to now."""

    def linked(self, shared: Identifier) -> list[int]:
        """The profiles linked to a shared identifier, and those that own one of its stand-ins."""

    def load(self, missing: NotLoaded) -> None:
        """Put what is missing into the graph."""


class Advanced(msgspec.Struct, frozen=True):
    """What one journal entry did: its decision and the ledger entries it caused."""

    decision: Decision
    entries: list[Entry]


def operator_event(
    kind: str, event_id: str, now: int, body: dict[str, Any], identifiers: tuple[Identifier, ...] = ()
) -> Event:
    """A journal entry that an operator made, or the endpoint for its operator. `now` is in ms."""
    return Event(
        event_id=event_id,
        kind=kind,
        ts=now,
        received_at=now,
        identifiers=identifiers,
        tier="T0",
        source=OPERATOR,
        verified=True,
        body=body,
    )


def assertion_event(said: Assertion, event_id: str, now: int) -> Event:
    """The journal's form of an assertion."""
    body = {"assert": said.kind, "author": said.author, "reason": said.reason}
    return operator_event(ASSERTION, event_id, now, body, said.identifiers)


def reconciled_event(seq: int, answered: Event, fallback: str, now: int) -> Event:
    """The journal's note that the event at position `seq` was answered with a fallback id. It repeats no identifier."""
    return operator_event(RECONCILED, RECONCILED_PREFIX + answered.event_id, now, {"entry": seq, "fallback": fallback})


def assertion_of(event: Event) -> Assertion:
    """The assertion in a journal entry."""
    a, *rest = event.identifiers
    body = event.body
    return Assertion(body["assert"], a, rest[0] if rest else None, body.get("author", ""), body.get("reason", ""))


class Advance:
    """Advances one graph under one set of rules. Without a `ledger` no entries are made of what events change."""

    def __init__(self, graph: Graph, rules: Rules, archive: Archive, ledger: bool = True) -> None:
        self.graph = graph
        self.rules = rules
        self._archive = archive
        self._ledger = ledger

    def decide(self, permitted: Permitted, seq: int, admitted: Admitted | None = None) -> Decision:
        """What the resolver says of an event, everything it needs loaded. Nothing has changed yet."""
        while True:
            try:
                return resolve(self.graph, permitted, self.rules, seq, admitted)
            except NotLoaded as missing:
                self._archive.load(missing)

    def apply(self, decision: Decision, event: Event, seq: int) -> list[Entry]:
        """Carry a decision out."""
        self.graph.apply(decision, event, seq)
        return entries(self.graph, decision, event) if self._ledger else []

    def heal(self, decision: Decision, event: Event, seq: int) -> list[Entry]:
        """Resolve again the profiles that owned what this decision made shared. The journal has the entry by now."""
        if not decision.trace or not self.rules.heal:
            return []
        keys = {key for step in decision.trace if step.action == "share" for key in step.profiles}
        if not keys:
            return []
        return self._reresolve({self.graph.survivor(key) for key in keys}, event, seq)

    def _reresolve(self, keys: Iterable[int], event: Event, seq: int) -> list[Entry]:
        past = self._archive.past(keys)
        plan = self._loading(lambda: reresolve(self.graph, keys, past, self.rules))
        for identifier in plan.fresh.nodes:
            self.node(identifier)
        healed = carry_out(self.graph, plan, past, event, seq)
        self._archive.move(healed.keys, healed.attributed)
        return healed.entries

    def reconcile(self, note: Event, answered: Event) -> list[Entry]:
        """Say which profile an event that was answered with a fallback id belongs to, where it is another one."""
        profile = self._belonging(answered)
        if profile is None or profile.id == note.body["fallback"] or not self._ledger:
            return []
        return [reconciled_entry(note, answered, profile)]

    def _belonging(self, event: Event) -> Profile | None:
        """The profile of the first of an event's identifiers that has one, or of what stands in for it."""
        for identifier in admit(event, self.rules).identifiers:
            node = self.node(identifier)
            if node is not None and node.shared:
                node = self.node(stand_in(identifier, event.session_id))
            if node is not None and (owner := node.owner) is not None:
                return self._profile(owner)
        return None

    def _profile(self, key: int) -> Profile:
        return self._loading(lambda: self.graph.profile(key))

    # Assertions.

    def say(self, said: Assertion, event: Event, seq: int) -> Advanced:
        """Let an assertion take effect. Raises `conflict` when another one stands against it."""
        before = self.graph.assertions
        self.graph.assertions = before.with_(said)
        try:
            match said.kind:
                case "join":
                    return self._join(said, event, seq)
                case "separate":
                    return Advanced(*self._separate(said, before, event, seq))
                case "share":
                    return Advanced(*self._share(said, event, seq))
                case "unshare":
                    return Advanced(*self._unshare(said, event, seq))
        except OnefoldError:
            self.graph.assertions = before
            raise

    def _join(self, said: Assertion, event: Event, seq: int) -> Advanced:
        for identifier in said.identifiers:
            node = self.node(identifier)
            if node is not None and node.shared:
                raise OnefoldError("conflict", f"{identifier} is shared and belongs to nobody alone; unshare it first.")
        decision = self.decide(readmit(event), seq)
        if decision.code is not None or decision.refusals:
            rules = {step.rule or step.code for step in decision.refusals} or {decision.code}
            raise OnefoldError(
                "conflict", f"{said} cannot hold: {', '.join(sorted(map(str, rules)))} stands against it."
            )
        return Advanced(decision, self.apply(decision, event, seq))

    def _separate(self, said: Assertion, before: Assertions, event: Event, seq: int) -> tuple[Decision, list[Entry]]:
        if said.b in self.graph.assertions.one_person(said.a):
            raise OnefoldError(
                "conflict", f"{said} cannot hold: other joins say they are one person; undo those first."
            )
        owners = [self._owner(identifier) for identifier in said.identifiers]
        found = Decision("recorded", owners[0] if owners[0] is not None else owners[1])
        touched = {owners[0]} if owners[0] == owners[1] else set()
        if said.b in before.joined.get(said.a, ()):  # others that this join held together may come apart as well
            touched |= {self._owner(identifier) for identifier in before.one_person(said.a)}
        keys = sorted(key for key in touched if key is not None)
        return found, [entry for key in keys for entry in self._reresolve({key}, event, seq)]

    def _owner(self, identifier: Identifier) -> int | None:
        node = self.node(identifier)
        return None if node is None else node.owner

    def _share(self, said: Assertion, event: Event, seq: int) -> tuple[Decision, list[Entry]]:
        node = self.node(said.a)
        if node is not None and node.shared:
            return Decision("recorded"), []
        owner = None if node is None else node.owner
        if owner is None:
            self.graph.share(said.a, event, seq)
            return Decision("recorded"), [shared_entry(self.graph, said.a, ASSERTED, [], event)]
        self._loading(lambda: self.graph.profile(owner))
        self.graph.share(said.a, event, seq)
        self.graph.associate(said.a, (owner,))
        entry = shared_entry(self.graph, said.a, ASSERTED, [owner], event)
        return Decision("recorded", owner), [entry, *self._reresolve({owner}, event, seq)]

    def _unshare(self, said: Assertion, event: Event, seq: int) -> tuple[Decision, list[Entry]]:
        node = self.node(said.a)
        if node is None or not node.shared:
            return Decision("recorded"), []
        keys = self._archive.linked(said.a)
        node = self.graph.touched(said.a, event)
        node.shared = False
        if not keys:
            return Decision("recorded"), []
        return Decision("recorded", min(keys)), self._reresolve(keys, event, seq)

    def node(self, identifier: Identifier) -> Node | None:
        """What is known of an identifier, loaded if need be."""
        return self._loading(lambda: self.graph.node(identifier))

    def _loading(self, ask: Callable[[], Answer]) -> Answer:
        """Ask, and load what the working set turns out to lack, until there is an answer."""
        while True:
            try:
                return ask()
            except NotLoaded as missing:
                self._archive.load(missing)
