"""All that is written to GitHub, while GitHub fails in every way at once: nothing twice, nothing lost, all true."""

from __future__ import annotations

import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import pytest

from bot.core.model.effects import Answer, Comment, Deploy, Effect, LockNotice, SetStatus
from bot.core.model.messages import Verbatim
from bot.core.model.pipeline import Job
from bot.core.model.stage_messages import NothingLocked
from bot.github import session
from bot.github.webhooks import MARKER
from config.model import ReportKind
from tests.github.test_check_runs import as_app
from tests.texts import text_of
from tests.workers.conftest import Open
from tests.workers.workshop import Workshop
from workers.performer import perform_due

pytestmark = pytest.mark.slow

REPO, STAGES = "shop/s1", ("build", "acceptance", "pre-production")
ROUTE = "(GET|POST|PATCH) /repos/.*/.*/.+"
ANSWER = f"{MARKER}answer/"  # the beginning of each answer; the comment on the journey has another
LATE = 1.4  # longer than a request to GitHub may take here
#: Kind of fault, how often, and how.
FAULTS: tuple[tuple[str, float, dict[str, Any]], ...] = (
    ("status", 0.05, {"status": 503}),
    ("status_after", 0.06, {"status": 502}),
    ("drop_request", 0.05, {}),
    ("drop_reply", 0.08, {}),
    ("delay", 0.02, {"seconds": LATE}),
    ("delay_after", 0.02, {"seconds": LATE}),
    ("status", 0.01, {"status": 403, "headers": {"Retry-After": "1"}}),
    ("status", 0.01, {"status": 429, "headers": {"Retry-After": "1"}}),
    ("status", 0.01, {"status": 429}),
)


@dataclass
class Truth:
    """What must stand at GitHub in the end."""

    stages: dict[tuple[str, str], SetStatus] = field(default_factory=dict)
    comments: dict[int, str] = field(default_factory=dict)
    deployments: dict[str, Deploy] = field(default_factory=dict)
    answers: dict[int, Answer] = field(default_factory=dict)
    asked: int = 0

    def take(self, effect: Effect) -> None:
        self.asked += 1
        match effect:
            case SetStatus():
                self.stages[effect.sha, effect.context] = effect
            case Comment():
                self.comments[effect.pull] = effect.text
            case Deploy():
                self.deployments[effect.slot] = effect
            case Answer():
                self.answers[effect.comment] = effect
            case _:
                pass


def story(commit: int, sha: str, pull: int, commanded: list[int], chance: random.Random) -> Iterator[list[Effect]]:
    """What is asked for a run on its way, step by step; `commanded`: a comment in each stage that wants an answer."""
    run = f"S1.{commit}"
    for stage, comment in zip(STAGES, commanded, strict=True):
        yield [
            SetStatus(REPO, sha, stage, "pending", Verbatim(f"in {stage}"), run, summary=f"**{stage}**"),
            Comment(REPO, pull, run, f"**{run} is in {stage}**", time.time()),
        ]
        job = Job("cdp", f"shop/{stage}")
        where = (REPO, sha, stage, f"{stage}-env", False)
        answer = Answer(REPO, pull, comment, chance.choice(("+1", "-1", "confused")), f"{run} is in {stage}")
        yield [Deploy(*where, "in_progress", Verbatim("runs"), run, job, commit), answer]
        passed = chance.random() < 0.7
        yield [
            SetStatus(REPO, sha, stage, "success" if passed else "failure", Verbatim("over"), run, summary="over"),
            Deploy(*where, "success" if passed else "failure", Verbatim("over"), run, job, commit),
        ]
    yield [Comment(REPO, pull, run, f"**{run} is in production**", time.time())]


class Storm:
    """A workshop whose GitHub fails, worker threads, and stories that are told meanwhile."""

    def __init__(self, shop: Workshop, seed: int, runs: int) -> None:
        self.shop, self.truth, self.chance = shop, Truth(), random.Random(seed)
        control = shop.github.control
        self.pulls = [int(control.open_pull(REPO, title=f"Change {n}")) for n in range(runs)]
        self.commanded = [[int(control.comment(REPO, pull, "status", "dana")) for _ in STAGES] for pull in self.pulls]
        self.shas = [str(control.push(REPO)) for _ in range(runs)]
        control.seed(seed)
        for kind, rate, how in FAULTS:
            control.fault(kind, route=ROUTE, rate=rate, **how)
        control.reset_counters()

    def run(self, seconds: float) -> float:
        """Tell the stories while three threads perform; returns the seconds until everything was done."""
        began, told = time.monotonic(), threading.Event()

        def work() -> None:
            while not (told.is_set() and not self.shop.context.outbox.size()):
                if time.monotonic() - began > seconds:
                    return
                perform_due(self.shop.runtime, self.shop.context, "github", lambda *_: None)
                time.sleep(0.01)
            session.close_all()

        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        self._tell()
        told.set()
        for thread in threads:
            thread.join(seconds + 10)
        left = self.shop.context.outbox.size()
        assert not left, f"{left} effects are still not done"
        return time.monotonic() - began

    def _tell(self) -> None:
        words = "pre-production is locked by S1: merging this enters the fast lane"
        self._ask([LockNotice(REPO, "main", "success", Verbatim(words), locked=True)])
        many = enumerate(zip(self.shas, self.pulls, self.commanded, strict=True))
        stories = [story(number, *one, self.chance) for number, one in many]
        while stories:
            one = self.chance.choice(stories)
            step = next(one, None)
            if step is None:
                stories.remove(one)
            else:
                self._ask(step)
                time.sleep(0.02)
        self._until_told_of_the_lock()
        self._ask([LockNotice(REPO, "main", "success", NothingLocked(), locked=False)])

    def _until_told_of_the_lock(self) -> None:
        """A notice lets all other writes go first: on a busy machine the opening came before anybody was told."""
        deadline = time.monotonic() + 60
        while not [row for row in self.shop.github.control.statuses(REPO) if row["context"] == "interlock/lock"]:
            assert time.monotonic() < deadline, "nobody is told of the lock"
            time.sleep(0.05)

    def _ask(self, effects: list[Effect]) -> None:
        for effect in effects:
            self.truth.take(effect)
        self.shop.ask(*effects)

    # -- what stands there -------------------------------------------------------------------------------------

    def check(self) -> dict[str, int]:
        """Fails where something stands twice, is missing or not true; returns how much there is."""
        assert self.shop.dead() == []
        self._check_comments()
        self._check_answers()
        self._check_deployments()
        contexts = self._check_statuses()
        runs = self._check_runs()
        checks = self.shop.configuration.github.report is ReportKind.CHECKS
        assert (runs, contexts) == ((len(self.truth.stages), 0) if checks else (0, len(self.truth.stages)))
        truth = self.truth
        made = {"comments": len(truth.comments), "answers": len(truth.answers), "deployments": len(truth.deployments)}
        return {**made, "checks": runs}

    def _ours(self, pull: int) -> list[str]:
        """What we said on a pull request."""
        return [row["body"] for row in self.shop.github.control.comments(REPO, pull) if row["user"] != "dana"]

    def _check_comments(self) -> None:
        for pull, text in self.truth.comments.items():
            bodies = [body for body in self._ours(pull) if not body.startswith(ANSWER)]
            assert len(bodies) == 1, f"#{pull} has {len(bodies)} comments"
            assert text in bodies[0]

    def _check_answers(self) -> None:
        for pull, comments in zip(self.pulls, self.commanded, strict=True):
            bodies = [body for body in self._ours(pull) if body.startswith(ANSWER)]
            for wanted in (self.truth.answers[comment] for comment in comments):
                found = [body for body in bodies if body.startswith(f"{MARKER}{wanted.slot} -->")]
                assert len(found) == 1, f"{wanted.slot} was given {len(found)} times"
                assert wanted.text in found[0]
                assert self._reactions(pull, wanted.comment) == [wanted.reaction]
            assert len(bodies) == len(comments), f"#{pull} has answers that nobody asked for"

    def _reactions(self, pull: int, comment: int) -> list[str]:
        rows = self.shop.github.control.comments(REPO, pull)
        return [content for row in rows if row["id"] == comment for _, content in row["reactions"]]

    def _check_deployments(self) -> None:
        rows = self.shop.github.control.deployments(REPO)
        found = Counter(row["payload"]["interlock"] for row in rows)
        assert max(found.values()) == 1, f"made twice: {found.most_common(3)}"
        states = {row["payload"]["interlock"]: row["states"] for row in rows}
        for effect in self.truth.deployments.values():
            have = states[f"{self.shop.pipeline.name}/{effect.run}/{effect.stage}"]
            assert all(one != other for one, other in pairwise(have)), f"twice in a row: {have}"
            # A later success in the environment makes it inactive, which is GitHub's own doing.
            assert [state for state in have if state != "inactive"][-1] == effect.state

    def _check_statuses(self) -> int:
        rows: dict[tuple[str, str], list[tuple[str, str]]] = {}
        for row in self.shop.github.control.statuses(REPO):
            rows.setdefault((row["sha"], row["context"]), []).append((row["state"], row["description"]))
        for where, have in rows.items():
            assert all(one != other for one, other in pairwise(have)), f"twice in a row on {where}: {have}"
        if self.shop.configuration.github.report is ReportKind.STATUSES:
            for (sha, stage), effect in self.truth.stages.items():
                assert rows[sha, f"interlock/{stage}"][-1] == (effect.state, text_of(effect.description))
        locks = [have for (sha, runtime), have in rows.items() if runtime == "interlock/lock"]
        assert locks, "nobody was told of the lock"
        assert {have[-1][1] for have in locks} == {"open"}, "somebody was told of a lock, and not that it is open"
        return len(rows) - len(locks)

    def _check_runs(self) -> int:
        runs = list(self.shop.github.world.repos[REPO].check_runs.values())
        found = Counter((run.sha, run.name) for run in runs)
        assert not found or max(found.values()) == 1, f"made twice: {found.most_common(3)}"
        have = {(run.sha, run.name): run.conclusion for run in runs}
        if runs:
            for (sha, stage), effect in self.truth.stages.items():
                assert have[sha, f"interlock/{stage}"] == effect.state
        return len(runs)


def report(storm: Storm, seconds: float, found: dict[str, int]) -> None:
    """The numbers, for whoever runs this with `-s`."""
    requests = storm.shop.github.control.requests()
    struck = Counter[str]()
    for rule in storm.shop.github.world.faults.listed():
        struck[f"{rule['kind']} {rule['status'] if 'status' in rule['kind'] else ''}".strip()] += rule["struck"]
    writes = sum(n for route, n in requests.items() if not route.startswith("GET"))
    sys.stdout.write(
        f"\n{storm.truth.asked} effects asked for in {seconds:.1f} s: {found}, none twice, all true\n"
        f"{sum(requests.values())} requests, {writes} of them writes; faults: {dict(struck)}\n"
    )


def opened(workshop: Open) -> Workshop:
    """A minute is a moment here, and a late request may arrive later still, because the machine is busy."""
    shop = workshop(timeout=1.0)
    shop.limit_github(late_request=LATE + 1.6, unnamed_pause=0.2, longest_pause=0.5)
    return shop


@pytest.mark.parametrize("seed", [1])
@pytest.mark.parametrize("kind", list(ReportKind))
def test_in_a_storm_nothing_is_made_twice_nothing_is_lost_and_the_last_word_is_true(
    workshop: Open, kind: ReportKind, seed: int
) -> None:
    shop = opened(workshop)
    storm = Storm(as_app(shop, kind) if kind is ReportKind.CHECKS else shop, seed, runs=18)
    seconds = storm.run(90)
    report(storm, seconds, storm.check())
    assert storm.truth.asked > 200


def test_in_a_storm_with_writes_one_after_the_other_the_same_holds(workshop: Open) -> None:
    shop = opened(workshop)
    shop.reload(replace(shop.configuration, github=replace(shop.configuration.github, write_spacing=0.1)))
    storm = Storm(shop, 3, runs=3)
    seconds = storm.run(90)
    report(storm, seconds, storm.check())
