"""`deploy/compose.yaml` as a whole, with a Docker daemon: `make compose` (prints what it measures).

Docker builds the image and starts the proxy, web, two workers, beat and the store. The stand-ins for Jenkins and GitHub
listen on the gateway of the compose network and deliver to the proxy by TLS. The four pictures of the demo are played;
then one worker is killed, the store is restarted, and everything is stopped.
It takes ports 80 and 443, and a daemon that shares the folder; the base images may be local ones of the same names.
"""

from __future__ import annotations

import json
import os
import re
import select
import signal
import socket
import ssl
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

import click
from rich.console import Console

from bot.store.connection import connect
from demo.processes import ProcessWorld
from demo.story import Story
from demo.town import PIPELINE, Town
from demo.verbs import Spoiled
from launch import free_port
from tests.deploy.docker import PATIENCE, inspect, ready, run, source_in, wait_until_delivered

#: The network of compose.yaml, and a name that Caddy makes a certificate for by itself.
NETWORK, HOST = "interlock_inside", "localhost"
#: Where Caddy keeps the root of the certificates that it makes itself.
CADDY_ROOT = "/data/caddy/pki/authorities/local/root.crt"
#: The services of the file, with how many containers each has.
SERVICES = {"web": 1, "worker": 2, "beat": 1, "store": 1, "proxy": 1}
#: The longest that a process may take to end after SIGTERM, in seconds.
STOPS_WITHIN = 10.0


class Compose:
    """The compose file in a copy of the source, with the two files that an administrator writes."""

    def __init__(self, source: Path) -> None:
        self.source = source
        self._base = ["docker", "compose", "--file", str(source / "deploy" / "compose.yaml")]

    def __call__(self, *words: str, check: bool = True) -> str:
        return run(*self._base, *words, check=check, env={**os.environ, "INTERLOCK_HOST": HOST})

    def fit_caddy(self) -> None:
        """Change the copied Caddyfile as its comment says, where the proxy is older than 2.7 (Debian 13 has 2.6)."""
        version = self("run", "--rm", "--no-deps", "proxy", "caddy", "version").lstrip("v").split(".")
        if (int(version[0]), int(version[1])) < (2, 7):
            file = self.source / "deploy" / "proxy" / "Caddyfile"
            file.write_text(re.sub(r"request_buffers \S+", "buffer_requests", file.read_text("utf-8")), "utf-8")

    def containers(self, service: str) -> list[str]:
        """Return the ids of the running containers of a service."""
        return self("ps", "--quiet", service).split()

    def address(self, service: str) -> str:
        """Return the address of a service in the compose network."""
        networks = inspect(self.containers(service)[0])["NetworkSettings"]["Networks"]
        found: str = next(iter(networks.values()))["IPAddress"]
        return found

    def write_files(self, town: Town) -> None:
        """`interlock.yaml` of the town; `interlock.env` with all but what compose.yaml and the image say themselves."""
        pipeline = (town.folder / "interlock.yaml").read_text("utf-8")
        pipeline = pipeline.replace(f"http://{town.bind}", f"https://{HOST}")
        (self.source / "deploy" / "interlock.yaml").write_text(pipeline, "utf-8")
        ours = ("INTERLOCK_CONFIG", "INTERLOCK_DATA_DIR", "INTERLOCK_BIND")
        env = {key: value for key, value in town.env.items() if key.startswith("INTERLOCK_") and key not in ours}
        (self.source / "deploy" / "interlock.env").write_text("".join(f"{k}={v}\n" for k, v in env.items()), "utf-8")


class TlsRelay:
    """A relay from a port of loopback to the proxy, by TLS that trusts only the proxy's own root."""

    def __init__(self, port: int, root: str) -> None:
        self._context = ssl.create_default_context(cadata=root)
        self._listener = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def secure(self) -> ssl.SSLSocket:
        """Return a connection to the proxy. Raises OSError."""
        return self._context.wrap_socket(socket.create_connection((HOST, 443), 10), server_hostname=HOST)

    def _accept(self) -> None:
        with suppress(OSError):  # closed
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._relay, args=(client,), daemon=True).start()

    def _relay(self, client: socket.socket) -> None:
        """Copy bytes in both directions until one side ends. One thread, as OpenSSL wants it for a connection."""
        with suppress(OSError), client, self.secure() as proxy:
            while True:
                ready = [proxy] if proxy.pending() else select.select([client, proxy], [], [], PATIENCE)[0]
                for source, target in ((client, proxy), (proxy, client)):
                    if source in ready:
                        chunk = source.recv(65_536)
                        if not chunk:
                            return
                        target.sendall(chunk)


def gateway() -> str:
    """Return the address of this machine in the compose network: that of the network's bridge."""
    network = run("docker", "network", "inspect", "--format", "{{.Id}}", NETWORK)
    shown = json.loads(run("ip", "-4", "-json", "address", "show", "dev", f"br-{network[:12]}"))
    found: str = shown[0]["addr_info"][0]["local"]
    return found


@contextmanager
def running(compose: Compose, town: Town) -> Iterator[TlsRelay]:
    """Start all services of the file as the documentation does; yield a relay to the proxy."""
    compose.write_files(town)
    began = time.monotonic()
    compose("up", "--detach")
    root = ready("Caddy has made its certificate", lambda: compose("exec", "proxy", "cat", CADDY_ROOT, check=False))
    click.echo(f"`docker compose up` and the first certificate: {time.monotonic() - began:.1f} s")
    with closing(TlsRelay(int(town.bind.rpartition(":")[2]), root)) as relay:
        yield relay


def play(compose: Compose, town: Town, relay: TlsRelay) -> list[str]:
    """Play the four pictures, kill a worker, restart the store, stop everything; return the faults found."""
    wrong: list[str] = []
    store = f"redis://{compose.address('store')}:6379/0"
    with closing(connect(store)) as redis:
        world = ProcessWorld(town, redis, patience=PATIENCE)
        world.start()
        began = time.monotonic()
        Story(world, Console(quiet=True)).play()
        click.echo(f"the four pictures came about, through the proxy, in {time.monotonic() - began:.1f} s")
        world.let_go()
        world.wait_until("all runs have ended", lambda: not world.live())
        for letter, (what, harm) in zip("xy", HARMS.items(), strict=True):
            harm(compose)
            began = time.monotonic()
            world.push("S2", letter)
            wait_until_delivered(world, f"S2{letter}")
            click.echo(f"{what}: the next merge was delivered {time.monotonic() - began:.1f} s later")
    with closing(relay.secure()) as page:
        page.sendall(f"GET /p/{PIPELINE}/live HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
        if b"200" not in page.recv(200).splitlines()[0]:
            wrong.append("the live page does not come through the proxy")
        return wrong + stop(compose)


def kill_worker(compose: Compose) -> None:
    """SIGKILL one of the two workers; Docker starts it again (`restart: unless-stopped`)."""
    process = inspect(compose.containers("worker")[0])["State"]["Pid"]
    os.kill(process, signal.SIGKILL)


def restart_store(compose: Compose) -> None:
    """Stop the store and start it again: it reads its append-only file."""
    compose("restart", "store")


#: The harm done to the running services, by its description.
HARMS: dict[str, Callable[[Compose], None]] = {"a worker was killed": kill_worker, "the store restarted": restart_store}


def stop(compose: Compose) -> list[str]:
    """Stop the containers one by one; return those that are missing, slow to stop, or end with an error."""
    wrong = []
    for service, wanted in SERVICES.items():
        containers = compose.containers(service)
        if len(containers) != wanted:
            wrong.append(f"{service}: {len(containers)} containers run instead of {wanted}")
    for service in ("beat", "worker", "web", "proxy", "store"):
        for container in compose.containers(service):
            facts = describe(container)
            began = time.monotonic()
            run("docker", "stop", container)
            took, state = time.monotonic() - began, inspect(container)["State"]
            click.echo(f"{service}: {facts}; stopped in {took:.1f} s with {state['ExitCode']}")
            if took >= STOPS_WITHIN or state["ExitCode"] != 0:
                wrong.append(f"{service} did not stop as it must:\n{run('docker', 'logs', '--tail', '20', container)}")
    return wrong


def describe(container: str) -> str:
    """Return user, capabilities, root and health of a container, in words."""
    found = inspect(container)
    status = Path(f"/proc/{found['State']['Pid']}/status").read_text("utf-8")
    lines = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    health = found["State"].get("Health", {}).get("Status", "no health check")
    sealed = "read-only" if found["HostConfig"]["ReadonlyRootfs"] else "writable"
    return f"user {lines['Uid'].split()[0]}, capabilities {lines['CapEff'].lstrip('0') or 'none'}, {sealed}, {health}"


@click.command()
@click.option("--folder", type=click.Path(path_type=Path), help="Where the copy of the source goes.")
def main(folder: Path | None) -> None:
    """Run deploy/compose.yaml as a whole, and play the four pictures through its proxy."""
    run("docker", "info")
    with tempfile.TemporaryDirectory(prefix="interlock-compose-", dir=folder) as place, ExitStack() as stack:
        compose = Compose(source_in(Path(place)))
        for name in ("interlock.yaml", "interlock.env"):  # `create` makes the network on whose gateway the town listens
            (compose.source / "deploy" / name).touch()
        began = time.monotonic()
        compose("build", "web")
        click.echo(f"`docker compose build`: {time.monotonic() - began:.0f} s")
        compose.fit_caddy()
        stack.callback(compose, "down", "--volumes", "--timeout", "20", check=False)
        compose("create", "--pull", "missing")
        town = stack.enter_context(Town(Path(place) / "town", f"{HOST}:{free_port()}", host=gateway()))
        relay = stack.enter_context(running(compose, town))
        try:
            wrong = play(compose, town, relay)
        except Spoiled as difference:
            wrong = [f"{difference}\n{compose('logs', '--no-color', '--tail', '20')}"]
    for each in wrong:
        click.echo(f"WRONG: {each}")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
