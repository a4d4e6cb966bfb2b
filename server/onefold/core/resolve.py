"""Resolve one event: which profile it belongs to, and what that changes. The heart of Onefold.

`resolve` follows docs/explanation/how-resolution-works.md step by step. It is a pure function of the graph, the
permitted event and the rules: it changes nothing, it returns a `Decision` whose steps `Graph.apply` carries out.
Every driver (ingestion, replay, simulation, a file on the command line) calls this one function, so all of them
agree.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, pairwise
from typing import Final, NamedTuple

import msgspec

from onefold.core.assertions import ASSERTED, Assertions
from onefold.core.consent import Permitted
from onefold.core.decision import Action, Decision, Outcome, Step
from onefold.core.event import CONSENT_UPDATE, Event
from onefold.core.graph import Graph, Node, Profile
from onefold.core.identifiers import STAND_IN, Identifier, stand_in
from onefold.core.rules import WINDOW_MS, Conflict, Rules, TypeRule

SUSPECT: Final = "suspect"
"""The rule a conflict cites when, in a healing, an identifier that turned out shared would join two known people."""


class Admitted(msgspec.Struct, frozen=True, gc=False):
    """What the rules leave of an event before anything is known: its usable identifiers in the order they are walked,
    and a `drop` step for each of the others.
    """

    identifiers: tuple[Identifier, ...]
    drops: tuple[Step, ...] = ()


def resolve(graph: Graph, permitted: Permitted, rules: Rules, seq: int, admitted: Admitted | None = None) -> Decision:
    """Decide what `permitted` means for `graph` under `rules`.

    `seq` is the event's place in the journal; a profile it founds has that key. `admitted` is for who has asked `admit`
    already. Raises NotLoaded when the graph is a working set that lacks something the event touches.
    """
    event = permitted.event
    if not event.identifiers and event.kind == CONSENT_UPDATE:  # a withdrawal: on record, about nobody
        return Decision("recorded")
    admitted = admitted or admit(event, rules)
    identifiers, drops = admitted.identifiers, admitted.drops
    if not identifiers:
        return Decision("refused", trace=drops, code="no_identifiers", detail=_nothing_left(drops))
    if len(identifiers) > 1 and (name := _contradiction(identifiers, rules, graph.assertions)) is not None:
        detail = f"The event carries two values of {name}, which is unique: it cannot be about one person."
        return Decision("refused", trace=drops, code="contradictory_identifiers", detail=detail)
    if (owner := _sole_owner(graph, identifiers)) is not None:
        return Decision("attached", owner, identifiers, drops)
    votes = _votes(graph, identifiers, event.session_id)
    if not votes:
        return Decision("recorded", identifiers=identifiers)
    walk = _Walk(graph, rules, event)
    for vote in votes:
        walk.visit(vote)
    return walk.decision(seq, identifiers, drops)


# Step 1: aliases, invalid and blocked identifiers, duplicates; and step 3's order.


def admit(event: Event, rules: Rules) -> Admitted:
    """What is left of an event under these rules; the graph has no say in it."""
    admitted: dict[Identifier, int] = {}
    drops = []
    signed_only = rules.unsigned == "refuse" and not event.verified
    for sent in event.identifiers:
        rule = rules.by_name.get(sent.type) or rules.rule(sent.type)
        if rule is None or sent.type == STAND_IN:
            drops.append(Step("drop", sent, "unknown_identifier_type"))
            continue
        identifier = rule.identifier(sent)
        if (fault := rule.fault(identifier.value)) is not None:
            drops.append(Step("drop", sent, fault))
        elif "*" not in rule.sources and not rule.votes_from(event.source):
            drops.append(Step("drop", sent, "recorded_only", f"{rule.name}.sources"))
        elif signed_only and rule.personal:
            drops.append(Step("drop", sent, "unverified", "unsigned=refuse"))
        else:
            admitted[identifier] = rule.priority
    if len(admitted) < 2:
        return Admitted(tuple(admitted), tuple(drops))
    ranked = sorted((priority, identifier) for identifier, priority in admitted.items())
    return Admitted(tuple([identifier for _, identifier in ranked]), tuple(drops))


def _nothing_left(drops: Iterable[Step]) -> str:
    reasons = ", ".join(f"{_type_of(step)} ({step.code})" for step in drops)
    return f"No usable identifier is left on the event: {reasons or 'it came without any'}."


def _type_of(step: Step) -> str:
    """The type a step is about, to be shown; the name of one that nobody declared may be anything, also personal."""
    return "another type" if step.code == "unknown_identifier_type" else step.identifier.type


# Step 2: contradictions.


def _contradiction(admitted: Sequence[Identifier], rules: Rules, assertions: Assertions) -> str | None:
    """The unique type of which the event carries two values, if there is one. Values an operator joined are one."""
    for one, other in pairwise(admitted):  # those of one type stand beside each other
        if one.type == other.type and rules.rule_of(one.type).limit == 1:
            values = [identifier for identifier in admitted if identifier.type == one.type]
            if assertions.distinct(values) > 1:
                return one.type
    return None


def _sole_owner(graph: Graph, admitted: Sequence[Identifier]) -> int | None:
    """The profile that owns every identifier of the event already: most events only confirm what is known."""
    if graph.assertions.joined:
        return None
    owner = None
    for identifier in admitted:
        node = graph.nodes.get(identifier) or graph.node(identifier)
        if node is None or node.owner is None or (owner is not None and node.owner != owner):
            return None
        owner = node.owner
    return owner


# Step 3: a shared identifier does not vote; a stand-in takes its place.


class _Vote(NamedTuple):
    """An identifier in the walk, and the shared one it stands in for (None: it speaks for itself)."""

    identifier: Identifier
    for_shared: Identifier | None = None


def _votes(graph: Graph, admitted: Sequence[Identifier], session_id: str | None) -> list[_Vote]:
    """Who is walked, in order. Without a session a stand-in votes only where nothing else on the event does."""
    votes: list[_Vote] = []
    silent: list[Identifier] = []
    for identifier in admitted:
        node = graph.node(identifier)
        if node is None or not node.shared:
            votes.append(_Vote(identifier))
        elif session_id is not None:
            votes.append(_Vote(stand_in(identifier, session_id), identifier))
        else:
            silent.append(identifier)
    if not votes:
        votes, silent = [_Vote(stand_in(silent[0], None), silent[0])], []
    heard = [vote for vote in votes if not graph.is_foreign(vote.identifier)]
    return heard and [*heard, *(_Vote(identifier, identifier) for identifier in silent)]


# Step 4: the walk.


class _Walk:
    """The target as it grows: the profiles it is made of and the identifiers it gains."""

    def __init__(self, graph: Graph, rules: Rules, event: Event) -> None:
        self.graph = graph
        self.rules = rules
        self.event = event
        self.joined: list[int] = []
        self.gained: list[Identifier] = []
        self.left: set[Identifier] = set()
        self.shared: list[Identifier] = []
        self.steps: list[Step] = []

    def visit(self, vote: _Vote) -> None:
        """Take the next identifier of the order."""
        identifier, shared = vote
        if shared is not None:
            self.shared.append(shared)
        if identifier != shared:
            self._meet(identifier, shared or identifier)

    def _meet(self, identifier: Identifier, named: Identifier) -> None:
        """Link it, merge with its owner, or settle the conflict. `named` is what a refusal calls it."""
        node = self.graph.node(identifier)
        owner = None if node is None else node.owner
        if not self.joined and not self.gained:
            self._begin(identifier, owner)
        elif owner is None:
            self._link(identifier, named)
        elif owner not in self.joined:
            self._join(identifier, named, owner)
        for partner in sorted(self.graph.assertions.joined.get(identifier, ())):
            self._obey(identifier, partner)

    def _begin(self, identifier: Identifier, owner: int | None) -> None:
        """The first identifier founds the target: its owner, or a profile to be."""
        if owner is not None:
            self.joined.append(owner)
        else:
            self.gained.append(identifier)
            self.steps.append(Step("link", identifier))

    def _obey(self, identifier: Identifier, partner: Identifier) -> None:
        """An operator said that these two are one person: where both belong to somebody, only a
        separation is above that.
        """
        node = self.graph.node(partner)
        if node is None or node.owner is None or node.owner in self.joined or not self._holds(identifier):
            return
        apart = self.graph.assertions.keeps_apart(self._identifiers(), self.graph.profile(node.owner).members)
        if apart is not None:
            self._refuse("keep", partner, apart, node.owner)
            return
        if self.joined:
            self.steps.append(Step("merge", partner, rule=ASSERTED, profiles=(node.owner,)))
        self.joined.append(node.owner)

    def _link(self, identifier: Identifier, named: Identifier) -> None:
        """An identifier that belongs to nobody: link it where the limits allow."""
        rule = self.rules.rule_of(identifier.type)
        apart = self.graph.assertions.keeps_apart([identifier], self._identifiers())
        broken = apart or (None if self._vouched_for(identifier) else self._rule_against_linking(identifier, rule))
        if broken is not None and apart is None and rule.on_conflict == "move" and self._release_oldest(rule):
            broken = None
        if broken is None:
            self.gained.append(identifier)
            self.steps.append(Step("link", identifier))
        else:
            self._refuse("keep", named, broken)

    def _vouched_for(self, identifier: Identifier) -> bool:
        """Whether an operator joined it to something the target holds: that is above limits and caps."""
        return any(self._holds(partner) for partner in self.graph.assertions.joined.get(identifier, ()))

    def _join(self, identifier: Identifier, named: Identifier, owner: int) -> None:
        """An identifier of another profile: become one with it where the rules allow."""
        broken = self._rule_against_merging(identifier, owner)
        if broken is not None:
            self._settle(identifier, named, owner, broken)
            return
        if self.joined:  # otherwise the target is only a profile to be, and simply becomes part of this one
            self.steps.append(Step("merge", identifier, profiles=(owner,)))
        self.joined.append(owner)

    def _settle(self, identifier: Identifier, named: Identifier, owner: int, broken: str) -> None:
        """A conflict: what the identifier's type says about it."""
        policy = self._policy(identifier)
        if policy == "share":
            self._share(identifier, owner, broken)
        elif policy == "move" and self._makes_room(identifier):
            self._refuse("move", identifier, broken, owner)
            self.gained.append(identifier)
        else:
            self._refuse("keep", named, broken, owner)

    def _policy(self, identifier: Identifier) -> Conflict:
        """The type's policy; but what an operator unshared is not shared again."""
        policy = self.rules.rule_of(identifier.type).on_conflict
        return "keep" if policy == "share" and identifier in self.graph.assertions.unshared else policy

    def _makes_room(self, identifier: Identifier) -> bool:
        """Whether the target can take an identifier that moves, releasing its oldest of the type where it is full."""
        rule = self.rules.rule_of(identifier.type)
        if self.graph.assertions.keeps_apart([identifier], self._identifiers()) is not None:
            return False
        return self._rule_against_linking(identifier, rule) is None or self._release_oldest(rule)

    def _share(self, identifier: Identifier, owner: int, broken: str) -> None:
        """Stop the identifier from voting. What this session does on it belongs to whoever is on this event."""
        self._refuse("share", identifier, broken, owner)
        self.left.add(identifier)
        if self.event.session_id is not None:
            substitute = stand_in(identifier, self.event.session_id)
            if not self.graph.is_foreign(substitute):
                self._meet(substitute, identifier)

    def _release_oldest(self, rule: TypeRule) -> bool:
        """Under move the newest evidence wins: the target's oldest identifier of the type makes room, if it has one."""
        held = [node for node in self._held() if node.identifier.type == rule.name]
        if rule.limit is not None and self._distinct(rule, []) >= rule.limit:  # then only what counts makes room
            held = [node for node in held if _counted([node], rule, self.event.ts)]
        if not held:
            return False
        oldest = min(held, key=lambda node: (node.linked_by, node.identifier)).identifier
        self.steps.append(Step("release", oldest, rule=rule.limit_text))
        self.left.add(oldest)
        return True

    def _refuse(self, action: Action, identifier: Identifier, broken: str, *owners: int) -> None:
        self.steps.append(Step(action, identifier, "conflict", broken, owners))

    # What the target holds, and the rule that speaks against more of it (None: no rule does).

    def _held(self) -> Iterator[Node]:
        """The identifiers of the joined profiles, without those that left during this walk."""
        for key in self.joined:
            for identifier, node in self.graph.profile(key).members.items():
                if identifier not in self.left and identifier not in self.gained:
                    yield node

    def _identifiers(self) -> Iterator[Identifier]:
        return chain(self.gained, (node.identifier for node in self._held()))

    def _holds(self, identifier: Identifier) -> bool:
        return identifier in self._identifiers()

    def _rule_against_linking(self, identifier: Identifier, rule: TypeRule) -> str | None:
        if rule.limit is not None and self._distinct(rule, [identifier]) > rule.limit:
            return rule.limit_text
        if rule.name != STAND_IN and self._size() >= self.rules.max_identifiers:
            return f"profile.max_identifiers={self.rules.max_identifiers}"
        return None

    def _rule_against_merging(self, identifier: Identifier, owner: int) -> str | None:
        other = self.graph.profile(owner)
        if (apart := self.graph.assertions.keeps_apart(self._identifiers(), other.members)) is not None:
            return apart
        for rule in self._rules_for(other.members):
            if rule.limit is not None and self._overflows(rule, other):
                return rule.limit_text
        if self._size() + _size(other.members) > self.rules.max_identifiers:
            return f"profile.max_identifiers={self.rules.max_identifiers}"
        if self.joined and self._merges() + len(other.absorbed) + 1 > self.rules.max_merges:
            return f"profile.max_merges={self.rules.max_merges}"
        return self._rule_against_trusting(identifier, other)

    def _rule_against_trusting(self, identifier: Identifier, other: Profile) -> str | None:
        """Two known people are joined neither by an identifier that turned out shared, nor by an
        unsigned event under attach.
        """
        if not self._is_known(other.members):
            return None
        if identifier in self.graph.suspects and self._known():
            return SUSPECT
        if self.rules.unsigned != "attach" or self.event.verified:
            return None  # under attach an unsigned event may link new identifiers: only what was there before counts
        return "unsigned=attach" if self._is_known(node.identifier for node in self._held()) else None

    def _rules_for(self, identifiers: Iterable[Identifier]) -> list[TypeRule]:
        """The rules of the types among these identifiers, declared or not, in the order of their names."""
        return [self.rules.rule_of(name) for name in sorted({identifier.type for identifier in identifiers})]

    def _overflows(self, rule: TypeRule, other: Profile) -> bool:
        """Whether both sides together hold too many; a side that holds none makes nothing worse."""
        assert rule.limit is not None
        theirs = _counted(other.members.values(), rule, self.event.ts)
        return bool(theirs) and self._distinct(rule, []) > 0 and self._distinct(rule, theirs) > rule.limit

    def _distinct(self, rule: TypeRule, more: Sequence[Identifier]) -> int:
        """How many identifiers of a type the target would hold with `more`; those that operators joined count once."""
        gained = [identifier for identifier in self.gained if identifier.type == rule.name]
        return self.graph.assertions.distinct([*gained, *_counted(self._held(), rule, self.event.ts), *more])

    def _size(self) -> int:
        return _size(self._identifiers())

    def _merges(self) -> int:
        return sum(len(self.graph.profile(key).absorbed) + 1 for key in self.joined) - 1

    def _known(self) -> bool:
        return self._is_known(self._identifiers())

    def _is_known(self, identifiers: Iterable[Identifier]) -> bool:
        return any(self.rules.rule_of(identifier.type).personal for identifier in identifiers)

    # Steps 5 and 6: the oldest profile survives, and the event is attributed to it.

    def decision(self, seq: int, identifiers: tuple[Identifier, ...], drops: tuple[Step, ...]) -> Decision:
        """What the walk amounts to."""
        self._associate()
        if self.steps:  # what changes must be there as a whole, or NotLoaded says so now
            for key in self.joined:
                self.graph.profile(key)
        if not self.joined:
            founding = Step("found", self.gained[0])
            steps = [founding if step == Step("link", self.gained[0]) else step for step in self.steps]
            return Decision("created", seq, identifiers, (*drops, *steps))
        survivor, *merged = sorted(self.joined)
        outcome: Outcome = "merged" if merged else "attached"
        return Decision(outcome, survivor, identifiers, (*drops, *self.steps), tuple(merged))

    def _associate(self) -> None:
        """Link the shared identifiers of the event to a target that is a known person."""
        if not self.shared or not self._known():
            return
        linked = {identifier for key in self.joined for identifier in self.graph.profile(key).shares}
        self.steps += [Step("associate", identifier) for identifier in self.shared if identifier not in linked]


def _counted(nodes: Iterable[Node], rule: TypeRule, ts: int) -> list[Identifier]:
    """The identifiers of the rule's type that were linked inside its window before `ts`."""
    window = WINDOW_MS[rule.window]
    since = None if window is None else ts - window
    return [
        node.identifier
        for node in nodes
        if node.identifier.type == rule.name and (since is None or node.linked_at > since)
    ]


def _size(identifiers: Iterable[Identifier]) -> int:
    """How many identifiers count towards the cap: stand-ins are the engine's own and do not."""
    return sum(identifier.type != STAND_IN for identifier in identifiers)
