"""Run the endpoint under granian. Workers build their application from the environment, so that every
one builds the same.
"""

import os
from pathlib import Path
from typing import Final

from flask import Flask
from granian import Granian
from granian.constants import Interfaces
from granian.log import LogLevels

from onefold.config import Config, load_config
from onefold.web.app import create_app

CONFIG_VARIABLE: Final = "ONEFOLD_CONFIG"
MIGRATE_VARIABLE: Final = "ONEFOLD_MIGRATE"
_THREADS: Final = 16


def endpoint() -> Flask:
    """The endpoint of this process, as the environment describes it."""
    return create_app(configured(), migrate=os.environ.get(MIGRATE_VARIABLE) != "no")


def configured() -> Config:
    """The configuration that `ONEFOLD_CONFIG` names, with the environment laid over it."""
    path = os.environ.get(CONFIG_VARIABLE)
    return load_config(Path(path) if path else None)


def run(target: str, host: str, port: int) -> None:
    """Serve a factory (`module:function`) until the process is told to stop; requests under way are finished first."""
    server = Granian(
        target,
        address=host,
        port=port,
        interface=Interfaces.WSGI,
        factory=True,
        blocking_threads=_THREADS,
        backlog=2048,
        log_level=LogLevels.error,
        websockets=False,
    )
    server.serve()
