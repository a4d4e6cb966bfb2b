"""Why, why not, and as of when: each kind of answer on a history made for it, as JSON and as text."""

import json
from collections.abc import Callable
from typing import Any, Final

import pytest
from click.testing import CliRunner, Result

from onefold.cli import main
from support.brain import Brain
from support.outcome import hashed
from support.streams import HOUR, SECRET

KIOSK: Final = "uid:kiosk"


def run(brain: Brain, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Result:
    """A call of the command on the brain's database."""
    monkeypatch.setenv("ONEFOLD_ID_SECRET", SECRET.decode())
    url = brain.database.url
    return CliRunner().invoke(main, [*map(hashed, arguments), "--db", url], catch_exceptions=False)


def two_on_a_kiosk(brain: Brain) -> None:
    """Ann and Bob log in on one browser, each in a session of their own, and a kiosk event comes in Bob's session."""
    brain.tell("ann", "customer_id:ann", KIOSK, session_id="s1", site="shop")
    brain.tell("bob", "customer_id:bob", KIOSK, session_id="s2", site="shop")
    brain.tell("browse", KIOSK, "uid:app", session_id="s2")


def kept_apart(brain: Brain) -> None:
    brain.tell("1", "customer_id:ann", "email_hash:e1")
    brain.say("separate", "customer_id:ann", "email_hash:e1", author="eve", reason="ticket 7")


def released(brain: Brain) -> None:
    brain.adopt({"identifiers": {"email_hash": {"limit": 1, "on_conflict": "move"}}})
    brain.tell("1", "customer_id:ann", "email_hash:e1")
    brain.tell("2", "customer_id:ann", "email_hash:e2")


def two_strangers(brain: Brain) -> None:
    brain.tell("1", "email_hash:e1")
    brain.tell("2", "email_hash:e2")


def shared_by_word(brain: Brain) -> None:
    brain.tell("1", "customer_id:ann", KIOSK)
    brain.say("share", KIOSK)


WHY_NOT: Final[list[Any]] = [
    pytest.param(
        two_strangers,
        ("email_hash:e1", "uid:never"),
        {"kind": "unseen", "identifier": "uid:never"},
        "uid:never has never been seen",
        id="unseen",
    ),
    pytest.param(
        released,
        ("email_hash:e1", "email_hash:e2"),
        {"kind": "unlinked", "identifier": "email_hash:e1"},
        "is linked to nobody now",
        id="unlinked",
    ),
    pytest.param(
        two_on_a_kiosk,
        ("customer_id:ann", KIOSK),
        {"kind": "shared", "identifier": KIOSK, "event_id": "bob", "rule": "customer_id.limit=1", "site": "shop"},
        "uid:kiosk is shared since event bob (customer_id.limit=1)",
        id="shared by an event",
    ),
    pytest.param(
        shared_by_word,
        ("customer_id:ann", KIOSK),
        {"kind": "shared", "identifier": KIOSK, "source": "operator", "rule": "assertion"},
        "(assertion): it belongs to nobody alone",
        id="shared by an operator",
    ),
    pytest.param(
        kept_apart,
        ("customer_id:ann", "email_hash:e1"),
        {"kind": "assertion", "source": "operator", "verified": True},
        "eve said so: ticket 7.",
        id="an operator's word",
    ),
    pytest.param(
        two_on_a_kiosk,
        ("customer_id:ann", "customer_id:bob"),
        {"kind": "limit", "rule": "customer_id.limit=1", "identifiers": ["customer_id:ann", "customer_id:bob"]},
        "Together they would hold customer_id:ann, customer_id:bob, more than customer_id.limit=1 allows",
        id="a limit",
    ),
    pytest.param(
        two_on_a_kiosk,
        ("customer_id:ann", "customer_id:bob"),
        {
            "kind": "refusal",
            "event_id": "bob",
            "refusals": [{"identifier": KIOSK, "action": "share", "rule": "customer_id.limit=1"}],
        },
        "Event bob named both: uid:kiosk became shared (customer_id.limit=1)",
        id="a refusal",
    ),
    pytest.param(
        two_strangers,
        ("email_hash:e1", "email_hash:e2"),
        {"kind": "no_evidence"},
        "No journal event names identifiers of both",
        id="no evidence",
    ),
]


@pytest.mark.parametrize(("history", "pair", "reason", "text"), WHY_NOT)
def test_each_reason_is_named_and_told(
    brain: Brain,
    monkeypatch: pytest.MonkeyPatch,
    history: Callable[[Brain], None],
    pair: tuple[str, str],
    reason: dict[str, Any],
    text: str,
) -> None:
    history(brain)
    answer = run(brain, monkeypatch, "explain", *pair, "--json")
    assert answer.exit_code == 1
    reasons = json.loads(answer.stdout)["reasons"]
    assert [found for found in reasons if hashed(reason).items() <= found.items()], reasons
    told = run(brain, monkeypatch, "explain", *pair)
    assert told.exit_code == 1
    assert "are not one person:" in told.stdout
    assert f"{hashed(text)}" in told.stdout


def test_a_limit_with_a_window_is_no_reason_for_what_was_linked_outside_it(brain: Brain) -> None:
    brain.adopt({"identifiers": {"email_hash": {"limit": 1, "window": "daily"}}})
    brain.tell("1", "email_hash:e1")
    brain.tell("2", "email_hash:e2", ts=100 * 24 * HOUR)
    assert [reason["kind"] for reason in brain.explain("email_hash:e1", "email_hash:e2")["reasons"]] == ["no_evidence"]


def test_a_chain_is_told_event_by_event_with_its_rules(brain: Brain, monkeypatch: pytest.MonkeyPatch) -> None:
    brain.tell("first", "customer_id:ann", "uid:home", site="shop", ts=1_000)
    brain.tell("second", "customer_id:ann", "email_hash:e1", source="server", verified=True, ts=2_000)
    told = run(brain, monkeypatch, "explain", "uid:home", "email_hash:e1")
    assert told.exit_code == 0
    assert told.stdout.splitlines() == [
        f"one person, {brain.id_of('uid:home')}",
        "",
        "uid:home",
        "  | event first, 1970-01-01 00:00:01, by sensor on shop",
        "  | at T0; customer_id links (priority 1, limit 1)",
        "customer_id:ann",
        "  | event second, 1970-01-01 00:00:02, by server, verified",
        "  | at T0; email_hash links (priority 2, limit 5)",
        hashed("email_hash:e1"),
    ]
    steps = json.loads(run(brain, monkeypatch, "explain", "uid:home", "email_hash:e1", "--json").stdout)["chain"]
    assert [(step["event_id"], step["verified"], step["via"]) for step in steps] == [
        ("first", False, "customer_id:ann"),
        ("second", True, hashed("email_hash:e1")),
    ]


def test_an_identifier_is_one_with_itself_without_any_event(brain: Brain) -> None:
    brain.tell("1", "uid:1")
    assert brain.explain("uid:1", "uid:1")["chain"] == []


def test_a_sessions_stand_in_is_shown_as_the_shared_identifier(brain: Brain) -> None:
    two_on_a_kiosk(brain)
    (step,) = brain.explain("customer_id:bob", "uid:app")["chain"][:1]
    assert (step["event_id"], step["identifiers"], step["via"]) == ("bob", ["customer_id:bob", KIOSK], KIOSK)
    assert step["rule"] == "the same session on a shared identifier"


def test_an_operators_join_is_a_step_with_author_and_reason(brain: Brain) -> None:
    brain.tell("1", "customer_id:ann", "uid:1")
    brain.tell("2", "customer_id:anne", "uid:2")
    brain.say("join", "customer_id:ann", "customer_id:anne", author="eve", reason="ticket 7")
    chain = brain.explain("uid:1", "uid:2")["chain"]
    assert [(step["source"], step["via"]) for step in chain] == [
        ("sensor", "customer_id:ann"),
        ("operator", "customer_id:anne"),
        ("sensor", "uid:2"),
    ]
    assert chain[1]["rule"] == "assertion by eve: ticket 7"


def test_a_join_is_a_step_also_where_its_identifiers_moved_to_another_profile(brain: Brain) -> None:
    brain.adopt({"identifiers": {"uid": {"on_conflict": "move"}, "email_hash": {"on_conflict": "move"}}})
    brain.tell("1", "customer_id:ann", "email_hash:e1", "uid:1")
    brain.say("join", "email_hash:e1", "uid:1")
    brain.tell("2", "customer_id:bob", "email_hash:e1")
    brain.tell("3", "customer_id:bob", "uid:1")
    assert brain.explain("email_hash:e1", "uid:1")["chain"] != []


def test_what_older_rules_took_explains_a_link_under_todays_rules(brain: Brain) -> None:
    brain.tell("1", "customer_id:ann", "email_hash:e1")
    brain.adopt({"unsigned": "refuse"})
    assert [step["event_id"] for step in brain.explain("customer_id:ann", "email_hash:e1")["chain"]] == ["1"]


# As of a time.


def test_before_a_merge_there_were_two_people(brain: Brain, monkeypatch: pytest.MonkeyPatch) -> None:
    brain.tell("1", "customer_id:ann", ts=1_000_000_000)
    brain.tell("2", "uid:1", ts=2_000_000_000)
    brain.tell("3", "customer_id:ann", "uid:1", ts=3_000_000_000)
    then = ("--as-of", "2500000000")
    before = run(brain, monkeypatch, "explain", "customer_id:ann", "uid:1", *then, "--json")
    assert (before.exit_code, json.loads(before.stdout)["reasons"][0]["kind"]) == (1, "no_evidence")
    assert run(brain, monkeypatch, "explain", "customer_id:ann", "uid:1").exit_code == 0
    assert run(brain, monkeypatch, "explain", "customer_id:ann", "uid:1", "--as-of", "3000000000").exit_code == 0
    old = json.loads(run(brain, monkeypatch, "profile", "uid:1", *then, "--json").stdout)
    new = json.loads(run(brain, monkeypatch, "profile", "uid:1", "--json").stdout)
    assert [line["identifier"] for line in old["identifiers"]] == ["uid:1"]
    assert (new["merged"], new["id"] == old["id"]) == ([old["id"]], False)


def test_an_id_that_was_not_there_yet_is_not_found_as_of_then(brain: Brain, monkeypatch: pytest.MonkeyPatch) -> None:
    brain.tell("1", "uid:1", ts=1_000_000_000)
    found = run(brain, monkeypatch, "profile", str(brain.id_of("uid:1")), "--as-of", "900000000")
    assert (found.exit_code, found.stdout) == (1, "")


def test_as_of_before_a_separation_and_under_the_rules_of_then(brain: Brain) -> None:
    brain.tell("1", "customer_id:ann", "email_hash:e1")
    then = brain.now
    brain.say("separate", "customer_id:ann", "email_hash:e1")
    brain.adopt({"identifiers": {"email_hash": {"priority": 7}}})
    assert brain.explain("customer_id:ann", "email_hash:e1")["linked"] is False
    (step,) = brain.explain("customer_id:ann", "email_hash:e1", as_of_ms=then)["chain"]
    assert step["rule"] == "email_hash links (priority 2, limit 5)"


@pytest.mark.parametrize(
    ("text", "code"), [("2026-01-31", 1), ("2026-01-31T12:00:00+01:00", 1), ("1000000000", 1), ("yesterday", 2)]
)
def test_as_of_takes_a_date_a_time_or_milliseconds(
    brain: Brain, monkeypatch: pytest.MonkeyPatch, text: str, code: int
) -> None:
    assert run(brain, monkeypatch, "profile", "uid:1", "--as-of", text).exit_code == code


def test_a_date_means_its_end(brain: Brain, monkeypatch: pytest.MonkeyPatch) -> None:
    brain.tell("1", "uid:1", ts=86_400_000 * 400 + 12 * HOUR)
    assert run(brain, monkeypatch, "profile", "uid:1", "--as-of", "1971-02-05").exit_code == 0
    assert run(brain, monkeypatch, "profile", "uid:1", "--as-of", "1971-02-05T11:00:00").exit_code == 1


def last_seen(brain: Brain, what: str, shown: str, **filters: str) -> int:
    """When the profile of one identifier says that another one was last seen."""
    lines = brain.profile(what, **filters)["identifiers"]
    (found,) = [line["last_seen"] for line in lines if line["identifier"] == hashed(shown)]
    assert isinstance(found, int)
    return found


def test_an_identifier_was_last_seen_with_the_newest_event_that_carried_it(brain: Brain) -> None:
    brain.tell("1", "customer_id:ann", "uid:1", ts=1_000)
    brain.tell("2", "uid:1", ts=5_000, kind="page_view")
    brain.tell("3", "uid:1", ts=4_000, kind="page_view")
    assert (last_seen(brain, "uid:1", "uid:1"), last_seen(brain, "uid:1", "customer_id:ann")) == (5_000, 1_000)


def test_what_two_people_share_each_has_last_seen_at_a_time_of_their_own(brain: Brain) -> None:
    brain.tell("1", "customer_id:ann", KIOSK, session_id="s1", ts=1_000)
    brain.tell("2", "customer_id:bob", KIOSK, session_id="s2", ts=2_000)
    brain.tell("3", "customer_id:bob", KIOSK, session_id="s2", ts=3_000)
    seen = [last_seen(brain, who, KIOSK) for who in ("customer_id:ann", "customer_id:bob")]
    assert seen == [1_000, 3_000]


def test_for_a_purpose_an_identifier_was_last_seen_with_an_event_that_fits_it(brain: Brain) -> None:
    brain.tell("1", "customer_id:ann", "uid:1", tier="T1", ts=1_000)
    brain.tell("2", "uid:1", tier="T2", kind="page_view", ts=2_000)
    seen = [last_seen(brain, "uid:1", "uid:1", **filters) for filters in ({}, {"purpose": "advertising"})]
    assert seen == [2_000, 1_000]
