"""The JSON that commands print has the documented members, and no others."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import pytest
from click.testing import CliRunner

from docs.pages import page, table
from onefold.cli import main
from onefold.config import load_config
from onefold.core.graph import Profile
from onefold.core.ledger import reconciled_entry
from onefold.engine.advance import reconciled_event
from onefold.web.app import create_app
from support.streams import make_event

TEXT: Final = page("docs/reference/output.md")
A, B, C = (f"{letter * 64}" for letter in "abc")
UIDS: Final = [f"{number}1111111-1111-4111-8111-111111111111.1760000000" for number in range(1, 4)]

STORY: Final = [
    {"event_id": "1", "session_id": "s1", "identifiers": {"uid": "kiosk", "email_hash": A}},
    {"event_id": "2", "session_id": "s2", "identifiers": {"uid": "kiosk", "customer_id": "ANN"}},
    {"event_id": "3", "session_id": "s3", "identifiers": {"uid": "kiosk", "customer_id": "BOB"}},
    {"event_id": "3", "identifiers": {"uid": "kiosk"}},
    {"event_id": "4", "identifiers": {"uid": "phone"}},
    {"event_id": "5", "identifiers": {"uid": "phone", "customer_id": "ANN"}},
    {"event_id": "6", "identifiers": {"customer_id": ["ANN", "BOB"]}},
    {"assert": "separate", "a": "customer_id:ANN", "b": "uid:phone", "reason": "not hers"},
    {"event_id": "8"},
]


ANSWERED: Final = make_event("answered", "uid:phone")
RECONCILED: Final = reconciled_entry(reconciled_event(1, ANSWERED, "of_", 0), ANSWERED, Profile(1, bytes(16), 0))
"""What a file never has: an event that was answered while the store was away."""


def members(items: Iterable[dict[str, Any]]) -> set[str]:
    """The names of all members of some objects."""
    return {name for item in items for name in item}


def run(*arguments: str) -> str:
    """What a command prints."""
    result = CliRunner().invoke(main, list(arguments), catch_exceptions=False)
    assert result.exit_code in (0, 1), result.output
    return result.stdout


@pytest.fixture(scope="module")
def resolved(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The output for a story in which everything happens that can."""
    file = tmp_path_factory.mktemp("story") / "story.ndjson"
    file.write_text("\n".join(map(json.dumps, STORY)), encoding="utf-8")
    found: dict[str, Any] = json.loads(run("resolve", str(file)))
    return found


def test_resolve_prints_the_documented_members(resolved: dict[str, Any]) -> None:
    refusals = [refusal for event in resolved["events"] for refusal in event["refusals"]]
    assert set(resolved) == set(table(TEXT, "onefold resolve"))
    assert members(resolved["events"]) == set(table(TEXT, "One of events"))
    assert members(refusals) == set(table(TEXT, "One of refusals"))
    assert members(resolved["profiles"]) == set(table(TEXT, "One of profiles"))
    assert members(resolved["shared"]) == {"identifier", "profiles"}


def test_entries_of_the_ledger_have_the_documented_members(resolved: dict[str, Any]) -> None:
    documented = table(TEXT, "Entries of the ledger")
    found = [*resolved["ledger"], RECONCILED.public()]
    kinds = {entry["kind"] for entry in found}
    assert kinds == {"created", "merged", "split", "shared", "reconciled"}
    for kind in kinds:
        expected = {name for name, cells in documented.items() if cells[0] == "all" or kind in cells[0].split(", ")}
        assert members(entry for entry in found if entry["kind"] == kind) == expected - {"seq"}
    facts = {name for entry in resolved["ledger"] for fact in entry.get("facts", ()) for name in fact}
    assert all(f"`{name}`" in documented["facts"][1] for name in facts)


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database in the current folder that a few browsers have written to."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ONEFOLD_CONFIG", "onefold.toml")  # commands set it, and it is put back afterwards
    monkeypatch.delenv("ONEFOLD_STORE_URL", raising=False)
    run("init", "--origin", "https://www.example.com")
    app = create_app(load_config(Path("onefold.toml")))
    client = app.test_client()
    for uid, identifiers in ((UIDS[0], {"email_hash": A}), (UIDS[1], {"email_hash": A}), (UIDS[2], {"email_hash": B})):
        meta = {"ts": 1760000000000, "tier": "T0"}
        event = {"event": "identity_link", "identity": {"uid": uid}, "identifiers": identifiers, "_meta": meta}
        answer = client.post("/v1/events", json=event, headers={"Origin": "https://www.example.com"})
        assert answer.status_code == 202
    app.extensions["onefold"].database.close()


@pytest.mark.usefixtures("database")
def test_profile_prints_the_documented_members() -> None:
    found = json.loads(run("profile", f"email_hash:{A}", "--json"))
    assert set(found) == set(table(TEXT, "onefold profile --json"))
    assert members(found["identifiers"]) == set(table(TEXT, "One of identifiers"))


@pytest.mark.usefixtures("database")
def test_explain_prints_the_documented_members() -> None:
    documented = table(TEXT, "onefold explain --json")
    linked = json.loads(run("explain", f"uid:{UIDS[0]}", f"uid:{UIDS[1]}", "--json"))
    apart = json.loads(run("explain", f"uid:{UIDS[0]}", f"uid:{UIDS[2]}", "--json"))
    assert set(linked) | set(apart) == set(documented)
    assert [name for name in members(linked["chain"]) if f"`{name}`" not in documented["chain"][0]] == []
    assert [name for name in ("kind", "text") if name not in members(apart["reasons"])] == []


@pytest.mark.usefixtures("database")
def test_the_server_plane_answers_with_the_documented_members() -> None:
    app = create_app(load_config(Path("onefold.toml")))
    meta = {"ts": 1760000000000, "tier": "T0"}
    event = {"event": "identity_link", "traits": {"email": "ann@example.com"}, "_meta": meta}
    headers = {"Authorization": f"Bearer {run('keys', 'create', 'shop').strip()}"}
    answer = app.test_client().post("/api/v1/events", json=event, headers=headers).get_json()
    app.extensions["onefold"].close()
    documented = table(page("docs/reference/server-plane.md"), "The answer")
    assert set(answer) | members(answer["profiles"]) == set(documented)


@pytest.mark.usefixtures("database")
def test_the_list_of_keys_has_the_documented_members() -> None:
    assert members(json.loads(run("keys", "list", "--json"))) == set(table(TEXT, "onefold keys list --json"))


@pytest.mark.usefixtures("database")
def test_ledger_prints_one_entry_a_line_with_its_position() -> None:
    entries = [json.loads(line) for line in run("ledger", "--json").splitlines()]
    assert [entry["seq"] for entry in entries] == list(range(1, len(entries) + 1))
