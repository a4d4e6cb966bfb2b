"""Random streams of events and random rules, small enough that their identifiers meet all the time."""

from collections.abc import Iterable
from random import Random
from typing import Any, Final

from hypothesis import strategies as st

from onefold.core.consent import Permitted, Policy, gate
from onefold.core.event import IDENTITY_LINK, Event
from onefold.core.identifiers import Identifier
from onefold.core.rules import Rules, parse_rules

SECRET: Final = b"a secret for tests, long enough"
HOUR: Final = 3_600_000
TYPES: Final = ("customer_id", "email_hash", "uid", "loyalty")


def make_event(event_id: str, *identifiers: str, **more: Any) -> Event:
    """An event at T0 with `type:value` identifiers; `more` are fields of Event."""
    fields: dict[str, Any] = {"ts": 0, "received_at": 0, "tier": "T0", "kind": IDENTITY_LINK, **more}
    return Event(event_id=event_id, identifiers=tuple(map(Identifier.parse, identifiers)), **fields)


def permitted(event: Event) -> Permitted:
    """The event, through the gate."""
    passed = gate(event, Policy())
    assert isinstance(passed, Permitted)
    return passed


def streams(most: int = 30) -> st.SearchStrategy[list[Permitted]]:
    """Events in order, time going on, each with an id of its own.

    Each event is made from one number: drawn quickly, and a failing stream still shrinks by losing events.
    """
    return st.lists(st.integers(0, 4095), min_size=1, max_size=most).map(_stream)


def _stream(seeds: Iterable[int]) -> list[Permitted]:
    found: list[Permitted] = []
    now = 0
    for number, seed in enumerate(seeds):
        chance = Random(seed)
        now += chance.choice([0, HOUR, 13 * HOUR, 30 * HOUR])
        found.append(permitted(_event(chance, f"e{number}", now)))
    return found


def _event(chance: Random, event_id: str, now: int) -> Event:
    """An event of one to four identifiers from a small world, where everybody meets everybody."""
    sent = {f"{chance.choice(TYPES)}:{chance.choice('abcd')}": None for _ in range(chance.randint(1, 4))}
    return make_event(
        event_id,
        *sent,
        ts=now,
        received_at=now,
        session_id=chance.choice([None, "s1", "s2"]),
        source=chance.choice(["sensor", "server"]),
        verified=chance.random() < 0.5,
    )


def rules(heal: bool | None = None) -> st.SearchStrategy[Rules]:
    """Rules of every kind, each made from one number: limits, conflict policies, windows, small caps.

    `loyalty` is mostly undeclared. `heal` None means either.
    """
    return st.integers(0, 4095).map(lambda seed: _rules(Random(seed), heal))


def _rules(chance: Random, heal: bool | None) -> Rules:
    profile = {
        "max_identifiers": chance.choice([2, 4, 1000]),
        "max_merges": chance.choice([1, 2, 100]),
        "heal": chance.random() < 0.5 if heal is None else heal,
    }
    declared = TYPES if chance.random() < 0.3 else TYPES[:3]
    return parse_rules(
        {
            "profile": profile,
            "identifiers": {name: _type_rule(chance) for name in declared},
            "unsigned": chance.choice(["merge", "merge", "attach", "refuse"]),
            "allow_undeclared": chance.random() < 0.5,
        }
    )


def _type_rule(chance: Random) -> dict[str, Any]:
    return {
        "hashed": False,
        "priority": chance.randint(1, 3),
        "limit": chance.choice([None, None, 1, 2, 3]),
        "on_conflict": chance.choice(["keep", "share", "move"]),
        "window": chance.choice(["ever", "ever", "weekly", "daily"]),
        "personal": chance.random() < 0.5,
        "sources": chance.choice([["*"], ["*"], ["*"], ["server"]]),
    }


def open_rules() -> Rules:
    """No limits, nothing shared, large caps: whatever meets is one."""
    table = {"limit": None, "hashed": False, "on_conflict": "keep"}
    return parse_rules(
        {"profile": {"max_identifiers": 100_000, "max_merges": 100_000}, "identifiers": dict.fromkeys(TYPES, table)}
    )
