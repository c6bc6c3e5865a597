"""A worker that is killed by SIGKILL after a chosen one of its steps: run as a program, it forks such workers.

Each line on standard input is the JSON of one life; each line on standard output says how it ended. The program has
everything imported before it forks, so that a life begins within milliseconds. Nothing of this is in the worker's own
code: the steps are counted by wrapping the scripts and the requests, in the child alone.
"""

from __future__ import annotations

import gc
import json
import logging
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import requests
import structlog

from bot.core.model.events import TimePassed
from bot.runtime import PipelineContext, Runtime, build
from bot.store.keys import FAMILIES
from bot.store.outbox import Outbox
from bot.store.scripts import Scripts
from bot.store.store import Outdated, Store
from tests.workers.workshop import AT_ONCE, SHORT, configuration, settings, shape
from workers import beginning, reconcile
from workers.performer import decide_and_perform, perform_due

#: How long a worker rests between two looks, in seconds: the longer, the longer nothing happens. Most of the time is
#: that until what a dead worker held is free.
SHORTEST, LONGEST = 0.003, 0.025
#: How long nothing may change while something is left to do, and how long a worker lives at most after `Life.seconds`;
#: seconds. A busy machine is slow, and goes on.
STILL, PATIENCE = 30.0, 150.0


@dataclass(frozen=True)
class Life:
    """How a worker lives. `kill_at`: after so many steps of its own; 0: not at all."""

    redis: str
    jenkins: str
    github: str
    pipeline: str
    kill_at: int = 0
    timeout: float = 2.0
    #: How often a commit is refused as if another had come first.
    refuse: float = 0.0
    #: How long to go on although all is quiet, and how long to rest between two looks at Jenkins; seconds.
    seconds: float = 0.0
    rest: float = 0.01
    #: How long a worker that died holds an effect, in milliseconds.
    hold: int = 400
    #: Whether the store may be empty: then the clock asks for a turn, and Jenkins is asked whether state was lost.
    emptied: bool = False
    #: The address of the channel `mail`; empty: there is none.
    mail: str = ""


class Steps:
    """Counts the steps that leave a trace outside; the last one is followed by SIGKILL."""

    def __init__(self, kill_at: int) -> None:
        self.names: list[str] = []
        self._kill_at = kill_at

    def done(self, name: str) -> None:
        self.names.append(name)
        if len(self.names) == self._kill_at:
            report({"ended": "killed", "after": name, "steps": len(self.names)})
            os.kill(os.getpid(), signal.SIGKILL)

    def after(self, owner: Any, attribute: str, name: Callable[..., str]) -> None:
        """Count each call of `owner.attribute` for which `name(result, *arguments)` is not empty."""
        real = getattr(owner, attribute)

        def stepped(*arguments: Any, **more: Any) -> Any:
            result = real(*arguments, **more)
            label = name(result, *arguments)
            if label:
                self.done(label)
            return result

        setattr(owner, attribute, stepped)


def script_name(result: Any, _scripts: Any, name: str, *_: Any) -> str:
    """The scripts that leave a trace: reading does not (a permit without spacing), nor finding nothing to do."""
    idle = (
        name in ("read", "tick", "permit")
        or (name == "claim" and len(result) < 2)
        or (name == "begin" and not result[0])
    )
    return "" if idle else name


def request_name(_result: Any, _session: Any, request: requests.PreparedRequest, **_: Any) -> str:
    return "" if request.method == "GET" else f"POST {request.path_url.partition('?')[0]}"


def live(life: Life) -> dict[str, Any]:
    """Work until nothing is left to do now; short holds, so that what a dead worker held is soon free."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    if life.refuse:
        flaky(life.refuse)
    made = configuration(shape(life.pipeline), life.jenkins, life.github, life.timeout)
    # A comment that waits for its time would be work that does not come to an end.
    made = replace(made, github=replace(made.github, comment_after=None))
    runtime = replace(build(settings(life.redis, {"mail": life.mail} if life.mail else None), made), retry_policy=SHORT)
    context = runtime.pipelines[life.pipeline] = with_short_holds(runtime.pipeline(life.pipeline), life.hold)
    steps = Steps(life.kill_at)
    steps.after(Scripts, "run", script_name)
    steps.after(requests.Session, "send", request_name)
    work(runtime, context, life)
    return {"ended": "quiet", "steps": len(steps.names), "names": steps.names}


def with_short_holds(context: PipelineContext, claim_ms: int) -> PipelineContext:
    """The same, but the claims of a dead worker end soon, and writes and questions to GitHub wait for nothing."""
    redis, keys = context.redis, context.keys
    limits = replace(AT_ONCE, pull_told=0.0)
    store, outbox = Store(redis, keys, lease_ms=100), Outbox(redis, keys, claim_ms=claim_ms)
    return replace(context, store=store, outbox=outbox, decision_limits=limits)


def flaky(rate: float) -> None:
    """Some commits are refused as if another worker had committed first."""
    real, dice = Store.commit_and_claim, random.Random(os.getpid())

    def commit(self: Store, *arguments: Any) -> Any:
        if dice.random() < rate:
            raise Outdated(self.keys.pipeline)
        return real(self, *arguments)

    Store.commit_and_claim = commit  # type: ignore[method-assign]


def work(runtime: Runtime, context: PipelineContext, life: Life) -> None:
    """What the tasks of a worker do, one after the other, until all is quiet and `life.seconds` have passed."""
    until = changed = time.monotonic() + life.seconds
    before, rest = under_way(context), SHORTEST
    while time.monotonic() < min(changed + STILL, until + PATIENCE):
        waiting = context.inbox.tick(TimePassed()) or (life.emptied and not context.store.is_configured())
        if waiting:
            decide_and_perform(runtime, context, lambda *_: None)
        for family in FAMILIES:
            perform_due(runtime, context, family, lambda *_: None)
        present = under_way(context)
        if present != before:
            before, rest, changed = present, SHORTEST, max(until, time.monotonic())
        else:
            rest = min(2 * rest, LONGEST)
        if waiting or present[1] or context.redis.hexists(context.keys.meta, "due"):
            time.sleep(rest)
        elif life.emptied and beginning.prove_first_start(runtime, context):
            continue
        elif not reconcile.builds(runtime, context) and not context.redis.exists(context.keys.lease):
            if time.monotonic() > until:
                return
            time.sleep(life.rest)
        else:
            time.sleep(max(rest, life.rest / 2))
    raise TimeoutError(f"the work does not come to an end: {left(runtime, context)}")


def under_way(context: PipelineContext) -> tuple[object, int]:
    """How many turns were taken, and how many effects are not done: one of them changes with all that is done."""
    return context.redis.hget(context.keys.meta, "version"), context.outbox.size()


def left(runtime: Runtime, context: PipelineContext) -> dict[str, object]:
    """Describe the work that is left, for an error message."""
    return {
        "meta": context.redis.hgetall(context.keys.meta),
        "outbox": context.redis.hgetall(context.keys.outbox),
        "tries": context.redis.hgetall(context.keys.tries),
        "lease": context.redis.get(context.keys.lease),
        "differences": reconcile.builds(runtime, context),
    }


def report(said: dict[str, Any]) -> None:
    os.write(sys.stdout.fileno(), json.dumps(said).encode() + b"\n")


def main() -> None:
    """Fork a worker for each line; tell how it ended before the next is read."""
    gc.collect()
    gc.freeze()  # a worker that looks through all that is imported copies it
    for text in sys.stdin:
        life = Life(**json.loads(text))
        child = os.fork()
        if child == 0:
            try:
                report(live(life))
            except BaseException as error:  # whatever it is, whoever reads must not wait for ever
                report({"ended": "broken", "why": f"{type(error).__name__}: {error}"})
            os._exit(0)
        os.waitpid(child, 0)


def asked(life: Life) -> str:
    """The line that asks for a life."""
    return json.dumps(asdict(life)) + "\n"


if __name__ == "__main__":
    main()
