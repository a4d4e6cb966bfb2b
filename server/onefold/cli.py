"""The `onefold` command. Exit codes: 0 ok, 1 the answer is no, 2 usage, 3 could not."""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import Any, BinaryIO, Final, NoReturn, ParamSpec

import click

from onefold import __version__
from onefold.config import Config, load_config, load_secrets
from onefold.core.normalize import KINDS, Kind, normalize, sha256_hex
from onefold.core.rules import Rules, load_rules, parse_rules
from onefold.engine import ask
from onefold.engine.resolve_file import resolve_lines
from onefold.errors import ConfigError, OnefoldError, RulesError
from onefold.store.database import Database
from onefold.web import demo as demonstration
from onefold.web import serving

NO: Final = 1
USAGE: Final = 2
COULD_NOT: Final = 3

_DEFAULT_CONFIG: Final = Path("onefold.toml")
_P = ParamSpec("_P")


def _exits(command: Callable[_P, None]) -> Callable[_P, None]:
    """Turn what can go wrong into one line on standard error and an exit code."""

    @wraps(command)
    def run(*args: _P.args, **kwargs: _P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except (ConfigError, RulesError) as error:
            _stop(USAGE, str(error))
        except OnefoldError as error:
            _stop(NO if error.status == 404 else COULD_NOT, error.detail)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    return run


def _stop(code: int, message: str) -> NoReturn:
    click.echo(f"onefold: {message}", err=True)
    sys.exit(code)


def _command(name: str, example: str) -> Callable[[Callable[..., None]], click.Command]:
    """Register a command with its example, and let it exit as documented."""

    def register(function: Callable[..., None]) -> click.Command:
        return main.command(name, epilog=f"Example: {example}")(_exits(function))

    return register


_config_option = click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The configuration file.  [default: onefold.toml where it exists]",
)
_db_option = click.option("--db", metavar="URL", help="The database, e.g. sqlite:///onefold.db.  [default: store.url]")
_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="onefold")
def main() -> None:
    """First-party identity resolution: the website is a sensor, the endpoint is the brain."""


@_command("demo", "onefold demo --port 8000")
@click.option("--port", default=8000, show_default=True, help="The port all demonstration sites share.")
def demo(port: int) -> None:
    """Run everything on this machine: two brands, a blog, and the endpoint with a live picture of the graph."""
    folder = demonstration.prepare(port)
    at = demonstration.urls(port)
    click.echo("Onefold demonstration (this machine only; nothing here is a real shop)\n")
    click.echo(f"  {at['id']}/   the graph, live: keep this window open beside the others")
    for brand in demonstration.BRANDS:
        click.echo(f"  {at[brand]}/")
    click.echo(f"\nThe database is {folder}/onefold.db. Stop with Ctrl-C.", nl=True)
    serving.run("onefold.web.demo:application", "127.0.0.1", port)


@_command("serve", "onefold serve --config onefold.toml --host 0.0.0.0 --port 8000")
@_config_option
@_db_option
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", default=8000, show_default=True, help="The port to listen on.")
@click.option("--processes", default=1, show_default=True, help="Endpoint processes; SQLite takes one.")
@click.option("--no-migrate", is_flag=True, help="Leave the schema as it is.")
def serve(config_path: Path | None, db: str | None, host: str, port: int, processes: int, no_migrate: bool) -> None:
    """Run the endpoint."""
    config = _configuration(config_path, db)
    if processes != 1:
        raise ConfigError("SQLite has one writer, so the endpoint runs as one process; leave --processes at 1")
    parse_rules(config.rules)
    load_secrets(Path(config.secrets_path))
    Database(config.store.url).close()
    if not config.sites:
        click.echo(
            "onefold: no site is configured, so every browser is refused; add [[sites]] to the configuration", err=True
        )
    if no_migrate:
        os.environ[serving.MIGRATE_VARIABLE] = "no"
    click.echo(f"Onefold endpoint at http://{host}:{port}/ (database {config.store.url})", err=True)
    serving.run("onefold.web.serving:endpoint", host, port)


_FIRST_CONFIG: Final = """\
# Onefold's configuration. Every key can be overridden from the environment: ONEFOLD_SECTION_KEY.

[server]
public_url = "{url}"            # where browsers reach the endpoint; the sensor is loaded from here

[store]
url = "sqlite:///onefold.db"

[[sites]]                       # one for each website; pages of other origins are refused
id = "main"
origins = ["{origin}"]
partners = []                   # sites whose links may carry tokens to and from this one
t2_identity_link = false        # true: link for purely first-party analytics without advertising consent
honour_gpc = true               # Global Privacy Control counts as ad_user_data denied

# How identifier types behave; these are the defaults, docs/reference/rules.md explains each key.
[identifiers.customer_id]
unique = true                   # two customer numbers are two people

[identifiers.email_hash]
limit = 5                       # a sixth address on one browser is somebody else's
"""


@_command("init", "onefold init --url https://id.example.com --origin https://www.example.com")
@click.option(
    "--url", default="https://id.example.com", show_default=True, help="Where browsers will reach the endpoint."
)
@click.option("--origin", default="https://www.example.com", show_default=True, help="Your website's origin.")
def init(url: str, origin: str) -> None:
    """Write onefold.toml, create the secrets, and print the script tag to paste."""
    if _DEFAULT_CONFIG.exists():
        raise ConfigError("onefold.toml exists already; edit it, or move it away first")
    _DEFAULT_CONFIG.write_text(_FIRST_CONFIG.format(url=url.rstrip("/"), origin=origin.rstrip("/")), encoding="utf-8")
    try:
        config = load_config(_DEFAULT_CONFIG, {})
    except ConfigError:
        _DEFAULT_CONFIG.unlink()
        raise
    load_secrets(Path(config.secrets_path))
    click.echo("Wrote onefold.toml and onefold.secrets (mode 0600: keep a backup, profile ids are derived from it).\n")
    click.echo("Paste this into every page:\n")
    click.echo(script_tag(config.server.public_url))
    click.echo("\nThen run: onefold serve")


def script_tag(endpoint: str) -> str:
    """The two tags that load the sensor: the stub that takes calls until the script is there, and the script."""
    return (
        "<script>window.onefold=window.onefold||function(){(onefold.q=onefold.q||[]).push(arguments)}</script>\n"
        f'<script async src="{endpoint}/onefold.js"></script>'
    )


@_command("migrate", "onefold migrate --db sqlite:///onefold.db")
@_config_option
@_db_option
def migrate(config_path: Path | None, db: str | None) -> None:
    """Bring the database's schema to the newest version."""
    config = _configuration(config_path, db)
    Database(config.store.url).migrate()
    click.echo(f"{config.store.url} is at the newest version.")


@_command("hash", "onefold hash phone 06-12345678 --region NL")
@click.argument("kind", required=False, type=click.Choice(KINDS))
@click.argument("value", required=False)
@click.option("--region", help="ISO country for phone numbers without +, e.g. NL.")
@click.option("--salt-env", metavar="NAME", help="The environment variable that holds the salt.")
@click.option("--ndjson", type=click.File("rb"), metavar="FILE|-", help='Lines of {"type","value","region"} instead.')
@_json_option
def hash_command(
    kind: Kind | None,
    value: str | None,
    region: str | None,
    salt_env: str | None,
    ndjson: BinaryIO | None,
    as_json: bool,
) -> None:
    """Print the normalised form of an email, phone or name and its SHA-256."""
    salt = _salt(salt_env)
    if ndjson is not None:
        for line in ndjson:
            click.echo(json.dumps(_hash_line(line, region, salt), ensure_ascii=False))
        return
    if kind is None or value is None:
        raise click.UsageError("Say what to hash: onefold hash email|phone|name VALUE, or --ndjson FILE.")
    result = _hashed(kind, value, region, salt)
    if as_json:
        click.echo(json.dumps(result, ensure_ascii=False))
    elif result["normalized"] is not None:
        click.echo(f"{result['normalized']}\n{result['sha256']}")
    if result["normalized"] is None:
        _stop(NO, f"refused: {result['reason']}")


_REASONS: Final[dict[str, str]] = {
    "email": "an email address has one @ with something on both sides, and no white space inside",
    "phone": "not a possible phone number; without + it needs a region",
    "name": "nothing is left of the name",
}


def _hashed(kind: Kind, value: str, region: str | None, salt: str) -> dict[str, str | None]:
    normalized = normalize(kind, value, region)
    if normalized is None:
        return {"normalized": None, "sha256": None, "reason": _REASONS[kind]}
    return {"normalized": normalized, "sha256": sha256_hex(normalized, salt)}


def _hash_line(line: bytes, region: str | None, salt: str) -> dict[str, str | None]:
    reason = 'a line is {"type": "email|phone|name", "value": "…", "region": "…"}'
    refused: dict[str, str | None] = {"normalized": None, "sha256": None, "reason": reason}
    try:
        asked = json.loads(line)
    except ValueError:
        return refused
    if not isinstance(asked, dict) or asked.get("type") not in KINDS or not isinstance(asked.get("value"), str):
        return refused
    own_region = asked.get("region")
    if own_region is not None and not isinstance(own_region, str):
        return refused
    return _hashed(asked["type"], asked["value"], own_region or region, salt)


def _salt(variable: str | None) -> str:
    if variable is None:
        return ""
    if (salt := os.environ.get(variable)) is None:
        raise ConfigError(f"--salt-env: the environment has no {variable}")
    return salt


@_command("resolve", "onefold resolve --rules rules.toml events.ndjson")
@click.argument("events", type=click.File("rb"))
@click.option(
    "--rules", "rules_file", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="TOML or JSON."
)
def resolve(events: BinaryIO, rules_file: Path | None) -> None:
    """Resolve an NDJSON file in memory, without a database, and print the result as JSON."""
    rules = load_rules(rules_file.read_text(encoding="utf-8")) if rules_file else parse_rules({})
    click.echo(json.dumps(resolve_lines(events, rules), ensure_ascii=False, indent=1))


@_command("profile", "onefold profile email_hash:92ee26057ed9dea2535d6c8b141d48373932476599196e00352254896db5888f")
@click.argument("what", metavar="of_ID|TYPE:VALUE")
@_config_option
@_db_option
@_json_option
def profile(what: str, config_path: Path | None, db: str | None, as_json: bool) -> None:
    """Show the profile an id or an identifier belongs to."""
    config = _configuration(config_path, db)
    found = ask.profile(_existing(config), _rules_of(config), what)
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False, indent=1))
    elif found.get("shared"):
        click.echo(f"{found['identifier']} is shared: it belongs to nobody alone. It was seen with")
        for public_id in found["profiles"]:
            click.echo(f"  {public_id}")
    else:
        _print_profile(found)


def _print_profile(found: dict[str, Any]) -> None:
    click.echo(f"{found['id']}  since {_when(found['created_at'])}")
    for merged in found["merged"]:
        click.echo(f"  merged in: {merged}")
    if found["flags"]:
        click.echo(f"  flags: {', '.join(found['flags'])}")
    for line in found["identifiers"]:
        click.echo(f"  {line['identifier']}{'  (shared)' if line['shared'] else ''}")
        seen = f"first seen {_when(line['first_seen'])}, last {_when(line['last_seen'])}"
        click.echo(f"      {seen}, by {line['source']} at {line['tier']}{', verified' if line['verified'] else ''}")


def _when(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


@_command("ledger", "onefold ledger --follow --json")
@_config_option
@_db_option
@click.option("--after", default=0, show_default=True, help="Begin after this position.")
@click.option("--follow", is_flag=True, help="Wait for more.")
@_json_option
def ledger(config_path: Path | None, db: str | None, after: int, follow: bool, as_json: bool) -> None:
    """Print what changed about profiles: created, merged, shared, one entry a line, oldest first."""
    database = _existing(_configuration(config_path, db))
    for entry in _followed(database, after) if follow else ask.ledger_entries(database, after):
        click.echo(json.dumps(entry, ensure_ascii=False) if as_json else _ledger_line(entry))


def _followed(database: Database, after: int) -> Iterator[dict[str, Any]]:
    while True:
        for entry in ask.ledger_entries(database, after):
            after = entry["seq"]
            yield entry
        time.sleep(0.5)


def _ledger_line(entry: dict[str, Any]) -> str:
    head = f"{entry['seq']:>6}  {_when(entry['at'])}  {entry['kind']:<8}"
    match entry["kind"]:
        case "merged":
            return f"{head} {', '.join(entry['merged'])} into {entry['survivor']} (event {entry['event_id']})"
        case "shared":
            return f"{head} {entry['identifier']} by {', '.join(entry['profiles'])} ({entry['rule']})"
        case _:
            return f"{head} {entry['profile']} (event {entry['event_id']})"


def _configuration(path: Path | None, db: str | None) -> Config:
    """The configuration of this call; commands that start processes hand it on through the environment."""
    if path is None and _DEFAULT_CONFIG.exists():
        path = _DEFAULT_CONFIG
    if path is not None:
        os.environ[serving.CONFIG_VARIABLE] = str(path)
    if db is not None:
        os.environ["ONEFOLD_STORE_URL"] = db
    return load_config(path)


def _rules_of(config: Config) -> Rules:
    return parse_rules(config.rules)


def _existing(config: Config) -> Database:
    """The database to ask. Raises `unavailable` when there is none: asking must not create one."""
    database = Database(config.store.url)
    if not Path(database.path).exists():
        raise OnefoldError("unavailable", f"There is no database at {database.path}; name it with --db.")
    return database
