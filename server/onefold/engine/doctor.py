"""`onefold doctor`: is everything in order, and does anything look like two people taken for one?"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from onefold.config import Config
from onefold.core.graph import Graph, Profile
from onefold.core.identifiers import STAND_IN, Identifier
from onefold.core.rules import Rules
from onefold.engine.history import Journal, Progress
from onefold.engine.spool import survey
from onefold.engine.verify import verify
from onefold.errors import OnefoldError
from onefold.store.database import Database, Reader
from onefold.store.graph_store import load_profiles
from onefold.store.names import Names
from onefold.store.packing import unpack_text

Verdict = Literal["ok", "look", "bad"]

_MANY_IDENTIFIERS: Final = 50
_MANY_SHARERS: Final = 20
_MANY_PERSONAL: Final = 4
_OLD_SECRET_DAYS: Final = 400
_LISTED: Final = 10
_DAY_SECONDS: Final = 86_400
_LONG_WAIT_SECONDS: Final = 5
_SKEW_MS: Final = 3_600_000


class Finding(msgspec.Struct, frozen=True):
    """One thing that was looked at. `do` says what to do about it, where there is something to do."""

    check: str
    verdict: Verdict
    detail: str
    do: str | None = None


def examine(
    config: Config, rules: Rules, secret: bytes, database: Database, replay: bool, progress: Progress | None = None
) -> Iterator[Finding]:
    """Every check in turn. `replay` runs the whole journal again; leave it out on large ones that are busy."""
    yield _configuration(config)
    yield _secrets(Path(config.secrets_path))
    yield from _spool(config.spool_folder)
    try:
        yield from _stored(rules, secret, database, replay, progress)
    except OnefoldError as error:
        do = "events go to the spool meanwhile, where an endpoint runs; bring the database back"
        yield Finding("database", "bad", error.detail, do)


def _stored(
    rules: Rules, secret: bytes, database: Database, replay: bool, progress: Progress | None
) -> Iterator[Finding]:
    with database.snapshot() as reader:
        journal = Journal(reader)
        yield Finding("database", "ok", f"answers; {journal.length()} journal entries")
        yield _clocks(journal)
        yield from _alarms(reader, rules)
    if replay:
        yield _replay(database, rules, secret, progress)


def _configuration(config: Config) -> Finding:
    if not config.sites:
        return Finding("configuration", "bad", "no site is configured", "add [[sites]] with the origins of your pages")
    plain = [origin for site in config.sites for origin in site.origins if origin.startswith("http://")]
    outside = [origin for origin in plain if "localhost" not in origin and "127.0.0.1" not in origin]
    if outside:
        detail = f"{len(outside)} origins use http, where anybody on the way can read and change events"
        return Finding("configuration", "look", detail, "serve the pages over https")
    return Finding("configuration", "ok", f"{len(config.sites)} sites")


def _secrets(path: Path) -> Finding:
    if not path.exists():
        return Finding("secrets", "ok", "from the environment")
    days = int((time.time() - path.stat().st_mtime) // _DAY_SECONDS)
    if path.stat().st_mode & 0o077:
        return Finding("secrets", "bad", f"{path} can be read by others", f"chmod 600 {path}")
    if days > _OLD_SECRET_DAYS:
        detail = f"{path} is {days} days old"
        return Finding("secrets", "look", detail, "make new claim secrets; keep id_secret, profile ids depend on it")
    return Finding("secrets", "ok", f"{path}, {days} days old; keep a backup")


def _spool(folder: Path) -> Iterator[Finding]:
    """Events that wait for the database, and what could not be brought there."""
    waiting = survey(folder)
    if waiting.aside:
        detail = f"{waiting.aside} files in {folder} hold what could not be brought to the database"
        do = (
            "a .failed file: see the log for the defect, update, and take .failed off its name to try again; "
            "a .torn one is what a crash or a bad disk left of the last events: check the disk, then remove it"
        )
        yield Finding("spool kept aside", "bad", detail, do)
    if waiting.oldest_at is None:
        yield Finding("spool", "ok", "nothing waits")
        return
    seconds = max(0, int(time.time() - waiting.oldest_at / 1000))
    detail = f"{waiting.events} events wait in {folder}, the oldest file for {seconds} seconds"
    do = "they are brought to the database as soon as it takes commits and an endpoint runs; see the log"
    yield Finding("spool", "look" if seconds > _LONG_WAIT_SECONDS else "ok", detail, do)


def _clocks(journal: Journal) -> Finding:
    """Events of the last page whose own time is far from their arrival, and entries from the future."""
    events = [written.event for written in journal.newest(1_000)]
    ahead = [event for event in events if event.received_at > time.time() * 1000 + _SKEW_MS]
    if ahead:
        detail = f"{len(ahead)} of the last {len(events)} entries arrived in the future"
        return Finding("clocks", "bad", detail, "set this machine's clock; it was ahead when they arrived")
    skewed = sum(abs(event.received_at - event.ts) > _SKEW_MS for event in events)
    if skewed * 10 > len(events):
        detail = f"{skewed} of the last {len(events)} events are more than an hour off their arrival"
        return Finding("clocks", "look", detail, "late deliveries are normal; a site's server clock may be wrong")
    return Finding("clocks", "ok", f"{skewed} of the last {len(events)} events are more than an hour off")


def _replay(database: Database, rules: Rules, secret: bytes, progress: Progress | None) -> Finding:
    found = verify(database, rules, secret, most=3, progress=progress)
    if found.differences:
        detail = "; ".join(found.differences)
        return Finding("replay", "bad", f"journal and graph differ: {detail}", "restore a backup")
    return Finding("replay", "ok", f"{found.entries} journal entries give exactly the stored graph and ledger")


# Over-merge alarms: what two people taken for one look like.


def _alarms(reader: Reader, rules: Rules) -> Iterator[Finding]:
    names = Names(reader)
    yield _largest(reader, names)
    yield _most_shared(reader, names)
    yield _one_device(reader, names, rules)


def _largest(reader: Reader, names: Names) -> Finding:
    """Profiles with very many identifiers."""
    profiles = _load(reader, names, [key for key, _ in reader.all("largest_profiles", _MANY_IDENTIFIERS, _LISTED)])
    if not profiles:
        return Finding("largest profiles", "ok", f"none has {_MANY_IDENTIFIERS} identifiers")
    listed = ", ".join(f"{profile.id} ({len(profile.members)})" for profile in profiles)
    do = "look at one with `onefold profile`; share what it hangs on, or try lower limits: `onefold simulate`"
    return Finding("largest profiles", "look", listed, do)


def _most_shared(reader: Reader, names: Names) -> Finding:
    """Shared identifiers linked to very many people."""
    rows = reader.all("most_shared", _MANY_SHARERS, _LISTED)
    if not rows:
        return Finding("shared identifiers", "ok", f"none is linked to {_MANY_SHARERS} people")
    listed = ", ".join(f"{Identifier(names.text(kind), unpack_text(value))} ({count})" for kind, value, count in rows)
    do = "a kiosk or a shop's own device is fine; a placeholder belongs into the type's `blocked` values"
    return Finding("shared identifiers", "look", listed, do)


def _one_device(reader: Reader, names: Names, rules: Rules) -> Finding:
    """Profiles whose several personal identifiers hang on one device alone: a family's computer looks like that."""
    personal = [(names.id(rule.name),) for rule in rules.types.values() if rule.personal]
    keys = [row[0] for row in reader.each("several_personal", [(*kind, _MANY_PERSONAL) for kind in personal])]
    suspicious = [profile for profile in _load(reader, names, keys[:1_000]) if _hangs_on_one(profile, rules)]
    if not suspicious:
        return Finding("one device, many people", "ok", "no profile holds many people's identifiers by one device")
    listed = ", ".join(profile.id for profile in suspicious[:_LISTED])
    do = "if they are several people: `onefold assert share` the device's identifier; its profiles come apart"
    return Finding("one device, many people", "look", f"{len(suspicious)}: {listed}", do)


def _hangs_on_one(profile: Profile, rules: Rules) -> bool:
    devices = [i for i in profile.members if i.type != STAND_IN and not rules.rule_of(i.type).personal]
    customers = [i for i in profile.members if rules.rule_of(i.type).limit == 1]
    return len(devices) == 1 and not customers


def _load(reader: Reader, names: Names, keys: list[int]) -> list[Profile]:
    graph = Graph(b"", complete=False)
    load_profiles(reader, names, graph, keys)
    return [graph.profiles[key] for key in keys if key in graph.profiles]


def as_rows(findings: Iterator[Finding]) -> list[dict[str, Any]]:
    """Findings as JSON."""
    return [msgspec.to_builtins(finding) for finding in findings]
