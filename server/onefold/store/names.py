"""Interned names: types, sites, sources and kinds are stored once and referred to by a small number."""

from onefold.store.database import Reader, Transaction


class Names:
    """The interned names. `id` interns a new one; a Reader's can only look up.

    The table is read when a name is met that is not known on this session yet.
    """

    def __init__(self, connection: Reader) -> None:
        self._connection = connection
        self._interned = connection.interned

    def id(self, text: str) -> int:
        """The number of a name, interned now if it is new. A reader gives -1, which no row has."""
        number = self._interned.ids.get(text)
        return self._look_up(text) if number is None else number

    def text(self, number: int) -> str:
        """The name behind a number."""
        if number not in self._interned.texts:
            self._read()
        return self._interned.texts[number]

    def _look_up(self, text: str) -> int:
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
