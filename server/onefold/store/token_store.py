"""The records of cross-domain tokens, from and to rows."""

from collections.abc import Sequence

from onefold.core.event import TIERS
from onefold.core.tokens import Record
from onefold.store.database import Reader, Transaction
from onefold.store.names import Names
from onefold.store.packing import pack_text, unpack_text


def add_tokens(tx: Transaction, names: Names, records: Sequence[Record]) -> None:
    """Keep the records of new tokens."""
    rows = [
        (
            pack_text(record.event_id),
            pack_text(record.uid),
            names.id(record.source_site),
            names.id(record.target_site),
            TIERS.index(record.tier),
            record.minted_at,
            record.expires_at,
        )
        for record in records
    ]
    tx.write("add_tokens", rows)


def find_token(reader: Reader, names: Names, event_id: str) -> Record | None:
    """The record of a token; None where it has been swept."""
    row = reader.one("find_token", pack_text(event_id))
    if row is None:
        return None
    uid, source, target, tier, minted_at, expires_at = row
    return Record(
        event_id, unpack_text(uid), names.text(source), names.text(target), TIERS[tier], minted_at, expires_at
    )


def sweep_tokens(tx: Transaction, before: int, most: int) -> int:
    """Forget up to `most` tokens that expired before a time (ms), the oldest first; returns how many."""
    return len(tx.all("sweep_tokens", before, most))
