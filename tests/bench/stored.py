"""SQLite files that hold a population, made without resolving: one login of every person."""

import shutil
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any, Final

import msgspec

from bench.population import IDENTIFIERS_A_PERSON, event, known
from onefold.core.decision import OUTCOMES, Step
from onefold.core.event import IDENTITY_LINK, TIERS
from onefold.core.identifiers import profile_digest, unpack_profile_id
from onefold.store.database import Database
from onefold.store.names import Names
from onefold.store.packing import pack_identifiers, pack_text, pack_trace
from onefold.store.sql import QUERIES

SECRET: Final = b"the bench's own id secret, no other"
_CHUNK: Final = 20_000
_QUICK: Final = ("journal_mode = off", "synchronous = off", "cache_size = -262144", "locking_mode = exclusive")
_STATEMENTS: Final = ("add_journal", "save_identifiers", "save_profiles", "add_ledger")
_INTERNED: Final = (IDENTITY_LINK, "customer_id", "email_hash", "uid", "brand-a", "sensor", "created")

Rows = dict[str, list[tuple[Any, ...]]]


def populated(folder: Path, identifiers: int) -> Path:
    """The path of a database with that many identifiers; made once, kept for the run."""
    path = folder / f"population-{identifiers}.db"
    if not path.exists():
        making = path.with_suffix(".making")
        making.unlink(missing_ok=True)
        with closing(Database(f"sqlite:///{making}")) as database:
            database.migrate()
            with database.transaction() as tx:
                names = Names(tx)
                numbers = {text: names.id(text) for text in _INTERNED}
        _fill(making, numbers, identifiers // IDENTIFIERS_A_PERSON)
        making.rename(path)
    return path


def copy_of(path: Path, name: str) -> Database:
    """A copy to write to."""
    target = path.with_name(name)
    shutil.copyfile(path, target)
    for suffix in ("-wal", "-shm"):
        target.with_name(target.name + suffix).unlink(missing_ok=True)
    return Database(f"sqlite:///{target}")


def _fill(path: Path, numbers: dict[str, int], people: int) -> None:
    """Load the rows without indexes and build these at the end: inserted in random order they would take hours."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for pragma in _QUICK:
            connection.execute(f"pragma {pragma}").fetchall()
        indexes = connection.execute("select name, sql from sqlite_master where type = 'index' and sql > ''").fetchall()
        for name, _ in indexes:
            connection.execute(f"drop index {name}")
        connection.execute("create table loaded as select * from identifier")
        connection.execute("begin")
        for chunk in _chunks(people):
            _load(connection, chunk, numbers.__getitem__)
        connection.execute("insert into identifier select * from loaded order by type, value")
        connection.execute("drop table loaded")
        for _, text in indexes:
            connection.execute(text)
        connection.execute("commit")


def _chunks(people: int) -> Iterator[list[int]]:
    rest = iter(range(people))
    while chunk := list(islice(rest, _CHUNK)):
        yield chunk


def _load(connection: sqlite3.Connection, people: list[int], number: Callable[[str], int]) -> None:
    rows: Rows = defaultdict(list)
    for person in people:
        _login(person, number, rows)
    for name in _STATEMENTS:
        head = QUERIES[name].partition(")")[0].replace("into identifier", "into loaded")
        connection.executemany(f"{head}) values ({', '.join('?' for _ in rows[name][0])})", rows[name])


def _login(person: int, number: Callable[[str], int], rows: Rows) -> None:
    """What the first login of a person leaves behind: the rows that ingesting it would write."""
    seq, login = person + 1, event(person, IDENTITY_LINK, known(person))
    uid, email, customer = login.identifiers
    digest = profile_digest(SECRET, customer, 0)
    sensor, tier = number("sensor"), TIERS.index("T1")
    for identifier in login.identifiers:
        head = number(identifier.type), pack_text(identifier.value), seq, 0, int(identifier == customer), seq
        rows["save_identifiers"].append((*head, login.ts, login.ts, sensor, tier, 0))
    rows["save_profiles"].append((seq, digest, login.ts, None, None, None))
    steps = (Step("found", customer), Step("link", email), Step("link", uid))
    packed = pack_identifiers(login.identifiers, number), OUTCOMES.index("created"), seq, pack_trace(steps, number)
    when = pack_text(login.event_id), login.ts, login.ts
    who = number(IDENTITY_LINK), number("brand-a"), sensor, tier, 0, pack_text(login.session_id or "")
    rows["add_journal"].append((seq, *when, *who, *packed, msgspec.json.encode(login.body).decode()))
    created = msgspec.json.encode({"profile": unpack_profile_id(digest), "created_at": login.ts}).decode()
    rows["add_ledger"].append((seq, login.ts, number("created"), seq, created))
