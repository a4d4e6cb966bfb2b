"""How texts lie in rows: types, sites, sources and kinds as small numbers that are stored once, all others packed."""

from collections.abc import Callable

from onefold.store.database import Reader, Transaction
from onefold.store.packing import Packed


class _Numbers(dict[str, int]):
    """The numbers of names, looked up as they are met."""

    def __init__(self, look_up: Callable[[str], int]) -> None:
        self._look_up = look_up

    def __missing__(self, text: str) -> int:
        number = self[text] = self._look_up(text)
        return number


class Names:
    """The interned names. `numbers` interns a new one; a Reader's has -1 for it, which no row has. `packed` has all
    other texts, packed.

    The table is read when a name is met that is not known on this session yet.
    """

    def __init__(self, connection: Reader) -> None:
        self._connection = connection
        self._interned = connection.interned
        self.numbers = _Numbers(self._look_up)
        self.packed = Packed()

    def id(self, text: str) -> int:
        """The number of a name, interned now if it is new."""
        return self.numbers[text]

    def text(self, number: int) -> str:
        """The name behind a number."""
        if number not in self._interned.texts:
            self._read()
        return self._interned.texts[number]

    def _look_up(self, text: str) -> int:
        if text not in self._interned.ids:
            self._read()
        while (number := self._interned.ids.get(text)) is None:  # again when another process took the same number
            if not isinstance(self._connection, Transaction):
                return -1
            self._connection.run_apart("add_name", text, text)
            self._read()
        return number

    def _read(self) -> None:
        self._interned = self._connection.interned
        for number, text in self._connection.all("names"):
            self._interned.ids[text], self._interned.texts[number] = number, text
