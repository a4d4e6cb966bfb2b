"""Secret keys: create, list and revoke them, and tell who presents one."""

import hmac
import secrets
from collections.abc import Callable, Collection
from typing import Final

import msgspec
import structlog

from onefold.core.keys import KEY_ID_PATTERN, RANDOM_BYTES, SCOPES, Scope, key_digest, key_id, new_key
from onefold.errors import OnefoldError
from onefold.store.database import Database
from onefold.store.key_store import StoredKey, add_key, all_keys, find_key, note_use, revoke_key

log = structlog.get_logger()

FRESH_MS: Final = 5_000
"""How long a process believes what it read of a key: a revoked key ends everywhere within this time."""

_HOUR_MS: Final = 3_600_000
_LONGEST_NAME: Final = 64
_REFUSED: Final = "This key is not known, or it was revoked."


def create_key(database: Database, name: str, scopes: Collection[Scope], now: int) -> str:
    """A new key, which is not stored and cannot be shown again. `now` is in ms.

    Raises ValueError for a name that is no good, `conflict` when a key in force has it.
    """
    if not name.strip() or len(name) > _LONGEST_NAME or not name.isprintable() or name.startswith("ofk_"):
        raise ValueError(f"a key's name has 1 to {_LONGEST_NAME} printable characters and does not begin with ofk_")
    key = new_key(secrets.token_bytes(RANDOM_BYTES))
    given = tuple(scope for scope in SCOPES if scope in scopes)
    with database.transaction() as tx:
        if any(other.name == name and other.revoked_at is None for other in all_keys(tx)):
            raise OnefoldError("conflict", f"There is a key named {name!r}; revoke it first, or choose another name.")
        add_key(tx, StoredKey(_id(key), name, key_digest(key), given, now))
    return key


def list_keys(database: Database) -> list[StoredKey]:
    """Every key, revoked ones too, oldest first."""
    with database.snapshot() as reader:
        return all_keys(reader)


def revoke(database: Database, what: str, now: int) -> StoredKey:
    """End a key in force, named by its name, its id, or the key itself. `now` is in ms. Raises `not_found`."""
    with database.transaction() as tx:
        found = KEY_ID_PATTERN.match(what)
        wanted = what if found is None else found[0]
        for key in all_keys(tx):
            if wanted in (key.id, key.name) and key.revoked_at is None:
                revoke_key(tx, key.id, now)
                return msgspec.structs.replace(key, revoked_at=now)
    raise OnefoldError("not_found", "There is no key in force with this name or id; see onefold keys list.")


def _id(key: str) -> str:
    found = key_id(key)
    assert found is not None
    return found


class _Known(msgspec.Struct, frozen=True):
    """What was read of a key, and when (ms)."""

    key: StoredKey
    read_at: int


class KeyRing:
    """Recognises keys for one process, asking the database about each every few seconds at most.

    While the store is slow or away, or cannot be asked, a key this process has seen before is good for what it was good
    for: a back end's events can wait on disk, but its request cannot wait for the store.
    """

    def __init__(self, database: Database, store_away: Callable[[], bool] = lambda: False) -> None:
        self._database = database
        self._store_away = store_away
        self._known: dict[str, _Known] = {}
        self._noted: dict[str, int] = {}

    def recognise(self, key: str, now: int) -> StoredKey:
        """The stored key behind a presented one. `now` is in ms. Raises `unauthenticated`."""
        named = key_id(key)
        stored = None if named is None else self._find(named, now)
        if stored is None or not hmac.compare_digest(stored.digest, key_digest(key)) or stored.revoked_at is not None:
            raise OnefoldError("unauthenticated", _REFUSED)
        self._note(stored, now)
        return stored

    def _find(self, named: str, now: int) -> StoredKey | None:
        known = self._known.get(named)
        if known is not None and (0 <= now - known.read_at < FRESH_MS or self._store_away()):
            return known.key
        try:
            with self._database.snapshot() as reader:
                found = find_key(reader, named)
        except OnefoldError:
            if known is None:
                raise
            found = known.key
        if found is not None:  # what is not there is not remembered: anybody could fill the memory
            self._known[named] = _Known(found, now)
        return found

    def _note(self, key: StoredKey, now: int) -> None:
        """Keep when a key was used, to the hour: one write an hour, and none that a request depends on."""
        hour = now - now % _HOUR_MS
        if max(key.last_used or 0, self._noted.get(key.id, 0)) >= hour or self._store_away():
            return
        self._noted[key.id] = hour
        try:
            with self._database.transaction(alone=False) as tx:
                note_use(tx, key.id, hour)
        except OnefoldError as error:
            log.warning("key_use_not_noted", key=key.id, code=error.code)
