"""Browsers that send without pause, and remember what they were promised."""

import hashlib
import json
import threading
import time
import uuid
from collections import Counter
from http.client import HTTPConnection, HTTPException
from random import Random
from typing import Any, Final

from faults.endpoint import ORIGIN

_PEOPLE: Final = 200
_KIOSKS: Final = 20


class Load:
    """Clients that send one event after another until the block ends. A lost connection is opened again."""

    def __init__(self, port: int, clients: int = 8) -> None:
        self.acknowledged: list[str] = []
        self.statuses: Counter[int] = Counter()
        self.slowest = 0.0
        self._port = port
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._send, args=(Random(number),)) for number in range(clients)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def answered(self) -> int:
        """How many events have been acknowledged."""
        return len(self.acknowledged)

    def _send(self, chance: Random) -> None:
        connection = self._connect()
        while not self._stopping.is_set():
            event = _event(chance)
            begun = time.monotonic()
            try:
                headers = {"Origin": ORIGIN, "Content-Type": "text/plain"}
                connection.request("POST", "/v1/events", json.dumps(event), headers)
                answer = connection.getresponse()
                body = answer.read()
            except (OSError, HTTPException):
                connection.close()
                connection = self._connect()
                self._stopping.wait(0.05)
                continue
            self._note(event["event_id"], answer.status, body, time.monotonic() - begun)
        connection.close()

    def _note(self, event_id: str, status: int, body: bytes, seconds: float) -> None:
        with self._lock:
            self.statuses[status] += 1
            self.slowest = max(self.slowest, seconds)
            if status == 202:
                assert json.loads(body)["accepted"] == 1, body
                self.acknowledged.append(event_id)

    def _connect(self) -> HTTPConnection:
        return HTTPConnection("127.0.0.1", self._port, timeout=30)


def _event(chance: Random) -> dict[str, Any]:
    """A view or a login by one of a few people, now and then on a browser that many use."""
    person = chance.randrange(_PEOPLE)
    device = chance.randrange(_KIOSKS) if chance.random() < 0.2 else _KIOSKS + person
    identifiers = {}
    if chance.random() < 0.5:
        identifiers["email_hash"] = hashlib.sha256(str(person).encode()).hexdigest()
    if chance.random() < 0.3:
        identifiers["customer_id"] = f"C{person}"
    return {
        "event": "identity_link" if identifiers else "page_view",
        "event_id": str(uuid.uuid4()),
        "identity": {"uid": f"{uuid.UUID(int=device + 1)}.1760000000", "session_id": str(uuid.UUID(int=person))},
        "identifiers": identifiers,
        "_meta": {"ts": time.time_ns() // 1_000_000, "tier": "T1"},
    }
