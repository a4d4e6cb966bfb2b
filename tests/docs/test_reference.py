"""The reference says what the code does: nothing is missing, and nothing is documented that does not exist."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any, Final, get_args

import click
import msgspec
import pytest
import sqlalchemy

from docs.pages import ROOT, blocks, page, table
from onefold.cli import main
from onefold.config import Config, Secrets, Server, Site, StoreConfig, Tokens, load_config, load_secrets
from onefold.core.consent import Permitted, Policy, gate
from onefold.core.event import TIERS, Event, Tier
from onefold.core.identifiers import Identifier
from onefold.core.keys import RANDOM_BYTES, SCOPES, new_key
from onefold.core.normalize import KINDS, normalize
from onefold.core.presets import PRESETS
from onefold.core.rules import Conflict, TypeRule, Unsigned, Window, default_rules, load_rules, parse_rules
from onefold.engine.keys import FRESH_MS
from onefold.errors import PROBLEMS
from onefold.intake import backend, uiaf
from onefold.store.database import Database
from onefold.web.app import create_app
from onefold.web.metrics import Metrics

SECTIONS: Final[dict[str, type[msgspec.Struct]]] = {"server": Server, "store": StoreConfig, "tokens": Tokens}


def defaults(struct: type[msgspec.Struct]) -> dict[str, Any]:
    """The fields of a struct with their defaults; None where there is none."""
    fields = msgspec.structs.fields(struct)
    return {field.name: None if field.required else field.default for field in fields}


def literal(cell: str) -> Any:
    """What a cell of a table says, as a value; None for `none` and `required`."""
    return None if cell in ("none", "required") else json.loads(cell.strip("`"))


# The command line.


def every_command(command: click.Command, path: str) -> dict[str, click.Command]:
    if not isinstance(command, click.Group):
        return {path: command}
    return {
        name: leaf
        for child in command.commands.values()
        for name, leaf in every_command(child, f"{path} {child.name}").items()
    }


COMMANDS: Final = every_command(main, "onefold")


@pytest.mark.parametrize("path", COMMANDS)
def test_a_command_says_what_it_and_each_option_does_and_gives_an_example(path: str) -> None:
    command = COMMANDS[path]
    options = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
    assert command.help
    assert (command.epilog or "").startswith(f"Example: {path}")
    assert [option.name for option in options if not option.help] == []


def test_every_command_has_its_section_and_no_section_is_about_another() -> None:
    assert set(re.findall(r"^## (onefold .*)$", page("docs/reference/cli.md"), re.MULTILINE)) == set(COMMANDS)


@pytest.mark.parametrize("path", COMMANDS)
def test_the_options_of_a_documented_example_exist(path: str) -> None:
    example = (COMMANDS[path].epilog or "").removeprefix(f"Example: {path}")
    known = {spelling for parameter in COMMANDS[path].params for spelling in parameter.opts}
    assert [word for word in example.split() if word.startswith("--") and word not in known] == []


# Configuration and secrets.

CONFIGURATION: Final = page("docs/reference/configuration.md")
KEYS: Final = table(CONFIGURATION, "Keys")
IN_RULES: Final = ("profile", "identifiers", "unsigned", "allow_undeclared")


def test_every_configuration_key_is_documented_with_its_default() -> None:
    in_sections = {f"{name}.{key}": value for name, kind in SECTIONS.items() for key, value in defaults(kind).items()}
    at_the_top = {"sites": [], "rules": None, "secrets_path": defaults(Config)["secrets_path"]}
    in_rules = {"profile": {}, "identifiers": {}, "unsigned": "merge", "allow_undeclared": False}
    assert {key: literal(cells[0]) for key, cells in KEYS.items()} == {**in_sections, **at_the_top, **in_rules}


def test_every_key_of_a_site_is_documented_with_its_default() -> None:
    documented = {key: literal(cells[0]) for key, cells in table(CONFIGURATION, "Sites").items()}
    assert documented == {
        key: list(value) if isinstance(value, tuple) else value for key, value in defaults(Site).items()
    }


@pytest.mark.parametrize("key", [key for key, cells in KEYS.items() if cells[1].startswith("`")])
def test_a_documented_variable_of_the_environment_sets_its_key(key: str, tmp_path: Path) -> None:
    (tmp_path / "from-environment").write_text('unsigned = "attach"', encoding="utf-8")
    texts = {"tokens.ttl_seconds": "77", "tokens.require_referrer": "false", "sites": '[{"id": "from-environment"}]'}
    texts["server.log_level"] = "error"
    texts |= {key: "77" for key in KEYS if key.endswith(("_per_minute", "_ms"))}
    texts |= {
        "unsigned": "refuse",
        "server.log_level": "error",
        "allow_undeclared": "true",
        "rules": str(tmp_path / "from-environment"),
    }
    variable = re.findall(r"`(\w+)`", KEYS[key][1])[0]
    assert load_config(None, {variable: texts.get(key, "from-environment")}) != load_config(None, {})


def test_the_configuration_that_the_page_shows_is_valid(tmp_path: Path) -> None:
    shown = next(block.text for block in blocks(CONFIGURATION) if block.language == "toml")
    (tmp_path / "onefold.toml").write_text(shown, encoding="utf-8")
    parse_rules(load_config(tmp_path / "onefold.toml", {}).rules)


def test_every_secret_is_documented_with_its_variable(tmp_path: Path) -> None:
    documented = table(CONFIGURATION, "Secrets")
    names = {name.split(".")[0] for name in documented}
    fields = {field.name for field in msgspec.structs.fields(Secrets)}
    assert names == {"id_secret", "claim_secret", "token_keys", "hash_salt", "metrics_token"}
    assert fields == {"id_secret", "claim_secrets", "token_keys", "hash_salt", "metrics_token"}
    given = {cells[0].strip("`"): f"the documented {name}" for name, cells in documented.items()}
    secrets = load_secrets(tmp_path / "none", [Site("site")], given)
    claims = {"site": b"the documented claim_secret.SITE"}
    assert secrets == Secrets(
        b"the documented id_secret",
        claims,
        (b"the documented token_keys",),
        "the documented hash_salt",
        b"the documented metrics_token",
    )


# Rules.

RULES: Final = page("docs/reference/rules.md")


def test_the_default_rules_that_the_page_shows_are_the_default_rules() -> None:
    shown = next(block.text for block in blocks(RULES) if block.language == "toml")
    assert load_rules(shown) == default_rules()


def test_every_rule_for_everything_is_documented_with_its_default() -> None:
    documented = {key: literal(cells[0]) for key, cells in table(RULES, "Keys for everything").items()}
    rules = default_rules()
    assert documented == {
        "profile.max_identifiers": rules.max_identifiers,
        "profile.max_merges": rules.max_merges,
        "profile.heal": rules.heal,
        "unsigned": rules.unsigned,
        "allow_undeclared": rules.allow_undeclared,
    }
    assert set(tomllib.loads(blocks(RULES)[0].text)) == {key.split(".")[0] for key in documented} | {"identifiers"}


def test_every_key_of_an_identifier_type_is_documented_with_its_default() -> None:
    documented = {key: literal(cells[0]) for key, cells in table(RULES, "Keys of an identifier type").items()}
    plain = parse_rules({"identifiers": {"example": {}}}).types["example"]
    expected: dict[str, Any] = {"unique": False}
    for key in defaults(TypeRule):
        value = getattr(plain, key)
        expected[key] = list(value) if isinstance(value, tuple | frozenset) else value
    del expected["name"]
    assert documented == expected


def test_every_preset_is_documented_and_no_other() -> None:
    assert set(table(RULES, "Presets")) == set(PRESETS)


def test_every_choice_of_a_rule_is_named() -> None:
    choices = {"window": Window, "on_conflict": Conflict, "unsigned": Unsigned}
    rows = table(RULES, "Keys of an identifier type") | table(RULES, "Keys for everything")
    for key, kind in choices.items():
        assert [choice for choice in get_args(kind) if f"`{choice}`" not in " ".join(rows[key])] == []


# Errors.

ERRORS: Final = page("docs/reference/errors.md")
ANSWERED: Final = table(ERRORS, "Codes")
RESERVED: Final = table(ERRORS, "Codes that nothing answers with yet") if "nothing answers with yet" in ERRORS else {}


def test_every_code_is_documented_with_its_status_and_no_other() -> None:
    documented = {code: int(cells[0]) for code, cells in [*ANSWERED.items(), *RESERVED.items()]}
    assert documented == {code: status for code, (status, _) in PROBLEMS.items()}


def test_a_code_is_called_reserved_exactly_when_no_code_uses_it() -> None:
    sources = [path for path in (ROOT / "server/onefold").rglob("*.py") if path.name != "errors.py"]
    text = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    assert set(RESERVED) == {code for code in PROBLEMS if f'"{code}"' not in text}


# Requests, limits, consent, normalisation.


def braced(rule: str) -> str:
    """A path with its variable parts as the reference writes them."""
    return re.sub(r"<(?:[^:>]*:)?([^>]*)>", r"{\1}", rule)


def test_every_path_is_documented_with_its_method_and_no_other(tmp_path: Path) -> None:
    store = StoreConfig(f"sqlite:///{tmp_path}/onefold.db")
    app = create_app(Config(store=store, secrets_path=str(tmp_path / "secrets")))
    served = {
        f"{method} {braced(rule.rule)}"
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set())
        if rule.endpoint != "static" and (method not in ("HEAD", "OPTIONS") or rule.methods == {"OPTIONS"})
    }
    app.extensions["onefold"].database.close()
    pages = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "docs/reference").glob("*.md"))
    assert set(re.findall(r"^\| `((?:GET|POST|PUT|DELETE|OPTIONS) /[^`]*)` \|", pages, re.MULTILINE)) == served


def test_the_documented_limits_are_those_of_the_code() -> None:
    text = page("docs/reference/events.md")
    for said in (
        f"| events a request | {uiaf.MAX_EVENTS} |",
        f"| size of a request | {uiaf.MAX_BODY_BYTES // 2**20} MiB |",
        f"| size of an event | {uiaf.MAX_EVENT_BYTES // 2**10} KiB |",
        f"| identifiers an event | {uiaf.MAX_IDENTIFIERS} |",
        f"| depth of an event | {uiaf.MAX_DEPTH} levels |",
        f"| unknown members kept of an event | {uiaf.MAX_EXTRA_BYTES // 2**10} KiB;",
        f"| a value of `identifiers` | {uiaf.MAX_TEXT:,} characters,",
    ):
        assert said in text


def test_the_documented_event_is_taken_as_it_stands() -> None:
    raw = json.loads(
        next(block.text for block in blocks(page("docs/reference/events.md")) if "identity_link" in block.text)
    )
    event = uiaf.parse(raw, raw["_meta"]["ts"])
    assert isinstance(gate(event, Policy()), Permitted)
    assert [identifier.type for identifier in event.identifiers] == ["uid", "email_hash", "customer_id"]


def test_every_click_id_is_documented() -> None:
    row = table(page("docs/reference/events.md"), "The event")["click_ids"]
    assert set(re.findall(r"`(\w+)`", row[0])) == uiaf.CLICK_IDS


@pytest.mark.parametrize("tier", TIERS)
def test_the_gate_lets_in_what_the_table_of_tiers_says(tier: Tier) -> None:
    cells = table(page("docs/reference/consent.md"), "Tiers")[tier]
    for kind, said in zip(("page_view", "identity_link"), cells[2:], strict=True):
        event = Event(event_id="1", kind=kind, ts=0, received_at=0, identifiers=(Identifier("uid", "1"),), tier=tier)
        assert isinstance(gate(event, Policy()), Permitted) == (said == "yes")


@pytest.mark.parametrize("kind", KINDS)
def test_the_examples_of_normalisation_come_out_as_the_page_says(kind: str) -> None:
    rows = table(page("docs/reference/normalization.md"), kind.capitalize())
    assert rows
    for value, cells in rows.items():
        region = None if kind != "phone" or cells[0] == "none" else cells[0].strip("`")
        said = None if cells[-1] == "refused" else cells[-1].strip("`")
        assert normalize(kind, json.loads(value), region) == said  # type: ignore[arg-type]


# Metrics.


def test_every_metric_is_documented_with_its_kind_and_no_other() -> None:
    documented = {name: cells[0] for name, cells in table(page("docs/reference/metrics.md"), "Metrics").items()}
    shown = re.findall(r"^# TYPE (\S+) (\S+)$", Metrics().text().decode(), re.MULTILINE)
    assert documented == dict(shown)


# The server plane.

SERVER_PLANE: Final = page("docs/reference/server-plane.md")


def test_every_scope_is_documented_and_no_other() -> None:
    assert tuple(table(SERVER_PLANE, "Keys")) == SCOPES


def test_every_trait_is_documented_with_what_it_becomes() -> None:
    documented = table(SERVER_PLANE, "Traits")
    assert tuple(documented) == backend.TRAITS
    for trait, cells in documented.items():
        traits = {trait: "ann@example.com" if trait == "email" else "06-12345678", "region": "NL"}
        raw = {"event": "identity_link", "identifiers": {"customer_id": "1"}, "traits": traits, "_meta": {"ts": 0}}
        event = backend.parse(raw, 0, ()).event
        became = [f"identifiers.{identifier.type}" for identifier in event.identifiers[1:]]
        became += [f"attributes.{name}" for name in event.body.get("attributes", ())]
        assert became == re.findall(r"`(\w+\.\w+)`", cells[0])


def test_the_documented_event_of_a_back_end_is_taken_as_it_stands() -> None:
    raw = json.loads(next(block.text for block in blocks(SERVER_PLANE) if "traits" in block.text))
    received = backend.parse(raw, raw["_meta"]["ts"], {"main"})
    assert isinstance(gate(received.event, Policy()), Permitted)
    assert received.unused == ()


def test_what_the_page_says_of_keys_and_limits_is_what_the_code_does() -> None:
    for said in (
        f"within {FRESH_MS // 1000} seconds",
        f"more than {backend.MAX_TRAITS} members",
        f"longer than {uiaf.MAX_TEXT:,} characters",
    ):
        assert said in SERVER_PLANE
    (form,) = re.findall(r"form `([^`]*)`", SERVER_PLANE)
    assert re.fullmatch(form, new_key(bytes(range(RANDOM_BYTES))))


# The database.


def test_every_table_and_column_is_documented_and_no_other(database: Database) -> None:
    text = page("docs/reference/database.md")
    documented = {name: set(table(text, name)) for name in re.findall(r"^## (\w+)$", text, re.MULTILINE)}
    inspector = sqlalchemy.inspect(sqlalchemy.create_engine(database.url))
    assert documented == {
        name: {column["name"] for column in inspector.get_columns(name)} for name in inspector.get_table_names()
    }
    inspector.engine.dispose()


# The sensor.

SENSOR: Final = page("docs/reference/sensor.md")
TYPES: Final = page("sensor_js/src/onefold.d.ts")


def members(interface: str) -> set[str]:
    """The names that an interface of the sensor's types declares."""
    body = re.findall(rf"interface {interface} {{\n(.*?)^}}", TYPES, re.MULTILINE | re.DOTALL)[0]
    return set(re.findall(r"^  (\w+)[?(:<]", body, re.MULTILINE))


def test_every_attribute_of_the_script_is_documented_and_no_other() -> None:
    options = members("Options") - {"window"}
    attributes = {"data-" + re.sub("([A-Z])", lambda letter: "-" + letter[1].lower(), option) for option in options}
    assert set(table(SENSOR, "As a script")) == attributes


def test_every_command_of_the_sensor_is_documented_and_no_other() -> None:
    assert {name.split("(")[0] for name in table(SENSOR, "Commands")} == members("Sensor")


def test_every_event_of_the_sensor_is_documented() -> None:
    section = SENSOR.partition("| event for `on` |")[2].partition("##")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == members("Events")


def test_every_source_of_consent_is_documented() -> None:
    choices = re.findall(r"consent\?: ([^;]*);", TYPES)[0]
    assert set(table(page("docs/reference/consent.md"), "What the sensor does")) == set(
        re.findall(r"'([\w-]+)'", choices)
    )


def test_everything_that_the_sensor_stores_is_documented() -> None:
    text = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "sensor_js/src").glob("*.js"))
    section = SENSOR.partition("## What it stores")[2].partition("## ")[0]
    stored = set(re.findall(r"'(uiaf_\w+)'", text))
    assert set(re.findall(r"`(uiaf_\w+)`", section)) == stored
    assert set(table(page("docs/how-to/tell-your-visitors.md"), "Tell your visitors")) == stored
