"""A Redis Cluster on loopback: three primaries with a replica each, the smallest that fails over by itself."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from redis import Redis
from redis.crc import key_slot

from chaos.sentinels import HOST, Node, Secure, listening, until
from launch.process import bindable, private_port
from tests.failover.engines import redis_with_tls

PRIMARIES, SLOTS = 3, 16_384
#: After how long a server that does not answer counts as down, in milliseconds.
NODE_TIMEOUT = 800


@dataclass
class Cluster:
    """A context manager: the cluster, whose servers want a password."""

    folder: Path
    secure: Secure | None = None
    password: str = field(default_factory=lambda: secrets.token_hex(8) + "@/:%")
    nodes: dict[int, Node] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """The address as the settings take it."""
        hosts = ",".join(f"{HOST}:{port}" for port in self.nodes)
        scheme, more = "redis+cluster", ""
        if self.secure is not None:
            scheme, more = "rediss+cluster", f"?ssl_ca_certs={self.secure.authority}"
        return f"{scheme}://:{quote(self.password, safe='')}@{hosts}{more}"

    def __enter__(self) -> Cluster:
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for node in self.nodes.values():
            node.kill()

    # -- what is done to it ------------------------------------------------------------------------------------

    def client(self, port: int) -> Redis:
        """A client of one server, whatever it is."""
        secure = {} if self.secure is None else {"ssl": True, "ssl_ca_certs": str(self.secure.authority)}
        return Redis(HOST, port, password=self.password, socket_timeout=5, **secure)

    def primary_of(self, key: str) -> int:
        """The port of the server that has the key, as most of those that live say."""
        slot = key_slot(key.encode())
        said = [self._has(port, slot) for port, node in self.nodes.items() if node.process is not None]
        return max(set(said), key=said.count)

    def kill_primary_of(self, key: str) -> int:
        """Kill the server that has the key and wait until its replica has it; returns the port of the dead one."""
        dead = self.primary_of(key)
        self.nodes[dead].kill()
        until(lambda: self.primary_of(key) != dead, "the replica has taken over")
        return dead

    def cut_off(self, primary: int) -> Callable[[], None]:
        """Cut the replica off from this server; return the function that reconnects it."""
        with self.client(primary) as client:
            found: Any = client.info("replication")
            with self.client(int(found["slave0"]["port"])) as replica:
                replica.config_set("masterauth", "wrong")
            client.execute_command("CLIENT", "KILL", "TYPE", "replica")

        def heal() -> None:
            with self.client(int(found["slave0"]["port"])) as replica:
                replica.config_set("masterauth", self.password)

        return heal

    def fail_over(self, key: str) -> None:
        """An orderly fail-over: the replica of the server that has the key takes over, and nothing is lost."""
        before = self.primary_of(key)
        with self.client(before) as primary:
            replicas: Any = primary.info("replication")
        with self.client(int(replicas["slave0"]["port"])) as client:
            until(lambda: client.execute_command("CLUSTER", "FAILOVER"), "the replica takes the request")
        until(lambda: self.primary_of(key) != before, "the replica has taken over")

    def revive(self, port: int) -> None:
        """Start a dead server again: it follows the one that has taken over."""
        self.nodes[port].start()
        until(self.settled, "all servers live, and each primary has its replica")

    def settled(self) -> bool:
        """Return whether all servers live, agree, and each primary has its replica."""
        for port in self.nodes:
            with self.client(port) as client:
                info: Any = client.cluster("info")
                known: Any = client.cluster("nodes")
                found: Any = client.info("replication")
            if info["cluster_state"] != "ok" or len(known) != len(self.nodes):
                return False
            if any("fail" in each["flags"] or not each["connected"] for each in known.values()):
                return False
            is_replica = found["role"] == "slave"
            if is_replica and found["master_link_status"] != "up":
                return False
            if not is_replica and found["connected_slaves"] != 1:
                return False
        return True

    # -- inside ------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        binary = str(redis_with_tls())
        for _ in range(2 * PRIMARIES):
            port = _free_port_with_bus()
            folder = self.folder / str(port)
            folder.mkdir(parents=True)
            command = [binary, *listening(port, self.secure), "--requirepass", self.password, "--masterauth"]
            command += [self.password, "--cluster-enabled", "yes", "--cluster-node-timeout", str(NODE_TIMEOUT)]
            if self.secure is not None:
                command += ["--tls-cluster", "yes"]
            # With an append-only file, as the settings advise; a replica is filled without the disk, at once.
            command += ["--dir", str(folder), "--appendonly", "yes", "--save", "", "--repl-diskless-sync-delay", "0"]
            self.nodes[port] = Node(port, self.folder, command)
            self.nodes[port].start()
        for port in self.nodes:
            until(lambda port=port: self._answers(port), f"the server on {port} answers")  # type: ignore[misc]
        self._join()

    def _join(self) -> None:
        """Give the slots to the first three, and each of these a replica (what `redis-cli --cluster create` does)."""
        ports = list(self.nodes)
        for number, port in enumerate(ports, 1):
            with self.client(port) as client:
                client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", number)
                if number <= PRIMARIES:
                    first, last = ((number - 1) * SLOTS // PRIMARIES, number * SLOTS // PRIMARIES - 1)
                    client.execute_command("CLUSTER", "ADDSLOTSRANGE", first, last)
                if number > 1:
                    client.execute_command("CLUSTER", "MEET", HOST, ports[0])
        until(lambda: all(len(self._known(port)) == len(ports) for port in ports), "all servers know each other")
        for primary, replica in zip(ports[:PRIMARIES], ports[PRIMARIES:], strict=True):
            with self.client(primary) as client:
                identity = client.execute_command("CLUSTER", "MYID")
            with self.client(replica) as client:
                client.execute_command("CLUSTER", "REPLICATE", identity)
        until(self.settled, "each primary has its replica")

    def _known(self, port: int) -> Any:
        with self.client(port) as client:
            return client.cluster("nodes")

    def _answers(self, port: int) -> bool:
        with self.client(port) as client:
            return bool(client.ping())

    def _has(self, port: int, slot: int) -> int:
        with self.client(port) as client:
            rows: Any = client.execute_command("CLUSTER", "SLOTS")
        return next(int(primary[1]) for first, last, primary, *_ in rows if first <= slot <= last)


def _free_port_with_bus() -> int:
    """A port such that the cluster's bus, which listens 10,000 above, finds a free one as well."""
    while not bindable((port := private_port()) + 10_000):
        pass
    return port
