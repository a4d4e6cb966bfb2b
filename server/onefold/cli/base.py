"""What every command shares: the group, exit codes, options, and the configuration of this call."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import Final, NoReturn, ParamSpec

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from onefold import __version__
from onefold.config import CONFIG_VARIABLE, Config, Secrets, load_config, load_secrets
from onefold.core.presets import PRESETS, preset
from onefold.core.rules import Rules, load_rules, parse_rules
from onefold.engine.history import Journal
from onefold.errors import ConfigError, OnefoldError, RulesError
from onefold.store.database import Database

NO: Final = 1
USAGE: Final = 2
COULD_NOT: Final = 3

DEFAULT_CONFIG: Final = Path("onefold.toml")
P = ParamSpec("P")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="onefold")
def main() -> None:
    """First-party identity resolution: the website is a sensor, the endpoint is the brain."""


def command(name: str, example: str) -> Callable[[Callable[..., None]], click.Command]:
    """Register a command with its example, and let it exit as documented."""

    def register(function: Callable[..., None]) -> click.Command:
        return main.command(name, epilog=f"Example: {example}")(exits(function))

    return register


def exits(function: Callable[P, None]) -> Callable[P, None]:
    """Turn what can go wrong into one line on standard error and an exit code."""

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            function(*args, **kwargs)
        except (ConfigError, RulesError) as error:
            stop(USAGE, str(error))
        except OnefoldError as error:
            stop(NO if error.status in (404, 409) else COULD_NOT, error.detail)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    return run


def stop(code: int, message: str) -> NoReturn:
    """End with an exit code and a line on standard error."""
    click.echo(f"onefold: {message}", err=True)
    sys.exit(code)


config_option = click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The configuration file.  [default: onefold.toml where it exists]",
)
db_option = click.option("--db", metavar="URL", help="The database, e.g. sqlite:///onefold.db.  [default: store.url]")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
as_of_option = click.option(
    "--as-of", metavar="TIME", help="As it was at a time: 2026-01-31, 2026-01-31T12:00:00+01:00, or ms since 1970."
)


def configuration(path: Path | None, db: str | None) -> Config:
    """The configuration of this call; commands that start processes hand it on through the environment."""
    if path is None and DEFAULT_CONFIG.exists():
        path = DEFAULT_CONFIG
    if path is not None:
        os.environ[CONFIG_VARIABLE] = str(path)
    if db is not None:
        os.environ["ONEFOLD_STORE_URL"] = db
    return load_config(path)


def rules_of(config: Config) -> Rules:
    """The configured rules."""
    return parse_rules(config.rules)


def named_rules(name: str) -> Rules:
    """Rules from a file, or a preset by name. Raises RulesError."""
    path = Path(name)
    if path.exists():
        try:
            return load_rules(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise RulesError(f"{name} cannot be read as rules: {error}") from None
    if name not in PRESETS:
        raise RulesError(f"{name} is neither a file nor a preset ({', '.join(PRESETS)})")
    return preset(name)


def existing(config: Config, even_away: bool = False) -> Database:
    """The database to ask, closed when the command ends. Raises `unavailable` when there is none (asking must not
    create one), and when it does not answer, unless it may be `even_away`.
    """
    database = Database(config.store.url)
    click.get_current_context().call_on_close(database.close)
    try:
        there = database.exists()
    except OnefoldError:
        if not even_away:
            raise
        return database
    if not there:
        raise OnefoldError("unavailable", f"There is no Onefold database at {database.name}; name it with --db.")
    return database


def entries_of(database: Database) -> int:
    """How many journal entries there are."""
    with database.snapshot() as reader:
        return Journal(reader).length()


def secrets_of(config: Config) -> Secrets:
    """The secrets of an existing instance. Raises ConfigError when there are none: other ones would change every id."""
    path = Path(config.secrets_path)
    if not path.exists() and "ONEFOLD_ID_SECRET" not in os.environ:
        raise ConfigError(f"{path} does not exist; the secrets are in the folder of the configuration (--config)")
    return load_secrets(path, config.sites)


def when(ms: int) -> str:
    """A time for people, UTC."""
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def as_ms(time: str | None) -> int | None:
    """The ms since 1970 of what was given to --as-of. A date means its end; without a zone UTC is meant."""
    if time is None:
        return None
    if time.isdigit() and len(time) > 8:
        return int(time)
    try:
        at = datetime.fromisoformat(time)
    except ValueError:
        raise ConfigError(f"--as-of: {time!r} is not a time; write 2026-01-31 or 2026-01-31T12:00:00") from None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    day = 86_400_000 - 1 if "T" not in time and " " not in time else 0
    return int(at.timestamp() * 1000) + day


@contextmanager
def progress_bar(label: str, total: int) -> Iterator[Callable[[int], None]]:
    """A progress bar on standard error, shown to people only; yields what is to be told how far it is."""
    columns = (TextColumn(label), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, transient=True, disable=not sys.stderr.isatty(), console=Console(stderr=True)) as bar:
        task = bar.add_task(label, total=total)
        yield lambda done: bar.update(task, completed=done)
