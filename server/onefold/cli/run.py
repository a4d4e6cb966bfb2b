"""Commands that set Onefold up and run it: demo, serve, init, migrate."""

import os
import time
from pathlib import Path
from typing import Final

import click
from phonenumbers import SUPPORTED_REGIONS

from onefold.cli.base import (
    DEFAULT_CONFIG,
    NO,
    command,
    config_option,
    configuration,
    db_option,
    existing,
    progress_bar,
    rules_of,
    secrets_of,
    stop,
)
from onefold.config import Config, load_config, load_secrets
from onefold.core.rules import parse_rules
from onefold.engine.keys import create_key
from onefold.engine.opening import check_fits
from onefold.engine.verify import verify
from onefold.errors import ConfigError
from onefold.store.database import Database


@command("demo", "onefold demo --port 8000")
@click.option("--port", default=8000, show_default=True, help="The port all demonstration sites share.")
def demo(port: int) -> None:
    """Run everything on this machine: two brands, a blog, and the endpoint with a live picture of the graph."""
    from onefold.web import demo as demonstration  # here, because the other commands need no web server
    from onefold.web import serving

    serving.check_free("127.0.0.1", port)
    folder = demonstration.prepare(port)
    at = demonstration.urls(port)
    click.echo("Onefold demonstration (this machine only; nothing here is a real shop)\n")
    click.echo(f"  {at['id']}/   the graph, live: keep this window open beside the others")
    for brand in demonstration.BRANDS:
        click.echo(f"  {at[brand]}/")
    click.echo(f"\nThe database is {folder}/onefold.db. Stop with Ctrl-C.", nl=True)
    serving.run("onefold.web.demo:application", "127.0.0.1", port)


@command("serve", "onefold serve --config onefold.toml --host 0.0.0.0 --port 8000")
@config_option
@db_option
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", default=8000, show_default=True, help="The port to listen on.")
@click.option(
    "--processes",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Endpoint processes; more than one needs PostgreSQL.",
)
@click.option("--no-migrate", is_flag=True, help="Leave the schema as it is.")
def serve(config_path: Path | None, db: str | None, host: str, port: int, processes: int, no_migrate: bool) -> None:
    """Run the endpoint."""
    from onefold.web import serving  # here, because the other commands need no web server

    config = configuration(config_path, db)
    database = Database(config.store.url)
    if processes > 1 and not database.many_writers:
        raise ConfigError(
            "--processes: SQLite has one writer, so the endpoint is one process there; leave it at 1, or use PostgreSQL"
        )
    parse_rules(config.rules)
    secrets = load_secrets(Path(config.secrets_path), config.sites)
    serving.check_free(host, port)
    check_fits(database, secrets.id_secret)
    if not config.sites:
        click.echo(
            "onefold: no site is configured, so every browser is refused; add [[sites]] to the configuration", err=True
        )
    if no_migrate:
        os.environ[serving.MIGRATE_VARIABLE] = "no"
    click.echo(f"Onefold endpoint at http://{host}:{port}/ (database {database.name})", err=True)
    serving.run("onefold.web.serving:endpoint", host, port, processes)


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


@command("init", "onefold init --url https://id.example.com --origin https://www.example.com")
@click.option(
    "--url", default="https://id.example.com", show_default=True, help="Where browsers will reach the endpoint."
)
@click.option("--origin", default="https://www.example.com", show_default=True, help="Your website's origin.")
@click.option("--region", help="The country of your visitors' phone numbers, e.g. NL; put into the script tag.")
def init(url: str, origin: str, region: str | None) -> None:
    """Write onefold.toml, create the secrets, a database and a first key, and print the script tag to paste."""
    if region is not None and region not in SUPPORTED_REGIONS:
        raise ConfigError(f"--region: {region} is no country with phone numbers; give two capital letters (ISO 3166)")
    if DEFAULT_CONFIG.exists():
        raise ConfigError("onefold.toml exists already; edit it, or move it away first")
    DEFAULT_CONFIG.write_text(_FIRST_CONFIG.format(url=url.rstrip("/"), origin=origin.rstrip("/")), encoding="utf-8")
    try:
        config = load_config(DEFAULT_CONFIG, {})
        store = load_config(DEFAULT_CONFIG).store
    except ConfigError:
        DEFAULT_CONFIG.unlink()
        raise
    load_secrets(Path(config.secrets_path), config.sites)
    click.echo("Wrote onefold.toml and onefold.secrets (mode 0600: keep a backup, profile ids are derived from it).\n")
    click.echo("Paste this into every page:\n")
    click.echo(script_tag(config.server.public_url, region))
    click.echo(_pinned(config.server.public_url, region))
    click.echo(f"\n{_first_key(Database(store.url))}")
    click.echo("\nThen run: onefold serve")


def _first_key(database: Database) -> str:
    """A key for a database that is made here; one that is there already, or on a server, is left to its operator."""
    if not database.url.startswith("sqlite:") or database.exists():
        return f"For a back end, make a secret key in {database.name}: onefold migrate && onefold keys create backend"
    database.migrate()
    key = create_key(database, "first", ("read", "write"), time.time_ns() // 1_000_000)
    return f"Your back end's secret key, which is not shown again (see onefold keys):\n\n{key}"


def script_tag(endpoint: str, region: str | None = None) -> str:
    """The two tags that load the sensor: the stub that takes calls until the script is there, and the script."""
    return (
        "<script>window.onefold=window.onefold||function(){(onefold.q=onefold.q||[]).push(arguments)}</script>\n"
        f'<script async src="{endpoint}/onefold.js"{_region(region)}></script>'
    )


def _pinned(endpoint: str, region: str | None) -> str:
    """The tag of the newest versioned file with its hash, and what to know about it."""
    from onefold.web import sensor  # here, because the other commands need no web server

    name = sensor.newest_version()
    lasts = "it never changes" if sensor.released(name) else "not released yet, so only until your next upgrade"
    return (
        f"\nOr with this second line, which lets browsers run that very file only ({lasts}):\n\n"
        f'<script async src="{endpoint}/{name}" integrity="{sensor.integrity(name)}" crossorigin="anonymous"'
        f"{_region(region)}></script>"
    )


def _region(region: str | None) -> str:
    return f' data-region="{region}"' if region else ""


@command("migrate", "onefold migrate --db sqlite:///onefold.db")
@click.option("--from", "source", metavar="URL", help="Copy this database into the one named with --to.")
@click.option("--to", "target", metavar="URL", help="The database to copy into; it must be there, and empty.")
@config_option
@db_option
def migrate(source: str | None, target: str | None, config_path: Path | None, db: str | None) -> None:
    """Bring the database's schema to the newest version, or copy everything into another database."""
    if source is None and target is None:
        database = Database(configuration(config_path, db).store.url)
        database.migrate()
        click.echo(f"{database.name} is at the newest version.")
    elif source is None or target is None or db is not None:
        raise ConfigError("name the two databases with --from and --to, and no other")
    else:
        _copy(configuration(config_path, source), target)


def _copy(config: Config, url: str) -> None:
    """Copy the configured database, ids and all, and run the copied journal again."""
    from onefold.store.transfer import rows_of, transfer  # here, because the other commands need no SQLAlchemy

    source, target = existing(config), Database(url)
    click.get_current_context().call_on_close(target.close)
    secrets, rules = secrets_of(config), rules_of(config)
    with progress_bar("copying", rows_of(source)) as progress:
        copied = transfer(source, target, progress)
    click.echo(f"{source.name} is in {target.name}: {sum(copied.values())} rows, every one compared.")
    with progress_bar("replaying", copied["journal"]) as progress:
        found = verify(target, rules, secrets.id_secret, progress=progress)
    if found.differences:
        click.echo("\n".join(found.differences))
        stop(NO, "the store is not what its journal gives; was the original? ask `onefold replay --verify`")
    click.echo(f"{found.entries} journal entries give exactly the stored graph and ledger, ids included.")
    click.echo(f"The secrets belong to the data and stay in {Path(config.secrets_path).absolute()}: set secrets_path.")
