"""Commands that need no database: hash, resolve."""

import json
import os
from typing import BinaryIO

import click

from onefold.cli.base import NO, command, json_option, named_rules, stop
from onefold.core.normalize import KINDS, REFUSED, Kind, normalize, sha256_hex
from onefold.core.rules import default_rules
from onefold.engine.resolve_file import resolve_lines
from onefold.errors import ConfigError


@command("hash", "onefold hash phone 06-12345678 --region NL")
@click.argument("kind", required=False, type=click.Choice(KINDS))
@click.argument("value", required=False)
@click.option("--region", help="ISO country for phone numbers without +, e.g. NL.")
@click.option("--salt-env", metavar="NAME", help="The environment variable that holds the salt.")
@click.option("--ndjson", type=click.File("rb"), metavar="FILE|-", help='Lines of {"type","value","region"} instead.')
@json_option
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
        stop(NO, f"refused: {result['reason']}")


def _hashed(kind: Kind, value: str, region: str | None, salt: str) -> dict[str, str | None]:
    normalized = normalize(kind, value, region)
    if normalized is None:
        return {"normalized": None, "sha256": None, "reason": REFUSED[kind]}
    return {"normalized": normalized, "sha256": sha256_hex(normalized, salt)}


def _hash_line(line: bytes, region: str | None, salt: str) -> dict[str, str | None]:
    reason = 'a line is {"type": "email|phone|name", "value": "…", "region": "…"}'
    refused: dict[str, str | None] = {"normalized": None, "sha256": None, "reason": reason}
    try:
        asked = json.loads(line)
    except (ValueError, RecursionError):
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


@command("resolve", "onefold resolve --rules rules.toml events.ndjson")
@click.argument("events", type=click.File("rb"))
@click.option("--rules", metavar="FILE|PRESET", help="Rules as TOML or JSON, or the name of a preset.")
def resolve(events: BinaryIO, rules: str | None) -> None:
    """Resolve an NDJSON file in memory, without a database, and print the result as JSON."""
    given = default_rules() if rules is None else named_rules(rules)
    click.echo(json.dumps(resolve_lines(events, given), ensure_ascii=False, indent=1))
