"""Commands that correct the graph: assert join, separate, share, unshare."""

import getpass
import json
import time
from pathlib import Path
from typing import Final

import click

from onefold.cli.base import (
    config_option,
    configuration,
    db_option,
    existing,
    exits,
    json_option,
    main,
    rules_of,
    secrets_of,
)
from onefold.core.assertions import Assertion, AssertionKind
from onefold.core.identifiers import Identifier
from onefold.engine import ask
from onefold.engine.ingest import SAY_PATIENCE_SECONDS, Ingest
from onefold.errors import OnefoldError

_DOES: Final[dict[AssertionKind, str]] = {
    "join": "Say that two identifiers are one person, whatever the limits say. Undone by separate.",
    "separate": "Say that two identifiers are two people: what joined them comes apart for good. Undone by join.",
    "share": "Say that an identifier belongs to nobody alone, like a kiosk's browser. Undone by unshare.",
    "unshare": "Say that an identifier may be trusted again; it is never shared automatically. Undone by share.",
}


@main.group("assert")
def assert_group() -> None:
    """Correct the graph: your word outranks automation, is journaled, and survives replays and other rules."""


def _register(kind: AssertionKind) -> None:
    two = kind in ("join", "separate")
    example = f"onefold assert {kind} customer_id:CUS1 {'customer_id:CUS2 ' if two else ''}--reason 'ticket 4711'"

    @assert_group.command(kind, help=_DOES[kind], epilog=f"Example: {example}")
    @click.argument("identifiers", nargs=2 if two else 1, metavar="TYPE:VALUE TYPE:VALUE" if two else "TYPE:VALUE")
    @click.option("--reason", required=True, help="Why; kept in the journal.")
    @click.option("--author", default=getpass.getuser, show_default="your user name", help="Who says so.")
    @click.option(
        "--patience",
        type=click.FloatRange(min=0, min_open=True),
        default=SAY_PATIENCE_SECONDS,
        show_default=True,
        metavar="SECONDS",
        help="Give up after so long, with nothing changed and exit code 3.",
    )
    @config_option
    @db_option
    @json_option
    @exits
    def said(
        identifiers: str | tuple[str, str],
        reason: str,
        author: str,
        patience: float,
        config_path: Path | None,
        db: str | None,
        as_json: bool,
    ) -> None:
        given = (identifiers,) if isinstance(identifiers, str) else identifiers
        _say(kind, given, author, reason, patience, config_path, db, as_json)


def _say(
    kind: AssertionKind,
    given: tuple[str, ...],
    author: str,
    reason: str,
    patience: float,
    config_path: Path | None,
    db: str | None,
    as_json: bool,
) -> None:
    config = configuration(config_path, db)
    database, rules = existing(config), rules_of(config)
    a, *rest = [_usable(ask.canonical(rules, text)) for text in given]
    said = Assertion(kind, a, rest[0] if rest else None, author, reason)
    now = time.time_ns() // 1_000_000
    advanced = Ingest(database, rules, secrets_of(config).id_secret).say(said, now, patience)
    changes = [entry.public() for entry in advanced.entries]
    if as_json:
        click.echo(json.dumps({"assertion": str(said), "changes": changes}, ensure_ascii=False, indent=1))
        return
    click.echo(f"{said} holds.")
    for change in changes:
        told = ", ".join(change.get("into") or change.get("merged") or change.get("profiles") or [])
        click.echo(f"  {change['kind']}: {told}")


def _usable(identifier: Identifier) -> Identifier:
    if identifier.type == "stand_in":
        raise OnefoldError("not_found", "A stand-in is not an identifier; name the shared identifier it stands for.")
    return identifier


for _kind in _DOES:
    _register(_kind)
