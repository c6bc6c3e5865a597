"""Begins and ends each kind of fault: at the processes, at Redis, at the clocks, at Jenkins and at GitHub."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from redis import Redis
from redis.exceptions import RedisError

from chaos.plan import PROCESSES, Fault
from chaos.sentinels import Replicated
from chaos.start import clock_file, release_link
from chaos.world import ROLLS_OUT, World
from launch import Stack
from standins.jenkins import JenkinsStandIn

End = Callable[[], object]
#: The route of triggers.
TRIGGER = "POST job/buildWithParameters"
#: The seconds that a trigger hangs in Jenkins: longer than Interlock's timeout, so that it has given up.
HANGS = 25.0
#: The duration in seconds, and the number, of long acceptance builds at a crash.
LONG_SECONDS, LONG = 3.0, 3
#: The seconds that a cut-off master runs on before it is killed: its acknowledged writes of that time are lost.
ALONE = 0.7
#: The lag of a replica behind its master, in seconds: the writes of that time before the master's end may be lost.
BEHIND = 1.0
#: A rule of the stand-ins: the verb that makes it, and its arguments.
Rule = tuple[str, dict[str, Any]]


class Faults:
    """The faults of a play; `begin` returns the function that ends the fault."""

    def __init__(
        self, world: World, stack: Stack, store: Replicated | None, folder: Path, releases: list[Path]
    ) -> None:
        self._world, self._stack, self._store, self._folder = world, stack, store, folder
        self._releases = releases
        #: The rules in force, by stand-in and kind of fault.
        self._rules: dict[tuple[str, str], list[Rule]] = {}
        #: The times at which the store was emptied, in seconds since the epoch.
        self.emptied: list[float] = []
        #: The periods (begin, end) whose acknowledged writes a fail-over lost, likewise.
        self.forgot: list[tuple[float, float]] = []

    def begin(self, fault: Fault) -> End:
        """Begin a fault; return the function that ends it. Call that after the fault's seconds."""
        if fault.kind in _RULES:
            return self._make_rules(fault)
        if fault.kind in _JENKINS:
            return _JENKINS[fault.kind](self._world.jenkins[fault.target], fault)
        return getattr(self, _ACTS[fault.kind])(fault)  # type: ignore[no-any-return]

    # -- processes and clocks -----------------------------------------------------------------------------------

    def kill(self, fault: Fault) -> End:
        for name in [fault.target] if fault.target else PROCESSES:
            self._send(name, signal.SIGKILL)
        return _nothing

    def stop(self, fault: Fault) -> End:
        """Send SIGSTOP; at the end SIGCONT to the same process, if it still exists."""
        pid = self._stack.supervisor.pid(fault.target)
        if pid is None:
            return _nothing
        os.kill(pid, signal.SIGSTOP)
        return lambda: _signal(pid, signal.SIGCONT)

    def move_clock(self, fault: Fault) -> End:
        file = clock_file(self._folder, fault.target)
        _write(file, f"{fault.amount:+.2f}")
        return lambda: _write(file, "+0")

    def change_release(self, fault: Fault) -> End:
        """End the process in order, so that it restarts from the other checkout."""
        link = release_link(self._folder, fault.target)
        here = link.resolve()
        other = next((each for each in self._releases if each != here), here)
        link.unlink()
        link.symlink_to(other)
        self._send(fault.target, signal.SIGTERM)
        return _nothing

    def _send(self, name: str, number: signal.Signals) -> None:
        pid = self._stack.supervisor.pid(name)
        if pid is not None:
            _signal(pid, number)

    # -- the store ----------------------------------------------------------------------------------------------

    def kill_redis(self, _fault: Fault) -> End:
        self._send("server", signal.SIGKILL)
        return _nothing

    def stop_redis(self, _fault: Fault) -> End:
        pid = self._redis_pid()
        if pid is None:
            return _nothing
        os.kill(pid, signal.SIGSTOP)
        return lambda: _signal(pid, signal.SIGCONT)

    def pause_redis(self, fault: Fault) -> End:
        with self._redis() as redis, suppress(RedisError):
            redis.client_pause(int(fault.seconds * 1000))
        return _nothing

    def fill_redis(self, _fault: Fault) -> End:
        """Make Redis refuse writes that need more memory."""
        with self._redis() as redis, suppress(RedisError):
            redis.config_set("maxmemory", "1")
        return self.empty_memory

    def empty_memory(self) -> None:
        """Remove the limit of the memory on every server."""
        for client in self._all_redis():
            with client:
                _insist(lambda client=client: client.config_set("maxmemory", "0"))  # type: ignore[misc]

    def flush_redis(self, _fault: Fault) -> End:
        with self._redis() as redis, suppress(RedisError):
            redis.flushall()
            self.emptied.append(time.time())
        return _nothing

    def fail_over(self, _fault: Fault) -> End:
        store = self._replicated()
        store.until_settled()
        began = time.time()
        store.failover()
        return partial(self._settled, store, began)

    def kill_master(self, _fault: Fault) -> End:
        store = self._replicated()
        store.until_settled()
        began = time.time()
        return self._revived(store, store.kill_master(), began)

    def cut_off_and_kill(self, _fault: Fault) -> End:
        store = self._replicated()
        store.until_settled()
        began = time.time()
        heal = store.cut_off()
        time.sleep(ALONE)
        dead = store.kill_master()
        heal()
        return self._revived(store, dead, began)

    def _revived(self, store: Replicated, dead: int, began: float) -> End:
        def revive() -> None:
            store.revive(dead)
            self._settled(store, began)

        return revive

    def _settled(self, store: Replicated, began: float) -> None:
        """Wait until all servers follow the new master, and note the period of lost writes since `began`."""
        store.until_settled()
        self.forgot.append((began - BEHIND, time.time()))

    def _replicated(self) -> Replicated:
        assert self._store is not None, "this fault takes a replicated store"
        return self._store

    def _redis(self) -> Redis:
        if self._store is not None:
            return self._store.client(self._store.master())
        return Redis.from_url(self._stack.url, socket_timeout=5)

    def _all_redis(self) -> list[Redis]:
        if self._store is not None:
            return [self._store.client(port) for port in self._store.nodes]
        return [self._redis()]

    def _redis_pid(self) -> int | None:
        if self._store is not None:
            process = self._store.nodes[self._store.master()].process
            return process.pid if process is not None else None
        return self._stack.supervisor.pid("server")

    # -- Jenkins and GitHub --------------------------------------------------------------------------------------

    def github_down(self, _fault: Fault) -> End:
        self._world.github.stop()
        return self._world.github.start

    def _make_rules(self, fault: Fault) -> End:
        """Add the rules of a fault to its stand-in; the rules of other faults stay."""
        key = fault.target, fault.kind
        self._rules[key] = _RULES[fault.kind](fault)
        self._apply(fault.target)

        def end() -> None:
            del self._rules[key]
            self._apply(fault.target)

        return end

    def _apply(self, target: str) -> None:
        control: Any = (self._world.jenkins[target] if target else self._world.github).control
        control.clear_faults()
        for (owner, _), rules in self._rules.items():
            if owner == target:
                for verb, arguments in rules:
                    getattr(control, verb)(**arguments)


def _nothing() -> None:
    """End a fault that needs no end."""


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):  # killed meanwhile
        os.kill(pid, number)


def _write(file: Path, text: str) -> None:
    """Write the file in one step: the library reads it at any moment."""
    whole = file.with_suffix(".new")
    whole.write_text(text)
    whole.rename(file)


def _insist(act: Callable[[], object], seconds: float = 20.0) -> None:
    """Repeat the call while Redis does not answer."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            act()
            return
        except RedisError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def _jenkins_down(jenkins: JenkinsStandIn, _fault: Fault) -> End:
    jenkins.stop()
    return jenkins.start


def _restart(jenkins: JenkinsStandIn, fault: Fault) -> End:
    jenkins.control.restart("clean", seconds=fault.seconds)
    return _nothing


def _crash(jenkins: JenkinsStandIn, fault: Fault) -> End:
    """Crash Jenkins during long acceptance builds: it loses its queue, and builds again the items that just started."""
    control, acceptance = jenkins.control, "shop/acceptance"
    control.rule(acceptance, duration=LONG_SECONDS, count=LONG)
    deadline = time.monotonic() + LONG_SECONDS
    while time.monotonic() < deadline and not control.builds(acceptance, running=True):
        time.sleep(0.05)
    control.restart("crash", seconds=fault.seconds, refuse=True, lose_queue=True, rebuild_started=True)
    return _nothing


_JENKINS: dict[str, Callable[[JenkinsStandIn, Fault], End]] = {
    "Jenkins down": _jenkins_down,
    "Jenkins restarted": _restart,
    "Jenkins crashed": _crash,
}


def _rule(verb: str, kind: str, rate: float = 1.0, **more: Any) -> Rule:
    return verb, {"kind": kind, "rate": rate, **more}


def _some(fault: Fault) -> float:
    """Return a share between a tenth and a half."""
    return 0.1 + 0.4 * fault.amount


#: The faults that are rules of a stand-in.
_RULES: dict[str, Callable[[Fault], list[Rule]]] = {
    "Jenkins slow": lambda f: [_rule("fault", "delay", seconds=0.1 + 1.2 * f.amount, rate=0.7)],
    "Jenkins refuses": lambda f: [_rule("fault", "status", status=503 if f.amount < 0.7 else 500)],
    "Jenkins loses replies": lambda f: [
        _rule("fault", "drop_reply", _some(f)),
        _rule("fault", "status", 0.1, status=503),
    ],
    "Jenkins takes triggers late": lambda f: [
        _rule("fault", "delay", 0.5, route=TRIGGER, path="|".join(f"/{stage}/" for stage in ROLLS_OUT), seconds=HANGS)
    ],
    "callbacks lost": lambda f: [_rule("callback_fault", "drop", 2 * _some(f))],
    "callbacks repeated": lambda f: [_rule("callback_fault", "duplicate", 2 * _some(f))],
    "callbacks late": lambda f: [_rule("callback_fault", "delay", 2 * _some(f), seconds=0.5 + 4 * f.amount)],
    "GitHub slow": lambda f: [_rule("fault", "delay", seconds=0.2 + 3 * f.amount, rate=0.7)],
    "GitHub refuses": lambda f: [_rule("fault", "status", status=502 if f.amount < 0.7 else 500)],
    "GitHub loses replies": lambda f: [_rule("fault", "drop_reply", _some(f))],
    "GitHub limits the rate": lambda f: [
        ("limit", {"kind": "secondary", "status": 403 if f.amount < 0.5 else 429, "count": None, "retry_after": 2})
    ],
    "webhooks lost": lambda f: [_rule("webhook_fault", "drop", 2 * _some(f))],
    "webhooks repeated": lambda f: [_rule("webhook_fault", "duplicate", 2 * _some(f))],
    "webhooks late": lambda f: [_rule("webhook_fault", "delay", 2 * _some(f), seconds=0.5 + 4 * f.amount)],
}
#: The faults that this class makes itself, with the method.
_ACTS = {
    "process killed": "kill",
    "all processes killed": "kill",
    "worker stopped past its lease": "stop",
    "process stopped": "stop",
    "clock moved": "move_clock",
    "release changed": "change_release",
    "Redis killed": "kill_redis",
    "Redis stopped": "stop_redis",
    "Redis paused": "pause_redis",
    "Redis full": "fill_redis",
    "Redis emptied": "flush_redis",
    "Redis failed over": "fail_over",
    "Redis master killed": "kill_master",
    "Redis master cut off, then killed": "cut_off_and_kill",
    "GitHub down": "github_down",
}


def all_kinds() -> set[str]:
    """Return the kinds of faults that can be made."""
    return {*_RULES, *_JENKINS, *_ACTS}
