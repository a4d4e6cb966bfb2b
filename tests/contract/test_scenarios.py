"""The published examples of Segment, Snowplow, Adobe and UIAF come out as their documentation says."""

import json
from pathlib import Path
from typing import Any, Final

import pytest
from click.testing import CliRunner

from onefold.cli import main
from onefold.core.rules import load_rules, parse_rules
from onefold.engine.resolve_file import resolve_lines
from support.outcome import check, lines

CASES: Final[list[dict[str, Any]]] = json.loads(
    (Path(__file__).parents[1] / "scenarios" / "scenarios.json").read_text(encoding="utf-8")
)["cases"]
SCENARIO: Final = pytest.mark.parametrize("case", [pytest.param(case, id=case["id"]) for case in CASES])


def toml_of(table: dict[str, Any], at: str = "") -> str:
    """A rules document as TOML: scalars first, then the tables below."""
    scalars = [f"{key} = {json.dumps(value)}" for key, value in table.items() if not isinstance(value, dict)]
    below = [toml_of(value, f"{at}{key}.") for key, value in table.items() if isinstance(value, dict)]
    head = [f"[{at[:-1]}]"] if at else []
    return "\n".join([*head, *scalars, *below])


@SCENARIO
def test_the_function_gives_what_the_scenario_expects(case: dict[str, Any]) -> None:
    check(resolve_lines(lines(case["events"]), parse_rules(case["rules"])), case["expect"])


@SCENARIO
@pytest.mark.parametrize("name", ["rules.json", "rules.toml"])
def test_the_command_gives_what_the_scenario_expects(case: dict[str, Any], name: str, tmp_path: Path) -> None:
    rules, events = tmp_path / name, tmp_path / "events.ndjson"
    rules.write_text(json.dumps(case["rules"]) if name.endswith("json") else toml_of(case["rules"]), encoding="utf-8")
    events.write_bytes(b"".join(lines(case["events"])))
    run = CliRunner().invoke(main, ["resolve", "--rules", str(rules), str(events)], catch_exceptions=False)
    assert run.exit_code == 0
    check(json.loads(run.stdout), case["expect"])


@SCENARIO
def test_rules_mean_the_same_as_json_and_as_toml(case: dict[str, Any]) -> None:
    assert load_rules(toml_of(case["rules"])) == load_rules(json.dumps(case["rules"]))


@SCENARIO
def test_the_same_file_gives_the_same_answer_again(case: dict[str, Any]) -> None:
    first, second = (resolve_lines(lines(case["events"]), parse_rules(case["rules"])) for _ in range(2))
    assert first == second
