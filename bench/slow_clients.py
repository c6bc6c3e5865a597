"""The door while many clients have begun a request and do not end it: `python -m bench.slow_clients [COUNT]`.

Prints deliveries per second, p50 and p99 before and during, and how many of the slow clients were closed by when.
"""

from __future__ import annotations

import hashlib
import socket
import sys
import threading
import time
from contextlib import suppress

from bench.house import House
from bench.report import p50, p99
from bench.traffic import Load, send

COUNT, ROUND = 1_000, 1_500
#: Seconds: above the deadline of a request.
PATIENCE = 25.0
_HEAD = (
    "POST /webhooks/github HTTP/1.1\r\nHost: x\r\nX-GitHub-Event: push\r\nX-GitHub-Delivery: 1\r\n"
    f"X-Hub-Signature-256: sha256={hashlib.sha256().hexdigest()}\r\n"
)
BEGUN = {"half a head": _HEAD.encode(), "half a body": f"{_HEAD}Content-Length: 9000\r\n\r\n{{".encode()}


def main() -> None:
    """Measure both kinds."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else COUNT
    with House("web") as house:
        first = _deliver(house, 0, "to warm up")
        for name, begun in BEGUN.items():
            first = _deliver(house, first, "without slow clients")
            clients = [socket.create_connection(("127.0.0.1", house.web), timeout=5) for _ in range(count)]
            for client in clients:
                client.sendall(begun)
            began, stop = time.monotonic(), threading.Event()
            dripping = threading.Thread(target=_drip, args=(clients, stop))
            dripping.start()
            first = _deliver(house, first, f"{count} clients with {name}, one byte a second")
            closed = sum(_is_closed(client, began + PATIENCE) for client in clients)
            print(f"  {closed} of {count} closed after {time.monotonic() - began:.0f} s", flush=True)
            stop.set()
            dripping.join()
            for client in clients:
                client.close()


def _deliver(house: House, first: int, words: str) -> int:
    sent = send(Load(house.web, "/webhooks/github", "push", first, ROUND))
    figures = f"{sent.rate:.0f}/s, p50 {p50(sent.latencies):.1f} ms, p99 {p99(sent.latencies):.1f} ms"
    print(f"{words}: {figures}", flush=True)
    return first + ROUND


def _drip(clients: list[socket.socket], stop: threading.Event) -> None:
    while not stop.wait(1.0):
        for client in clients:
            with suppress(OSError):
                client.send(b"x")


def _is_closed(client: socket.socket, until: float) -> bool:
    client.settimeout(max(0.01, until - time.monotonic()))
    try:
        while client.recv(4096):
            pass
    except TimeoutError:
        return False
    except OSError:
        return True  # torn down: closed as well
    return True


if __name__ == "__main__":
    main()
