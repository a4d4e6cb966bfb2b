"""Processes of one endpoint that redeem the same token at the same moment."""

import multiprocessing
import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from onefold.config import Config
from support.tokens import Web

PROCESSES: Final = 4
THREADS: Final = 50
ROUNDS: Final = int(os.environ.get("ONEFOLD_RACE_ROUNDS", "3"))
_PATIENCE_SECONDS: Final = 120

Answer = tuple[str, int, str]
"""Who asked, and the status and code of the answer."""


def race(config: Config, tokens: Sequence[str]) -> list[list[Answer]]:
    """For each token, what everybody was answered who tried to redeem it, all at once, each with a uid of their own."""
    spawn = multiprocessing.get_context("spawn")
    start, answers = spawn.Barrier(PROCESSES), spawn.Queue()
    runners = [spawn.Process(target=_run, args=(config, number, tokens, start, answers)) for number in range(PROCESSES)]
    for runner in runners:
        runner.start()
    try:
        found = [answers.get(timeout=_PATIENCE_SECONDS) for _ in range(PROCESSES)]
    finally:
        for runner in runners:
            runner.join(_PATIENCE_SECONDS)
            runner.kill()
    return [[answer for process in found for answer in process[place]] for place in range(len(tokens))]


def _run(config: Config, number: int, tokens: Sequence[str], start: Any, answers: Any) -> None:
    """One process: for each token, all threads at once, at the moment when all processes are ready."""
    web = Web(config)
    together = threading.Barrier(THREADS)
    found = []
    with ThreadPoolExecutor(THREADS) as pool:
        for place, token in enumerate(tokens):
            start.wait(_PATIENCE_SECONDS)
            uids = [_uid(place, number * THREADS + thread) for thread in range(THREADS)]
            found.append(list(pool.map(lambda uid, token=token: _redeem(web, token, uid, together), uids)))
    web.state.close()
    answers.put(found)


def _redeem(web: Web, token: str, uid: str, together: threading.Barrier) -> Answer:
    together.wait(_PATIENCE_SECONDS)
    response = web.redeem(token, uid=uid)
    return uid, response.status_code, response.get_json().get("code", "linked")


def _uid(place: int, racer: int) -> str:
    return f"bbbbbbbb-{place:04x}-4222-8222-{racer:012x}.1760000000"
