"""Commands that judge a database: simulate, replay, doctor."""

import json
import sys
from pathlib import Path
from typing import Any, Final

import click

from onefold.cli.base import (
    NO,
    command,
    config_option,
    configuration,
    db_option,
    entries_of,
    existing,
    json_option,
    named_rules,
    progress_bar,
    rules_of,
    secrets_of,
    stop,
)
from onefold.config import Config
from onefold.engine.doctor import as_rows, examine
from onefold.engine.simulate import simulate
from onefold.engine.verify import verify
from onefold.errors import OnefoldError
from onefold.store.database import Database


def _opened(config_path: Path | None, db: str | None) -> tuple[Config, Database]:
    config = configuration(config_path, db)
    return config, existing(config)


@command("simulate", "onefold simulate --rules strict")
@click.option("--rules", metavar="FILE|PRESET", required=True, help="The rules to try: a file, or a preset's name.")
@click.option("--against", metavar="FILE|PRESET", help="Compare with these rules instead of the stored graph.")
@config_option
@db_option
@json_option
def simulate_command(rules: str, against: str | None, config_path: Path | None, db: str | None, as_json: bool) -> None:
    """Show what other rules would make of the real journal. Nothing is written."""
    config, database = _opened(config_path, db)
    other = None if against is None else named_rules(against)
    with progress_bar("simulating", entries_of(database)) as progress:
        found = simulate(database, named_rules(rules), secrets_of(config).id_secret, other, progress)
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False, indent=1))
    else:
        _print_diff(found)


def _print_diff(found: dict[str, Any]) -> None:
    profiles, identifiers, pairs, shared = (found[name] for name in ("profiles", "identifiers", "pairs", "shared"))
    click.echo(
        f"{found['events']} journal entries, {profiles['before']} profiles now, {profiles['after']} under these rules"
    )
    click.echo(f"  profiles      {profiles['merged']} merged, {profiles['split']} split, {profiles['created']} new")
    click.echo(
        f"  identifiers   {identifiers['moved']} moved, {identifiers['gained']} gained, {identifiers['lost']} lost"
    )
    click.echo(f"  pairs         {pairs['gained']} gained, {pairs['lost']} lost (identifiers that are one person)")
    click.echo(f"  shared        {shared['gained']} gained, {shared['lost']} lost")
    for word in ("gained", "lost"):
        for rule, count in found["refusals"][word].items():
            click.echo(f"  refusals      {count} {word}: {rule}")
    for change in found["changes"]:
        verb = "would come apart into" if change["kind"] == "split" else "would be made of"
        click.echo(f"\n{change['profile']} {verb} {change['profiles']} profiles ({change['pairs']} pairs)")
        click.echo(f"  because {change['because']}")
        for example in change["examples"]:
            click.echo(f"    {example}")


@command("replay", "onefold replay --verify")
@click.option("--verify", "verifying", is_flag=True, required=True, help="Compare with the store, ids included.")
@config_option
@db_option
@json_option
def replay(verifying: bool, config_path: Path | None, db: str | None, as_json: bool) -> None:
    """Run the whole journal again in memory; exit 1 and name the first differences where the store is not equal."""
    config, database = _opened(config_path, db)
    with progress_bar("replaying", entries_of(database)) as progress:
        found = verify(database, rules_of(config), secrets_of(config).id_secret, progress=progress)
    if as_json:
        click.echo(json.dumps({"entries": found.entries, "differences": found.differences}, ensure_ascii=False))
    elif not found.differences:
        click.echo(f"{found.entries} journal entries give exactly the stored graph and ledger, ids included.")
    else:
        click.echo("\n".join(found.differences))
    if found.differences:
        stop(NO, "the store is not what its journal gives")


_MARKS: Final = {"ok": "ok  ", "look": "LOOK", "bad": "BAD "}


@command("doctor", "onefold doctor")
@config_option
@db_option
@click.option("--no-replay", is_flag=True, help="Leave out running the journal again.")
@json_option
def doctor(config_path: Path | None, db: str | None, no_replay: bool, as_json: bool) -> None:
    """Check configuration, secrets, database, clocks, journal = graph, and look for two people taken for one."""
    config = configuration(config_path, db)
    database = existing(config, even_away=True)
    secret = secrets_of(config).id_secret
    with progress_bar("replaying", _entries(database)) as progress:
        findings = as_rows(examine(config, rules_of(config), secret, database, not no_replay, progress))
    if as_json:
        click.echo(json.dumps(findings, ensure_ascii=False, indent=1))
    else:
        for finding in findings:
            click.echo(f"{_MARKS[finding['verdict']]}  {finding['check']}: {finding['detail']}")
            if finding["do"]:
                click.echo(f"      {finding['do']}")
    if any(finding["verdict"] == "bad" for finding in findings):
        sys.exit(NO)


def _entries(database: Database) -> int:
    """How many journal entries there are to run again; none where the database is away, as the doctor will say."""
    try:
        return entries_of(database)
    except OnefoldError:
        return 0
