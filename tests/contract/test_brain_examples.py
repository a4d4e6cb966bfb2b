"""Healing and corrections by example, on a database: what comes apart, what stays together, and what can be undone.

Identifiers read as `type:value`; `email_hash:e1` stands for the hash of `e1`.
"""

from collections.abc import Sequence
from typing import Any, Final

import pytest

from onefold.core.assertions import AssertionKind
from onefold.core.identifiers import profile_id
from onefold.engine.history import Journal
from onefold.engine.situation import situation
from onefold.errors import OnefoldError
from onefold.store.database import Database, Reader, Row
from support import pictures
from support.brain import KIOSK, Brain, named, strangers
from support.outcome import hashed
from support.streams import SECRET, make_event

# The kiosk: strangers without customer ids use one browser.


def test_after_the_sixth_stranger_a_kiosk_has_six_people_and_a_shared_browser(brain: Brain) -> None:
    strangers(brain, *range(1, 6))
    assert (brain.surviving(), brain.shared(KIOSK)) == (1, False)
    strangers(brain, 6)
    assert (brain.surviving(), brain.shared(KIOSK)) == (6, True)
    assert len({brain.id_of(f"email_hash:e{number}") for number in range(1, 7)}) == 6
    assert len(brain.profile(KIOSK)["profiles"]) == 6


def test_history_from_before_the_first_login_stays_with_the_first(brain: Brain) -> None:
    brain.tell("before", KIOSK)
    strangers(brain, *range(1, 7))
    entries = {written.event.event_id: written.decision.profile for written in pictures.journal(brain.database)}
    with situation(brain.database, brain.rules) as now:
        assert now.profile(entries["before"] or 0).id == brain.id_of("email_hash:e1")


def test_a_split_names_the_old_id_and_the_new_ones_and_the_founder_keeps_the_id(brain: Brain) -> None:
    strangers(brain, *range(1, 6))
    together = brain.id_of("email_hash:e3")
    strangers(brain, 6)
    (split,) = brain.ledger("split")
    now = [brain.id_of(f"email_hash:e{number}") for number in range(1, 6)]
    assert (split["profile"], split["event_id"]) == (together, "login6")
    assert split["into"][0] == together == now[0] == profile_id(SECRET, named("email_hash:e1"))
    assert sorted(split["into"]) == sorted(map(str, now))


def test_other_evidence_keeps_people_together_through_a_healing(brain: Brain) -> None:
    strangers(brain, 1, 2)
    brain.tell("phone1", "email_hash:e1", "phone_hash:p")
    brain.tell("phone2", "email_hash:e2", "phone_hash:p")
    strangers(brain, 3, 4, 5, 6)
    assert brain.same("email_hash:e1", "email_hash:e2", "phone_hash:p")
    assert brain.surviving() == 5


def test_what_was_shared_before_a_healing_stays_shared(brain: Brain) -> None:
    brain.tell("1", "customer_id:ann", "uid:family")
    brain.tell("2", "customer_id:bob", "uid:family")
    brain.tell("3", "email_hash:e1", "customer_id:ann")
    brain.tell("4", "customer_id:ann", KIOSK)
    brain.tell("5", "customer_id:cid", KIOSK)
    assert brain.shared("uid:family")
    assert brain.shared(KIOSK)
    assert len(brain.profile("uid:family")["profiles"]) == 2


def test_healing_can_be_switched_off(database: Database) -> None:
    brain = Brain(database, {"profile": {"heal": False}})
    strangers(brain, *range(1, 7))
    assert brain.shared(KIOSK)
    assert brain.same(*(f"email_hash:e{number}" for number in range(1, 6)))
    assert (brain.surviving(), brain.ledger("split")) == (2, [])


def test_a_healing_of_others_does_not_take_a_sessions_stand_in(brain: Brain) -> None:
    """Zoe browsed the shared browser before she logged in: that session is hers, whoever else comes apart."""
    brain.tell("1", "customer_id:ann", KIOSK)
    brain.tell("2", "customer_id:bob", KIOSK)
    brain.tell("3", KIOSK, session_id="zoes")
    brain.tell("4", "customer_id:zoe", KIOSK, session_id="zoes")
    stand_in = f"stand_in:{KIOSK}#zoes"
    assert brain.same("customer_id:zoe", stand_in)
    brain.tell("5", "customer_id:ann", "uid:phone", KIOSK, session_id="zoes")
    brain.tell("6", "customer_id:bob", "uid:phone")
    assert brain.shared("uid:phone")
    assert brain.same("customer_id:zoe", stand_in)


# Separate and join.


def test_separate_gives_back_the_id_that_a_merged_profile_had(brain: Brain) -> None:
    brain.tell("1", "customer_id:ann")
    brain.tell("2", "email_hash:e1", "uid:2")
    ids = brain.id_of("customer_id:ann"), brain.id_of("email_hash:e1")
    brain.tell("3", "customer_id:ann", "email_hash:e1")
    assert brain.same("customer_id:ann", "email_hash:e1", "uid:2")
    brain.say("separate", "customer_id:ann", "email_hash:e1")
    assert (brain.id_of("customer_id:ann"), brain.id_of("email_hash:e1")) == ids
    assert brain.same("email_hash:e1", "uid:2")


def test_separate_holds_against_later_events_until_join_undoes_it(brain: Brain) -> None:
    brain.tell("1", "customer_id:ann", "email_hash:e1")
    brain.say("separate", "customer_id:ann", "email_hash:e1")
    again = brain.tell("2", "customer_id:ann", "email_hash:e1")
    (refusal,) = again.refusals
    assert str(refusal.rule).startswith("separate(customer_id:ann, email_hash:")
    assert not brain.same("customer_id:ann", "email_hash:e1")
    brain.say("join", "customer_id:ann", "email_hash:e1")
    assert brain.same("customer_id:ann", "email_hash:e1")


def test_two_joined_customer_ids_count_once_and_may_come_on_one_event(brain: Brain) -> None:
    brain.tell("1", "customer_id:old", "uid:1")
    brain.tell("2", "customer_id:new", "uid:2")
    assert brain.tell("3", "customer_id:old", "customer_id:new").code == "contradictory_identifiers"
    brain.say("join", "customer_id:old", "customer_id:new")
    assert brain.same("customer_id:old", "customer_id:new", "uid:1", "uid:2")
    assert brain.tell("4", "customer_id:old", "customer_id:new", "uid:3").refusals == ()
    assert brain.same("customer_id:new", "uid:3")
    assert brain.tell("5", "customer_id:third", "uid:3").refusals[0].rule == "customer_id.limit=1"


def test_separate_undoes_a_join_of_two_customer_ids(brain: Brain) -> None:
    brain.tell("1", "customer_id:old", "uid:1")
    brain.tell("2", "customer_id:new", "uid:2")
    ids = brain.id_of("customer_id:old"), brain.id_of("customer_id:new")
    brain.say("join", "customer_id:old", "customer_id:new")
    brain.say("separate", "customer_id:old", "customer_id:new")
    assert (brain.id_of("customer_id:old"), brain.id_of("customer_id:new")) == ids
    assert brain.same("customer_id:new", "uid:2")
    assert brain.tell("3", "customer_id:old", "customer_id:new").code == "contradictory_identifiers"


def test_separate_undoes_a_join_of_what_nobody_had_seen(brain: Brain) -> None:
    brain.say("join", "customer_id:ann", "uid:1")
    assert brain.same("customer_id:ann", "uid:1")
    brain.say("separate", "customer_id:ann", "uid:1")
    assert not brain.same("customer_id:ann", "uid:1")


def test_undoing_a_join_takes_apart_what_it_held_together_elsewhere(brain: Brain) -> None:
    """The address between two customer ids is shared by now; without its join they are two people all the same."""
    brain.tell("1", "customer_id:ann", "uid:1")
    brain.tell("2", "customer_id:bob", "uid:2")
    for customer in ("ann", "bob"):
        brain.say("join", f"customer_id:{customer}", "email_hash:e1")
    assert brain.same("customer_id:ann", "customer_id:bob")
    brain.say("share", "email_hash:e1")
    brain.say("separate", "customer_id:bob", "email_hash:e1")
    assert not brain.same("customer_id:ann", "customer_id:bob")


def test_what_was_only_seen_with_one_side_never_stays_with_the_other(database: Database) -> None:
    """A browser that was seen with Bob alone does not stay with Ann, even where Bob has no room for it."""
    brain = Brain(database, {"profile": {"max_identifiers": 3}, "identifiers": {"uid": {"on_conflict": "keep"}}})
    brain.tell("1", "customer_id:ann")
    brain.say("join", "customer_id:ann", "customer_id:bob")
    brain.tell("2", "customer_id:bob", "uid:bobs")
    brain.adopt({"profile": {"max_identifiers": 1}, "identifiers": {"uid": {"on_conflict": "keep"}}})
    brain.say("separate", "customer_id:ann", "customer_id:bob")
    assert brain.id_of("uid:bobs") is None
    assert brain.id_of("customer_id:ann") != brain.id_of("customer_id:bob")
    assert brain.differences() == []


@pytest.mark.parametrize("policy", ["keep", "share", "move"])
@pytest.mark.parametrize(("known", "unseen"), [("customer_id:a", "customer_id:b"), ("customer_id:b", "customer_id:a")])
def test_a_join_holds_whatever_limits_say_and_whichever_name_comes_first(
    database: Database, policy: str, known: str, unseen: str
) -> None:
    limits = {"profile": {"max_identifiers": 1}, "identifiers": {"customer_id": {"on_conflict": policy}}}
    brain = Brain(database, limits)
    brain.tell("1", known)
    brain.say("join", known, unseen)
    assert brain.same(known, unseen)
    assert brain.differences() == []


REFUSED_WORDS: Final[list[Any]] = [
    pytest.param(
        [("separate", "customer_id:ann", "uid:2")], ("join", "customer_id:ann", "email_hash:e2"), id="a separation"
    ),
    pytest.param([("share", "uid:2", None)], ("join", "customer_id:ann", "uid:2"), id="a shared identifier"),
    pytest.param(
        [("join", "customer_id:ann", "uid:9"), ("join", "uid:9", "customer_id:bob")],
        ("separate", "customer_id:ann", "customer_id:bob"),
        id="other joins",
    ),
]


@pytest.mark.parametrize(("said", "refused"), REFUSED_WORDS)
def test_what_contradicts_an_assertion_in_force_is_refused_and_leaves_nothing(
    brain: Brain, said: Sequence[tuple[AssertionKind, str, str | None]], refused: tuple[AssertionKind, str, str | None]
) -> None:
    brain.tell("1", "customer_id:ann")
    brain.tell("2", "email_hash:e2", "uid:2")
    for words in said:
        brain.say(*words)
    before = pictures.of_store(brain.database), pictures.counts(brain.database)
    with pytest.raises(OnefoldError) as caught:
        brain.say(*refused)
    assert caught.value.code == "conflict"
    assert (pictures.of_store(brain.database), pictures.counts(brain.database)) == before


# Share and unshare.


def test_share_takes_apart_what_hung_on_the_identifier_and_unshare_gives_it_back(brain: Brain) -> None:
    strangers(brain, 1, 2)
    assert brain.same("email_hash:e1", "email_hash:e2")
    brain.say("share", KIOSK)
    assert brain.shared(KIOSK)
    assert not brain.same("email_hash:e1", "email_hash:e2")
    brain.say("unshare", KIOSK)
    assert not brain.shared(KIOSK)
    assert brain.same("email_hash:e1", "email_hash:e2", KIOSK)


def test_what_an_operator_unshared_is_not_shared_automatically(brain: Brain) -> None:
    brain.say("unshare", KIOSK)
    strangers(brain, *range(1, 7))
    assert not brain.shared(KIOSK)
    brain.say("share", KIOSK)
    assert brain.shared(KIOSK)


def test_assertions_survive_other_rules(brain: Brain) -> None:
    brain.tell("1", "customer_id:ann", "email_hash:e1")
    brain.say("separate", "customer_id:ann", "email_hash:e1")
    brain.say("join", "customer_id:ann", "customer_id:anne")
    brain.say("share", "uid:lobby")
    brain.adopt({"identifiers": {"customer_id": {"limit": 9}, "uid": {"on_conflict": "move"}}})
    brain.tell("2", "customer_id:ann", "email_hash:e1", "uid:lobby")
    assert brain.same("customer_id:ann", "customer_id:anne")
    assert not brain.same("customer_id:ann", "email_hash:e1")
    assert brain.shared("uid:lobby")


# What a correction costs.


def journal_rows(brain: Brain, kind: AssertionKind, a: str, b: str, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The positions of all journal entries that are read while an operator says something."""
    read: list[int] = []
    execute = Reader.each

    def spy(reader: Reader, name: str, rows: Sequence[Sequence[Any]]) -> list[Row]:
        found = execute(reader, name, rows)
        read.extend(row[0] for row in found if name.startswith("journal"))
        return found

    with monkeypatch.context() as patch:
        patch.setattr(Reader, "each", spy)
        patch.setattr(Journal, "entries", None)
        brain.say(kind, a, b)
    return read


def test_undoing_a_merge_reads_the_entries_of_its_own_profile_and_no_other(
    brain: Brain, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = [make_event(f"o{n}", f"customer_id:other{n % 50}", f"uid:o{n}", ts=n) for n in range(1_000)]
    own = [make_event(f"a{n}", "customer_id:ann", ts=n) for n in range(999)]
    brain.take(*others)
    brain.take(*own, make_event("merge", "customer_id:ann", hashed("email_hash:e1"), ts=2_000))
    read = journal_rows(brain, "separate", "customer_id:ann", "email_hash:e1", monkeypatch)
    assert sorted(read) == list(range(1_001, 2_001))
