"""Ingestion into PostgreSQL, beside writing the same rows, and by two processes beside one."""

import time
from pathlib import Path
from statistics import median

from bench.ingestion import Told, begin, ingest, medians, one_round, record_to, start, told_by
from bench.population import IDENTIFIERS_A_PERSON, event, known, permitted
from onefold.core.event import IDENTITY_LINK
from onefold.store.database import Database
from support.postgres import Server, postgres_server

_BASE = "population"
_MEASURED = "measured"


def measure(folder: Path, identifiers: int, events: int, rounds: int) -> Told:
    """As `ingestion.measure`, and `two/one`: how many times as fast two processes are as one."""
    with postgres_server(settings="") as server:  # durable, as installed
        _populate(server, identifiers)
        recording = folder / "recording.msgpack"
        record_to(_copy(server), events, identifiers, recording)
        turns = [one_round(lambda: _copy(server), events, identifiers, recording) for _ in range(rounds)]
        found = medians(turns, events)
        stream = (events, identifiers, folder)
        ratios = [_seconds(server, *stream, 1) / _seconds(server, *stream, 2) for _ in range(rounds)]
        return found | {"two/one": median(ratios)}


def _populate(server: Server, identifiers: int) -> None:
    server.run(f"create database {_BASE}")
    database = Database(server.url(_BASE))
    database.migrate()
    people = identifiers // IDENTIFIERS_A_PERSON
    logins = [permitted(event(person, IDENTITY_LINK, known(person))) for person in range(people)]
    ingest(database, [logins[at : at + 250] for at in range(0, people, 250)])
    database.close()


def _copy(server: Server) -> Database:
    server.run(f"drop database if exists {_MEASURED} with (force)")
    server.run(f"create database {_MEASURED} template {_BASE}")
    return Database(server.url(_MEASURED))


def _seconds(server: Server, events: int, identifiers: int, folder: Path, processes: int) -> float:
    """How long one process, or two that take every other batch, need for the stream."""
    database, unused = _copy(server), folder / "unused"
    halves = [[half] for half in range(processes)] if processes > 1 else [[]]
    rounds = [start(database, "ingest", events, identifiers, unused, *half) for half in halves]
    started = time.perf_counter()
    for process in rounds:
        begin(process)
    for process in rounds:
        told_by(process)
    return time.perf_counter() - started
