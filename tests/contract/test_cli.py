"""The `onefold` command: what it prints, and its exit codes 0, 1, 2 and 3."""

import hashlib
import json
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import click
import pytest
from click.testing import CliRunner, Result

from onefold.cli import main
from onefold.config import load_config
from onefold.core.keys import KEY_PATTERN
from onefold.core.rules import default_rules
from onefold.engine.ingest import Ingest
from onefold.store.database import Database
from onefold.web.sensor import integrity
from support.outcome import event, lines
from support.streams import SECRET, make_event, permitted

ADDRESS_HASH: Final = hashlib.sha256(b"ada@example.com").hexdigest()
LINE_HINT: Final = 'a line is {"type": "email|phone|name", "value": "…", "region": "…"}'


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder to be in, and an environment that is left as it was."""
    monkeypatch.chdir(tmp_path)
    before = dict(os.environ)
    for name in [name for name in before if name.startswith("ONEFOLD_")]:
        del os.environ[name]
    yield tmp_path
    os.environ.clear()
    os.environ.update(before)


def run(*arguments: str, given: bytes = b"") -> Result:
    """A call of the command. An exception that reaches the user is a defect."""
    return CliRunner().invoke(main, arguments, input=given, catch_exceptions=False)


@pytest.fixture
def db(database: Database) -> str:
    """A database in which two people use one browser, one of them with two browsers of their own."""
    stream = [
        make_event("1", "uid:home", ts=1_000),
        make_event("2", "customer_id:ann", ts=2_000),
        make_event("3", "customer_id:ann", "uid:home", ts=3_000),
        make_event("4", "customer_id:bob", "uid:home", ts=4_000),
    ]
    Ingest(database, default_rules(), SECRET).take([permitted(item) for item in stream])
    return database.url


# Every command.


def commands(group: click.Group = main, above: str = "") -> Iterator[tuple[str, click.Command]]:
    """Every command by its full name, those of groups too."""
    for name, command in sorted(group.commands.items()):
        if isinstance(command, click.Group):
            yield from commands(command, f"{above}{name} ")
        else:
            yield above + name, command


COMMANDS: Final = dict(commands())


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(name: str) -> None:
    result = run(*name.split(), "--help")
    assert result.exit_code == 0
    assert f"Example: onefold {name}" in " ".join(result.stdout.split())


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_of_a_command_is_explained(name: str) -> None:
    options = [option for option in COMMANDS[name].params if isinstance(option, click.Option)]
    assert [option.name for option in options if not option.help] == []


def test_help_lists_every_command() -> None:
    listed = run("--help").stdout
    assert all(re.search(rf"^  {name}\b", listed, re.M) for name in main.commands)


USAGE: Final[list[Any]] = [
    pytest.param(["nonsense"], id="no such command"),
    pytest.param(["hash", "--nonsense"], id="no such option"),
    pytest.param(["hash"], id="nothing to hash"),
    pytest.param(["hash", "email"], id="no value"),
    pytest.param(["hash", "address", "x"], id="no such kind"),
    pytest.param(["hash", "email", "a@b.example", "--salt-env", "NOT_THERE"], id="no such variable for the salt"),
    pytest.param(["hash", "--ndjson", "not-there.ndjson"], id="no such file"),
    pytest.param(["resolve"], id="no events"),
    pytest.param(["resolve", "not-there.ndjson"], id="no such file of events"),
    pytest.param(["resolve", "--rules", "not-there.toml", "-"], id="no such rules"),
    pytest.param(["migrate", "--config", "not-there.toml"], id="no such configuration"),
    pytest.param(["migrate", "--db", "oracle://somewhere"], id="an unknown kind of database"),
    pytest.param(["migrate", "--db", "nonsense"], id="no URL"),
    pytest.param(["migrate", "--db", "sqlite:///not/there/onefold.db"], id="no such folder"),
    pytest.param(["serve", "--processes", "2"], id="two processes on SQLite"),
    pytest.param(["serve", "--processes", "0"], id="no process"),
    pytest.param(["profile"], id="nobody to show"),
    pytest.param(["init", "--origin", "www.example.com"], id="an origin without a scheme"),
    pytest.param(["init", "--origin", "https://www.example.com/path"], id="an origin with a path"),
    pytest.param(["init", "--region", "Holland"], id="a region that is no country"),
]


@pytest.mark.parametrize("arguments", USAGE)
def test_wrong_usage_exits_with_2_and_says_why(elsewhere: Path, arguments: list[str]) -> None:
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr
    assert list(elsewhere.iterdir()) == []


RULES_FILES: Final[list[Any]] = [
    pytest.param(b"[identifiers.uid]\nlimitt = 3\n", "identifiers.uid.limit", id="a typo"),
    pytest.param(b"[identifiers", "TOML", id="no TOML"),
    pytest.param(b"\xff\xfe", "", id="no UTF-8"),
]


@pytest.mark.parametrize(("content", "said"), RULES_FILES)
def test_rules_that_cannot_be_used_exit_with_2(elsewhere: Path, content: bytes, said: str) -> None:
    (elsewhere / "rules.toml").write_bytes(content)
    result = run("resolve", "--rules", "rules.toml", "-")
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr


# hash


def test_hash_prints_the_normalised_form_and_its_hash() -> None:
    result = run("hash", "email", " Ada@Example.com ")
    assert (result.exit_code, result.stdout) == (0, f"ada@example.com\n{ADDRESS_HASH}\n")


def test_hash_prints_json_for_programs() -> None:
    result = run("hash", "email", "ada@example.com", "--json")
    assert json.loads(result.stdout) == {"normalized": "ada@example.com", "sha256": ADDRESS_HASH}


def test_hash_reads_a_phone_number_in_its_region() -> None:
    assert run("hash", "phone", "06-12345678", "--region", "NL").stdout.startswith("+31612345678\n")


def test_hash_salts_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PEPPER", "salt")
    salted = hashlib.sha256(b"saltada@example.com").hexdigest()
    assert run("hash", "email", "ada@example.com", "--salt-env", "PEPPER").stdout.splitlines()[1] == salted


def test_hash_exits_with_1_where_the_value_is_refused() -> None:
    result = run("hash", "phone", "06-12345678")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "region" in result.stderr


def test_hash_exits_with_1_and_prints_json_where_the_value_is_refused() -> None:
    result = run("hash", "email", "ada", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["normalized"] is None


NDJSON: Final[list[Any]] = [
    pytest.param(b'{"type":"email","value":"Ada@Example.com"}', "ada@example.com", None, id="an address"),
    pytest.param(b'{"type":"phone","value":"06-12345678","region":"NL"}', "+31612345678", None, id="its own region"),
    pytest.param(b'{"type":"phone","value":"0171 1234567"}', "+491711234567", None, id="the region of the call"),
    pytest.param(b'{"type":"name","value":"\xc3\x84DA"}', "äda", None, id="UTF-8"),
    pytest.param(b'{"type":"name","value":" "}', None, "nothing is left of the name", id="refused"),
    pytest.param(b'{"type":"name","value":"\\ud800"}', None, "nothing is left of the name", id="a lone surrogate"),
    pytest.param(b"", None, LINE_HINT, id="an empty line"),
    pytest.param(b"{", None, LINE_HINT, id="no JSON"),
    pytest.param(b"\xff", None, LINE_HINT, id="no UTF-8"),
    pytest.param(b"[" * 50_000, None, LINE_HINT, id="50,000 nested arrays"),
    pytest.param(b"[]", None, LINE_HINT, id="an array"),
    pytest.param(b'{"type":"address","value":"x"}', None, LINE_HINT, id="no such kind"),
    pytest.param(b'{"type":["email"],"value":"x"}', None, LINE_HINT, id="a list for the kind"),
    pytest.param(b'{"type":"email"}', None, LINE_HINT, id="no value"),
    pytest.param(b'{"type":"email","value":7}', None, LINE_HINT, id="a number for the value"),
    pytest.param(b'{"type":"phone","value":"1","region":7}', None, LINE_HINT, id="a number for the region"),
]


@pytest.mark.parametrize(("line", "normalized", "reason"), NDJSON)
def test_hash_answers_every_line_of_ndjson(line: bytes, normalized: str | None, reason: str | None) -> None:
    result = run("hash", "--region", "DE", "--ndjson", "-", given=line + b"\n")
    assert result.exit_code == 0
    answer = json.loads(result.stdout)
    assert (answer["normalized"], answer.get("reason")) == (normalized, reason)
    assert answer["sha256"] == (None if normalized is None else hashlib.sha256(normalized.encode()).hexdigest())


def test_hash_answers_line_by_line_in_order(elsewhere: Path) -> None:
    (elsewhere / "values.ndjson").write_bytes(b"".join(parameters.values[0] + b"\n" for parameters in NDJSON))
    answers = [
        json.loads(line) for line in run("hash", "--region", "DE", "--ndjson", "values.ndjson").stdout.splitlines()
    ]
    assert [answer["normalized"] for answer in answers] == [parameters.values[1] for parameters in NDJSON]


# init, migrate


def test_init_writes_a_configuration_that_works(elsewhere: Path) -> None:
    result = run("init", "--url", "https://id.example.com/", "--origin", "https://www.example.com")
    assert result.exit_code == 0
    assert '<script async src="https://id.example.com/onefold.js"></script>' in result.stdout
    config = load_config(elsewhere / "onefold.toml", {})
    assert config.server.public_url == "https://id.example.com"
    assert [site.origins for site in config.sites] == [("https://www.example.com",)]
    assert stat.S_IMODE((elsewhere / "onefold.secrets").stat().st_mode) == 0o600
    assert run("migrate").exit_code == 0


def test_init_prints_a_tag_to_paste_and_one_that_pins_the_file(elsewhere: Path) -> None:
    """Both have the endpoint and the country; the pinned one has the hash of the versioned file."""
    printed = run("init", "--url", "https://id.example.com", "--region", "NL").stdout
    assert '<script async src="https://id.example.com/onefold.js" data-region="NL"></script>' in printed
    pinned = re.findall(r'src="https://id.example.com/(\S+)" integrity="(\S+)" crossorigin="anonymous" data-r', printed)
    assert pinned == [("onefold.v1.js", integrity("onefold.v1.js"))]


def test_init_does_not_overwrite(elsewhere: Path) -> None:
    (elsewhere / "onefold.toml").write_text("# mine\n")
    assert run("init").exit_code == 2
    assert (elsewhere / "onefold.toml").read_text() == "# mine\n"
    assert not (elsewhere / "onefold.secrets").exists()


def test_migrate_makes_a_database_and_may_run_again(elsewhere: Path) -> None:
    for _ in range(2):
        assert run("migrate", "--db", "sqlite:///new.db").exit_code == 0
    assert run("ledger", "--db", "sqlite:///new.db").exit_code == 0


def test_a_file_that_is_no_database_exits_with_3(elsewhere: Path) -> None:
    (elsewhere / "picture.db").write_bytes(b"GIF89a" * 1000)
    for arguments in (["migrate"], ["profile", "uid:1"], ["ledger"]):
        result = run(*arguments, "--db", "sqlite:///picture.db")
        assert (result.exit_code, result.stdout) == (3, "")
        assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("arguments", [["profile", "uid:1"], ["ledger"]])
def test_asking_where_there_is_no_database_exits_with_3_and_makes_none(elsewhere: Path, arguments: list[str]) -> None:
    result = run(*arguments, "--db", "sqlite:///not-there.db")
    assert (result.exit_code, result.stdout) == (3, "")
    assert list(elsewhere.iterdir()) == []


def test_init_makes_a_database_and_a_first_key(elsewhere: Path) -> None:
    printed = run("init").stdout
    (key,) = [line for line in printed.splitlines() if KEY_PATTERN.fullmatch(line)]
    (listed,) = json.loads(run("keys", "list", "--json").stdout)
    assert (listed["id"], listed["name"], listed["scopes"]) == (key[:12], "first", ["read", "write"])


def test_init_leaves_a_database_that_is_there_to_its_operator(elsewhere: Path) -> None:
    run("migrate")
    before = (elsewhere / "onefold.db").read_bytes()
    printed = run("init").stdout
    assert KEY_PATTERN.search(printed) is None
    assert "onefold keys create" in printed
    assert (elsewhere / "onefold.db").read_bytes() == before


def test_init_makes_no_key_on_a_server_that_may_not_be_there_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONEFOLD_STORE_URL", "postgresql://nobody@127.0.0.1:1/none")
    result = run("init")
    assert result.exit_code == 0
    assert KEY_PATTERN.search(result.stdout) is None


# keys


def test_a_key_is_printed_alone_so_that_a_script_can_keep_it(elsewhere: Path) -> None:
    run("migrate")
    result = run("keys", "create", "crm", "--scope", "write", "--scope", "admin")
    assert KEY_PATTERN.fullmatch(result.stdout.removesuffix("\n"))
    assert "not shown again" in result.stderr
    (listed,) = json.loads(run("keys", "list", "--json").stdout)
    assert listed["scopes"] == ["write", "admin"]
    assert (listed["last_used"], listed["revoked_at"]) == (None, None)


def test_the_list_of_keys_shows_no_key(elsewhere: Path) -> None:
    run("migrate")
    keys = [run("keys", "create", name).stdout.strip() for name in ("crm", "shop")]
    run("keys", "revoke", "crm")
    for listed in (run("keys", "list").stdout, run("keys", "list", "--json").stdout):
        assert [key[:12] in listed for key in keys] == [True, True]
        assert [key[13:] in listed for key in keys] == [False, False]
    assert len(run("keys", "list").stdout.splitlines()) == 3


def test_a_list_without_keys_says_how_to_make_one(elsewhere: Path) -> None:
    run("migrate")
    assert "onefold keys create" in run("keys", "list").stderr
    assert json.loads(run("keys", "list", "--json").stdout) == []


def test_a_key_is_revoked_once(elsewhere: Path) -> None:
    run("migrate")
    key = run("keys", "create", "crm").stdout.strip()
    assert run("keys", "revoke", key).stdout == f"Revoked {key[:12]} (crm).\n"
    again = run("keys", "revoke", key)
    assert (again.exit_code, again.stdout) == (1, "")
    assert key[13:] not in again.stderr


def test_a_name_that_is_taken_exits_with_1_and_one_that_misleads_with_2(elsewhere: Path) -> None:
    run("migrate")
    run("keys", "create", "crm")
    assert run("keys", "create", "crm").exit_code == 1
    assert run("keys", "create", "a\nb").exit_code == 2
    assert run("keys", "create", "crm2", "--scope", "everything").exit_code == 2


@pytest.mark.parametrize("arguments", [["create", "crm"], ["list"], ["revoke", "crm"]])
def test_keys_of_a_database_that_is_not_there_exit_with_3_and_make_none(elsewhere: Path, arguments: list[str]) -> None:
    assert run("keys", *arguments).exit_code == 3
    assert list(elsewhere.iterdir()) == []


# profile, ledger


def test_profile_shows_who_an_identifier_belongs_to(db: str) -> None:
    found = json.loads(run("profile", "customer_id:ann", "--db", db, "--json").stdout)
    assert [line["identifier"] for line in found["identifiers"]] == ["uid:home", "customer_id:ann"]
    assert [line["shared"] for line in found["identifiers"]] == [True, False]
    assert len(found["merged"]) == 1
    assert found["flags"] == ["uses_shared_identifier"]
    text = run("profile", "customer_id:ann", "--db", db).stdout
    assert text.startswith(found["id"])
    assert f"merged in: {found['merged'][0]}" in text


def test_profile_takes_an_alias_and_an_id_also_one_merged_away(db: str) -> None:
    found = json.loads(run("profile", "user_id:ann", "--db", db, "--json").stdout)
    for public_id in (found["id"], *found["merged"]):
        assert json.loads(run("profile", public_id, "--db", db, "--json").stdout) == found


def test_profile_says_that_a_shared_identifier_belongs_to_nobody_alone(db: str) -> None:
    found = json.loads(run("profile", "uid:home", "--db", db, "--json").stdout)
    assert (found["identifier"], found["shared"], len(found["profiles"])) == ("uid:home", True, 2)
    assert "belongs to nobody alone" in run("profile", "uid:home", "--db", db).stdout


@pytest.mark.parametrize("what", ["uid:nobody", "loyalty:7", f"of_{'a' * 26}", "nonsense", ":", ""])
def test_profile_exits_with_1_where_there_is_nobody(db: str, what: str) -> None:
    result = run("profile", what, "--db", db)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("onefold: ")


def test_ledger_prints_every_change_in_order(db: str) -> None:
    entries = [json.loads(line) for line in run("ledger", "--db", db, "--json").stdout.splitlines()]
    assert [entry["seq"] for entry in entries] == list(range(1, len(entries) + 1))
    kinds = [(entry["event_id"], entry["kind"]) for entry in entries]
    assert kinds[:5] == [("1", "created"), ("2", "created"), ("3", "merged"), ("4", "created"), ("4", "shared")]
    assert len(run("ledger", "--db", db).stdout.splitlines()) == len(entries)


def test_ledger_begins_after_a_position(db: str) -> None:
    whole = run("ledger", "--db", db, "--json").stdout.splitlines()
    assert run("ledger", "--db", db, "--json", "--after", "2").stdout.splitlines() == whole[2:]
    assert run("ledger", "--db", db, "--after", "999").stdout == ""


# resolve

FEW: Final = [event("1", "uid:1"), event("2", "customer_id:ann", "uid:1")]


def test_resolve_prints_one_json_object(elsewhere: Path) -> None:
    (elsewhere / "events.ndjson").write_bytes(b"".join(lines(FEW)))
    result = run("resolve", "events.ndjson")
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    assert list(found) == ["events", "profiles", "shared", "ledger"]
    assert [item["outcome"] for item in found["events"]] == ["created", "attached"]
    assert found["profiles"][0]["identifiers"] == ["customer_id:ann", "uid:1"]


def test_resolve_reads_standard_input() -> None:
    assert len(json.loads(run("resolve", "-", given=b"".join(lines(FEW))).stdout)["events"]) == 2


def test_resolve_needs_no_database(elsewhere: Path) -> None:
    run("resolve", "-", given=b"".join(lines(FEW)))
    assert list(elsewhere.iterdir()) == []


BAD_LINES: Final[list[Any]] = [
    pytest.param(b"{", "malformed_json", id="no JSON"),
    pytest.param(b"\xff", "malformed_json", id="no UTF-8"),
    pytest.param(b"[" * 50_000, "malformed_json", id="50,000 nested arrays"),
    pytest.param(b"{}", "invalid_event", id="no identifiers"),
    pytest.param(b'{"identifiers":{"uid":{"a":1}}}', "invalid_event", id="an object for a value"),
    pytest.param(b'{"identifiers":{"uid":"1"},"typo":1}', "invalid_event", id="an unknown member"),
    pytest.param(b'{"event":"page_view"}', "invalid_event", id="half a UIAF event"),
]


@pytest.mark.parametrize(("line", "code"), BAD_LINES)
def test_resolve_answers_a_bad_line_in_its_place_and_goes_on(line: bytes, code: str) -> None:
    result = run("resolve", "-", given=line + b"\n\n" + lines(FEW)[0])
    assert result.exit_code == 0
    bad, good = json.loads(result.stdout)["events"]
    assert (bad["outcome"], bad["code"], bad["line"]) == ("refused", code, 1)
    assert good["outcome"] == "created"
