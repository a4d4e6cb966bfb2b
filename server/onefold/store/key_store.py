"""Secret keys, from and to rows. Of a key itself there is only a digest."""

import msgspec

from onefold.core.keys import Scope
from onefold.store.database import Reader, Row, Transaction


class StoredKey(msgspec.Struct, frozen=True):
    """What is known of a key. Times are ms since 1970 UTC; `last_used` is kept to the hour."""

    id: str
    name: str
    digest: bytes
    scopes: tuple[Scope, ...]
    created_at: int
    last_used: int | None = None
    revoked_at: int | None = None


def add_key(tx: Transaction, key: StoredKey) -> None:
    """Keep a new key."""
    tx.run("add_key", key.id, key.name, key.digest, " ".join(key.scopes), key.created_at)


def find_key(reader: Reader, key_id: str) -> StoredKey | None:
    """The key with this id, revoked or not."""
    row = reader.one("find_key", key_id)
    return None if row is None else _key(row)


def all_keys(reader: Reader) -> list[StoredKey]:
    """Every key there ever was, oldest first."""
    return [_key(row) for row in reader.all("keys")]


def revoke_key(tx: Transaction, key_id: str, at: int) -> None:
    """Let a key end; one that was revoked before keeps its time."""
    tx.run("revoke_key", at, key_id)


def note_use(tx: Transaction, key_id: str, at: int) -> None:
    """Note that a key was used at a time, unless a later use is known."""
    tx.run("note_key_use", at, key_id, at)


def _key(row: Row) -> StoredKey:
    key_id, name, digest, scopes, created_at, last_used, revoked_at = row
    return StoredKey(key_id, name, digest, tuple(scopes.split()), created_at, last_used, revoked_at)
