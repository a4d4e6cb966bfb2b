"""Run the endpoint under granian. Workers build their application from the environment, so that every
one builds the same.
"""

import gc
import os
import shutil
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.util import Finalize
from pathlib import Path
from typing import Final

from flask import Flask
from granian import Granian
from granian.constants import Interfaces
from granian.log import LogLevels

from onefold.config import CONFIG_VARIABLE, Config, load_config
from onefold.errors import ConfigError
from onefold.web.app import create_app
from onefold.web.front import Front
from onefold.web.metrics import share_between_processes
from onefold.web.state import State

MIGRATE_VARIABLE: Final = "ONEFOLD_MIGRATE"
_PATIENCE_SECONDS: Final = 30
"""How long a worker may take to end. What it has answered for is safe by then; what hangs is not waited for."""

_PARENT_CHECK_SECONDS: Final = 0.25
_COLLECTED_AFTER: Final = 20_000
"""How many objects more than were freed are made before cycles are looked for."""


def endpoint() -> Front:
    """The endpoint of this process, as the environment describes it."""
    end_when_told()
    die_with_parent()
    try:
        return looked_after(create_app(configured(), migrate=os.environ.get(MIGRATE_VARIABLE) != "no"))
    except ConfigError as error:
        print(f"onefold: {error}", file=sys.stderr)
        sys.exit(2)


def looked_after(app: Flask) -> Front:
    """The application of a worker: what waits in the spool is brought to the store, and all is closed in the end."""
    state: State = app.extensions["onefold"]
    state.reconciler.start()
    Finalize(None, state.close, exitpriority=1)  # atexit is not run in a worker that was forked
    front = Front(app)
    look_rarely_for_cycles()
    return front


def look_rarely_for_cycles() -> None:
    """What is there when a process has started stays for good, and need not be walked over and over while everybody
    waits; requests leave few cycles behind, and some hundred objects each.
    """
    gc.freeze()
    gc.set_threshold(_COLLECTED_AFTER)


def configured() -> Config:
    """The configuration that `ONEFOLD_CONFIG` names, with the environment laid over it."""
    path = os.environ.get(CONFIG_VARIABLE)
    return load_config(Path(path) if path else None)


def end_when_told() -> None:
    """End at once when told so before the server has begun, which then sees to it: until then a worker has the handlers
    of the process it was forked from, which would only take a note, and that process waits for it.

    Ctrl-C is for that process alone: it tells its workers, and told twice in two ways they may hang.
    """
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})


def die_with_parent() -> None:
    """End this worker when the process that started it is gone: killed outright, it cannot say so itself."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_PARENT_CHECK_SECONDS)
        os._exit(1)  # what was answered is committed; nobody is left to finish the rest for

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()


def check_free(host: str, port: int) -> None:
    """Raise ConfigError when another program listens there already."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ConfigError(f"cannot listen on {host}:{port} ({error.strerror}); choose another --port") from None


def run(target: str, host: str, port: int, processes: int = 1) -> None:
    """Serve a factory (`module:function`) until the process is told to stop; requests under way are finished first.

    Where several processes serve, one that ends unexpectedly is started again.
    """
    server = Granian(
        target,
        address=host,
        port=port,
        interface=Interfaces.RSGI,
        factory=True,
        workers=processes,
        respawn_failed_workers=processes > 1,
        backlog=2048,
        log_level=LogLevels.error,
        websockets=False,
        workers_kill_timeout=_PATIENCE_SECONDS,
    )
    with _counting_together(processes):
        server.serve()


@contextmanager
def _counting_together(processes: int) -> Iterator[None]:
    """Let several processes count together; one counts in its memory."""
    if processes == 1:
        yield
        return
    folder = share_between_processes()
    try:
        yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)
