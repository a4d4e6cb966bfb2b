"""The documentation holds together: it is fresh, its links lead somewhere, and it speaks of this project alone."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from docs.pages import ROOT, documents, page, prose

_LINK: Final = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING: Final = re.compile(r"^#+ (.*)$", re.MULTILINE)
_SKIPPED: Final = {"node_modules", "__pycache__", "build", "dist"}

# Written in two parts, so that this file does not contain them.
UNWANTED: Final = {
    "a path of one machine": re.compile("/ho" + "me/|/Us" + "ers/"),
    "a download address in a lock file": re.compile('"resol' + 'ved": *"http'),
    "a note to oneself": re.compile(r"\b(TO" + "DO|FIX" + r"ME|XX" + r"X)\b"),
}


def names() -> list[str]:
    """Every page by its path from the top."""
    return [path.relative_to(ROOT).as_posix() for path in documents()]


def anchors(text: str) -> set[str]:
    """The fragments that the headings of a page can be linked by."""
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in _HEADING.findall(prose(text)))
    return {heading.replace(" ", "-") for heading in plain}


def links(name: str) -> Iterator[str]:
    """The relative links of a page."""
    return (link for link in _LINK.findall(prose(page(name))) if "://" not in link and not link.startswith("mailto:"))


def files() -> Iterator[Path]:
    """Every text that belongs to the repository."""
    for folder in (ROOT / name for name in ("server", "sensor_js", "demo_site", "tests", "docs", ".ci")):
        yield from (path for path in folder.rglob("*") if path.is_file() and not _SKIPPED & set(path.parts))
    yield from (path for path in ROOT.iterdir() if path.suffix in (".md", ".toml", "") and path.is_file())


def test_the_generated_parts_are_fresh() -> None:
    run = subprocess.run(
        [sys.executable, str(ROOT / "docs/generate.py"), "--check"], capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


@pytest.mark.parametrize("name", names())
def test_every_relative_link_of_a_page_leads_to_a_file_and_a_heading(name: str) -> None:
    for link in links(name):
        path, _, anchor = link.partition("#")
        target = (ROOT / name).parent / path if path else ROOT / name
        assert target.exists(), link
        assert not anchor or anchor in anchors(target.read_text(encoding="utf-8")), link


def test_every_page_that_the_code_names_exists() -> None:
    sources = [path for path in files() if path.suffix in (".py", ".js", ".mjs", ".sql", ".toml")]
    named = {name for path in sources for name in re.findall(r"docs/[\w/-]+\.md", path.read_text(encoding="utf-8"))}
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


def test_the_guide_to_links_between_sites_shows_the_snippet_that_is_tested() -> None:
    snippet = (ROOT / "sensor_js/src/landing.html").read_text(encoding="utf-8")
    assert snippet.strip() in page("docs/how-to/link-sites.md")


def test_every_page_of_the_documentation_can_be_reached_from_the_readme() -> None:
    reached: set[str] = set()
    waiting = ["README.md"]
    while waiting:
        name = waiting.pop()
        if name.endswith(".md") and name not in reached:
            reached.add(name)
            targets = (((ROOT / name).parent / link.partition("#")[0]).resolve() for link in links(name))
            waiting += [target.relative_to(ROOT).as_posix() for target in targets]
    assert [name for name in names() if name.startswith("docs/") and name not in reached] == []


@pytest.mark.parametrize("what", UNWANTED)
def test_no_file_contains(what: str) -> None:
    found = []
    for path in files():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        if (hit := UNWANTED[what].search(text)) is not None:
            found.append(f"{path.relative_to(ROOT)}: {hit[0]}")
    assert found == []


@pytest.mark.parametrize("heading", ["Context", "Decision", "Consequences"])
def test_every_decision_gives_its(heading: str) -> None:
    pages = sorted((ROOT / "docs/decisions").glob("[0-9]*.md"))
    assert [path.name for path in pages if f"## {heading}\n" not in path.read_text(encoding="utf-8")] == []


def test_decisions_are_numbered_without_a_gap() -> None:
    numbers = [int(path.name[:4]) for path in sorted((ROOT / "docs/decisions").glob("[0-9]*.md"))]
    assert numbers == list(range(1, len(numbers) + 1))


def test_the_maps_name_only_what_exists() -> None:
    for name in ("README.md", "CONTRIBUTING.md"):
        named = re.findall(r"^\| `([\w./-]+/)` \|", page(name), re.MULTILINE)
        assert named
        assert [path for path in named if not (ROOT / path).exists()] == []


def test_the_map_for_contributors_names_every_folder_of_the_server() -> None:
    folders = [path.parent for path in (ROOT / "server/onefold").rglob("__init__.py")]
    named = page("CONTRIBUTING.md")
    missing = [
        folder.relative_to(ROOT).as_posix() for folder in folders if f"`{folder.relative_to(ROOT)}/`" not in named
    ]
    assert [folder for folder in missing if "migrations/versions" not in folder] == []
