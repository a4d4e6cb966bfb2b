"""The whole graph and ledger as plain data, from memory or from a store, so that two of them can be compared."""

import json
from collections.abc import Iterable
from typing import Any, Final

from onefold.core.consent import readmit
from onefold.core.graph import Graph, Profile
from onefold.core.rules import Rules
from onefold.engine import ask
from onefold.store.database import Database
from onefold.store.graph_store import Written, load_profiles, written_from
from onefold.store.names import Names
from support.memory import Memory

Picture = dict[str, Any]
_ALL: Final = 1_000_000


def of_memory(run: Memory) -> Picture:
    """The picture of a run in memory."""
    keys = [key for key, profile in run.graph.profiles.items() if profile.merged_into is None]
    ledger = [entry.public() for entry in run.ledger]
    return {"profiles": _profiles(run.graph, keys), "ledger": json.loads(json.dumps(ledger))}


def of_store(database: Database) -> Picture:
    """The picture of a store."""
    with database.snapshot() as reader:
        names, graph = Names(reader), Graph(b"", complete=False)
        keys = [row[0] for row in reader.all("all_profiles", 0, _ALL) if row[3] is None]
        load_profiles(reader, names, graph, keys)
        profiles = _profiles(graph, keys)
    ledger = ask.ledger(database, 0, _ALL)
    return {"profiles": profiles, "ledger": [{k: v for k, v in entry.items() if k != "seq"} for entry in ledger]}


def _profiles(graph: Graph, keys: Iterable[int]) -> dict[str, Any]:
    return {graph.profiles[key].id: _profile(graph, graph.profiles[key]) for key in keys}


def _profile(graph: Graph, profile: Profile) -> dict[str, Any]:
    absorbed = [graph.profiles[key] for key in sorted(profile.absorbed)]
    return {
        "created_at": profile.created_at,
        "members": {
            str(node.identifier): (node.first_seen, node.linked_by, node.source, node.verified)
            for node in profile.members.values()
        },
        "shares": sorted(map(str, profile.shares)),
        "absorbed": [(loser.id, loser.merged_at, loser.merged_by) for loser in absorbed],
    }


def journal(database: Database) -> list[Written]:
    """Every entry of the journal, in order."""
    with database.snapshot() as reader:
        names = Names(reader)
        return [written_from(row, names) for row in reader.all("journal_from", 0, _ALL)]


def replayed(database: Database, rules: Rules) -> Memory:
    """The journal resolved again from its beginning, in memory."""
    entries = journal(database)
    run = Memory(rules, (written.seq for written in entries))
    for written in entries:
        run.take(readmit(written.event))
    return run


def counts(database: Database) -> dict[str, int]:
    """How many rows there are of what an event can leave behind."""
    queries = ("last_journal_seq", "count_profiles", "count_identifiers")
    with database.snapshot() as reader:
        return {query: reader.last(query) for query in queries} | {"ledger": len(reader.all("ledger_after", 0, 10**9))}
