"""Interned names: types, sites, sources and kinds are stored once and referred to by a small number."""

from onefold.store.database import Reader, Transaction


class Names:
    """The interned names as far as a transaction knows them. `id` interns a new one; a Reader's copy
    can only look up.
    """

    def __init__(self, connection: Reader) -> None:
        self._connection = connection
        self._ids: dict[str, int] = {}
        self._texts: dict[int, str] = {}
        self._read()

    def id(self, text: str) -> int:
        """The number of a name, interned now if it is new. A reader gives -1, which no row has."""
        while (number := self._ids.get(text)) is None:  # again when another process took the same number
            if not isinstance(self._connection, Transaction):
                return -1
            self._connection.run_apart("add_name", text, text)
            self._read()
        return number

    def text(self, number: int) -> str:
        """The name behind a number."""
        if number not in self._texts:  # interned by another process since, which has written rows with it already
            self._read()
        return self._texts[number]

    def _read(self) -> None:
        for number, text in self._connection.all("names"):
            self._ids[text], self._texts[number] = number, text
