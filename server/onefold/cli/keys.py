"""Commands for the secret keys of the server plane: keys create, list, revoke."""

import json
import time
from pathlib import Path
from typing import Any

import click

from onefold.cli.base import config_option, configuration, db_option, existing, exits, json_option, main, when
from onefold.core.keys import SCOPES, Scope
from onefold.engine import keys
from onefold.store.key_store import StoredKey


@main.group("keys")
def keys_group() -> None:
    """Secret keys, with which back ends use /api/v1."""


@keys_group.command("create", epilog="Example: onefold keys create crm --scope read --scope write")
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    type=click.Choice(SCOPES),
    multiple=True,
    default=("read", "write"),
    show_default="read and write",
    help="What the key may do; give it again for more. admin includes the others.",
)
@config_option
@db_option
@exits
def create(name: str, scopes: tuple[Scope, ...], config_path: Path | None, db: str | None) -> None:
    """Make a key and print it, this once: only a hash of it is stored."""
    database = existing(configuration(config_path, db))
    try:
        key = keys.create_key(database, name, scopes, _now())
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="NAME") from None
    click.echo(key)
    click.echo("This key is not shown again. Keep it as you keep a password.", err=True)


@keys_group.command("list", epilog="Example: onefold keys list")
@config_option
@db_option
@json_option
@exits
def list_command(config_path: Path | None, db: str | None, as_json: bool) -> None:
    """List every key, revoked ones too: its id, never the key itself."""
    found = keys.list_keys(existing(configuration(config_path, db)))
    if as_json:
        click.echo(json.dumps([_described(key) for key in found], ensure_ascii=False, indent=1))
    elif found:
        _print(found)
    else:
        click.echo("There is no key yet; make one with: onefold keys create NAME", err=True)


@keys_group.command("revoke", epilog="Example: onefold keys revoke crm")
@click.argument("key", metavar="NAME|ID|KEY")
@config_option
@db_option
@exits
def revoke(key: str, config_path: Path | None, db: str | None) -> None:
    """End a key, for good: within five seconds no endpoint process takes it any more."""
    ended = keys.revoke(existing(configuration(config_path, db)), key, _now())
    click.echo(f"Revoked {ended.id} ({ended.name}).")


def _now() -> int:
    return time.time_ns() // 1_000_000


def _described(key: StoredKey) -> dict[str, Any]:
    """A key as JSON. Times are ms; `last_used` is kept to the hour."""
    return {
        "id": key.id,
        "name": key.name,
        "scopes": list(key.scopes),
        "created_at": key.created_at,
        "last_used": key.last_used,
        "revoked_at": key.revoked_at,
    }


def _print(found: list[StoredKey]) -> None:
    rows = [["id", "name", "scopes", "created", "last used, to the hour", "revoked"]]
    for key in found:
        times = [when(at) if at else "" for at in (key.created_at, key.last_used, key.revoked_at)]
        rows.append([key.id, key.name, ", ".join(key.scopes), *times])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
