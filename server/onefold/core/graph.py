"""The identity graph in memory: the state that `resolve` reads, and the one way to change it.

A graph is either complete (replay, simulation, a file) or a working set (ingestion): the part of the stored graph
that a batch touches. A working set raises `NotLoaded` when it is asked for something it was not given, so nothing is
ever mistaken for unseen.
"""

from collections.abc import Callable, Iterable

import msgspec

from onefold.core.assertions import Assertions
from onefold.core.decision import Decision, Step
from onefold.core.event import Event
from onefold.core.identifiers import Identifier, profile_digest, unpack_profile_id


class NotLoaded(LookupError):
    """A working set lacks these identifiers or profiles: load them and resolve the event again."""

    def __init__(self, identifiers: Iterable[Identifier] = (), profiles: Iterable[int] = ()) -> None:
        super().__init__("not in the working set")
        self.identifiers = tuple(identifiers)
        self.profiles = tuple(profiles)


class Node(msgspec.Struct, eq=False, gc=False):
    """What is known of one identifier. It is *owned* (`owner`), *shared* (`shared`), or belongs to nobody.

    `linked_by` is the journal position of the event that linked it to its owner, or made it shared, and `linked_at`
    the event's time; `source`, `tier` and `verified` are that event's too. `founded` counts the profiles it has
    founded.
    """

    identifier: Identifier
    owner: int | None = None
    shared: bool = False
    founded: int = 0
    linked_by: int = 0
    linked_at: int = 0
    first_seen: int = 0
    source: str = ""
    tier: str = "T0"
    verified: bool = False


class Profile(msgspec.Struct, eq=False, gc=False):
    """One person. `key` is the journal position of the event that founded it, so the smaller key is the older profile.

    `members` are the identifiers it owns, `shares` the shared ones it is linked to, `absorbed` the keys of all
    profiles ever merged into it, directly or not; on those `merged_into` points straight at it. `whole` is false
    where only the bare profile was loaded.
    """

    key: int
    digest: bytes
    created_at: int
    members: dict[Identifier, Node] = {}
    shares: dict[Identifier, None] = {}
    absorbed: list[int] = []
    merged_into: int | None = None
    merged_at: int | None = None
    merged_by: int | None = None
    whole: bool = True

    @property
    def id(self) -> str:
        """The public id, `of_…`, which `digest` holds in 16 bytes."""
        return unpack_profile_id(self.digest)


def _nothing_is_foreign(_: Identifier) -> bool:
    return False


class Graph:
    """Identifiers, the profiles that own them, and who shares what.

    What `apply` changes is collected in `changed_nodes`, `changed_profiles` and `changed_shares` (linked or no
    longer), for whoever saves it; call `saved` afterwards.
    """

    def __init__(self, secret: bytes, complete: bool = True, assertions: Assertions | None = None) -> None:
        self.secret = secret
        self.complete = complete
        self.assertions = assertions or Assertions()
        self.suspects: frozenset[Identifier] = frozenset()
        self.is_foreign: Callable[[Identifier], bool] = _nothing_is_foreign
        self.nodes: dict[Identifier, Node | None] = {}
        self.profiles: dict[int, Profile] = {}
        self.changed_nodes: dict[Identifier, Node] = {}
        self.changed_profiles: dict[int, Profile] = {}
        self.changed_shares: dict[tuple[Identifier, int], bool] = {}

    def node(self, identifier: Identifier) -> Node | None:
        """What is known of an identifier; None when it is unseen. Raises NotLoaded."""
        found = self.nodes.get(identifier)
        if found is None and not self.complete and identifier not in self.nodes:
            raise NotLoaded(identifiers=[identifier])
        return found

    def profile(self, key: int) -> Profile:
        """A profile with all its members. Raises NotLoaded."""
        found = self.profiles.get(key)
        if found is None or not found.whole:
            raise NotLoaded(profiles=[key])
        return found

    def forget(self) -> None:
        """Forget what was loaded: it may be so no more."""
        self.nodes.clear()
        self.profiles.clear()

    def saved(self) -> None:
        """Forget what changed: it has been saved, or nobody will."""
        self.changed_nodes.clear()
        self.changed_profiles.clear()
        self.changed_shares.clear()

    def apply(self, decision: Decision, event: Event, seq: int) -> None:
        """Carry out a decision made from this very state by the event at journal position `seq`."""
        if decision.profile is None:
            return
        if decision.merged:
            self._merge(decision.profile, decision.merged, event, seq)
        for step in decision.trace:
            self._carry_out(step, decision.profile, event, seq)

    def _carry_out(self, step: Step, key: int, event: Event, seq: int) -> None:
        match step.action:
            case "found":
                self._found(step.identifier, event, seq)
                self._link(step.identifier, key, event, seq)
            case "link" | "move":
                self._link(step.identifier, key, event, seq)
            case "share":
                self.share(step.identifier, event, seq)
                self.associate(step.identifier, (*step.profiles, key))
            case "release":
                self.disown(self.touched(step.identifier, event))
            case "associate":
                self.associate(step.identifier, (key,))

    def touched(self, identifier: Identifier, event: Event) -> Node:
        """The node of an identifier that is about to change, made when it is unseen."""
        node = self.nodes.get(identifier)
        if node is None:
            node = self.nodes[identifier] = Node(identifier, first_seen=event.ts)
        self.changed_nodes[identifier] = node
        return node

    def _found(self, identifier: Identifier, event: Event, seq: int) -> None:
        node = self.touched(identifier, event)
        digest = profile_digest(self.secret, identifier, node.founded)
        node.founded += 1
        self.profiles[seq] = self.changed_profiles[seq] = Profile(seq, digest, event.ts, members={})

    def _link(self, identifier: Identifier, key: int, event: Event, seq: int) -> None:
        node = self.touched(identifier, event)
        self.disown(node)
        node.owner = key
        node.linked_by, node.linked_at = seq, event.ts
        node.source, node.tier, node.verified = event.source, event.tier or "T0", event.verified
        self.profile(key).members[identifier] = node

    def disown(self, node: Node) -> None:
        """Take an identifier from its owner, if it has one."""
        if node.owner is not None:
            self.profile(node.owner).members.pop(node.identifier, None)
            node.owner = None

    def share(self, identifier: Identifier, event: Event, seq: int) -> None:
        """Make an identifier shared from journal position `seq` on: it belongs to nobody and votes no more."""
        node = self.touched(identifier, event)
        self.disown(node)
        node.shared, node.linked_by = True, seq

    def associate(self, identifier: Identifier, keys: Iterable[int]) -> None:
        """Link a shared identifier to profiles."""
        for key in map(self.survivor, keys):
            self.profile(key).shares[identifier] = None
            self.changed_shares[identifier, key] = True

    def survivor(self, key: int) -> int:
        """The profile that a key stands for after all merges this graph knows of."""
        profile = self.profiles.get(key)
        return key if profile is None or profile.merged_into is None else profile.merged_into

    def _merge(self, survivor_key: int, losers: Iterable[int], event: Event, seq: int) -> None:
        for key in losers:
            survivor, loser = self.profile(survivor_key), self.profile(key)
            loser.merged_at, loser.merged_by = event.ts, seq
            self._repoint(loser, survivor)

    def _repoint(self, loser: Profile, survivor: Profile) -> None:
        """Point the loser and all it owned, shared and absorbed straight at the survivor."""
        for key in (loser.key, *loser.absorbed):
            self.profiles[key].merged_into = survivor.key
            self.changed_profiles[key] = self.profiles[key]
            survivor.absorbed.append(key)
        for identifier, node in loser.members.items():
            node.owner = survivor.key
            survivor.members[identifier] = node
            self.changed_nodes[identifier] = node
        for identifier in loser.shares:
            self.changed_shares[identifier, loser.key] = False
            survivor.shares[identifier] = None
            self.changed_shares[identifier, survivor.key] = True
        loser.members, loser.shares, loser.absorbed = {}, {}, []
