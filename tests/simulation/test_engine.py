"""The engine of a simulation: what it does with builds, locks, time and commits, compared with cases done by hand."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import accumulate
from random import Random

from bot.core.model.board import Board
from bot.core.model.effects import Trigger
from bot.core.model.events import ContainmentKnown, Event, LockAsked, Merged, PullMoved, UnlockAsked
from bot.core.model.facts import FactKind
from bot.core.model.pipeline import VERIFY, Job, Mode, Outcome, Pipeline, Service, Step, Verify
from bot.core.rules.decision import Decision
from bot.simulation.engine import Arrival, Intention, MainBranches, Simulated, SimulatedBuild, simulate
from demo.pipeline import pipeline, shop_job

#: Seconds of each step: build, acceptance, pre-production, production.
SECONDS = {"build": 60.0, "acceptance": 600.0, "pre-production": 300.0, "production": 120.0}
FOREVER = 1e9


@dataclass
class Plan:
    """Builds that take what `SECONDS` says, after `queued` seconds in Jenkins' queue. `fails`: which fail."""

    fails: Counter[tuple[str, str]]
    queued: float = 0.0

    def build(self, trigger: Trigger, at: float) -> SimulatedBuild:
        step = str(Step(trigger.stage, trigger.track))
        fails = self.fails[trigger.sha, step] > 0
        self.fails[trigger.sha, step] -= 1
        seconds = SECONDS.get(step.removeprefix("fast "), 30.0)
        return SimulatedBuild(self.queued, seconds, Outcome.FAILURE if fails else Outcome.SUCCESS)


@dataclass
class Fixer:
    """Merges one fix of a service, a time after it has locked a stage."""

    after: float
    before: str = "a"

    def react(self, decision: Decision) -> Iterable[Intention]:
        return [Intention(decision.now + self.after, self._fix(lock.service or "")) for lock in decision.locked]

    def _fix(self, service: str) -> Callable[[Board], Event | None]:
        def act(board: Board) -> Event | None:
            return merged(service, "fix", self.before) if board.locks_held_by(service) else None

        return act


def plan(*fails: tuple[str, str], queued: float = 0.0) -> Plan:
    return Plan(Counter(fails), queued)


def merged(service: str, sha: str, before: str | None = None) -> Merged:
    return Merged(service, sha, before, push_id=f"{service}/{sha}")


def merges(*at: float) -> list[Arrival]:
    """One merge of another service at each of the times: S1, S2..."""
    return [Arrival(when, merged(f"S{number}", "a")) for number, when in enumerate(at, 1)]


def shop(services: int = 4, **more: object) -> Pipeline:
    """The pipeline of the four pictures: acceptance takes 3 at once, pre-production and production 1."""
    return pipeline(services=[Service(f"S{n}", f"shop/s{n}") for n in range(1, services + 1)], **more)  # type: ignore[arg-type]


def moments(simulated: Simulated, kind: FactKind) -> list[tuple[str | None, float]]:
    """When facts of a kind were noted, with the run that they are about."""
    return [(fact.run, at) for at, fact in simulated.facts if fact.kind is kind]


def busy(simulated: Simulated, step: Step) -> int:
    """How many builds ran in a step at once, at most."""
    found = [build for build in simulated.builds if build.step == step and build.started is not None]
    ends = [build.ended if build.ended is not None else FOREVER for build in found]
    changes = sorted([(b.started or 0.0, 1) for b in found] + [(end, -1) for end in ends], key=lambda c: (c[0], c[1]))
    return max(accumulate((change for _, change in changes)), default=0)


def test_a_run_that_nothing_keeps_takes_as_long_as_its_builds() -> None:
    found = simulate(shop(), merges(100.0), plan(), until=FOREVER)
    assert moments(found, FactKind.RUN_DELIVERED) == [("S1.1", 100.0 + sum(SECONDS.values()))]
    assert found.runs == ()


def test_the_time_in_jenkins_queue_counts_for_each_build() -> None:
    found = simulate(shop(), merges(0.0), plan(queued=5.0), until=FOREVER)
    assert moments(found, FactKind.RUN_DELIVERED) == [("S1.1", sum(SECONDS.values()) + 4 * 5.0)]
    assert [(build.asked, build.started, build.ended) for build in found.builds][:2] == [(0, 5, 65), (65, 70, 670)]


def test_runs_that_want_the_same_slot_take_turns_as_worked_out_by_hand() -> None:
    """Four merges at once: three pass acceptance from 60 to 660, the fourth to 1260; pre-production takes one each
    300 s, from 660: to 960, 1260, 1560, 1860. Production (120 s) keeps nobody waiting."""
    found = simulate(shop(), merges(0.0, 0.0, 0.0, 0.0), plan(), until=FOREVER)
    assert moments(found, FactKind.RUN_DELIVERED) == [
        ("S1.1", 1080.0),
        ("S2.1", 1380.0),
        ("S3.1", 1680.0),
        ("S4.1", 1980.0),
    ]


def test_a_locked_stage_waits_for_the_fix_which_passes_everyone() -> None:
    """S1 fails in pre-production at 960; the fix comes 1000 s later and goes by the fast lane: build 60, fast
    acceptance 600, fast pre-production 300, pre-production 300. The lock opens at 3220, and S2 enters then."""
    fails = plan(("a", "pre-production"))
    found = simulate(shop(), merges(0.0, 10.0), fails, until=FOREVER, people=Fixer(1000.0))
    assert [at for _, at in moments(found, FactKind.STAGE_LOCKED)] == [960.0]
    assert [at for _, at in moments(found, FactKind.STAGE_UNLOCKED)] == [3220.0]
    assert moments(found, FactKind.RUN_SUPERSEDED) == [("S1.1", 3220.0)]
    assert moments(found, FactKind.RUN_DELIVERED) == [("S1.2", 3340.0), ("S2.1", 3640.0)]


def test_a_stage_that_nobody_fixes_stays_locked_and_its_queue_waits() -> None:
    found = simulate(shop(), merges(0.0, 10.0), plan(("a", "pre-production")), until=FOREVER)
    assert moments(found, FactKind.STAGE_UNLOCKED) == []
    assert sorted(run.key for run in found.runs) == ["S1.1", "S2.1"]


def test_a_build_that_a_fix_makes_needless_is_aborted_and_frees_its_slot() -> None:
    """S1's commit b is in acceptance, which rolls nothing out, from 860 on (10 x as long as usual), when the fix has
    passed pre-production: 960 + 2000 + 60 + 600 + 300 + 300."""
    late = Arrival(800.0, merged("S1", "b", "a"))
    slow = Slow(Counter([("a", "pre-production")]))
    found = simulate(shop(1), [*merges(0.0), late], slow, until=FOREVER, people=Fixer(2000.0, "b"))
    aborted = [build for build in found.builds if build.aborted]
    assert [(build.run, build.step.stage, build.started, build.ended) for build in aborted] == [
        ("S1.2", "acceptance", 860.0, 4220.0)
    ]
    assert aborted[0].outcome is Outcome.ABORTED
    assert found.runs == ()


class Slow(Plan):
    """Commit b takes ten times as long in acceptance."""

    def build(self, trigger: Trigger, at: float) -> SimulatedBuild:
        will = super().build(trigger, at)
        return replace(will, seconds=will.seconds * 10) if (trigger.sha, trigger.stage) == ("b", "acceptance") else will


def test_a_lock_of_a_person_ends_when_it_is_due_though_nothing_else_happens() -> None:
    lock = Arrival(1.0, LockAsked("pre-production", "ann", "maintenance", until=5000.0))
    found = simulate(shop(), [lock, *merges(0.0)], plan(), until=FOREVER)
    assert [at for _, at in moments(found, FactKind.STAGE_UNLOCKED)] == [5000.0]
    assert moments(found, FactKind.RUN_DELIVERED) == [("S1.1", 5000.0 + 300.0 + 120.0)]


def test_a_lock_recalls_a_trigger_that_jenkins_has_not_started() -> None:
    lock = [
        Arrival(665.0, LockAsked("pre-production", "ann", "maintenance")),
        Arrival(1000.0, UnlockAsked("pre-production", "ann", "done", every=True)),
    ]
    found = simulate(shop(), [*lock, *merges(0.0)], plan(queued=0.0), until=FOREVER)
    assert moments(found, FactKind.RUN_DELIVERED) == [("S1.1", 1080.0)]  # it ran already
    found = simulate(shop(), [*lock, *merges(0.0)], plan(queued=2.0), until=FOREVER)
    withdrawn = [build for build in found.builds if build.withdrawn]
    assert [(build.step.stage, build.asked, build.ended) for build in withdrawn] == [("pre-production", 664.0, 665.0)]
    assert moments(found, FactKind.RUN_DELIVERED) == [("S1.1", 1000.0 + 2 + 300 + 2 + 120)]


def test_nothing_happens_after_the_end() -> None:
    found = simulate(shop(), merges(0.0), plan(), until=700.0)
    assert found.ended <= 700.0
    assert [run.key for run in found.runs] == ["S1.1"]
    assert [build.ended for build in found.builds] == [60.0, 660.0, None]


def test_a_pipeline_that_only_observes_starts_no_build() -> None:
    found = simulate(shop(), merges(0.0), plan(), until=FOREVER, mode=Mode.OBSERVE)
    assert (found.builds, len(found.runs)) == ([], 1)


def test_a_pull_request_is_verified() -> None:
    verified = shop(verify=Verify(Job("cdp", "shop/verify")))
    found = simulate(verified, [Arrival(0.0, PullMoved("S1", 7, "c"))], plan(), until=FOREVER)
    assert [(build.step, build.ended) for build in found.builds] == [(VERIFY, 30.0)]


def test_the_containment_of_commits_is_answered_from_the_merges() -> None:
    mains = MainBranches()
    mains.merge(merged("S1", "a"))
    mains.merge(Merged("S1", "c", "a", commits=("b", "c")))
    mains.merge(Merged("S1", "d"))
    assert [mains.contains("S1", "d", base) for base in "abcd"] == [True] * 4
    assert not mains.contains("S1", "a", "b")
    assert not mains.contains("S2", "d", "a")
    mains.merge(Merged("S1", "e", "d", forced=True))
    mains.merge(Merged("S1", "f"))
    assert [mains.contains("S1", "f", base) for base in "def"] == [False, True, True]


def test_a_question_to_github_is_answered_truthfully() -> None:
    """A push whose beginning nobody told: the rules ask whether the fix contains what holds the lock."""
    gap = Arrival(2000.0, merged("S1", "fix", "unseen"))
    between = Arrival(1999.0, merged("S1", "unseen", "a"))
    for arrivals in ([*merges(0.0), gap], [*merges(0.0), between, gap]):
        found = simulate(shop(1), arrivals, plan(("a", "pre-production")), until=FOREVER)
        asked = found.effects["compare"]
        answers = [fact for _, fact in found.facts if fact.kind is FactKind.CONTAINMENT_KNOWN]
        assert len(answers) == asked
    assert ContainmentKnown("S1", "a", "fix", True).contains


def random_load(seed: int, services: int, rate: float, hours: float) -> tuple[list[Arrival], Plan]:
    """Merges at random, of several services, a rate per hour each; one of ten builds fails."""
    random = Random(seed)
    arrivals: list[Arrival] = []
    fails: Counter[tuple[str, str]] = Counter()
    for service in range(1, services + 1):
        at, before = 0.0, None
        while (at := at + random.expovariate(rate / 3600.0)) < hours * 3600.0:
            sha = f"{service}-{len(arrivals)}"
            arrivals.append(Arrival(at, merged(f"S{service}", sha, before)))
            before = sha
            if random.random() < 0.3:
                fails[sha, random.choice(list(SECONDS))] += 1
    return arrivals, Plan(fails, 3.0)


class Retrier:
    """Opens each lock by hand, an hour later."""

    def react(self, decision: Decision) -> Iterator[Intention]:
        for lock in decision.locked:
            if lock.automatic:
                yield Intention(decision.now + 3600.0, self._open(lock.stage, lock.key))

    def _open(self, stage: str, key: str) -> Callable[[Board], Event | None]:
        return lambda board: UnlockAsked(stage, "ann", "it is fine", key) if key in board.locks else None


def test_the_same_load_gives_the_same_simulation_and_no_capacity_is_ever_exceeded() -> None:
    twice = []
    for _ in range(2):
        arrivals, fails = random_load(3, 6, 1.5, 20.0)
        twice.append(simulate(shop(6), arrivals, fails, until=20 * 3600.0, people=Retrier()))
    found = twice[0]
    assert found == twice[1]
    assert moments(found, FactKind.STAGE_LOCKED) and moments(found, FactKind.RUN_DELIVERED)
    for stage in shop().stages:
        if stage.capacity is not None:
            assert 0 < busy(found, Step(stage.name)) <= stage.capacity


def test_waiting_for_a_stage_of_several_slots_follows_the_known_formula() -> None:
    """Arrivals at random, a fixed duration, c slots (M/D/c): on average a run waits about half as long as with
    durations at random (M/M/c, Erlang C): Cosmetatos' approximation is exact to some percent."""
    slots, load, seconds = 3, 0.7, 600.0
    rate = load * slots / seconds
    random = Random(11)
    times = list(accumulate(random.expovariate(rate) for _ in range(1200)))
    one = replace(shop(1).stages[1], capacity=slots)
    line = Pipeline("line", (one,), tuple(Service(f"S{n}", f"shop/s{n}") for n in range(len(times))))
    arrivals = [Arrival(at, merged(f"S{n}", "a")) for n, at in enumerate(times)]
    found = simulate(line, arrivals, plan(), until=FOREVER)
    waits = [build.asked - times[int(build.service[1:])] for build in found.builds]
    wanted = erlang_c(slots, load * slots) * seconds / (slots * (1 - load)) / 2
    wanted *= 1 + (1 - load) * (slots - 1) * (math.sqrt(4 + 5 * slots) - 2) / (16 * load * slots)
    assert len(waits) == len(times)
    assert abs(sum(waits) / len(waits) / wanted - 1) < 0.2


def erlang_c(servers: int, offered: float) -> float:
    """The probability to wait with so many servers (Erlang's second formula)."""
    last = offered**servers / math.factorial(servers) * servers / (servers - offered)
    return last / (sum(offered**k / math.factorial(k) for k in range(servers)) + last)


def test_the_job_of_a_build_is_that_of_its_step() -> None:
    asked: list[Job] = []

    class Watching(Plan):
        def build(self, trigger: Trigger, at: float) -> SimulatedBuild:
            asked.append(trigger.job)
            return super().build(trigger, at)

    simulate(shop(), merges(0.0), Watching(Counter()), until=FOREVER)
    assert asked == [shop_job(name) for name in SECONDS]
