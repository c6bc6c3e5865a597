"""A replicated store on loopback: real servers, one of them the master, and three real sentinels."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from redis import Redis
from redis.exceptions import RedisError
from redis.sentinel import Sentinel

from launch import free_port
from launch.embedded import find_server

MASTER = "mymaster"
HOST = "127.0.0.1"
#: The time after which a silent master counts as down, and the longest time of a fail-over; milliseconds.
DOWN_AFTER, FAILOVER_TIMEOUT = 400, 1_000
#: The longest wait for anything here, in seconds.
PATIENCE = 20.0


@dataclass
class Node:
    """One server process."""

    port: int
    folder: Path
    command: list[str]
    process: subprocess.Popen[bytes] | None = None

    def start(self, *more: str) -> None:
        log = (self.folder / f"{self.port}.log").open("ab")
        with log:
            self.process = subprocess.Popen([*self.command, *more], stdout=log, stderr=log)

    def kill(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait(5)
            self.process = None


@dataclass(frozen=True)
class Secure:
    """The files of TLS: the certificate and key of the servers, and the authority that clients trust."""

    certificate: Path
    key: Path
    authority: Path


@dataclass
class Replicated:
    """A context manager: `servers` servers, the first one the master of the others, and three sentinels."""

    folder: Path
    servers: int = 2
    secure: Secure | None = None
    #: The server's program; None: the one of all other tests, which has no TLS.
    program: Path | None = None
    #: The time after which a silent master counts as down, in milliseconds. A replica without contact to the master for
    #: ten times as long before that is not promoted.
    down_after: int = DOWN_AFTER
    password: str = field(default_factory=lambda: secrets.token_hex(8) + "@/:%")
    sentinel_password: str = field(default_factory=lambda: secrets.token_hex(8))
    nodes: dict[int, Node] = field(default_factory=dict)
    sentinels: dict[int, Node] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Return the address for the settings."""
        hosts = ",".join(f"{HOST}:{port}" for port in self.sentinels)
        scheme, more = "redis+sentinel", ""
        if self.secure is not None:
            scheme, more = "rediss+sentinel", f"&ssl_ca_certs={self.secure.authority}"
        who = quote(self.password, safe="")
        return f"{scheme}://:{who}@{hosts}/{MASTER}/0?sentinel_password={self.sentinel_password}{more}"

    def __enter__(self) -> Replicated:
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for node in (*self.sentinels.values(), *self.nodes.values()):
            node.kill()

    # -- faults ------------------------------------------------------------------------------------

    def master(self) -> int:
        """Return the port of the master, from the sentinels."""
        return int(self._ask_sentinels().discover_master(MASTER)[1])

    def failover(self) -> None:
        """Ask a sentinel for an orderly fail-over, and wait until another server is the master."""
        before = self.master()
        until(lambda: self._asked_to_fail_over(), "a sentinel takes the request")
        until(lambda: self.master() != before, "another server is the master")

    def kill_master(self) -> int:
        """Kill the master, wait for another, and return the port of the dead one for `revive`."""
        before = self.master()
        self.nodes[before].kill()
        until(lambda: self.master() != before, "another server is the master")
        return before

    def revive(self, port: int) -> None:
        """Start a dead server again; a sentinel would make it a replica in about 10 s, this does so at once."""
        self.nodes[port].start("--replicaof", HOST, str(self.master()))

    def cut_off(self) -> Callable[[], None]:
        """Cut the replicas off from the master; return the function that reconnects them.

        The writes that the master acknowledges meanwhile are lost if it is killed.
        """
        master = self.client(self.master())
        replicas = [self.client(port) for port in self.nodes if port != self.master()]
        for replica in replicas:
            replica.config_set("masterauth", "wrong")
        master.client_kill_filter(_type="replica")
        master.close()

        def heal() -> None:
            for replica in replicas:
                with suppress(RedisError):  # it was killed meanwhile: it begins with the right password
                    replica.config_set("masterauth", self.password)
                replica.close()

        return heal

    def settled(self) -> bool:
        """Return whether all replicas are loaded and follow the master, and all sentinels know it."""
        try:
            master = self.master()
            following = [self._follows(port) for port in self.nodes if port != master]
            masters = {self._known_by(port)["port"] for port in self.sentinels}
        except (RedisError, KeyError):
            return False
        return all(following) and masters == {master}

    def _follows(self, port: int) -> bool:
        """Return whether a replica has loaded its master's data: before that it would be promoted with old data."""
        with self.client(port) as replica:
            found: Any = replica.info("replication")
        link = (found.get("master_link_status"), int(found.get("master_sync_in_progress", 1)))
        return link == ("up", 0) and int(found["master_port"]) == self.master()

    def until_settled(self) -> None:
        until(self.settled, "all servers follow the master")

    def client(self, port: int) -> Redis:
        """Return a client of one server, master or replica."""
        return Redis(HOST, port, password=self.password, socket_timeout=5, **self._tls())

    # -- inside ------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        binary = str(self.program or find_server(os.environ))
        for _ in range(self.servers):
            port = free_port()
            command = [binary, *listening(port, self.secure), "--requirepass", self.password]
            command += ["--masterauth", self.password]
            folder = self.folder / str(port)
            folder.mkdir(parents=True)
            # With an append-only file, as the settings advise; a replica is filled without the disk, at once.
            command += ["--dir", str(folder), "--appendonly", "yes", "--save", "", "--repl-diskless-sync-delay", "0"]
            self.nodes[port] = Node(port, self.folder, command)
        first = next(iter(self.nodes))
        for port, node in self.nodes.items():
            node.start(*(() if port == first else ("--replicaof", HOST, str(first))))
        for port in self.nodes:
            until(lambda port=port: self._answers(self.client(port)), f"the server on {port} answers")  # type: ignore[misc]
        for _ in range(3):
            self._start_sentinel(binary, free_port(), first)
        until(self._sentinels_know_all, "the sentinels know each other and the replicas")
        self.until_settled()

    def _start_sentinel(self, binary: str, port: int, master: int) -> None:
        path = self.folder / f"sentinel-{port}.conf"
        lines = [
            f"sentinel monitor {MASTER} {HOST} {master} 2",
            f"sentinel auth-pass {MASTER} {self.password}",
            f"sentinel down-after-milliseconds {MASTER} {self.down_after}",
            f"sentinel failover-timeout {MASTER} {FAILOVER_TIMEOUT}",
            f"requirepass {self.sentinel_password}",
            f"sentinel sentinel-pass {self.sentinel_password}",
            f"dir {self.folder}",
        ]
        options = listening(port, self.secure)
        lines += [f"{name.removeprefix('--')} {value}" for name, value in zip(options[::2], options[1::2], strict=True)]
        path.write_text("\n".join(lines) + "\n")
        self.sentinels[port] = Node(port, self.folder, [binary, str(path), "--sentinel"])
        self.sentinels[port].start()
        until(lambda: self._answers(self._sentinel(port)), f"the sentinel on {port} answers")

    def _tls(self) -> dict[str, Any]:
        return {} if self.secure is None else {"ssl": True, "ssl_ca_certs": str(self.secure.authority)}

    def _sentinel(self, port: int) -> Redis:
        return Redis(HOST, port, password=self.sentinel_password, socket_timeout=5, **self._tls())

    def _known_by(self, port: int) -> dict[str, Any]:
        """Return a sentinel's data on the master."""
        found: Any = self._sentinel(port).sentinel_master(MASTER)
        return dict(found)

    def _ask_sentinels(self) -> Any:
        asked = {"password": self.sentinel_password, "socket_timeout": 2, **self._tls()}
        made: Any = Sentinel
        return made([(HOST, port) for port in self.sentinels], sentinel_kwargs=asked)

    def _asked_to_fail_over(self) -> bool:
        try:
            sentinel: Any = self._sentinel(next(iter(self.sentinels)))
            return bool(sentinel.execute_command("SENTINEL", "FAILOVER", MASTER))
        except RedisError:  # in progress, or no replica is good enough yet
            return False

    def _sentinels_know_all(self) -> bool:
        for port in self.sentinels:
            found = self._known_by(port)
            if (found["num-other-sentinels"], found["num-slaves"]) != (len(self.sentinels) - 1, self.servers - 1):
                return False
        return True

    @staticmethod
    def _answers(client: Redis) -> bool:
        try:
            return bool(client.ping())
        except RedisError:
            return False
        finally:
            client.close()


def listening(port: int, secure: Secure | None) -> list[str]:
    """Return the options of a server that listens on this port of loopback."""
    listen = ["--bind", HOST]
    if secure is None:
        return [*listen, "--port", str(port)]
    listen += ["--port", "0", "--tls-port", str(port), "--tls-replication", "yes", "--tls-auth-clients", "no"]
    for name, path in {"cert": secure.certificate, "key": secure.key, "ca-cert": secure.authority}.items():
        listen += [f"--tls-{name}-file", str(path)]
    return listen


def until(true: Callable[[], Any], what: str, seconds: float = PATIENCE) -> None:
    """Wait until `true()` is truthy; an error of Redis counts as not yet. Fail with `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            if true():
                return
        except RedisError:
            pass
        assert time.monotonic() < deadline, f"not within {seconds:.0f} seconds: {what}"
        time.sleep(0.02)
