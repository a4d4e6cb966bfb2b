"""A crowd: a few hundred people on browsers of their own and on devices they share, and clients that send its events.

A client is a thread of a process; processes share nothing but the database.
"""

import multiprocessing
import threading
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from random import Random
from typing import Final

from onefold.core.event import Event
from onefold.core.rules import default_rules
from onefold.engine.ingest import Ingest
from onefold.store.database import Database
from support.outcome import hashed
from support.streams import SECRET, make_event, permitted

PEOPLE: Final = 300
SHARED_DEVICES: Final = 50
_SENT_TWICE: Final = 0.02
_AT_ONCE: Final = (1, 1, 1, 4)


def events(count: int, seed: int = 1) -> list[Event]:
    """What a crowd does, in random order; some events are there twice, as when an answer was lost."""
    chance = Random(seed)
    once = [_event(chance, f"e{number}", number) for number in range(count)]
    found = once + [event for event in once if chance.random() < _SENT_TWICE]
    chance.shuffle(found)
    return found


def _event(chance: Random, event_id: str, at: int) -> Event:
    person = chance.randrange(PEOPLE)
    own, shared = f"uid:own{person}.{chance.randrange(3)}", f"uid:shared{chance.randrange(SHARED_DEVICES)}"
    known_as = _known_as(chance, person)
    session = f"s{at // 7}"
    named = chance.choices(
        [[own], [shared], [own, *known_as], [shared, *known_as], [own, shared], known_as], [8, 2, 4, 1, 0.2, 1]
    )[0]
    return make_event(event_id, *map(hashed, named), ts=at, received_at=at, session_id=session)


def _known_as(chance: Random, person: int) -> list[str]:
    """A customer number, an address, or both; now and then the address of somebody else."""
    of = person if chance.random() < 0.98 else chance.randrange(PEOPLE)
    customer, address = f"customer_id:c{person}", f"email_hash:p{of}.{chance.randrange(3)}"
    return chance.choice([[customer], [address], [customer, address]])


def send(database: Database, clients: int, sent: Sequence[Event]) -> Counter[str]:
    """Send events from this process by a number of clients at once; what became of them, and every error."""
    ingest = Ingest(database, default_rules(), SECRET)
    became: Counter[str] = Counter()
    threads = [
        threading.Thread(target=_send, args=(ingest, sent[number::clients], became)) for number in range(clients)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return became


def _send(ingest: Ingest, sent: Sequence[Event], became: Counter[str]) -> None:
    chance = Random(len(sent))
    rest = list(sent)
    while rest:
        size = chance.choice(_AT_ONCE)
        batch, rest = rest[:size], rest[size:]
        try:
            taken = ingest.take([permitted(event) for event in batch])
        except Exception as error:
            became[repr(error)] += len(batch)
            continue
        for one in taken:
            outcome = None if one.decision is None else one.decision.outcome
            became["failed" if one.failed else "duplicate" if one.duplicate else str(outcome)] += 1


def send_from_processes(url: str, processes: int, clients: int, sent: Sequence[Event]) -> Counter[str]:
    """Send events from several processes, each with a number of clients."""
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:
        shares = [sent[number::processes] for number in range(processes)]
        return _sum(pool.map(_send_to, [url] * processes, [clients] * processes, shares))


def _send_to(url: str, clients: int, sent: Sequence[Event]) -> Counter[str]:
    database = Database(url)
    try:
        return send(database, clients, sent)
    finally:
        database.close()


def _sum(counters: Iterable[Counter[str]]) -> Counter[str]:
    return sum(counters, Counter[str]())
