"""A town in which anything may happen at any time: the state machine that tests the invariants.

Each rule of the machine is something that the outside may do. `CheckedTown.send` checks each decision (see `checks`);
at the end everything succeeds, and then no run may be left. Rare events (people, troubles) share one rule each, so
that most steps are merges and builds, and lives get as far as locks, fixes and clean-ups.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from bot.core.model.events import (
    AbortTaken,
    BannerOverwritten,
    BuildHinted,
    BuildLost,
    BuildSeen,
    CancelAsked,
    Command,
    CommandAllowed,
    CommandRefused,
    CommandSaid,
    Configured,
    Event,
    FastLaneAsked,
    FreezesPlanned,
    GroupFormed,
    HeadSeen,
    LetThroughAsked,
    LockAsked,
    Merged,
    ModeAsked,
    MoveAsked,
    PullClosed,
    PullFound,
    PullLabelled,
    PullMoved,
    RetryAsked,
    TimePassed,
    TriggerAccepted,
    TriggerRefused,
    TriggerUnanswered,
    UnlockAsked,
    VerifyAsked,
    WatchAsked,
    WeekEnded,
    Withdrawn,
)
from bot.core.model.freezes import Freeze, FreezeWindow, PullLabels
from bot.core.model.notice_plan import AUTHORS, EscalationLevel, NoticePlan, ReminderPlan, Route, WeeklyPlan
from bot.core.model.pipeline import FastLaneStart, Forks, Job, Lane, Mode, Outcome, Pipeline, Policy, Track, Verify
from bot.core.model.run import Run, Status
from bot.core.rules.decision import DecisionLimits
from tests.core.checked_town import REPEATABLE, CheckedTown
from tests.core.world import Asked, shop

STAGES = ("build", "acceptance", "pre-production", "production")
SERVICES = ("S1", "S2", "S3")
FAILURES = tuple(outcome for outcome in Outcome if outcome not in (Outcome.SUCCESS, Outcome.TIMEOUT))
#: What people do, and how often one beside the other.
PEOPLE = (
    ["retry"] * 4
    + ["unlock"] * 3
    + ["cancel"] * 3
    + ["fast_lane", "lock", "verify", "command", "permission", "move", "watch", "freeze", "week"] * 2
    + ["let_through", "label"]
    + ["mode", "configure"]
)
#: What happens to a pull request, and how often one beside the other.
PULL_NEWS = ["push"] * 4 + ["open"] * 3 + ["close", "draft", "ready", "back"]
#: Whether GitHub tells of it.
TOLD = ["now"] * 4 + ["late", "lost"]
#: What else goes wrong outside.
TROUBLES = (
    ["old_news"] * 3
    + ["abort_taken", "pull_found", "old_answer"] * 2
    + ["duplicate", "unmanaged", "unmanaged_ends", "hint", "refused", "unanswered", "cancelled", "lost", "late"]
    + ["banner_overwritten", "group_formed"]
)
EVENTS_DECIDED = [0]

picks = st.integers(0, 30)
services = st.sampled_from(SERVICES)


@dataclass
class TruePull:
    """The true state of a pull request; GitHub reports it, at times late or not at all."""

    heads: list[str]
    fork: bool
    open: bool = True
    draft: bool = False

    def told(self, number: int, at: float, before: str | None = None) -> PullMoved | PullClosed:
        """What GitHub says of it now."""
        if not self.open:
            return PullClosed("S1", number, self.heads[-1], at)
        return PullMoved("S1", number, self.heads[-1], before=before, at=at, draft=self.draft, fork=self.fork)


#: Others hear of a locked stage after a while, and of forgotten locks again and again.
TOLD_LATER = NoticePlan(
    (Route((AUTHORS, "chat")),),
    (EscalationLevel(60.0, ("team",)), EscalationLevel(600.0, ("on-call", AUTHORS), ("pre-production",))),
    ReminderPlan(300.0, 500.0, ("ops",)),
    weekly=WeeklyPlan(("team",)),
)


def verified(pipeline: Pipeline, pick: int) -> Pipeline:
    """A shop that verifies pull requests in some way, or not at all."""
    if pick % 2:
        pipeline = replace(pipeline, notices=TOLD_LATER)
    if pick % 4 == 3:
        return pipeline
    forks = Forks.NEVER if pick % 7 == 0 else Forks.ON_REQUEST
    job = Job("cdp", "verify")
    return replace(pipeline, verify=Verify(job, (None, 1, 2)[pick % 3], 500.0, drafts=pick % 2 == 0, forks=forks))


class AnyTown(RuleBasedStateMachine):
    """Anything at any time."""

    def __init__(self) -> None:
        super().__init__()
        self.town: CheckedTown
        self.late: list[Event] = []
        self.past: list[Event] = []
        #: Answers about main that are on their way: what GitHub said, of how often main had moved when it was asked.
        self.answers: list[HeadSeen] = []
        self.letters = 0
        self.unmanaged: list[BuildSeen] = []
        self.said: list[CommandSaid] = []
        self.pulls: dict[int, TruePull] = {}

    @initialize(
        acceptance=st.sampled_from([1, 2, 3, None]),
        pre_production=st.integers(1, 3),
        production=st.sampled_from([1, 1, 2, None]),
        acceptance_locks=st.sampled_from([False, False, False, True]),
        production_locks=st.booleans(),
        fast=st.sampled_from([True, True, True, False]),
        fast_capacity=st.integers(1, 3),
        start=st.sampled_from(FastLaneStart),
        rejoins=st.sampled_from([None, None, "acceptance", "pre-production"]),
        retries=st.sampled_from([0, 0, 1, 2]),
        softer=st.sampled_from([False, False, True]),
        live=st.integers(0, 6),
        pulls=picks,
        slice_=st.sampled_from([1, 1, 100]),
    )
    def found(self, *, softer: bool, live: int, pulls: int, slice_: int, **how: object) -> None:
        """A shop of some kind; perhaps with an exception from its failure policy; perhaps with runs on their way."""
        outcomes = ((Outcome.UNSTABLE, Policy.PASS), (Outcome.ABORTED, Policy.REPORT)) if softer else ()
        pipeline = shop(outcomes=outcomes, timeout=500.0, **how)  # type: ignore[arg-type]
        # With 1, clean-ups are under way while anything else happens.
        self.town = CheckedTown(verified(pipeline, pulls), DecisionLimits(removed_at_once=slice_))
        for service in SERVICES:
            self.town.github.commit(service, f"{service}-")
            self._send(HeadSeen(service, f"{service}-"))
        for number in range(live):
            self._send(self.town.push(SERVICES[number % 3], self._letter()))
            self.all_go_on(2)
        for number in range(1, 1 + pulls % 3):
            self.pull_request(number, "open", "now")

    # -- GitHub --------------------------------------------------------------------------------------------------

    @rule(service=services, how=st.sampled_from(["push"] * 4 + ["pull", "both", "late", "lost"]))
    def merge(self, service: str, how: str) -> None:
        """A merge, told by a push, a pull request, both, late, or not at all."""
        push = self.town.push(service, self._letter())
        pull = Merged(service, push.sha, pull=7, title="a change")
        if how in ("pull", "both"):
            self._send(pull)
        if how in ("push", "both"):
            self._send(push)
        elif how != "lost":
            self.late.append(push)

    @rule(
        service=services, count=st.integers(2, 3), told=st.sampled_from(["push", "pulls first", "pulls later", "late"])
    )
    def merge_together(self, service: str, count: int, told: str) -> None:
        """Several pull requests land in one push, as by a merge queue; their pull requests are told before or after."""
        before = self.town.github.heads[service]
        shas = [self.town.github.commit(service, f"{service}{self._letter()}")[1] for _ in range(count)]
        push = replace(self.town.merged(service, before, shas[-1]), commits=tuple(shas[:-1]))
        pulls = [Merged(service, sha, pull=self.letters + number, title="a change") for number, sha in enumerate(shas)]
        if told == "pulls first":
            for pull in reversed(pulls):
                self._send(pull)
        if told == "late":
            self.late.append(push)
        else:
            self._send(push)
        if told in ("pulls later", "late"):
            self.late += pulls

    @rule(pick=picks)
    def fix(self, pick: int) -> None:
        """A service that holds a lock merges its fix."""
        holders = sorted({k.service for k in self.town.board.locks.values() if k.service})
        if holders:
            self._send(self.town.push(holders[pick % len(holders)], self._letter()))

    @rule(service=services, pick=picks, back=st.booleans(), rarely=st.integers(0, 2))
    def force(self, service: str, pick: int, rarely: int, *, back: bool) -> None:
        """Main is moved by force: to a new commit, or back to a known one; told at once, or late."""
        known = [sha for sha in self.town.github.parents if sha.startswith(service)]
        onto = known[pick % len(known)]
        if rarely:
            return
        before, after = self.town.github.commit(service, onto if back else f"{service}{self._letter()}", onto=onto)
        if before == after:
            return
        push = replace(self.town.merged(service, before, after), forced=True)
        if pick % 4:
            self._send(push)
        elif pick % 8:
            self.late.append(push)  # else it is lost: look_at_main must find it

    @rule(service=services, told=st.booleans())
    def back_to_delivered(self, service: str, *, told: bool) -> None:
        """Main is moved by force back to a commit that was delivered, as a hurried revert does; told or lost."""
        delivered = self.town.memory.delivered.get(service, [])
        onto = delivered[-1] if delivered else ""
        if onto and self.town.github.heads[service] != onto:
            before, after = self.town.github.commit(service, onto, onto=onto)
            if told:
                self._send(replace(self.town.merged(service, before, after), forced=True))

    @rule(service=services)
    def look_at_main(self, service: str) -> None:
        """The reconciler asks for the head."""
        self._send(HeadSeen(service, self.town.github.heads[service], self.town.board.service(service).moves))

    @rule(pick=picks)
    def answer(self, pick: int) -> None:
        """GitHub answers one of the questions, in any order."""
        questions = self.town.github.questions
        if questions:
            self._send(self.town.github.answer(questions.pop(pick % len(questions))))

    @rule(pick=picks)
    def push_again(self, pick: int) -> None:
        """Somebody pushes to a pull request, at times while its build runs."""
        number = 1 + pick % 3
        if pick % 2:
            self.go_on(pick, good=True, silent=False)
        self.pull_request(number, "open", "now")
        self.pull_request(number, "push", "now")

    @rule(number=st.integers(1, 4), what=st.sampled_from(PULL_NEWS), told=st.sampled_from(TOLD))
    def pull_request(self, number: int, what: str, told: str) -> None:
        """Something happens to a pull request of S1; GitHub tells of it at once, late, or not at all."""
        pull = self.pulls.setdefault(number, TruePull([self._head()], fork=number % 3 == 0))
        before = pull.heads[-1]
        if what == "push" and pull.open:
            pull.heads.append(self._head())
        elif what == "back" and pull.open:
            pull.heads.append(pull.heads[0])
        pull.open = what != "close" if what in ("open", "close") else pull.open
        pull.draft = what == "draft" if what in ("draft", "ready") else pull.draft
        event = pull.told(number, self.town.now // 1, before if before != pull.heads[-1] else None)
        if told == "now":
            self._send(event)
        elif told == "late":
            self.late.append(event)

    # -- Jenkins -------------------------------------------------------------------------------------------------

    @rule(pick=picks, good=st.sampled_from([True, True, False]), silent=st.sampled_from([False, False, True]))
    def go_on(self, pick: int, *, good: bool, silent: bool) -> None:
        """One build goes on a step; what Jenkins would say of it may stay unsaid for a while."""
        asked = self._open(pick)
        if asked is None:
            return
        event = self._forward(asked, Outcome.SUCCESS if good else FAILURES[pick % len(FAILURES)])
        if silent:
            self.late.append(event)
        else:
            self._send(event)

    @rule(rounds=st.integers(1, 3))
    def all_go_on(self, rounds: int) -> None:
        """A while in which everything goes well."""
        for _ in range(rounds):
            for asked in self._all_open():
                self._send(self._forward(asked, Outcome.SUCCESS))

    @rule(pick=picks, rounds=st.integers(1, 4))
    def fast_lane_goes_on(self, pick: int, rounds: int) -> None:
        """A fix goes through job after job."""
        for _ in range(rounds):
            for asked in self._all_open(lambda asked: asked.trigger.lane is Lane.FAST):
                self._send(self._forward(asked, Outcome.SUCCESS))

    @rule(pick=picks, tests=st.booleans())
    def breaks(self, pick: int, *, tests: bool) -> None:
        """What is in a stage that locks (or in a fast job) fails."""
        asked = self._open(pick, lambda asked: asked.trigger.track is Track.FAST or asked.trigger.stage in STAGES[2:])
        if asked is not None:
            while asked.state in ("asked", "queued"):
                self._send(self._forward(asked, Outcome.SUCCESS))
            result = FAILURES[pick % len(FAILURES)]
            seen = self.town.jenkins.end(asked, result, ("CheckoutTest",) if tests else ())
            ended = self.town.now - 5 * (pick % 4) if pick % 3 else None  # the news of a failure may take a while
            self._send(replace(seen, ended=ended))

    @rule(pick=picks)
    def confirm(self, pick: int) -> None:
        """Jenkins carries out a withdrawal."""
        if self.town.jenkins.withdrawals:
            self._confirm(pick)

    # -- people and troubles -------------------------------------------------------------------------------------

    @rule(what=st.sampled_from(PEOPLE), pick=picks, other=picks)
    def people(self, what: str, pick: int, other: int) -> None:
        """Somebody wants something."""
        event = getattr(self, f"_{what}")(pick, other)
        if event is not None:
            self._send(event)

    @rule(what=st.sampled_from(TROUBLES), pick=picks)
    def backoffs(self, what: str, pick: int) -> None:
        """Something else happens outside."""
        event = getattr(self, f"_{what}")(pick)
        if event is not None:
            self._send(event)
        if what == "hint":
            self._look()

    @rule(seconds=st.sampled_from([0.0, 1.0, 60.0, 600.0]))
    def time_passes(self, seconds: float) -> None:
        """Time passes; with 0, the next events come in the same instant."""
        self.town.step = 0.0 if seconds == 0 else 1.0
        self.town.now += seconds
        self._send(TimePassed())

    def _lock(self, pick: int, other: int) -> Event:
        until = self.town.now + 30 if other % 2 else None
        return LockAsked(STAGES[pick % 4], "ann", "maintenance", let_fixes_in=other % 3 == 0, until=until)

    def _unlock(self, pick: int, other: int) -> Event | None:
        locks = list(self.town.board.locks.values())
        if not locks:
            return None
        lock = locks[pick % len(locks)]
        return UnlockAsked(lock.stage, "ann", "fine", None if other % 3 == 0 else lock.key, every=other % 2 == 0)

    def _retry(self, pick: int, other: int) -> Event | None:
        runs = self._runs(lambda run: run.status is not Status.FAILED)
        return RetryAsked(runs[pick % min(2, len(runs))].key, "ann", "flaky") if runs else None

    def _cancel(self, pick: int, other: int) -> Event | None:
        runs = self._runs(lambda run: run.lane is Lane.MAIN and other % 2 == 0)
        return CancelAsked(runs[pick % len(runs)].key, "ann", "not wanted") if runs else None

    def _move(self, pick: int, other: int) -> Event | None:
        """Mostly a run that waits behind others, at times any."""
        runs = self._runs(lambda run: run.status is not Status.WAITING or self.town.board.ahead_of(run) == 0)
        return MoveAsked(runs[pick % len(runs)].key, "ann", "the fair is tomorrow") if runs else None

    def _freeze(self, pick: int, other: int) -> Event:
        """The freezes of the file: windows around now, which nobody, a service, a label or a person passes; or none."""
        now, stages = self.town.now, STAGES[1 + pick % 3 : 4]
        windows = tuple(FreezeWindow(now + begins, now + begins + 60) for begins in (other * 7 - 20, other * 7 + 90))
        weekend = Freeze("weekend", stages, windows, services=SERVICES[: pick % 2], labels=("hotfix",), role="operator")
        night = Freeze("night", ("production",), (FreezeWindow(now + 5, now + 10 + 9 * pick),))
        return FreezesPlanned(((), (weekend,), (night,), (weekend, night))[other % 4])

    def _week(self, pick: int, other: int) -> Event:
        """A week is over, mostly a later one than the last that was told."""
        return WeekEnded(f"2026-W{10 + (int(self.town.now) // 600 + pick + other) % 40}")

    def _let_through(self, pick: int, _other: int) -> Event | None:
        runs = self._runs(lambda run: run.status is not Status.WAITING)
        return LetThroughAsked(runs[pick % len(runs)].key, "ann", "the shop is down") if runs else None

    def _label(self, pick: int, other: int) -> Event | None:
        runs = [run for run in self._runs(lambda run: run.status is not Status.WAITING) if run.merge.pulls]
        if not runs:
            return None
        run = runs[pick % len(runs)]
        labels = PullLabels(run.merge.pulls[0], (("hotfix",), ("docs",), ())[other % 3], self.town.now)
        return PullLabelled(run.service, labels)

    def _watch(self, pick: int, other: int) -> Event:
        stage = ("", "pre-production", "production")[pick % 3]
        return WatchAsked(stage, "ann", "shop/S1", other) if other % 2 else WatchAsked(stage, f"person {other}")

    def _fast_lane(self, pick: int, other: int) -> Event:
        return FastLaneAsked(SERVICES[pick % 3], "ann", "urgent", (None, *STAGES)[other % 5])

    def _verify(self, pick: int, other: int) -> Event | None:
        """Somebody asks for a head: mostly the present one, or one of before."""
        if not self.pulls:
            return None
        number = sorted(self.pulls)[pick % len(self.pulls)]
        pull = self.pulls[number]
        head = pull.heads[-1] if other % 3 else pull.heads[other % len(pull.heads)]
        return VerifyAsked("S1", number, "ann", head, (None, pull.fork)[other % 2])

    def _mode(self, pick: int, other: int) -> Event:
        """Another mode: mostly back to work if the pipeline does not act, else a pause or only observing."""
        modes = [mode for mode in Mode if mode is not self.town.board.header.mode]
        return ModeAsked(Mode.RUN if Mode.RUN in modes and other % 3 else modes[pick % 2], "ann", "because")

    def _configure(self, pick: int, other: int) -> Event:
        """Another configuration: stages and services go and come back, jobs get other names, rooms other sizes."""
        without = ((), (), ("acceptance",), ("production",), ("pre-production",))[pick % 5]
        members = SERVICES[:2] if other % 4 == 0 else SERVICES
        start = self.town.board.pipeline.fast_lane.start
        pipeline = shop(
            without=without,
            services=members,
            start=start,
            pre_production=1 + pick % 3,
            production=(1, 2, None)[other % 3],
            fast=bool(other % 3),
            acceptance_locks=pick % 6 == 0,
            production_locks=other % 2 == 0,
            retries=other % 3,
            rejoins=(None, None, "acceptance")[pick % 3],
            renamed=((), (), (), STAGES[pick % 4 : pick % 4 + 1])[other % 4],
        )
        return Configured(verified(pipeline, pick), Mode.RUN if pick % 4 == 0 else None)

    def _command(self, pick: int, other: int) -> Event:
        verb = ("retry", "cancel", "unlock", "lock", "fast-lane", "status", "why", "verify")[pick % 8]
        rest = f"{STAGES[other % 4]} because" if verb in ("lock", "unlock", "fast-lane") else ""
        number = len(self.said) + 1
        at = self.town.now - (0 if other % 5 else 4_000)
        command = Command(verb, rest)
        if other % 3 == 0:
            sha = next(iter(self.town.github.heads.values()))
            self.said.append(CommandSaid(f"check/{number}", "shop/S1", "ann", (command,), sha=sha))
        else:
            self.said.append(CommandSaid(f"comment/{number}", "shop/S2", "ann", (command,), 7, number, at))
        return self.said[-1]

    def _permission(self, pick: int, other: int) -> Event | None:
        """GitHub authorizes or refuses a command, perhaps one that never arrived."""
        if not self.said:
            return None
        said = self.said[pick % len(self.said)]
        if other % 3 == 0:
            return CommandRefused(said, "ann may not write")
        return CommandAllowed(said, "S2" if said.comment else "", merged=self.town.github.heads["S2"])

    def _late(self, pick: int) -> Event | None:
        return self.late.pop(pick % len(self.late)) if self.late else None

    def _old_news(self, pick: int) -> Event | None:
        return self.past[-1 - pick % len(self.past)] if self.past else None

    def _old_answer(self, pick: int) -> Event | None:
        """GitHub is asked where main stands, and its answer takes a while; or one of those answers comes in."""
        if pick % 2 and self.answers:
            return self.answers.pop(pick % len(self.answers))
        service = SERVICES[pick % 3]
        moves = self.town.board.service(service).moves
        self.answers.append(HeadSeen(service, self.town.github.heads[service], moves))
        return None

    def _abort_taken(self, pick: int) -> Event | None:
        """Jenkins takes a request to end a build, which goes on for a while all the same."""
        aborts = self.town.jenkins.aborts
        if not aborts:
            return None
        job, number, level = aborts.pop(pick % len(aborts))
        built = next((b for b in self.town.board.aborting() if b.attempt.build == number), None)
        taken = AbortTaken(job.controller, job.name, number, level)
        if built is None or pick % 3 == 0:
            return taken
        return replace(taken, run=built.key, attempt=built.attempt.number)

    def _pull_found(self, pick: int) -> Event | None:
        searches = self.town.github.searches
        if not searches:
            return None
        search = searches.pop(pick % len(searches))
        return PullFound(search.service, search.sha, 7 + pick, "a change", "ben")

    def _banner_overwritten(self, pick: int) -> Event:
        return BannerOverwritten("cdp", STAGES[pick % 4])

    def _group_formed(self, pick: int) -> Event:
        return GroupFormed(SERVICES[pick % 3], self._head())

    def _hint(self, pick: int) -> Event:
        return BuildHinted("cdp", ("acceptance", "verify")[pick % 2], pick)

    def _duplicate(self, pick: int) -> Event | None:
        """A second build of an attempt turns up: a reply was lost, or somebody pressed Rebuild."""
        attempts = [asked for asked in self.town.jenkins.attempts.values() if asked.number is not None]
        if not attempts:
            return None
        twin = replace(attempts[-1 - pick % len(attempts)], number=self.town.jenkins.number(), state="running")
        self.unmanaged.append(self.town.jenkins.say(twin.seen()))
        return self.unmanaged[-1]

    def _unmanaged(self, pick: int) -> Event:
        job = ("acceptance", "fast-acceptance", "pre-production", "verify")[pick % 4]
        self.unmanaged.append(self.town.jenkins.say(BuildSeen("cdp", job, self.town.jenkins.number(), None)))
        return self.unmanaged[-1]

    def _unmanaged_ends(self, pick: int) -> Event | None:
        if not self.unmanaged:
            return None
        seen = self.unmanaged.pop(pick % len(self.unmanaged))
        return self.town.jenkins.say(replace(seen, result=Outcome.SUCCESS))

    def _refused(self, pick: int) -> Event | None:
        asked = self._open(pick, lambda asked: asked.state == "asked")
        return self._over(asked, TriggerRefused(asked.trigger.run, asked.trigger.attempt, "503")) if asked else None

    def _unanswered(self, pick: int) -> Event | None:
        """Nobody has answered a trigger; it may arrive all the same."""
        asked = self._open(pick, lambda asked: asked.state == "asked")
        return TriggerUnanswered(asked.trigger.run, asked.trigger.attempt, 60.0) if asked else None

    def _cancelled(self, pick: int) -> Event | None:
        asked = self._open(pick, lambda asked: asked.state == "queued")
        if asked is None:
            return None
        return self._over(asked, Withdrawn(asked.trigger.run, asked.trigger.attempt, "cancelled in Jenkins"))

    def _lost(self, pick: int) -> Event | None:
        asked = self._open(pick, lambda asked: asked.state == "running")
        if asked is None:
            return None
        self.town.jenkins.end(asked, Outcome.ABORTED)
        return BuildLost(asked.trigger.run, asked.trigger.attempt, "gone")

    # -- the end -------------------------------------------------------------------------------------------------

    def teardown(self) -> None:
        """Liveness: from now on the world behaves and fixes are merged, under whatever configuration is in force."""
        if hasattr(self, "town"):
            self._everything_ends()

    def _everything_ends(self) -> None:
        town = self.town
        town.step = 1.0
        town.replay()
        self._freezes_pass()
        if town.board.header.mode is Mode.RUN:
            self._until_quiet()
            self._only_people_and_failures_hold()
            self._newest_heads_are_verified()
        self._send(ModeAsked(Mode.RUN, "ann", "go on"))
        for lock in [k for k in town.board.locks.values() if not k.automatic]:
            self._send(UnlockAsked(lock.stage, "ann", "done", lock.key))
        self._until_quiet()
        self._only_failures_hold()
        self._the_head_was_delivered_last()
        for _ in range(4):  # a fix may fail nowhere now: each service that holds a lock merges one
            for service in sorted({k.service for k in town.board.locks.values() if k.service}):
                self._send(town.push(service, self._letter()))
                if town.board.pipeline.fast_lane.start is FastLaneStart.MANUAL:
                    self._send(FastLaneAsked(service, "ann", "it is the fix"))
            self._until_quiet()
        self._everything_has_ended()
        for service in town.board.pipeline.services:
            self._send(town.push(service.name, self._letter()))
        self._until_quiet()
        self._everything_has_ended()
        self._the_head_was_delivered_last()
        town.replay()

    def _freezes_pass(self) -> None:
        """The last window of the freezes is over: from then on they close no stage."""
        town = self.town
        ends = [window.ends for freeze in town.board.header.freezes for window in freeze.windows]
        town.now = max([town.now, *ends])
        self._send(TimePassed())
        assert not any(lock.freeze for lock in town.board.locks.values())

    def _everything_has_ended(self) -> None:
        town = self.town
        left = {run.key: (run.status, str(run.step), town.says(run.position.sha)) for run in town.board.runs.values()}
        assert not left, f"nobody can help these any more: {left}"
        assert not town.board.locks
        assert not town.board.unmanaged
        assert not town.board.verifications
        for service in town.board.pipeline.services:
            head = town.board.service(service.name).history.head
            assert head is not None
            assert head.sha == town.github.heads[service.name], f"main of {service.name} stands elsewhere"

    def _the_head_was_delivered_last(self) -> None:
        """The head of main was rolled out last, unless its run failed, or a person took it out."""
        memory = self.town.memory
        for service in [s.name for s in self.town.board.pipeline.services]:
            head, delivered = self.town.github.heads[service], memory.delivered.get(service, [])
            if head not in memory.given_up and head not in memory.baselines:
                live = self.town.board.of_commit(service, head)
                assert live or delivered[-1:] == [head], (
                    f"{service}: {delivered[-1:]} was delivered last, main is at {head}"
                )

    def _only_people_and_failures_hold(self) -> None:
        board = self.town.board
        for run in board.runs.values():
            locked = any(lock.stage == run.step.stage for lock in board.locks.values())
            waits = run.status is Status.WAITING and (locked or _fast_part_held(self.town, run.service))
            assert waits or run.status is Status.FAILED, f"{run.key} is stuck: {self.town.says(run.position.sha)}"

    def _newest_heads_are_verified(self) -> None:
        """Once everybody was told everything, each head was verified, or there is a reason not to."""
        board, verify = self.town.board, self.town.board.pipeline.verify
        assert not board.verifications
        for number, pull in self.pulls.items():
            self._send(pull.told(number, self.town.now // 1 + 1))
        self._until_quiet()
        for number, pull in self.pulls.items():
            known = board.pull("S1", number)
            wanted = verify is not None and pull.open and not pull.fork and (verify.drafts or not pull.draft)
            assert not wanted or (known is not None and (known.sha, known.done) == (pull.heads[-1], True))

    def _only_failures_hold(self) -> None:
        board = self.town.board
        assert all(lock.automatic for lock in board.locks.values())
        for run in board.runs.values():
            locked = bool(board.locks)
            assert run.status is Status.FAILED or (run.status is Status.WAITING and locked), f"{run.key} is stuck"
        if not board.locks:
            assert not board.runs

    def _until_quiet(self) -> None:
        town = self.town
        for _ in range(400):
            self._everybody_answers()
            everything = [*town.board.runs.values(), *town.board.verifications.values()]
            going = [built for built in everything if built.holds_slot]
            for run in going:
                self._help(run.key, run.attempt.number)
            if going or self._open_news():
                continue
            if town.board.clean_ups:
                self._send(TimePassed())
                continue
            if not town.board.backoffs or all(t.retry_at <= town.now for t in town.board.backoffs.values()):
                return
            town.now += 200
            self._send(TimePassed())
        raise AssertionError("it never comes to rest")

    def _everybody_answers(self) -> None:
        """All that is under way arrives, and the reconciler finds what got lost."""
        town = self.town
        while self.late:
            self._send(self.late.pop(0))
        while self.answers:
            self._send(self.answers.pop(0))
        while town.jenkins.withdrawals:
            self._confirm(0)
        while town.github.questions:
            self.answer(0)
        self._look()
        while (seen := self._unmanaged_ends(0)) is not None:
            self._send(seen)
        for asked in [a for a in town.jenkins.attempts.values() if a.state == "running"]:
            self._send(town.jenkins.end(asked, Outcome.SUCCESS))
        for service in [s.name for s in town.board.pipeline.services]:
            state, head = town.board.service(service), town.board.service(service).history.head
            if head is None or head.sha != town.github.heads[service] or state.unconfirmed_head == head.sha:
                self._send(HeadSeen(service, town.github.heads[service], state.moves))

    def _open_news(self) -> bool:
        town = self.town
        return bool(town.github.questions or town.jenkins.looks or town.jenkins.withdrawals or self.unmanaged)

    def _help(self, key: str, attempt: int) -> None:
        """Jenkins does its best for one attempt; the reconciler reports what no callback reported."""
        asked = self.town.jenkins.attempts.get((key, attempt))
        if asked is None:
            return  # never asked for: only a withdrawal can end it
        if asked.state != "over":
            self._send(self._forward(asked, Outcome.SUCCESS))
        elif asked.number is not None:
            self._send(asked.seen(asked.result))
        else:
            self._send(Withdrawn(key, attempt))

    # -- how it is done ------------------------------------------------------------------------------------------

    def _send(self, event: Event) -> None:
        EVENTS_DECIDED[0] += 1
        if isinstance(event, REPEATABLE) and not isinstance(event, Configured):
            self.past.append(event)
        self.town.send(event)

    def _head(self) -> str:
        """The head of a pull request, which has to look like a sha."""
        self.letters += 1
        return f"{self.letters:040x}"

    def _letter(self) -> str:
        self.letters += 1
        return f"x{self.letters}"

    def _all_open(self, which: Callable[[Asked], bool] = lambda _: True) -> list[Asked]:
        return [a for a in self.town.jenkins.attempts.values() if a.state != "over" and which(a)]

    def _open(self, pick: int, which: Callable[[Asked], bool] = lambda _: True) -> Asked | None:
        attempts = self._all_open(which)
        return attempts[pick % len(attempts)] if attempts else None

    def _over(self, asked: Asked, event: Event) -> Event:
        asked.state = "over"
        return event

    def _runs(self, last: Callable[[Run], bool]) -> list[Run]:
        """The live runs, those for which `last` holds after the others."""
        return sorted(self.town.board.runs.values(), key=lambda run: (last(run), run.key))

    def _forward(self, asked: Asked, result: Outcome) -> Event:
        if asked.state == "asked" and asked.trigger.attempt % 2:  # every other reply is lost: the build just starts
            return TriggerAccepted(asked.trigger.run, asked.trigger.attempt, self.town.jenkins.queue(asked))
        if asked.state in ("asked", "queued"):
            return self.town.jenkins.start(asked)
        return self.town.jenkins.end(asked, result)

    def _confirm(self, pick: int) -> None:
        withdraw = self.town.jenkins.withdrawals.pop(pick % len(self.town.jenkins.withdrawals))
        asked = self.town.jenkins.attempts.get((withdraw.run, withdraw.attempt))
        if asked is None or asked.state in ("asked", "queued"):
            if asked is not None:
                asked.state = "over"
            self._send(Withdrawn(withdraw.run, withdraw.attempt))
        elif asked.state == "running" and withdraw.abort:
            self._send(self.town.jenkins.end(asked, Outcome.ABORTED))

    def _look(self) -> None:
        while self.town.jenkins.looks:
            look = self.town.jenkins.looks.pop(0)
            truth = self.town.jenkins.truth.get((look.job.controller, look.job.name, look.number))
            if truth is not None:
                self._send(truth)


def _fast_part_held(town: CheckedTown, service: str) -> bool:
    board = town.board
    locked = {lock.stage for lock in board.locks.values()}
    older = any(run.status is Status.WAITING and run.step.stage in locked for run in board.fast_runs(service))
    return older or any(lock.service == service for lock in board.locks.values())
