"""What the pages show is what happens: every console block is run, in order, in a fresh folder."""

import json
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest

from docs.pages import POSTGRES, ROOT, Shell, agrees, blocks, commands, page
from support.postgres import postgres_server

Differences = dict[str, Future[str]]

RUN: Final = sorted(
    path.relative_to(ROOT).as_posix()
    for path in [*(ROOT / "docs").rglob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
    if any(block.language == "console" for block in blocks(path.read_text(encoding="utf-8")))
)


def first_difference(name: str, folder: Path) -> str:
    """Run a page in a folder; the first command that did not print what the page shows, and an empty text for none."""
    with ExitStack() as needed:
        server = None
        if POSTGRES in page(name):
            server = needed.enter_context(postgres_server())
            server.run("create database onefold")
        shell = Shell(folder, server)
        needed.callback(shell.close)
        for block in blocks(page(name)):
            if block.file:
                (folder / block.file).write_text(block.text, encoding="utf-8")
            for command in commands(block) if block.language == "console" else ():
                printed = shell.run(command.line)
                if not agrees(command.shown, printed):
                    return f"$ {command.line}\n{printed}"
        return ""


@pytest.fixture(scope="session")
def differences(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Differences]:
    """The pages whose tests were asked for, run side by side: most of their time is the start of commands."""
    specs = [item.callspec.params for item in request.session.items if hasattr(item, "callspec")]
    wanted = sorted({spec["shown_page"] for spec in specs if "shown_page" in spec})
    with ThreadPoolExecutor(max_workers=3) as pool:
        yield {name: pool.submit(first_difference, name, tmp_path_factory.mktemp("page")) for name in wanted}


@pytest.mark.parametrize("shown_page", RUN)
def test_the_commands_of_a_page_print_what_it_shows(shown_page: str, differences: Differences) -> None:
    assert differences[shown_page].result() == ""


@pytest.mark.parametrize(
    ("shown", "printed", "same"),
    [
        pytest.param("one\ntwo", "one\ntwo", True, id="equal texts agree"),
        pytest.param("one\ntwo", "one", False, id="a missing line is noticed"),
        pytest.param("", "one", False, id="output that the page does not show is noticed"),
        pytest.param("of_… since", "of_abc since", True, id="an ellipsis stands for any text of a line"),
        pytest.param("of_…", "of_abc\nmore", False, id="an ellipsis does not reach into the next line"),
        pytest.param("one\n…\nfour", "one\ntwo\nthree\nfour", True, id="a line of its own stands for any lines"),
        pytest.param("…\nfour", "one\nfive", False, id="what follows the lines left out must come"),
    ],
)
def test_the_runner_tells_agreement_from_disagreement(shown: str, printed: str, same: bool) -> None:
    assert agrees(shown, printed) == same


@pytest.mark.parametrize("path", sorted((ROOT / "docs").rglob("*.md")), ids=lambda path: path.name)
def test_json_on_a_page_is_json(path: Path) -> None:
    for block in blocks(path.read_text(encoding="utf-8")):
        if block.language == "json" and "ndjson" not in block.file:
            json.loads(block.text)
