"""A made-up population and the mixed stream of events it sends; the same seed gives the same events."""

import hashlib
import random
import uuid
from collections.abc import Iterator
from typing import Final

from onefold.core.consent import Permitted, Policy, Refused, gate
from onefold.core.event import IDENTITY_LINK, PAGE_VIEW, Event
from onefold.core.identifiers import Identifier

IDENTIFIERS_A_PERSON: Final = 3
_START_MS: Final = 1_700_000_000_000
_SEED: Final = 20_260_101


def uid(person: int, device: int = 0) -> Identifier:
    """A browser of a person."""
    digest = hashlib.sha256(f"uid {person} {device}".encode()).digest()
    return Identifier("uid", f"{uuid.UUID(bytes=digest[:16], version=4)}.{1_600_000_000 + person % 10_000_000}")


def known(person: int) -> tuple[Identifier, ...]:
    """A person who has logged in: a browser, an address, a customer number."""
    email = hashlib.sha256(f"email {person}".encode()).hexdigest()
    return uid(person), Identifier("email_hash", email), Identifier("customer_id", f"CUS{person}")


def event(number: int, kind: str, identifiers: tuple[Identifier, ...]) -> Event:
    """Event number so and so."""
    digest = hashlib.sha256(f"event {number}".encode()).digest()
    ts = _START_MS + number * 10
    return Event(
        event_id=_event_id(ts, digest[:10]),
        kind=kind,
        ts=ts,
        received_at=ts,
        identifiers=identifiers,
        tier="T1",
        session_id=str(uuid.UUID(bytes=digest[16:])),
        site="brand-a",
        body={"page_url": "https://brand-a.example/account/login", "trigger": "login", "normalization": "uiaf-1"},
    )


def _event_id(ts: int, drawn: bytes) -> str:
    """As the sensor makes them: a UUID of version 7 (RFC 9562), its milliseconds first. Python 3.11 knows up to 5."""
    text = str(uuid.UUID(bytes=ts.to_bytes(6, "big") + drawn, version=4))
    return f"{text[:14]}7{text[15:]}"


def mixed_stream(count: int, people: int, first: int) -> Iterator[Permitted]:
    """60 % page views of known browsers, 30 % identity_link, 10 % new visitors.

    Of the links 70 % repeat what is known, 20 % are a known person's login on a new visitor's browser, and 10 % a new
    person's first one.
    """
    chance = random.Random(_SEED)
    visitors: list[Identifier] = []
    fresh = people
    for number in range(first, first + count):
        dice = chance.random()
        identifiers: tuple[Identifier, ...]
        if dice < 0.6:
            kind, identifiers = PAGE_VIEW, (uid(chance.randrange(people)),)
        elif dice < 0.7:
            fresh += 1
            visitors.append(uid(fresh, device=1))
            kind, identifiers = PAGE_VIEW, (visitors[-1],)
        elif dice < 0.73:
            fresh += 1
            kind, identifiers = IDENTITY_LINK, known(fresh)
        elif dice < 0.79 and visitors:
            kind, identifiers = IDENTITY_LINK, (visitors.pop(), *known(chance.randrange(people))[1:])
        else:
            kind, identifiers = IDENTITY_LINK, known(chance.randrange(people))
        yield permitted(event(number, kind, identifiers))


def links(count: int, people: int, first: int) -> Iterator[Event]:
    """identity_link alone: 70 % repeat what is known, 20 % are a known person's login on a browser nobody has seen, and
    10 % a new person's first one.
    """
    chance = random.Random(_SEED + first)
    for number in range(first, first + count):
        dice, person, fresh = chance.random(), chance.randrange(people), people + number
        if dice < 0.7:
            identifiers = known(person)
        elif dice < 0.9:
            identifiers = (uid(fresh, device=1), *known(person)[1:])
        else:
            identifiers = known(fresh)
        yield event(number, IDENTITY_LINK, identifiers)


def permitted(arrived: Event) -> Permitted:
    """The event past the gate."""
    passed = gate(arrived, Policy())
    assert not isinstance(passed, Refused)
    return passed
