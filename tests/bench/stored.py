"""A database that holds a population, made without resolving: one login of every person."""

import shutil
import sqlite3
from itertools import islice
from pathlib import Path

from bench.population import IDENTIFIERS_A_PERSON, event, known
from onefold.core.decision import Decision, Step
from onefold.core.event import IDENTITY_LINK
from onefold.core.graph import Graph
from onefold.core.ledger import Entry
from onefold.store.database import Database
from onefold.store.graph_store import Written, add_journal, add_ledger, save_graph
from onefold.store.names import Names
from support.stores import path_of

SECRET = b"the bench's own id secret, no other"
_CHUNK = 5_000


def populated(folder: Path, identifiers: int) -> Path:
    """The path of a database with that many identifiers; made once, kept for the run."""
    path = folder / f"population-{identifiers}.db"
    if not path.exists():
        database = Database(f"sqlite:///{path}")
        database.migrate()
        people = iter(range(identifiers // IDENTIFIERS_A_PERSON))
        while chunk := list(islice(people, _CHUNK)):
            _store(database, chunk)
        with database.transaction():
            pass
        _checkpoint(database)
        database.close()
    return path


def copy_of(path: Path, name: str) -> Database:
    """A copy to write to."""
    target = path.with_name(name)
    shutil.copyfile(path, target)
    for suffix in ("-wal", "-shm"):
        target.with_name(target.name + suffix).unlink(missing_ok=True)
    return Database(f"sqlite:///{target}")


def _store(database: Database, people: list[int]) -> None:
    with database.transaction() as tx:
        names = Names(tx)
        graph = Graph(SECRET)
        written, ledger = [], []
        for person in people:
            login, seq = event(person, IDENTITY_LINK, known(person)), person + 1
            first, *others = sorted(login.identifiers, key=lambda i: ("customer_id", "email_hash", "uid").index(i.type))
            steps = (Step("found", first), *(Step("link", identifier) for identifier in others))
            decision = Decision("created", seq, login.identifiers, steps)
            graph.apply(decision, login, seq)
            written.append(Written(seq, login, decision))
            body = {"profile": graph.profiles[seq].id, "created_at": login.ts}
            ledger.append((seq, Entry("created", login.ts, login.event_id, (), body)))
        save_graph(tx, names, graph)
        add_journal(tx, names, written)
        add_ledger(tx, names, tx.last("last_ledger_seq") + 1, ledger)


def _checkpoint(database: Database) -> None:
    connection = sqlite3.connect(path_of(database))
    connection.execute("pragma wal_checkpoint(truncate)")
    connection.close()
