"""The door while many clients send a request very slowly: `python -m bench.slow_clients [COUNT]`.

Prints deliveries per second, p50 and p99 before and during, the number of closed slow clients with the time, and
whether a live page stayed open. `--through nginx` or `--through caddy` measures the web process alone and then behind
the file of `deploy/proxy`. Each slow client has an address of its own: a limit per address would not help.
"""

from __future__ import annotations

import hashlib
import socket
import ssl
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import click
import requests
import urllib3

from bench import bodies, proxies
from bench.house import PIPELINE, House
from bench.report import p50, p99
from bench.traffic import Load, send

COUNT, ROUND = 1_000, 1_500
#: The deliveries of one round in the comparison of proxies, and its connections.
FEWER, CONNECTIONS = 400, 8
#: Seconds: above the deadline of a request, here and in the files of `deploy/proxy`.
PATIENCE = 65.0
_HEAD = (
    "POST /webhooks/github HTTP/1.1\r\nHost: localhost\r\nX-GitHub-Event: push\r\nX-GitHub-Delivery: 1\r\n"
    f"X-Hub-Signature-256: sha256={hashlib.sha256().hexdigest()}\r\n"
)
BEGUN = {"half a head": _HEAD.encode(), "half a body": f"{_HEAD}Content-Length: 9000\r\n\r\n{{".encode()}


@dataclass
class Way:
    """The way of clients to the web process: the port, with TLS if there is a proxy in front."""

    words: str
    port: int
    tls: ssl.SSLContext | None
    #: Sends deliveries from this number on; returns their count and the result in words.
    deliver: Callable[[Way, int], tuple[int, str]]

    @property
    def url(self) -> str:
        """Return the address of the site."""
        return f"{'https' if self.tls else 'http'}://localhost:{self.port}"

    def connect(self, number: int) -> socket.socket:
        """Connect a client from an address of its own."""
        source = f"127.1.{number // 250}.{number % 250 + 1}"
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=10, source_address=(source, 0))
        return plain if self.tls is None else self.tls.wrap_socket(plain, server_hostname="localhost")


@click.command()
@click.argument("count", default=COUNT)
@click.option("--through", type=click.Choice(["nginx", "caddy"]), multiple=True, help="Behind this proxy as well.")
def main(count: int, through: tuple[str, ...]) -> None:
    """Measure both kinds of slow clients."""
    with House("web") as house:
        deliver = _one_by_one if through else _many_at_once
        first = _measure(house, Way("alone", house.web, None, deliver), count, 0)
        for program in through:
            with (
                tempfile.TemporaryDirectory(prefix="interlock-bench-") as folder,
                proxies.running(program, Path(folder), house.web) as port,
            ):
                first = _measure(house, Way(f"behind {program}", port, proxies.trusting(), deliver), count, first)


def _measure(house: House, way: Way, count: int, first: int) -> int:
    first, _ = way.deliver(way, first)  # warm-up
    for name, begun in BEGUN.items():
        first, figures = way.deliver(way, first)
        print(f"{way.words}, without slow clients: {figures}", flush=True)
        live = way.connect(count)
        live.sendall(f"GET /p/{PIPELINE}/live HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        clients = [way.connect(number) for number in range(count)]
        for client in clients:
            client.sendall(begun)
        began, stop = time.monotonic(), threading.Event()
        dripping = threading.Thread(target=_drip, args=(clients, stop))
        dripping.start()
        first, figures = way.deliver(way, first)
        print(f"{way.words}, {count} clients with {name}, one byte a second: {figures}")
        print(f"  connections to the web process: {proxies.connections(house.web)}", flush=True)
        closed = sum(_is_closed(client, began + PATIENCE) for client in clients)
        print(f"  {closed} of {count} closed after {time.monotonic() - began:.0f} s")
        print(f"  the live page is {'open' if not _is_closed(live, time.monotonic() + 1) else 'CLOSED'}", flush=True)
        stop.set()
        dripping.join()
        for client in (live, *clients):
            client.close()
    return first


def _many_at_once(way: Way, first: int) -> tuple[int, str]:
    sent = send(Load(way.port, "/webhooks/github", "push", first, ROUND))
    return first + ROUND, f"{sent.rate:.0f}/s, p50 {p50(sent.latencies):.1f} ms, p99 {p99(sent.latencies):.1f} ms"


def _one_by_one(way: Way, first: int) -> tuple[int, str]:
    """Deliver by clients with TLS and kept connections. They are slow: the figures only compare ways."""
    sessions = [requests.Session() for _ in range(CONNECTIONS)]
    for session in sessions:  # the TLS handshake is done before the clock starts
        session.get(f"{way.url}/healthz", timeout=10, verify=False)
    began = time.monotonic()
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        shares = [range(first + number, first + FEWER, CONNECTIONS) for number in range(CONNECTIONS)]
        results = [each for found in pool.map(partial(_deliver, way), sessions, shares) for each in found]
    seconds = time.monotonic() - began
    took = [each for each in results if each is not None]
    figures = f"{len(took) / seconds:.0f}/s, p50 {p50(took):.0f} ms, p99 {p99(took):.0f} ms" if took else "none"
    return first + FEWER, f"{figures}, {FEWER - len(took)} of {FEWER} failed"


def _deliver(way: Way, session: requests.Session, share: range) -> list[float | None]:
    """Return the milliseconds of each delivery; None: it was not accepted."""
    found: list[float | None] = []
    for index in share:
        content = bodies.body("push", *bodies.push(index))
        head, _, _ = bodies.request("/webhooks/github", "push", f"slow-{index}", content).partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[2:])  # no Host: Caddy minds
        began, status = time.monotonic(), 0
        with suppress(requests.RequestException):
            status = session.post(
                f"{way.url}/webhooks/github", content, headers=headers, timeout=10, verify=False
            ).status_code
        found.append((time.monotonic() - began) * 1e3 if status == 202 else None)
    session.close()
    return found


def _drip(clients: list[socket.socket], stop: threading.Event) -> None:
    while not stop.wait(1.0):
        for client in clients:
            with suppress(OSError):
                client.send(b"x")


def _is_closed(client: socket.socket, until: float) -> bool:
    """Return whether the other side closes the connection in time; drop the data that it still sends."""
    try:
        while (left := until - time.monotonic()) > 0:
            client.settimeout(left)
            if not client.recv(4096):
                return True
    except TimeoutError:
        return False
    except OSError:
        return True  # a reset counts as closed
    return False


if __name__ == "__main__":
    urllib3.disable_warnings()  # the proxy's certificate is self-signed
    main()
