"""A worker under control of the test: real Redis, real stand-ins over HTTP, effects and turns one by one."""

from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import requests
from pydantic import SecretStr

from bot.core.model.board import Board
from bot.core.model.effects import Effect, Trigger
from bot.core.model.events import Configured, Event, FirstStart, HeadSeen, Merged, TimePassed
from bot.core.model.pipeline import Job, Lane, Pipeline, Step, Track
from bot.core.model.run import Run, Status
from bot.core.rules.decision import DecisionLimits
from bot.core.rules.stage_versions import rolls_out
from bot.effect_outcomes import RetryPolicy
from bot.github import identity, session
from bot.jenkins import builds, client, triggers
from bot.runtime import build
from bot.store.codec import load_event
from bot.store.connection import connect
from bot.store.keys import FAMILIES
from bot.store.outbox import Claim, Outbox
from bot.store.records import Records
from bot.store.store import Work, family_of
from config.configuration import (
    Configuration,
    Controller,
    GitHubLimits,
    GitHubSettings,
    JenkinsLimits,
    NotificationSettings,
)
from config.settings import Settings
from demo.pipeline import pipeline as pictures
from demo.processes import left
from demo.verbs import BuildingWorld
from standins.github import GitHubStandIn
from standins.jenkins import JenkinsStandIn
from tests.texts import text_of
from workers import reconcile
from workers.performer import claim_next, perform, perform_due
from workers.turn import take_turns

PARAMETERS = [
    f"INTERLOCK_{name}" for name in ["RUN", "ATTEMPT", "STAGE", "LANE", "SERVICE", "REPOSITORY", "SHA", "VERSION"]
]
STAGES = ("build", "acceptance", "pre-production", "production")
OWNERS_TEXT = "Rolls out to pre-production.\r\n\r\n  Ask #shop-release <b>first</b> & be kind: ü “…” €.\n\n"


def sha(name: str) -> str:
    """Return a sha made from `name`."""
    return hashlib.sha1(name.encode()).hexdigest()


def shape(name: str, **changes: Any) -> Pipeline:
    """The pipeline of the four pictures on one controller; refused triggers are tried again at once."""
    return pictures(name, **{"retry_first": 0.05, "retry_most": 0.2, **changes})


def jobs() -> list[dict[str, Any]]:
    """The jobs of that pipeline; their builds run until they are released."""
    names = [*STAGES, "fast-acceptance", "fast-pre-production"]
    return [{"name": f"shop/{n}", "parameters": PARAMETERS, "quiet_period": 0, "duration_seconds": 3600} for n in names]


def settings(redis_url: str, notify_urls: dict[str, str] | None = None) -> Settings:
    """The environment of a worker."""
    return Settings(
        redis_url=SecretStr(redis_url),
        github_token=SecretStr("t"),
        jenkins_tokens={"CDP": SecretStr("token")},
        notify_urls={name: SecretStr(url) for name, url in (notify_urls or {}).items()},
    )


def configuration(
    pipeline: Pipeline, jenkins: str, github: str, timeout: float, late_triggers: float = 0.2
) -> Configuration:
    """The pipeline file of a worker, with the addresses of the stand-ins; nothing stays on its way for long."""
    late = JenkinsLimits(late_request=0.3)
    cdp = Controller("cdp", jenkins, "interlock", timeout=timeout, late_triggers=late_triggers, limits=late)
    where = GitHubSettings(github, timeout=timeout, write_spacing=0, limits=GitHubLimits(late_request=0.1))
    return Configuration((pipeline,), {"cdp": cdp}, github=where, digest="1")


#: Statuses and comments are written at once.
AT_ONCE = DecisionLimits(waiting_debounce=0.0, status_debounce=0.0, comment_debounce=0.0)
#: An effect that failed is tried again almost at once.
SHORT = RetryPolicy(first=0.04, longest=0.04, longest_asked=0.04)


class Workshop(BuildingWorld):
    """One pipeline, its stand-ins, and the steps of a worker. `timeout`: for Jenkins and GitHub, in seconds."""

    def __init__(
        self,
        stack: ExitStack,
        redis_url: str,
        *,
        timeout: float = 2.0,
        late_triggers: float = 0.2,
        jenkins: dict[str, Any] | None = None,
        notify_urls: dict[str, str] | None = None,
        retry_policy: RetryPolicy = SHORT,
        **changes: Any,
    ) -> None:
        self.retry_policy = retry_policy
        self._titles: dict[str, str] = {}
        self.jenkins = stack.enter_context(JenkinsStandIn(jenkins, jobs=jobs()))
        self.github = stack.enter_context(GitHubStandIn(repos=[{"full_name": f"shop/s{n}"} for n in (1, 2, 3)]))
        self.control = self.jenkins.control
        self.control.change_job("shop/pre-production", {"description": OWNERS_TEXT})
        self.pipeline = shape(f"p{uuid.uuid4().hex[:12]}", **changes)
        self.settings = settings(redis_url, notify_urls)
        clean(self.settings)  # what was learnt of another test's GitHub is not true of this one
        self.configuration = replace(
            configuration(self.pipeline, self.jenkins.url, self.github.url, timeout, late_triggers),
            notify=NotificationSettings(
                tuple((name, ("locked", "unlocked", "fix-failed")) for name in notify_urls or {})
            ),
        )
        self.reload(self.configuration)
        stack.callback(lambda: self.runtime.redis.close())
        stack.callback(forget_clients)

    def reload(self, configuration: Configuration) -> None:
        """Go on as a new process with this configuration."""
        forget_clients()
        self.configuration = configuration
        self.pipeline = configuration.pipelines[0]
        self.runtime = replace(build(self.settings, configuration), retry_policy=self.retry_policy)
        self.context = self.runtime.pipeline(self.pipeline.name)
        self.context.decision_limits = AT_ONCE

    def give_up_after(self, family: str, seconds: float) -> None:
        """Try the effects of a family for so long only."""
        self.retry_policy = replace(self.retry_policy, give_up={**self.retry_policy.give_up, family: seconds})
        self.runtime = replace(self.runtime, retry_policy=self.retry_policy)

    def limit_github(self, **limits: float) -> None:
        """Go on as a new process to which GitHub has other limits."""
        github = self.configuration.github
        changed = replace(github, limits=replace(github.limits, **limits))
        self.reload(replace(self.configuration, github=changed))

    def limit_jenkins(self, **limits: float) -> None:
        """Go on as a new process that has other limits with Jenkins."""
        cdp = self.configuration.controllers["cdp"]
        changed = replace(cdp, limits=replace(cdp.limits, **limits))
        self.reload(replace(self.configuration, controllers={"cdp": changed}))

    # -- single effects ----------------------------------------------------------------------------------------

    def ask(self, *effects: Effect) -> None:
        """Put effects into the outbox, as a turn does."""
        self.context.inbox.add(Configured(self.pipeline), uuid.uuid4().hex)
        entries = self.context.store.begin("workshop")
        self.context.store.commit("workshop", entries, Work([], [], list(effects), [], None))

    def claim(self, effect: Effect) -> Claim | None:
        """Claim a due effect of the family; None if none is due now."""
        return claim_next(self.runtime, self.context, family_of(effect))[0]

    def claim_for(self, effect: Effect, milliseconds: int) -> Claim:
        """Claim the due effects of the family for so many seconds, as a worker that then stalls or dies."""
        outbox = Outbox(self.context.redis, self.context.keys, claim_ms=milliseconds)
        claim = claim_next(self.runtime, replace(self.context, outbox=outbox), family_of(effect))[0]
        assert claim is not None, "nothing is due"
        return claim

    def try_once(self, effect: Effect) -> list[Event]:
        """Try a due effect once; return the events that result."""
        claim = self.claim(effect)
        assert claim is not None, "nothing is due"
        perform(self.runtime, self.context, claim)
        return self.heard()

    def do(self, effect: Effect, seconds: float = 60.0) -> list[Event]:
        """Ask for an effect and try until it is done or given up; returns the events that came of it."""
        self.ask(effect)
        return self.see_through(effect, seconds)

    def put_off(self, effect: Effect, *, later: float) -> None:
        """Make an effect due `later` (seconds), as if others had to be done before it."""
        now = time.time() + later
        self.context.redis.zadd(self.context.keys.due(family_of(effect)), {effect.slot: now * 1000})

    def all_due(self, family: str) -> None:
        """Let every pause of a family's effects have passed."""
        due = self.context.keys.due(family)
        for slot in self.context.redis.zrange(due, 0, -1):
            self.context.redis.zadd(due, {slot: 0})

    def see_through(self, effect: Effect, seconds: float = 60.0) -> list[Event]:
        """Try until the effect is done or given up; returns the events that came of it."""
        deadline = time.monotonic() + seconds
        while self.context.redis.hexists(self.context.keys.outbox, effect.slot):
            assert time.monotonic() < deadline, f"{effect.slot} is still not done"
            claim = self.claim(effect)
            if claim is None:
                time.sleep(0.01)
            else:
                perform(self.runtime, self.context, claim)
        return self.heard()

    def heard(self) -> list[Event]:
        """The events in the inbox that no turn has taken yet."""
        cursor = self.context.redis.hget(self.context.keys.meta, "cursor") or b"0-0"
        rows = self.context.redis.xrange(self.context.keys.inbox, min=b"(" + cursor)
        return [load_event(fields[b"b"]) for _, fields in rows]

    def dead(self) -> list[str]:
        """Return the errors of the dead letters."""
        return [letter.error for letter in self.context.outbox.dead_letters()]

    def trigger(self, run: str = "S1.1", attempt: int = 1, stage: str = "acceptance", **more: Any) -> Trigger:
        """A trigger as the rules ask for it."""
        job = Job("cdp", f"shop/{stage}")
        more.setdefault("rolls_out", rolls_out(self.pipeline, Step(stage)))
        return Trigger(run, stage, Track.REAL, attempt, job, "S1", "shop/s1", sha(run), Lane.MAIN, "S1-1", **more)

    def jenkins_post(self, path: str) -> None:
        """Start or stop something in Jenkins by hand."""
        answer = requests.post(f"{self.jenkins.url}/{path}", timeout=60, allow_redirects=False)
        assert answer.status_code in (201, 204, 302), (answer.status_code, answer.text)

    def start_by_hand(self, stage: str, run: str = "", **parameters: str) -> None:
        """Start a build of a stage's job that no run asked for."""
        carried = parameters or {"INTERLOCK_RUN": run}
        query = "&".join(f"{name}={quote(value)}" for name, value in carried.items())
        self.jenkins_post(f"job/shop/job/{stage}/buildWithParameters?{query}")

    def until_jenkins_answers(self) -> None:
        """Wait for the end of a restart."""
        deadline = time.monotonic() + 60
        while requests.get(f"{self.jenkins.url}/api/json", timeout=60).status_code != 200:
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def later(self, seconds: float = 0.25) -> None:
        """Let the pause after a refusal pass, and the clock say so."""
        time.sleep(seconds)
        self.context.inbox.tick(TimePassed())
        self.work()

    # -- the whole pipeline ----------------------------------------------------------------------------------------

    @property
    def board(self) -> Board:
        """The board as it is stored now."""
        with self.context.look() as replica:
            return replica.board

    def start(self) -> None:
        """Configure the pipeline and take the heads of main as its baseline."""
        heads = (HeadSeen(s.name, sha(f"{s.name} base")) for s in self.pipeline.services)
        self.tell(Configured(self.pipeline), FirstStart(), *heads)

    def tell(self, *events: Event) -> None:
        """Put events into the inbox and do everything that follows."""
        for event in events:
            self.context.inbox.add(event, uuid.uuid4().hex)
        self.work()

    def work(self, seconds: float = 60.0) -> None:
        """Take turns and perform until nothing is left to do now."""
        deadline = time.monotonic() + seconds
        asked = set(FAMILIES)
        while asked:
            assert time.monotonic() < deadline, "the work does not come to an end"
            for family in asked:
                perform_due(self.runtime, self.context, family, lambda *_: None)
            asked = take_turns(self.context) | {f for f in FAMILIES if self.due(f)}

    def due(self, family: str) -> bool:
        return self.context.outbox.due(family) > 0

    def board_now(self) -> Board:
        """The board as it is stored now."""
        return self.board

    def sha_of(self, name: str) -> str:
        """The sha of a commit such as `S1a`."""
        return sha(name)

    def name_of(self, sha: str) -> str:
        """What `merge` called a commit; the title of one that came from GitHub."""
        titles = {run.position.sha: run.merge.title for run in self.board.runs.values()}
        self._titles |= titles
        return self._titles.get(sha, sha[:7])

    def merge(self, service: str, letter: str) -> Run:
        """Merge one commit; returns its run."""
        head = self.board.service(service).history.head
        name = sha(service + letter)
        self._titles[name] = service + letter
        self.tell(Merged(service, name, head.sha if head else None, title=f"{service}{letter}"))
        return self.run(service + letter)

    def run_of(self, commit: str) -> Run:
        """The live run of a commit, by its sha."""
        return next(r for r in self.board.runs.values() if r.position.sha == commit)

    def pass_build(self, *names: str) -> None:
        """The builds of these runs start, if they have not, and succeed; Jenkins is asked, and says so."""
        for name in names:
            self._end(name, "SUCCESS")

    def fail_build(self, name: str, tests: tuple[str, ...] = ()) -> None:
        """The build of the run starts, if it has not, and fails; Jenkins is asked, and says so."""
        self._end(name, "FAILURE", tests=list(tests))

    def _end(self, name: str, result: str, **how: Any) -> None:
        run = self.run(name)
        job = self.board.job_of(run)
        assert job is not None
        self.control.release(job.name, match={"INTERLOCK_RUN": run.key}, result=result, **how)
        self.poll()

    def end_withdrawn(self) -> None:
        """Let Jenkins end every build that Interlock has aborted, and poll until Jenkins reports it."""
        deadline = time.monotonic() + 60
        while any(run.status is Status.ENDING for run in self.board.runs.values()):
            assert time.monotonic() < deadline, "Jenkins does not end the aborted builds"
            self.work()
            self.poll()

    def left(self, name: str) -> tuple[str, str | None] | None:
        """How the run of a commit ended last, and by which commit; None if none has."""
        return left(self, self.context.records, name)

    def facts(self, kind: str) -> list[str]:
        """Return the facts of one kind, oldest first."""
        told = Records(self.context.redis, self.context.keys).facts_after("0-0", limit=2000)
        return [text_of(t.fact.why) for _, t in told if t.fact.kind == kind]

    def poll(self) -> int:
        """Ask Jenkins, and do what follows; returns how many differences there were."""
        found = reconcile.builds(self.runtime, self.context)
        self.work()
        return found

    def posts(self) -> int:
        """How many triggers Jenkins has received."""
        return int(self.control.requests().get("POST job/buildWithParameters", 0))

    def builds(self, stage: str | None = None) -> list[dict[str, Any]]:
        """The builds in Jenkins, of one stage or of all."""
        return list(self.control.builds(f"shop/{stage}" if stage else None))

    def release(self, stage: str, result: str = "SUCCESS", **how: Any) -> list[int]:
        """Let the running builds of a stage end."""
        return list(self.control.release(f"shop/{stage}", result=result, **how))


def clean(settings: Settings) -> None:
    """Forget the cached data of GitHub: names, limits, installations."""
    assert settings.redis_url is not None
    with connect(settings.redis_url.get_secret_value()) as redis:
        for key in redis.scan_iter("interlock:{github*"):
            redis.delete(key)


def forget_clients() -> None:
    """Close this thread's connections to Jenkins and GitHub and forget what this process knows of both.

    The end of a process does the same. A stand-in of a later test may have the address of an earlier one, but not its
    tokens, jobs and builds, and it is not a restarted Jenkins.
    """
    for one in client._local.__dict__.pop("clients", {}).values():
        one.close()
    session.close_all()
    for known in (client._sessions, client._restarted, builds._known, triggers._good_until, identity._installations):
        known.clear()


def twice(rows: Iterable[dict[str, Any]]) -> list[tuple[str, str]]:
    """The attempts that have more than one build."""
    attempts = [(row["params"]["INTERLOCK_RUN"], row["params"]["INTERLOCK_ATTEMPT"]) for row in rows]
    return sorted({attempt for attempt in attempts if attempts.count(attempt) > 1})
