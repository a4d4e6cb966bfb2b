"""The desk where cross-domain tokens are issued, looked up and redeemed. Redeeming one is an event like any other."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Final

from onefold.core.consent import Permitted
from onefold.core.tokens import Record
from onefold.engine.groupcommit import GroupCommit, Overdue
from onefold.engine.ingest import Ingest, Taken
from onefold.errors import OnefoldError
from onefold.store.database import Contended, Database
from onefold.store.graph_store import known_events
from onefold.store.names import Names
from onefold.store.token_store import add_tokens, find_token, sweep_tokens

_SWEEP_EVERY_MS: Final = 60_000
_SWEEP_MOST: Final = 1_000
_PATIENCE_SECONDS: Final = 5.0


class TokenDesk:
    """Keeps the records of tokens, written in groups; those that expired are swept when new ones are written.

    Nothing of this waits on disk while the store is away, as events do: a token lives for minutes, and whether it
    works is the answer.
    """

    def __init__(self, database: Database, ingest: Ingest) -> None:
        self._database = database
        self._ingest = ingest
        self._group: GroupCommit[Record, None] = GroupCommit(self._write)
        self._sweep_at = 0

    def keep(self, record: Record) -> None:
        """Store a record; returns once every process can find it. Raises `unavailable`."""
        with self._in_time():
            self._group.submit_within([record], _PATIENCE_SECONDS)

    def find(self, event_id: str) -> Record:
        """The record of a token that nobody has redeemed yet. Raises `token_used`, `token_expired`.

        A token found unused may be used a moment later: only the journal, which takes its event id once, decides.
        """
        with self._database.snapshot() as reader:
            if known_events(reader, [event_id]):
                raise _used()
            record = find_token(reader, Names(reader), event_id)
        if record is None:
            raise OnefoldError("token_expired", "The token is known no more; the next link carries a fresh one.")
        return record

    def redeem(self, permitted: Permitted) -> Taken:
        """Hand the link to the engine. Raises `token_used` where the journal has it already, and `unavailable`; a link
        that was overdue may still be made.
        """
        with self._in_time():
            (taken,) = self._ingest.take_late([permitted], _PATIENCE_SECONDS)
        if taken.duplicate:
            raise _used()
        return taken

    def close(self) -> None:
        """Write what was handed over, and end the thread that does."""
        self._group.close()

    @contextmanager
    def _in_time(self) -> Iterator[None]:
        """Say "try again later" where the store is away, without waiting for it, or does not answer in time."""
        if self._ingest.store_away:
            raise OnefoldError("unavailable", "The store does not answer right now.")
        try:
            yield
        except Overdue:
            raise OnefoldError("unavailable", "The store did not answer in time.") from None

    def _write(self, records: Sequence[Record]) -> list[None]:
        with self._database.transaction(alone=False) as tx:
            add_tokens(tx, Names(tx), records)
        if (now := records[-1].minted_at) >= self._sweep_at:
            with suppress(Contended, OnefoldError):  # the new tokens are safe; a later minting sweeps
                self._sweep(now)
        return [None] * len(records)

    def _sweep(self, now: int) -> None:
        """Once a minute, a bounded number at a time; with the next minting again while there are more."""
        with self._database.transaction(alone=False) as tx:
            swept = sweep_tokens(tx, now, _SWEEP_MOST)
        self._sweep_at = now if swept == _SWEEP_MOST else now + _SWEEP_EVERY_MS


def _used() -> OnefoldError:
    return OnefoldError("token_used", "The token was redeemed before; each one works once.")
