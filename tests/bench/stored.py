"""SQLite files that hold a population, made without resolving: one login of every person, and page views since."""

import random
import shutil
import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import msgspec

from bench import population
from bench.population import IDENTIFIERS_A_PERSON, known, uid
from onefold.core.decision import OUTCOMES, Outcome, Step
from onefold.core.event import IDENTITY_LINK, PAGE_VIEW, TIERS, Event
from onefold.core.identifiers import profile_digest, unpack_profile_id
from onefold.store.database import Database
from onefold.store.names import Names
from onefold.store.packing import Packed, pack_identifiers, pack_text, pack_trace
from onefold.store.sql import QUERIES

SECRET: Final = b"the bench's own id secret, no other"
_CHUNK: Final = 20_000
_QUICK: Final = ("journal_mode = off", "synchronous = off", "cache_size = -262144", "locking_mode = exclusive")
_IN_ORDER: Final = ("journal_event_id", "identifier_owner")
_INTERNED: Final = (IDENTITY_LINK, PAGE_VIEW, "customer_id", "email_hash", "uid", "brand-a", "sensor", "created")

Rows = dict[str, list[tuple[Any, ...]]]


def populated(folder: Path, identifiers: int, visits: int = 0) -> Path:
    """The path of a database with that many identifiers, and as many page views of each person; made once, kept for the
    run.
    """
    path = folder / f"population-{identifiers}-{visits}.db"
    if not path.exists():
        making = path.with_suffix(".making")
        making.unlink(missing_ok=True)
        with closing(Database(f"sqlite:///{making}")) as database:
            database.migrate()
            with database.transaction() as tx:
                names = Names(tx)
                numbers = {text: names.id(text) for text in _INTERNED}
        _fill(making, numbers, identifiers // IDENTIFIERS_A_PERSON, visits)
        making.rename(path)
    return path


def copy_of(path: Path, name: str) -> Database:
    """A copy to write to."""
    target = path.with_name(name)
    shutil.copyfile(path, target)
    for suffix in ("-wal", "-shm"):
        target.with_name(target.name + suffix).unlink(missing_ok=True)
    return Database(f"sqlite:///{target}")


def _fill(path: Path, numbers: dict[str, int], people: int, visits: int) -> None:
    """Load the rows. What grows at its end is indexed when all are there, and identifiers are sorted first: inserted in
    random order they would take hours. The other indexes get their entries one by one: their pages then have the room
    that those of a database in use have.
    """
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for pragma in _QUICK:
            connection.execute(f"pragma {pragma}").fetchall()
        text_of = "select sql from sqlite_master where name = ?"
        later = [connection.execute(text_of, [name]).fetchone() for name in _IN_ORDER]
        for name in _IN_ORDER:
            connection.execute(f"drop index {name}")
        connection.execute("create table loaded as select * from identifier")
        connection.execute("begin")
        for rows in _chunks(people, visits, numbers):
            _load(connection, rows)
        connection.execute("insert into identifier select * from loaded order by type, value")
        connection.execute("drop table loaded")
        for (text,) in later:
            connection.execute(text)
        connection.execute("commit")


def _chunks(people: int, visits: int, numbers: dict[str, int]) -> Iterator[Rows]:
    everybody, seq = list(range(people)), people
    for chunk in _cut(everybody):
        rows: Rows = defaultdict(list)
        for person in chunk:
            _login(person, numbers, rows)
        yield rows
    for _ in range(visits):
        random.Random(seq).shuffle(everybody)
        for chunk in _cut(everybody):
            yield {"add_journal": [_visit(seq + at, person, numbers) for at, person in enumerate(chunk)]}
            seq += len(chunk)


def _cut(people: list[int]) -> Iterator[list[int]]:
    return (people[at : at + _CHUNK] for at in range(0, len(people), _CHUNK))


def _load(connection: sqlite3.Connection, rows: Rows) -> None:
    for name, some in rows.items():
        head = QUERIES[name].partition(")")[0].replace("into identifier", "into loaded")
        connection.executemany(f"{head}) values ({', '.join('?' for _ in some[0])})", some)


def _visit(count: int, person: int, numbers: dict[str, int]) -> tuple[Any, ...]:
    """The journal's row of a page view: it confirms what is known."""
    return _entry(count + 1, population.event(count, PAGE_VIEW, (uid(person),)), numbers, "attached", person + 1, None)


def _login(person: int, numbers: dict[str, int], rows: Rows) -> None:
    """What the first login of a person leaves behind: the rows that ingesting it would write."""
    seq, login = person + 1, population.event(person, IDENTITY_LINK, known(person))
    uid, email, customer = login.identifiers
    digest = profile_digest(SECRET, customer, 0)
    sensor, tier = numbers["sensor"], TIERS.index("T1")
    for identifier in login.identifiers:
        head = numbers[identifier.type], pack_text(identifier.value), seq, 0, int(identifier == customer), seq
        rows["save_identifiers"].append((*head, login.ts, login.ts, sensor, tier, 0))
    rows["save_profiles"].append((seq, digest, login.ts, None, None, None))
    steps = (Step("found", customer), Step("link", email), Step("link", uid))
    rows["add_journal"].append(_entry(seq, login, numbers, "created", seq, pack_trace(steps, numbers.__getitem__)))
    created = msgspec.json.encode({"profile": unpack_profile_id(digest), "created_at": login.ts}).decode()
    rows["add_ledger"].append((seq, login.ts, numbers["created"], seq, created))


def _entry(
    seq: int, event: Event, numbers: dict[str, int], outcome: Outcome, key: int, trace: bytes | None
) -> tuple[Any, ...]:
    """A row of the journal."""
    when = pack_text(event.event_id), event.ts, event.ts
    who = numbers[event.kind], numbers[event.site], numbers[event.source], TIERS.index("T1"), 0
    said = pack_text(event.session_id or ""), pack_identifiers(event.identifiers, numbers, Packed())
    return (seq, *when, *who, *said, OUTCOMES.index(outcome), key, trace, msgspec.json.encode(event.body).decode())
