"""Write the generated parts of the documentation: everything between `<!-- generated: NAME -->` and `<!-- end -->`.

Run `python docs/generate.py` after changing a command or building the sensor; with `--check` nothing is written, and
the exit code is 1 when a page is stale.
"""

import argparse
import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import click

from onefold.cli import main as onefold
from onefold.cli import script_tag

ROOT: Final = Path(__file__).parents[1]
_PART: Final = re.compile(r"(<!-- generated: ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def pages() -> list[Path]:
    """Every page that may have a generated part."""
    return sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def fresh(text: str) -> str:
    """A page's text with its generated parts as they should be. Raises KeyError for a part that nobody generates."""
    return _PART.sub(lambda part: f"{part[1]}{PARTS[part[2]]().strip()}\n{part[3]}", text)


# The command line.


def commands() -> str:
    """A section for each command."""
    return "\n".join(_section(path, command) for path, command in each_command(onefold, "onefold"))


def each_command(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    """Every command below a group with its full name, in alphabetical order; groups themselves only where they act."""
    if not isinstance(command, click.Group):
        yield path, command
        return
    for name, child in sorted(command.commands.items()):
        yield from each_command(child, f"{path} {name}")


def _section(path: str, command: click.Command) -> str:
    context = click.Context(command, info_name=path)
    usage = " ".join([path, *command.collect_usage_pieces(context)])
    example = (command.epilog or "").removeprefix("Example: ")
    lines = [f"## {path}", "", _help_of(command), "", "```text", usage, "```", ""]
    rows = [_row(context, parameter) for parameter in command.params]
    if rows:
        lines += ["| argument or option | meaning |", "|---|---|", *rows, ""]
    return "\n".join([*lines, "Example:", "", "```sh", example, "```", ""])


def _help_of(command: click.Command) -> str:
    return " ".join((command.help or "").split())


def _row(context: click.Context, parameter: click.Parameter) -> str:
    name = parameter.make_metavar(context) if isinstance(parameter, click.Argument) else _spelling(context, parameter)
    cells = [f"`{name}`", _meaning(context, parameter)]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _spelling(context: click.Context, parameter: click.Parameter) -> str:
    spelled = ", ".join([*parameter.opts, *parameter.secondary_opts])
    is_flag = isinstance(parameter, click.Option) and (parameter.is_flag or parameter.count)
    return spelled if is_flag else f"{spelled} {parameter.make_metavar(context)}"


def _meaning(context: click.Context, parameter: click.Parameter) -> str:
    if not isinstance(parameter, click.Option):
        return "required" if parameter.required else "optional"
    text = " ".join((parameter.help or "").split())
    if isinstance(parameter.show_default, str):
        return f"{text} Default: {parameter.show_default}."
    shown = parameter.get_default(context) if parameter.show_default else None
    return text if shown is None else f"{text} Default: `{shown}`."


# The sensor.


def _sizes() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = json.loads((ROOT / "sensor_js/dist/sizes.json").read_text(encoding="utf-8"))
    return found


def sizes() -> str:
    """The built files with their sizes in bytes."""
    rows = [f"| `{name}` | {size['raw']:,} | {size['gz']:,} |" for name, size in sorted(_sizes().items())]
    return "\n".join(["| file | bytes | bytes, gzip |", "|---|---|---|", *rows])


def integrity() -> str:
    """The built files with their SRI hashes."""
    rows = [f"| `{name}` | `{size['sri']}` |" for name, size in sorted(_sizes().items())]
    return "\n".join(["| file | integrity |", "|---|---|", *rows])


def tag() -> str:
    """What to paste into a page."""
    return f"```html\n{script_tag('https://id.example.com')}\n```"


PARTS: Final[dict[str, Callable[[], str]]] = {
    "commands": commands,
    "sensor-integrity": integrity,
    "sensor-sizes": sizes,
    "script-tag": tag,
}


def main() -> int:
    """Write, or check. Returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when a page is stale")
    check = parser.parse_args().check
    stale = [page for page in pages() if fresh(page.read_text(encoding="utf-8")) != page.read_text(encoding="utf-8")]
    for page in stale:
        print(f"{page.relative_to(ROOT)}: {'stale, run python docs/generate.py' if check else 'written'}")
        if not check:
            page.write_text(fresh(page.read_text(encoding="utf-8")), encoding="utf-8")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
