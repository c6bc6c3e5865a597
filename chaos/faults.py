"""How each kind of fault begins and ends: at the processes, at Redis, at the clocks, at Jenkins and at GitHub."""

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
#: The route by which a build is asked for.
TRIGGER = "POST job/buildWithParameters"
#: How long a trigger hangs in Jenkins: longer than it is waited for, so that Interlock has given it up; in seconds.
HANGS = 25.0
#: The crash meets acceptance builds that take so long, in seconds, so many of them.
LONG_SECONDS, LONG = 3.0, 3
#: How long a master that was cut off goes on alone before it is killed: what it acknowledges meanwhile is lost.
ALONE = 0.7
#: How far a replica may be behind its master, in seconds: so much is lost from before a master ends.
BEHIND = 1.0
#: What a rule of the stand-ins is: which verb makes it, and its arguments.
Rule = tuple[str, dict[str, Any]]


class Faults:
    """Begins faults; `begin` returns how the fault ends."""

    def __init__(
        self, world: World, stack: Stack, store: Replicated | None, folder: Path, releases: list[Path]
    ) -> None:
        self._world, self._stack, self._store, self._folder = world, stack, store, folder
        self._releases = releases
        #: The rules in force, by the controller of stand-in and the kind of fault.
        self._rules: dict[tuple[str, str], list[Rule]] = {}
        #: When the store was emptied, in seconds since the epoch.
        self.emptied: list[float] = []
        #: From when to when what it had acknowledged was lost in a fail-over, likewise.
        self.forgot: list[tuple[float, float]] = []

    def begin(self, fault: Fault) -> End:
        """Begin a fault. What it returns ends it: call it after the fault's seconds."""
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
        """SIGSTOP; SIGCONT goes to the same process, if it is still there."""
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
        """The process ends in order, and comes back from the other checkout."""
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
        """It refuses whatever would take more memory."""
        with self._redis() as redis, suppress(RedisError):
            redis.config_set("maxmemory", "1")
        return self.empty_memory

    def empty_memory(self) -> None:
        """There is room again, on every server, whichever was full."""
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
        """A fail-over that began then is over: all servers follow the new master."""
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
        """Rules of a stand-in: those of other faults stay as they are."""
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
    """The fault is over as soon as it has begun."""


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):  # killed meanwhile
        os.kill(pid, number)


def _write(file: Path, text: str) -> None:
    """In one piece: the library reads it at any moment."""
    whole = file.with_suffix(".new")
    whole.write_text(text)
    whole.rename(file)


def _insist(act: Callable[[], object], seconds: float = 20.0) -> None:
    """Again and again while Redis does not answer."""
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
    """It loses its queue, and builds again what had just started; long builds of acceptance are in the middle."""
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
    """A share between a tenth and a half."""
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
#: The faults that this class makes itself, and by which method.
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
    """The kinds of faults that can be made."""
    return {*_RULES, *_JENKINS, *_ACTS}
