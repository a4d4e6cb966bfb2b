"""Commands that ask a database: profile, explain, ledger."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from onefold.cli.base import (
    NO,
    as_ms,
    as_of_option,
    command,
    config_option,
    configuration,
    db_option,
    entries_of,
    existing,
    json_option,
    progress_bar,
    rules_of,
    secrets_of,
    when,
)
from onefold.engine import ask
from onefold.engine.explain import explain
from onefold.engine.situation import Situation, situation
from onefold.store.database import Database


@command("profile", "onefold profile customer_id:CUS12345")
@click.argument("what", metavar="of_ID|TYPE:VALUE")
@config_option
@db_option
@as_of_option
@click.option(
    "--purpose", type=click.Choice(["advertising", "analytics"]), help="As events that allow this use alone make it."
)
@click.option("--trust", type=click.Choice(["verified"]), help="As events that were vouched for make it.")
@json_option
def profile(
    what: str,
    config_path: Path | None,
    db: str | None,
    as_of: str | None,
    purpose: ask.Purpose | None,
    trust: ask.Trust | None,
    as_json: bool,
) -> None:
    """Show the profile an id or an identifier belongs to."""
    with _situation(config_path, db, as_of) as now:
        found = ask.profile(now, what, purpose, trust)
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False, indent=1))
    elif found.get("shared"):
        click.echo(f"{found['identifier']} is shared: it belongs to nobody alone. It was seen with")
        for public_id in found["profiles"]:
            click.echo(f"  {public_id}")
    else:
        _print_profile(found)


@contextmanager
def _situation(config_path: Path | None, db: str | None, as_of: str | None) -> Iterator[Situation]:
    """The stored graph, or the graph as of a time."""
    config = configuration(config_path, db)
    database, rules, at = existing(config), rules_of(config), as_ms(as_of)
    if at is None:
        with situation(database, rules) as now:
            yield now
        return
    with (
        progress_bar("replaying", entries_of(database)) as progress,
        situation(database, rules, secrets_of(config).id_secret, at, progress) as then,
    ):
        yield then


def _print_profile(found: dict[str, Any]) -> None:
    click.echo(f"{found['id']}  since {when(found['created_at'])}")
    for merged in found["merged"]:
        click.echo(f"  merged in: {merged}")
    if found["flags"]:
        click.echo(f"  flags: {', '.join(found['flags'])}")
    for line in found["identifiers"]:
        click.echo(f"  {line['identifier']}{'  (shared)' if line['shared'] else ''}")
        where = f", on {', '.join(line['sites'])}" if line["sites"] else ""
        seen = f"first seen {when(line['first_seen'])}, last {when(line['last_seen'])}{where}"
        click.echo(f"      {seen}, by {line['source']} at {line['tier']}{', verified' if line['verified'] else ''}")


@command("explain", "onefold explain customer_id:CUS12345 uid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6.1647291600")
@click.argument("a", metavar="TYPE:VALUE")
@click.argument("b", metavar="TYPE:VALUE")
@config_option
@db_option
@as_of_option
@json_option
def explain_command(a: str, b: str, config_path: Path | None, db: str | None, as_of: str | None, as_json: bool) -> None:
    """Say why two identifiers are one person, event by event, or why they are not (exit code 1)."""
    with _situation(config_path, db, as_of) as now:
        answer = explain(now, ask.canonical(now.rules, a), ask.canonical(now.rules, b))
    if as_json:
        click.echo(json.dumps(answer, ensure_ascii=False, indent=1))
    elif answer["linked"]:
        _print_chain(answer)
    else:
        click.echo(f"{answer['a']}\n{answer['b']}\nare not one person:")
        for reason in answer["reasons"]:
            click.echo(f"  - {reason['text']}")
    if not answer["linked"]:
        sys.exit(NO)


def _print_chain(answer: dict[str, Any]) -> None:
    """A chain for reading from top to bottom: identifier, event, identifier, event, identifier."""
    click.echo(f"one person, {answer['profile']}\n\n{answer['a']}")
    for step in answer["chain"]:
        verified = ", verified" if step["verified"] else ""
        where = f" on {step['site']}" if step["site"] else ""
        click.echo(f"  | event {step['event_id']}, {when(step['ts'])}, by {step['source']}{where}{verified}")
        click.echo(f"  | at {step['tier']}; {step['rule']}\n{step['via']}")


@command("ledger", "onefold ledger --follow --json")
@config_option
@db_option
@click.option("--after", default=0, show_default=True, help="Begin after this position.")
@click.option("--follow", is_flag=True, help="Wait for more.")
@json_option
def ledger(config_path: Path | None, db: str | None, after: int, follow: bool, as_json: bool) -> None:
    """Print what changed about profiles: created, merged, split, shared, one entry a line, oldest first."""
    database = existing(configuration(config_path, db))
    for entry in _followed(database, after) if follow else ask.ledger_entries(database, after):
        click.echo(json.dumps(entry, ensure_ascii=False) if as_json else _ledger_line(entry))


def _followed(database: Database, after: int) -> Iterator[dict[str, Any]]:
    while True:
        for entry in ask.ledger_entries(database, after):
            after = entry["seq"]
            yield entry
        time.sleep(0.5)


def _ledger_line(entry: dict[str, Any]) -> str:
    head = f"{entry['seq']:>6}  {when(entry['at'])}  {entry['kind']:<8}"
    match entry["kind"]:
        case "merged":
            return f"{head} {', '.join(entry['merged'])} into {entry['survivor']} (event {entry['event_id']})"
        case "shared":
            return f"{head} {entry['identifier']} by {', '.join(entry['profiles'])} ({entry['rule']})"
        case "split":
            return f"{head} {entry['profile']} into {', '.join(entry['into'])} (event {entry['event_id']})"
        case _:
            return f"{head} {entry['profile']} (event {entry['event_id']})"
