"""Read a page of the documentation, and run the commands it shows.

A ```` ```console ```` block is run: lines after `$ ` are typed, the lines below them must come out. `…` stands for any
text, on a line of its own for any number of lines. A block whose fence names a file (```` ```json events.ndjson ````)
is that file. Other blocks are shown only.
"""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from onefold.store.database import Database
from support.postgres import Server

ROOT: Final = Path(__file__).parents[2]
PORT: Final = "8000"
"""The port in the text; a free one takes its place when the page is run."""

POSTGRES: Final = "postgresql://onefold@db.example/onefold"
"""The PostgreSQL database in the text; a page that names it is run with a real one."""

_FENCE: Final = re.compile(r"^```([\w-]*)[ \t]*(\S*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_END: Final = "--- end of output"
_PATIENCE_SECONDS: Final = 60


class Block(NamedTuple):
    """A fenced block: its language, the file it is (or an empty text), and what is in it."""

    language: str
    file: str
    text: str


class Command(NamedTuple):
    """A command of a console block and the output that the page shows below it."""

    line: str
    shown: str


def documents() -> list[Path]:
    """Every page: those at the top and those in docs/."""
    return sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "server").rglob("*.md")])


def page(name: str) -> str:
    """The text of a page, by its path from the top."""
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(text: str) -> list[Block]:
    """The fenced blocks of a page, in order."""
    return [Block(*found) for found in _FENCE.findall(text)]


def prose(text: str) -> str:
    """A page without its fenced blocks."""
    return _FENCE.sub("", text)


def table(text: str, heading: str) -> dict[str, list[str]]:
    """The rows of the first table below a heading, by the code in their first cell; cells are stripped.

    Raises KeyError where the page has no such heading.
    """
    parts = re.split(r"^#+ (.*)$", text, flags=re.MULTILINE)
    section = dict(zip(parts[1::2], parts[2::2], strict=True))[heading]
    first = re.findall(r"(?:^\|.*\n)+", section, re.MULTILINE)[:1]
    rows = re.findall(r"^\| `([^`]+)` \|(.*)\|$", "".join(first), re.MULTILINE)
    return {name: [cell.strip() for cell in re.split(r"(?<!\\)\|", rest)] for name, rest in rows}


def commands(block: Block) -> Iterator[Command]:
    """The commands of a console block."""
    for piece in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        line, _, shown = piece.partition("\n")
        while line.endswith("\\"):
            more, _, shown = shown.partition("\n")
            line = line[:-1] + more.removeprefix("> ").lstrip()
        yield Command(line, shown.strip("\n"))


def agrees(shown: str, printed: str) -> bool:
    """Whether what was printed is what the page shows."""
    pattern = "\n".join(
        "(?:.*\n)*?.*" if line.strip() == "…" else ".*?".join(map(re.escape, line.rstrip().split("…")))
        for line in shown.splitlines()
    )
    tidy = "\n".join(line.rstrip() for line in printed.strip("\n").splitlines())
    return re.fullmatch(pattern, tidy) is not None


class Shell:
    """One shell in one folder, as a reader would use it; everything it started ends with it."""

    def __init__(self, folder: Path, server: Server | None = None) -> None:
        self.port = str(_free_port())
        self.folder = folder
        self._postgres = "" if server is None else server.url("onefold")
        self._postgres_name = "" if server is None else Database(self._postgres).name
        programs = "" if server is None else f"{server.programs}{os.pathsep}"
        kept = {name: value for name, value in os.environ.items() if not name.startswith("ONEFOLD_")}
        path = f"{Path(sys.executable).parent}{os.pathsep}{programs}{kept.get('PATH', '')}"
        self._shell = subprocess.Popen(
            ["/bin/bash", "--norc", "--noprofile"],
            cwd=folder,
            env={**kept, "PATH": path, "COLUMNS": "120", "HOME": str(folder), "NO_COLOR": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            start_new_session=True,
        )

    def run(self, line: str) -> str:
        """Type a command; returns what it printed, with the page's own port in it."""
        assert self._shell.stdin is not None
        typed = line.replace(PORT, self.port).replace(POSTGRES, self._postgres)
        self._shell.stdin.write(f"{typed}\necho; echo '{_END}'\n")
        self._shell.stdin.flush()
        impatience = threading.Timer(_PATIENCE_SECONDS, self._end)
        impatience.start()
        try:
            return self._answer(line)
        finally:
            impatience.cancel()

    def _answer(self, line: str) -> str:
        assert self._shell.stdout is not None
        printed = ""
        for read in self._shell.stdout:
            if read.startswith(_END):
                return self._as_shown(printed)
            printed += read
        raise AssertionError(f"the shell ended at {line!r}: {printed}")

    def _as_shown(self, printed: str) -> str:
        """What was printed, with the page's own port and database."""
        if self._postgres:
            printed = printed.replace(self._postgres_name, POSTGRES)
        return printed.strip("\n").replace(self.port, PORT)

    def close(self) -> None:
        """End the shell and what it started."""
        self._end()
        self._shell.communicate(timeout=_PATIENCE_SECONDS)

    def _end(self) -> None:
        os.killpg(self._shell.pid, signal.SIGKILL)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
