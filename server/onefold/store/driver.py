"""What a database must offer to be Onefold's store. `sqlite` and `postgres` are the two drivers."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

from onefold.errors import OnefoldError

Row = tuple[Any, ...]
Answer = Callable[[], Iterable[Row]]
"""Rows that were asked for, when they are needed: a database that is another process looks them up meanwhile."""


class Contended(OnefoldError):
    """Somebody else's transaction was in the way and this one is undone: begin again."""

    def __init__(self) -> None:
        super().__init__("unavailable", "Another transaction was in the way; try again.")


class Unfit(OnefoldError):
    """The database will not do as it is configured, however long one waits: an operator has to see to it."""

    def __init__(self, reason: str) -> None:
        super().__init__("unavailable", f"{reason} Waiting does not help: correct store.url, or the database.")


@dataclass(frozen=True, slots=True)
class Interned:
    """The interned names that were read on a session, both ways.

    A committed name keeps its number, so they stay true for as long as the session does. They are kept with it and not
    for longer: a server that comes back without its last transactions has lost its sessions too.
    """

    ids: dict[str, int] = field(default_factory=dict)
    texts: dict[int, str] = field(default_factory=dict)

    def copy(self) -> "Interned":
        """The same names, to add others to."""
        return Interned(dict(self.ids), dict(self.texts))


class Connection(Protocol):
    """Named queries inside one transaction.

    `alone` says that no other transaction writes while this one is open; `interned` is kept with the session, for the
    transactions that come after.
    """

    alone: bool
    interned: Interned

    def ask(self, name: str, parameters: Sequence[Any]) -> list[Row]:
        """All rows of a query."""

    def ask_each(self, name: str, rows: Sequence[Sequence[Any]]) -> Iterable[Row]:
        """The answers for many rows of parameters at once."""

    def ask_ahead(self, name: str, parameters: Sequence[Any]) -> Answer:
        """As `ask`, answered when the answer is taken; to be taken before anything is written that it is about."""

    def ask_each_ahead(self, name: str, rows: Sequence[Sequence[Any]]) -> Answer:
        """As `ask_each`, answered when the answer is taken."""

    def write(self, name: str, rows: Sequence[Sequence[Any]]) -> None:
        """Run a statement for many rows at once."""

    def write_each(self, name: str, rows: Sequence[Sequence[Any]]) -> None:
        """Run a statement that takes one row at a time, for each row."""

    def write_apart(self, name: str, parameters: Sequence[Any]) -> None:
        """Run a statement whose effect others may see before this transaction ends, and even if it is undone."""

    def moment(self) -> Answer:
        """What tells which transactions have ended so far: see `Transaction.moment`."""

    def lock(self, keys: Sequence[tuple[int, bool]]) -> None:
        """Lock these keys to the end: see `Transaction.lock`."""

    def take_positions(self, count: int) -> Iterator[int]:
        """Journal positions that nobody has, ascending: above all that were taken before."""

    def stand_in_ledger_line(self) -> None:
        """Wait until nobody else appends to the ledger, and keep everybody from it to the end."""


class Driver(Protocol):
    """One database. Every method raises `unavailable` when it cannot be used right now; Unfit, which is a kind of that,
    when it never can as it is configured.
    """

    name: str
    dialect: str
    many_writers: bool

    def exists(self) -> bool:
        """Whether there is a database to ask."""

    def reading(self) -> AbstractContextManager[Connection]:
        """A consistent view."""

    def writing(self, alone: bool) -> AbstractContextManager[Connection]:
        """A transaction: commits at the end, rolls back on any exception. Raises Contended."""

    def connect(self) -> Any:
        """A DBAPI connection for migrations, which come one at a time."""

    def trouble(self, error: BaseException | None) -> OnefoldError | None:
        """What an error of such a connection means; None where it is a defect of ours."""

    def close(self) -> None:
        """Close every connection that is not in use."""
