"""The kinds of store that the contract tests run on, each as a way to make new, migrated, empty databases."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import count
from pathlib import Path
from typing import Final

from onefold.store.database import Database

NewDatabase = Callable[[], AbstractContextManager[Database]]


def new_sqlite(folder: Path) -> NewDatabase:
    """SQLite files in a folder, copied from one that was migrated once; closed and removed after their `with` block."""
    template = folder / "template.db"
    migrated = Database(f"sqlite:///{template}")
    migrated.migrate()
    migrated.close()
    numbers = count()

    @contextmanager
    def new() -> Iterator[Database]:
        path = folder / f"{next(numbers)}.db"
        shutil.copy(template, path)
        database = Database(f"sqlite:///{path}")
        try:
            yield database
        finally:
            database.close()
            for left in folder.glob(f"{path.name}*"):
                left.unlink()

    return new


STORES: Final[dict[str, Callable[[Path], NewDatabase]]] = {"sqlite": new_sqlite}
"""By name; one more store is one more line."""
