"""Secret keys in every store: only a digest is kept, use is noted by the hour, and revoking ends a key everywhere."""

import base64
from typing import Any, Final

import pytest

from onefold.core.keys import key_digest, key_id, new_key
from onefold.engine.keys import FRESH_MS, KeyRing, create_key, list_keys, revoke
from onefold.errors import OnefoldError
from onefold.store.database import Database

HOUR: Final = 3_600_000
NOW: Final = 472_000 * HOUR + 1_234_567


def refusal(ring: KeyRing, key: str, now: int = NOW) -> str:
    """The code that a key is refused with."""
    with pytest.raises(OnefoldError) as refused:
        ring.recognise(key, now)
    return refused.value.code


def test_of_a_key_only_its_digest_is_stored(database: Database) -> None:
    key = create_key(database, "crm", ["write", "read"], NOW)
    (stored,) = list_keys(database)
    assert (stored.id, stored.name, stored.scopes) == (key_id(key), "crm", ("read", "write"))
    assert (stored.created_at, stored.last_used, stored.revoked_at) == (NOW, None, None)
    assert stored.digest == key_digest(key)
    assert key[13:] not in repr(stored)


def test_no_two_keys_are_alike(database: Database) -> None:
    assert len({create_key(database, f"key {n}", ["read"], NOW) for n in range(20)}) == 20


@pytest.mark.parametrize("name", ["", "  ", "x" * 65, "a\nb", "a\x1b[31m", "ofk_aaaaaaaa"])
def test_a_name_that_could_mislead_is_refused(database: Database, name: str) -> None:
    with pytest.raises(ValueError, match="printable"):
        create_key(database, name, ["read"], NOW)
    assert list_keys(database) == []


def test_a_name_is_free_again_once_its_key_is_revoked(database: Database) -> None:
    create_key(database, "crm", ["read"], NOW)
    with pytest.raises(OnefoldError, match="crm") as refused:
        create_key(database, "crm", ["read"], NOW)
    assert refused.value.code == "conflict"
    revoke(database, "crm", NOW)
    create_key(database, "crm", ["read"], NOW)
    assert [key.revoked_at for key in list_keys(database)] in ([NOW, None], [None, NOW])


@pytest.mark.parametrize("by", ["name", "id", "key"])
def test_a_key_is_revoked_by_its_name_its_id_or_itself(database: Database, by: str) -> None:
    key = create_key(database, "crm", ["read"], NOW)
    other = create_key(database, "shop", ["read"], NOW)
    ended = revoke(database, {"name": "crm", "id": key[:12], "key": key}[by], NOW + 1)
    assert (ended.name, ended.revoked_at) == ("crm", NOW + 1)
    ring = KeyRing(database)
    assert refusal(ring, key) == "unauthenticated"
    assert ring.recognise(other, NOW).name == "shop"


@pytest.mark.parametrize("what", ["", "nobody", "ofk_aaaaaaaa", "ofk_"])
def test_what_names_no_key_in_force_revokes_nothing(database: Database, what: str) -> None:
    create_key(database, "crm", ["read"], NOW)
    with pytest.raises(OnefoldError) as refused:
        revoke(database, what, NOW)
    assert refused.value.code == "not_found"
    assert [key.revoked_at for key in list_keys(database)] == [None]


def test_a_key_with_another_secret_under_the_same_name_is_refused(database: Database) -> None:
    key = create_key(database, "crm", ["read"], NOW)
    forged = new_key(base64.b32decode(key[4:12].upper()) + bytes(20))
    assert key_id(forged) == key_id(key)
    assert refusal(KeyRing(database), forged) == "unauthenticated"


def test_what_is_no_key_asks_no_database(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Database, "snapshot", _nobody_may_ask)
    ring = KeyRing(database)
    for text in ("", "x", "ofk_aaaaaaaa_" + "a" * 39, "Ä" * 1_000_000):
        assert refusal(ring, text) == "unauthenticated"


def _nobody_may_ask(*_: Any, **__: Any) -> None:
    raise AssertionError("the database was asked")


def test_a_revoked_key_ends_in_every_process_within_the_stated_time(database: Database) -> None:
    key = create_key(database, "crm", ["read"], NOW)
    rings = [KeyRing(database) for _ in range(3)]
    for ring in rings:
        ring.recognise(key, NOW)
    revoke(database, "crm", NOW)
    assert [refusal(ring, key, NOW + FRESH_MS) for ring in rings] == ["unauthenticated"] * 3


def test_a_clock_that_was_set_back_keeps_no_revoked_key_alive(database: Database) -> None:
    key = create_key(database, "crm", ["read"], NOW)
    ring = KeyRing(database)
    ring.recognise(key, NOW)
    revoke(database, "crm", NOW)
    assert refusal(ring, key, NOW - HOUR) == "unauthenticated"


def test_a_new_key_is_good_at_once_though_it_was_asked_for_before(database: Database) -> None:
    ring = KeyRing(database)
    assert refusal(ring, new_key(bytes(25))) == "unauthenticated"
    for n in range(3):
        assert ring.recognise(create_key(database, f"key {n}", ["read"], NOW), NOW).name == f"key {n}"


def test_the_database_is_asked_once_in_a_while_and_written_once_an_hour(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = create_key(database, "crm", ["read"], NOW)
    asked: list[str] = []
    for method in ("snapshot", "transaction"):
        monkeypatch.setattr(Database, method, _counted(method, getattr(Database, method), asked))
    ring = KeyRing(database)
    for ms in range(0, 3 * FRESH_MS, 50):
        ring.recognise(key, NOW + ms)
    assert asked == ["snapshot", "transaction", "snapshot", "snapshot"]
    ring.recognise(key, NOW + HOUR)
    assert asked[4:] == ["snapshot", "transaction"]


def _counted(name: str, method: Any, asked: list[str]) -> Any:
    def counted(*arguments: Any, **options: Any) -> Any:
        asked.append(name)
        return method(*arguments, **options)

    return counted


def test_the_last_use_is_kept_to_the_hour_and_never_goes_back(database: Database) -> None:
    key = create_key(database, "crm", ["read"], NOW)
    for now in (NOW, NOW + 5 * HOUR, NOW + 2 * HOUR):
        KeyRing(database).recognise(key, now)
    assert [stored.last_used for stored in list_keys(database)] == [472_005 * HOUR]


def test_while_the_database_is_away_a_key_stays_what_it_was(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, ended, unused = (create_key(database, name, ["read"], NOW) for name in ("in use", "ended", "unused"))
    ring = KeyRing(database)
    ring.recognise(key, NOW)
    revoke(database, "ended", NOW)
    assert refusal(ring, ended) == "unauthenticated"
    monkeypatch.setattr(Database, "snapshot", _away)
    monkeypatch.setattr(Database, "transaction", _away)
    assert ring.recognise(key, NOW + 2 * HOUR).name == "in use"
    assert refusal(ring, ended, NOW + 2 * HOUR) == "unauthenticated"
    assert refusal(ring, unused, NOW + 2 * HOUR) == "unavailable"


def test_a_request_does_not_wait_for_a_store_that_is_known_to_be_away(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    away: list[bool] = []
    key = create_key(database, "in use", ["read"], NOW)
    ring = KeyRing(database, lambda: bool(away))
    ring.recognise(key, NOW)
    revoke(database, "in use", NOW)
    away.append(True)
    with monkeypatch.context() as nobody_asks:
        nobody_asks.setattr(Database, "snapshot", _nobody_may_ask)
        nobody_asks.setattr(Database, "transaction", _nobody_may_ask)
        assert ring.recognise(key, NOW + 2 * HOUR).name == "in use"
    away.clear()
    assert refusal(ring, key, NOW + 2 * HOUR) == "unauthenticated"


def _away(*_: Any, **__: Any) -> None:
    raise OnefoldError("unavailable", "The database cannot be used right now.")
