"""Replay, verify, doctor and the commands that correct: what they find, what they print, and how they exit."""

import json
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
from click.testing import CliRunner, Result

from onefold.cli import main
from onefold.config import Config, Site
from onefold.engine.doctor import Finding, examine
from onefold.store.database import Database
from support import pictures
from support.brain import Brain, strangers
from support.outcome import hashed
from support.stores import NewDatabase, change
from support.streams import HOUR, SECRET, make_event

DAY: Final = 24 * HOUR


@pytest.fixture
def command(brain: Brain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Runs a command on the brain's database, with its secret, from an empty folder."""
    monkeypatch.setenv("ONEFOLD_ID_SECRET", SECRET.decode())
    monkeypatch.setenv("ONEFOLD_STORE_URL", brain.database.url)
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(main, [*map(hashed, arguments)], catch_exceptions=False)


# Replay.


@pytest.fixture
def told(database: Database) -> Brain:
    """A brain that has merged, shared, split and obeyed: everything that can be tampered with is there."""
    brain = Brain(database)
    strangers(brain, *range(1, 7))
    brain.tell("7", "customer_id:ann")
    brain.tell("8", "customer_id:ann", "email_hash:e1")
    brain.say("join", "email_hash:e2", "customer_id:bob")
    return brain


def tamper(brain: Brain, statement: str) -> None:
    """Change the database behind the product's back."""
    assert change(brain.database, at(brain, statement)) == 1


def at(brain: Brain, text: str) -> str:
    """A text with the position of the seventh journal entry in place of `$7`: positions may have gaps."""
    positions = [written.seq for written in pictures.journal(brain.database)]
    return re.sub(r"\$(\d)", lambda number: str(positions[int(number[1]) - 1]), text)


ONE: Final = "(select min(seq) from ledger where kind = (select id from name where text = 'merged'))"
ANOTHER_ID: Final = "(select event_id from journal where seq = $1)"  # any bytes; SQLite and PostgreSQL spell them apart
TAMPERED: Final[list[Any]] = [
    pytest.param("update identifier set owner = $2 where linked_by = $7", "customer_id:ann", id="an owner"),
    pytest.param("update identifier set owner = null, shared = 1 where linked_by = $7", "customer_id:ann", id="shared"),
    pytest.param("update identifier set founded = 9 where linked_by = $7", "customer_id:ann", id="what it founded"),
    pytest.param("delete from identifier where linked_by = $7", "identifiers: the store has", id="an identifier gone"),
    pytest.param(f"update profile set id = {ANOTHER_ID} where key = $7", "profile $7", id="an id"),
    pytest.param("update profile set created_at = 1 where key = $7", "profile $7", id="the age of a profile"),
    pytest.param("update profile set merged_into = $3 where key = $7", "profile $7", id="a merge"),
    pytest.param("delete from profile where key = $7", "profiles: the store has", id="a profile gone"),
    pytest.param("delete from shared_link where profile = $1", "shared links", id="a shared link gone"),
    pytest.param("update shared_link set profile = 999 where profile = $1", "shared links", id="a shared link"),
    pytest.param(f"update ledger set body = '{{}}' where seq = {ONE}", "ledger: the journal gives", id="a ledger body"),
    pytest.param("delete from ledger where seq = (select max(seq) from ledger)", "ledger", id="a ledger entry gone"),
    pytest.param("update journal set outcome = 2 where seq = $1", "journal $1", id="an outcome"),
    pytest.param("update journal set verified = 1, ts = 5 where seq = $7", "profile $7", id="an event's time"),
    pytest.param("delete from journal where seq = $6", "", id="a journal entry gone"),
]


@pytest.mark.parametrize(("statement", "named"), TAMPERED)
def test_replay_finds_what_was_tampered_with(
    told: Brain, monkeypatch: pytest.MonkeyPatch, statement: str, named: str
) -> None:
    assert told.differences() == []
    named = at(told, named)
    tamper(told, statement)
    assert [difference for difference in told.differences() if named in difference]
    monkeypatch.setenv("ONEFOLD_ID_SECRET", SECRET.decode())
    arguments = ["replay", "--verify", "--db", told.database.url]
    text = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert text.exit_code == 1
    assert text.stdout.splitlines() == told.differences()
    assert text.stderr == "onefold: the store is not what its journal gives\n"
    found = CliRunner().invoke(main, [*arguments, "--json"], catch_exceptions=False)
    assert (found.exit_code, json.loads(found.stdout)["differences"]) == (1, told.differences())


def test_replay_of_an_honest_store_exits_with_0(brain: Brain, command: Callable[..., Result]) -> None:
    strangers(brain, 1, 2)
    result = command("replay", "--verify")
    assert result.exit_code == 0
    assert result.stdout == "2 journal entries give exactly the stored graph and ledger, ids included.\n"
    assert json.loads(command("replay", "--verify", "--json").stdout) == {"entries": 2, "differences": []}


def test_replay_under_another_secret_finds_other_ids(
    brain: Brain, command: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    strangers(brain, 1)
    monkeypatch.setenv("ONEFOLD_ID_SECRET", "another secret, long enough")
    assert command("replay", "--verify").exit_code == 1


# Doctor.


def findings(brain: Brain, config: Config | None = None) -> dict[str, Finding]:
    """What the doctor finds, by check."""
    asked = config or Config(sites=(Site("main", ("https://www.example.com",)),), secrets_path="/nowhere/at/all")
    found = examine(asked, brain.rules, SECRET, brain.database, replay=True)
    return {finding.check: finding for finding in found}


def test_the_doctor_is_quiet_where_all_is_well(brain: Brain) -> None:
    now = int(time.time() * 1000)
    brain.tell("1", "customer_id:ann", "email_hash:e1", "uid:1", ts=now)
    assert {(check, finding.verdict, finding.do) for check, finding in findings(brain).items()} == {
        (check, "ok", None)
        for check in (
            *("configuration", "secrets", "spool", "database", "clocks", "replay"),
            *("largest profiles", "shared identifiers", "one device, many people"),
        )
    }


def large(brain: Brain, size: int) -> None:
    for number in range(1, size):
        brain.tell(str(number), "customer_id:ann", f"uid:u{number}")


def much_shared(brain: Brain, people: int) -> None:
    for number in range(people):
        brain.tell(str(number), f"customer_id:c{number}", "uid:kiosk")


def family(brain: Brain, people: int) -> None:
    for number in range(people):
        brain.tell(str(number), f"email_hash:e{number}", "uid:home")


def late(brain: Brain, percent: int) -> None:
    now = int(time.time() * 1000) - DAY
    brain.take(*(make_event(f"{n}", f"uid:{n}", ts=now - (n < percent) * DAY, received_at=now) for n in range(100)))


ALARMS: Final[list[Any]] = [
    pytest.param(large, 50, "largest profiles", "look", id="a large profile"),
    pytest.param(much_shared, 20, "shared identifiers", "look", id="a much shared identifier"),
    pytest.param(family, 4, "one device, many people", "look", id="a family's computer"),
    pytest.param(late, 11, "clocks", "look", id="late events"),
]


@pytest.mark.parametrize(("history", "size", "check", "verdict"), ALARMS)
def test_an_alarm_fires_at_its_size_and_not_before(
    new_database: NewDatabase, history: Callable[[Brain, int], None], size: int, check: str, verdict: str
) -> None:
    for given, wanted in ((size - 1, "ok"), (size, verdict)):
        with new_database() as database:
            brain = Brain(database)
            history(brain, given)
            finding = findings(brain)[check]
            assert (finding.verdict, finding.do is None) == (wanted, wanted == "ok"), finding


def test_a_family_with_customer_ids_or_a_second_device_is_no_alarm(brain: Brain) -> None:
    for number in range(4):
        brain.tell(f"a{number}", f"email_hash:a{number}", "uid:one", "customer_id:ann")
        brain.tell(f"b{number}", f"email_hash:b{number}", "uid:two")
    brain.tell("second", "email_hash:b1", "uid:three")
    assert findings(brain)["one device, many people"].verdict == "ok"


def test_the_alarms_name_the_profile_and_the_identifier(brain: Brain) -> None:
    much_shared(brain, 21)
    family_of = Brain(brain.database)
    for number in range(4):
        family_of.tell(f"f{number}", f"email_hash:f{number}", "uid:home")
    found = findings(brain)
    assert found["shared identifiers"].detail == "uid:kiosk (21)"
    assert found["one device, many people"].detail == f"1: {brain.id_of('uid:home')}"


def test_entries_from_the_future_are_bad(brain: Brain) -> None:
    brain.tell("1", "uid:1", ts=int(time.time() * 1000) + DAY)
    assert findings(brain)["clocks"].verdict == "bad"


def test_a_tampered_store_is_bad(told: Brain) -> None:
    tamper(told, "update profile set created_at = 1 where key = $7")
    finding = findings(told)["replay"]
    assert (finding.verdict, at(told, "profile $7") in finding.detail) == ("bad", True)


CONFIGURATIONS: Final[list[Any]] = [
    pytest.param((), "bad", id="no site"),
    pytest.param((Site("a", ("http://www.example.com",)),), "look", id="http"),
    pytest.param((Site("a", ("http://brand-a.localhost:8000",)),), "ok", id="http on this machine"),
]


@pytest.mark.parametrize(("sites", "verdict"), CONFIGURATIONS)
def test_the_configuration_is_looked_at(brain: Brain, sites: tuple[Site, ...], verdict: str) -> None:
    assert findings(brain, Config(sites=sites, secrets_path="/nowhere"))["configuration"].verdict == verdict


@pytest.mark.parametrize(("mode", "days", "verdict"), [(0o600, 1, "ok"), (0o600, 500, "look"), (0o644, 1, "bad")])
def test_the_secrets_file_is_looked_at(brain: Brain, tmp_path: Path, mode: int, days: int, verdict: str) -> None:
    secrets = tmp_path / "onefold.secrets"
    secrets.write_text("id_secret = 'x'")
    secrets.chmod(mode)
    then = time.time() - days * 86_400 - 60
    os.utime(secrets, (then, then))
    config = Config(sites=(Site("a", ("https://a.example",)),), secrets_path=str(secrets))
    assert findings(brain, config)["secrets"].verdict == verdict


def test_the_doctor_exits_with_1_only_where_something_is_bad(brain: Brain, command: Callable[..., Result]) -> None:
    family(brain, 4)
    bad = command("doctor")
    assert (bad.exit_code, "BAD   configuration: no site is configured" in bad.stdout) == (1, True)
    Path("onefold.toml").write_text('[[sites]]\nid = "a"\norigins = ["https://a.example"]\n')
    os.environ["ONEFOLD_CLAIM_SECRET_A"] = "a secret that is long enough"
    look = command("doctor")
    assert look.exit_code == 0
    assert "LOOK  one device, many people: 1: " in look.stdout
    rows = json.loads(command("doctor", "--json").stdout)
    assert {row["check"]: row["verdict"] for row in rows}["replay"] == "ok"
    assert "replay" not in {row["check"] for row in json.loads(command("doctor", "--json", "--no-replay").stdout)}


# Corrections.

ANN, E1 = "customer_id:ann", "email_hash:e1"
SAID: Final[list[Any]] = [
    pytest.param(("separate", ANN, E1), ["split"], id="separate"),
    pytest.param(("join", ANN, "customer_id:bob"), ["merged"], id="join"),
    pytest.param(("share", "uid:1"), ["shared"], id="share"),
    pytest.param(("unshare", "uid:1"), [], id="unshare"),
]


@pytest.mark.parametrize(("arguments", "kinds"), SAID)
def test_assert_says_what_changed(
    brain: Brain, command: Callable[..., Result], arguments: tuple[str, ...], kinds: list[str]
) -> None:
    brain.tell("1", ANN, "uid:1")
    brain.tell("2", E1, "phone_hash:p")
    brain.tell("3", ANN, E1)
    brain.tell("4", "customer_id:bob")
    said = command("assert", *arguments, "--reason", "ticket 1", "--author", "eve", "--json")
    assert said.exit_code == 0
    answer = json.loads(said.stdout)
    assert answer["assertion"] == f"{arguments[0]}({', '.join(map(str, map(hashed, arguments[1:])))})"
    assert [change["kind"] for change in answer["changes"]] == kinds
    entry = pictures.journal(brain.database)[-1]
    assert (entry.event.body["author"], entry.event.body["reason"]) == ("eve", "ticket 1")


def test_assert_tells_people_what_changed(brain: Brain, command: Callable[..., Result]) -> None:
    brain.tell("1", ANN)
    brain.tell("2", "customer_id:bob")
    said = command("assert", "join", "user_id:ann", "customer_id:bob", "--reason", "one person")
    assert said.exit_code == 0
    assert said.stdout.splitlines()[0] == "join(customer_id:ann, customer_id:bob) holds."
    assert said.stdout.splitlines()[1].startswith("  merged: of_")


REFUSED: Final[list[Any]] = [
    pytest.param(("join", ANN, "uid:1"), 1, "separate(", id="a separation stands against it"),
    pytest.param(("join", ANN, "nonsense"), 1, "type:value", id="no identifier"),
    pytest.param(("share", "stand_in:uid:1#s1"), 1, "stand-in", id="a stand-in"),
    pytest.param(("join", ANN, "loyalty:7"), 3, "declare", id="an undeclared type to join"),
    pytest.param(("share", "loyalty:7"), 3, "declare", id="an undeclared type to share"),
    pytest.param(("share", "email_hash:!ada@example.com"), 3, "form", id="an address where a hash belongs"),
    pytest.param(("separate", ANN, "phone_hash:!+31612345678"), 3, "form", id="a phone number where a hash belongs"),
    pytest.param(("separate", ANN, ANN), 1, "two", id="one identifier twice"),
    pytest.param(("separate", ANN, "user_id:ann"), 1, "two", id="one identifier under two names"),
]


@pytest.mark.parametrize(("arguments", "code", "why"), REFUSED)
def test_assert_refuses_what_cannot_hold_and_journals_nothing(
    brain: Brain, command: Callable[..., Result], arguments: tuple[str, ...], code: int, why: str
) -> None:
    brain.tell("1", ANN, E1)
    brain.tell("2", E1, "uid:1")
    brain.say("separate", ANN, E1)
    before = pictures.of_store(brain.database), pictures.counts(brain.database)
    result = command("assert", *arguments, "--reason", "x")
    assert (result.exit_code, result.stdout) == (code, "")
    assert why in result.stderr
    assert "ada@example.com" not in result.stderr
    assert (pictures.of_store(brain.database), pictures.counts(brain.database)) == before


USAGE: Final[list[Any]] = [
    pytest.param(("assert", "share", "uid:1"), id="no reason"),
    pytest.param(("assert", "join", "uid:1", "--reason", "x"), id="one identifier to join"),
    pytest.param(("assert", "share", "uid:1", "uid:2", "--reason", "x"), id="two to share"),
    pytest.param(("assert", "marry", "uid:1", "uid:2", "--reason", "x"), id="no such assertion"),
    pytest.param(("replay",), id="replay without saying what for"),
    pytest.param(("simulate",), id="simulate without rules"),
    pytest.param(("simulate", "--rules", "nonsense"), id="simulate without such rules"),
    pytest.param(("explain", "uid:1"), id="one identifier to explain"),
]


@pytest.mark.parametrize("arguments", USAGE)
def test_wrong_usage_exits_with_2(brain: Brain, command: Callable[..., Result], arguments: tuple[str, ...]) -> None:
    result = command(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert pictures.counts(brain.database)["last_journal_seq"] == 0


def test_simulate_prints_a_diff_for_people_and_for_programs(brain: Brain, command: Callable[..., Result]) -> None:
    family(brain, 2)
    text = command("simulate", "--rules", "strict")
    assert text.exit_code == 0
    assert text.stdout.splitlines() == [
        "2 journal entries, 1 profiles now, 2 under these rules",
        "  profiles      0 merged, 1 split, 1 new",
        "  identifiers   1 moved, 0 gained, 1 lost",
        "  pairs         0 gained, 3 lost (identifiers that are one person)",
        "  shared        1 gained, 0 lost",
        "  refusals      1 gained: conflict email_hash.limit=1",
        "",
        f"{brain.id_of('uid:home')} would come apart into 2 profiles (1 pairs)",
        "  because event 1 would make uid:home shared (email_hash.limit=1)",
        *(f"    {name}" for name in ("uid:home", *sorted([hashed("email_hash:e0"), hashed("email_hash:e1")]))),
    ]
    found = json.loads(command("simulate", "--rules", "strict", "--against", "strict", "--json").stdout)
    assert found["changes"] == []
