"""The `onefold` command. Exit codes: 0 ok, 1 the answer is no, 2 usage, 3 could not."""

from onefold.cli import ask, correct, files, judge, keys, run, tokens
from onefold.cli.base import main
from onefold.cli.run import script_tag

__all__ = ["ask", "correct", "files", "judge", "keys", "main", "run", "script_tag", "tokens"]
