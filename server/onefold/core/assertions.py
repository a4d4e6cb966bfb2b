"""Assertions: an operator's word that outranks automation.

Four kinds, each undone by its counterpart: join and separate say of two identifiers that they are one person or two;
share and unshare say of one identifier that it belongs to nobody alone, or that it may be trusted again.
"""

from collections.abc import Iterable
from typing import Final, Literal, get_args

import msgspec

from onefold.core.identifiers import Identifier

AssertionKind = Literal["join", "separate", "share", "unshare"]
KINDS: Final[tuple[AssertionKind, ...]] = get_args(AssertionKind)
ASSERTION: Final = "assertion"
"""The kind of a journal entry that holds an assertion."""

ASSERTED: Final = "assertion"
"""The rule that a refusal cites where an operator's word stands behind it."""


class Assertion(msgspec.Struct, frozen=True):
    """What an operator said. `b` is None for share and unshare."""

    kind: AssertionKind
    a: Identifier
    b: Identifier | None = None
    author: str = ""
    reason: str = ""

    @property
    def identifiers(self) -> tuple[Identifier, ...]:
        """The one or two identifiers it is about."""
        return (self.a,) if self.b is None else (self.a, self.b)

    def __str__(self) -> str:
        return f"{self.kind}({', '.join(map(str, self.identifiers))})"


class Assertions:
    """The assertions in force, after every later one has undone what it counters."""

    def __init__(self, said: Iterable[Assertion] = ()) -> None:
        self._said = list(said)
        self.joined: dict[Identifier, dict[Identifier, None]] = {}
        self.separated: dict[Identifier, dict[Identifier, None]] = {}
        self.shared: set[Identifier] = set()
        self.unshared: set[Identifier] = set()
        for assertion in self._said:
            self._take(assertion)

    def with_(self, assertion: Assertion) -> "Assertions":
        """The assertions in force once this one is said too; what it counters no longer holds."""
        return Assertions([*self._said, assertion])

    def _take(self, assertion: Assertion) -> None:
        a, b = assertion.a, assertion.b
        match assertion.kind:
            case "join" if b is not None:
                _pair(self.joined, a, b)
                _unpair(self.separated, a, b)
            case "separate" if b is not None:
                _pair(self.separated, a, b)
                _unpair(self.joined, a, b)
            case "share":
                self.shared.add(a)
                self.unshared.discard(a)
            case "unshare":
                self.unshared.add(a)
                self.shared.discard(a)

    def one_person(self, identifier: Identifier) -> set[Identifier]:
        """The identifier and all that operators joined to it, directly or through others."""
        group = {identifier}
        open_ends = [identifier]
        while open_ends:
            found = [other for other in self.joined.get(open_ends.pop(), ()) if other not in group]
            group.update(found)
            open_ends += found
        return group

    def distinct(self, identifiers: Iterable[Identifier]) -> int:
        """How many identifiers these are when those that operators joined count once."""
        if not self.joined:
            return sum(1 for _ in identifiers)
        return len({min(self.one_person(identifier)) for identifier in identifiers})

    def keeps_apart(self, ours: Iterable[Identifier], theirs: Iterable[Identifier]) -> str | None:
        """The separation between two groups of identifiers, in words; None where there is none."""
        if not self.separated:
            return None
        others = set(theirs)
        for identifier in sorted(ours):
            for other in sorted(self.separated.get(identifier, ())):
                if other in others:
                    return f"separate({min(identifier, other)}, {max(identifier, other)})"
        return None


def _pair(pairs: dict[Identifier, dict[Identifier, None]], a: Identifier, b: Identifier) -> None:
    pairs.setdefault(a, {})[b] = None
    pairs.setdefault(b, {})[a] = None


def _unpair(pairs: dict[Identifier, dict[Identifier, None]], a: Identifier, b: Identifier) -> None:
    for one, other in ((a, b), (b, a)):
        if one in pairs:
            pairs[one].pop(other, None)
            if not pairs[one]:
                del pairs[one]
