"""A database that acts happen to, for the tests of healing, corrections and questions.

Identifiers read as `type:value`; `email_hash:e1` stands for the hash of `e1`.
"""

from typing import Any, Final

from onefold.core.assertions import Assertion, AssertionKind
from onefold.core.decision import Decision
from onefold.core.event import Event
from onefold.core.identifiers import Identifier
from onefold.core.rules import parse_rules
from onefold.engine import ask
from onefold.engine.advance import Advanced
from onefold.engine.explain import explain
from onefold.engine.ingest import Ingest
from onefold.engine.situation import situation
from onefold.engine.verify import verify
from onefold.store.database import Database
from support import pictures
from support.outcome import hashed
from support.streams import HOUR, SECRET, make_event, permitted

Document = dict[str, Any]


KIOSK: Final = "uid:kiosk"


class Brain:
    """A database that acts happen to: events in batches, assertions between them, rules from the first on."""

    def __init__(self, database: Database, under: Document | None = None) -> None:
        self.database = database
        self.now = 0
        self.taken: list[Event] = []
        self.adopt(under or {})

    def adopt(self, under: Document) -> None:
        """Let other rules hold from here on, as an endpoint started with them would."""
        self.rules = parse_rules(under)
        self.ingest = Ingest(self.database, self.rules, SECRET)
        self.ingest.adopt(under, self.now)

    def take(self, *events: Event) -> list[Decision | None]:
        """Take a batch; the decision on each, None where it was there before."""
        self.now = max(self.now, *(event.received_at for event in events))
        self.taken += events
        return [taken.decision for taken in self.ingest.take([permitted(event) for event in events])]

    def tell(self, event_id: str, *identifiers: str, **more: Any) -> Decision:
        """Take one event, an hour after the last one."""
        at = more.pop("ts", self.now + HOUR)
        (decision,) = self.take(make_event(event_id, *map(hashed, identifiers), ts=at, received_at=at, **more))
        assert decision is not None
        return decision

    def say(
        self, kind: AssertionKind, a: str, b: str | None = None, author: str = "ann", reason: str = "ticket 1"
    ) -> Advanced:
        """Say something, an hour after the last event. Raises `conflict`."""
        second = None if b is None else named(b)
        said = Assertion(kind, named(a), second, author, reason)
        return self.hear(said)

    def hear(self, said: Assertion) -> Advanced:
        """Take an assertion, an hour after the last event. Raises `conflict`."""
        self.now += HOUR
        return self.ingest.say(said, self.now)

    def id_of(self, identifier: str) -> str | None:
        """The id of the profile that owns an identifier; None where nobody does."""
        with situation(self.database, self.rules) as now:
            node = now.node(named(identifier))
            return None if node is None or node.owner is None else now.profile(node.owner).id

    def same(self, *identifiers: str) -> bool:
        """Whether these belong to somebody, and to one person."""
        owners = {self.id_of(identifier) for identifier in identifiers}
        return len(owners) == 1 and None not in owners

    def shared(self, identifier: str) -> bool:
        """Whether an identifier belongs to nobody alone."""
        with situation(self.database, self.rules) as now:
            node = now.node(named(identifier))
            return node is not None and node.shared

    def explain(self, a: str, b: str, as_of_ms: int | None = None) -> dict[str, Any]:
        """Why two identifiers are one person or not."""
        with situation(self.database, self.rules, SECRET, as_of_ms) as now:
            return explain(now, named(a), named(b))

    def profile(self, what: str, **filters: Any) -> dict[str, Any]:
        """The profile of an identifier or id, as it is shown."""
        with situation(self.database, self.rules) as now:
            return ask.profile(now, hashed(what), **filters)

    def ledger(self, kind: str) -> list[dict[str, Any]]:
        """The ledger entries of one kind."""
        return [entry for entry in ask.ledger_entries(self.database) if entry["kind"] == kind]

    def surviving(self) -> int:
        """How many profiles there are that were not merged away."""
        return len(pictures.of_store(self.database)["profiles"])

    def differences(self) -> list[str]:
        """Where the store is not what its journal gives."""
        return verify(self.database, self.rules, SECRET).differences


def named(identifier: str) -> Identifier:
    """The identifier a test writes."""
    return Identifier.parse(str(hashed(identifier)))


def strangers(brain: Brain, *numbers: int) -> None:
    """Each logs in with an address of their own on the kiosk."""
    for number in numbers:
        brain.tell(f"login{number}", f"email_hash:e{number}", KIOSK, session_id=f"s{number}")
