"""Clients that cost little: prebuilt requests over keep-alive connections, one request at a time on each.

    python -m bench.load PORT CLIENTS FIRST COUNT

sends COUNT events of the stream `links`, numbered from FIRST, and prints what it saw as JSON.
"""

import json
import select
import socket
import sys
import time
from collections import Counter
from collections.abc import Iterator
from statistics import quantiles
from typing import Any, Final

from bench.population import links
from onefold.core.event import Event

ORIGIN: Final = "https://brand-a.example"
PEOPLE: Final = 10_000
_HEAD: Final = (
    "POST /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: {origin}\r\nReferer: {origin}/\r\nAccept: */*\r\n"
    "Accept-Encoding: gzip, deflate, br\r\nAccept-Language: en-GB,en;q=0.9\r\nContent-Type: text/plain\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/146.0.0.0 Safari/537.36"
    "\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Site: cross-site\r\nContent-Length: {length}\r\n\r\n"
)


def message(event: Event) -> dict[str, Any]:
    """The event as the sensor sends it."""
    uid, *others = event.identifiers
    return {
        "event": event.kind,
        "event_id": event.event_id,
        "identity": {"uid": uid.value, "session_id": event.session_id},
        "identifiers": {identifier.type: identifier.value for identifier in others},
        "attributes": None,
        "click_ids": None,
        "consent": {"ad_user_data": "granted", "analytics_storage": "granted"},
        "claim": None,
        "_meta": {"ts": event.ts, "tier": event.tier, "sensor": "1.0.0", **event.body},
    }


def request(event: Event) -> bytes:
    """The event as a request of the sensor."""
    body = json.dumps(message(event), separators=(",", ":")).encode()
    return _HEAD.format(origin=ORIGIN, length=len(body)).encode() + body


class Client:
    """A connection and when its request went out."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.answer = b""
        self.sent_at = 0.0

    def send(self, request: bytes) -> None:
        """Send a request."""
        self.sent_at = time.perf_counter()
        self.socket.sendall(request)

    def receive(self) -> int | None:
        """The status of the answer, once all of it is here."""
        self.answer += self.socket.recv(65_536)
        head, blank, body = self.answer.partition(b"\r\n\r\n")
        if not blank or len(body) < int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]):
            return None
        self.answer = b""
        return int(head[9:12])


def drive(port: int, clients: int, requests: Iterator[bytes]) -> tuple[float, list[float], Counter[int]]:
    """Keep every client busy until the requests are used up: seconds, latencies in seconds, and answers by status."""
    connections = {client.socket.fileno(): client for client in (Client(port) for _ in range(clients))}
    latencies: list[float] = []
    statuses: Counter[int] = Counter()
    poll = select.epoll()
    started = time.perf_counter()
    for number, client in connections.items():
        poll.register(number, select.EPOLLIN)
        client.send(next(requests))
    waiting = clients
    while waiting:
        for number, _ in poll.poll():
            client = connections[number]
            if (status := client.receive()) is None:
                continue
            latencies.append(time.perf_counter() - client.sent_at)
            statuses[status] += 1
            if (following := next(requests, None)) is None:
                waiting -= 1
            else:
                client.send(following)
    return time.perf_counter() - started, latencies, statuses


def main(port: int, clients: int, first: int, count: int) -> None:
    """Send, and print seconds, latencies in ms, and answers by status."""
    requests = [request(event) for event in links(count, PEOPLE, first)]
    seconds, latencies, statuses = drive(port, clients, iter(requests))
    cuts = quantiles(latencies, n=100)
    print(json.dumps({"seconds": seconds, "p50": cuts[49] * 1000, "p99": cuts[98] * 1000, "statuses": statuses}))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
