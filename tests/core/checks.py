"""The invariants of the design, one function each: they must hold after every decision.

The checks follow the text of the design and use plain records, not the functions of the rules.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from bot.core.model.board import Board
from bot.core.model.effects import AbortDuplicate, SetStatus, Trigger, Withdraw
from bot.core.model.facts import FactKind, Why
from bot.core.model.pipeline import VERIFY, AbortLevel, Lane, Mode, Step, Track
from bot.core.model.run import Attempt, End, Run, Status, Verification
from bot.core.rules.decision import Decision
from bot.core.rules.notices import standing
from bot.reporting.explain import why, why_of_verification
from bot.reporting.messages import words
from bot.reporting.view import view
from tests.core.world import indexes_of, rebuilt

Truth = Callable[[str, str], bool]
BUILD_DECIDED = (FactKind.BUILD_PASSED, FactKind.BUILD_FAILED, FactKind.BUILD_REPEATED)


@dataclass
class Before:
    """The parts of the board before the decision that the checks need."""

    runs: dict[str, Run]
    verifications: dict[str, Verification]
    queues: dict[Step, list[str]]
    mode: Mode


@dataclass
class Memory:
    """The parts of all earlier decisions that the checks need."""

    ended: Counter[str] = field(default_factory=Counter)
    decided: Counter[tuple[str, int]] = field(default_factory=Counter)
    triggered: Counter[tuple[str, int]] = field(default_factory=Counter)
    arrived: dict[str, int] = field(default_factory=dict)
    arrivals: int = 0
    #: Commit of each run; and what the last build brought to each stage that rolls out, by service and stage.
    commits: dict[str, str] = field(default_factory=dict)
    brought: dict[tuple[str, str], str] = field(default_factory=dict)
    verified: set[str] = field(default_factory=set)
    #: By service, the commits that were delivered, in that order.
    delivered: dict[str, list[str]] = field(default_factory=dict)
    #: The commits of which a run failed, or was taken out by a person: nobody promises that they are delivered.
    given_up: set[str] = field(default_factory=set)
    #: The heads that were taken for where main stands: nothing is started for them.
    baselines: set[str] = field(default_factory=set)


def before(board: Board) -> Before:
    """Keep the parts of a board that the checks need, before it decides."""
    steps = [step for step, at in board._indexes.steps.items() if at.queue and step != VERIFY]
    queues = {step: [run.key for run in board.queue(step)] for step in steps}
    return Before(dict(board.runs), dict(board.verifications), queues, board.header.mode)


def check(board: Board, decision: Decision, was: Before, memory: Memory, now: float, truth: Truth) -> None:
    """Check all invariants after a decision. `truth`: whether the first commit contains the second."""
    _capacity(board, decision)
    _locks(board, decision)
    _freezes(board, now)
    _order(board, decision, was, memory, now)
    _nobody_lost(board, decision, memory)
    _one_build(decision, was, memory)
    _mode(decision, board, was)
    _doors(board, decision, now)
    _flags(board)
    _no_force_where_it_rolls_out(decision, board)
    _no_abort_where_it_rolls_out(board, decision)
    _grounds(board)
    _endings(board, decision, was, memory, truth)
    _proofs(board, decision, memory, truth)
    _verifications(board, decision, was, memory)
    _reasons(board, now)
    _follow_ups(board, now)
    _indexes(board)


def _follow_ups(board: Board, now: float) -> None:
    """Check that an open stage has no follow-up, and that no notice about a locked one is overdue."""
    assert {known.key for known in board.follow_ups.values()} <= {lock.stage for lock in board.locks.values()}
    if board.header.mode is not Mode.OBSERVE:
        due = list(board._notices_due())
        assert all(at > now for at in due), f"not told at {now}: {due}"


def _triggered(decision: Decision) -> list[tuple[str, Step]]:
    """Every start of a build, whoever caused it."""
    return [(e.run, Step(e.stage, e.track)) for e in decision.effects if isinstance(e, Trigger)]


def _admitted(decision: Decision) -> list[tuple[str, Step]]:
    facts = [fact for fact in decision.facts if fact.kind is FactKind.RUN_ADMITTED]
    return [(fact.run, fact.step) for fact in facts if fact.run and fact.step]


def _capacity(board: Board, decision: Decision) -> None:
    """Invariant 1, unmanaged builds counted: every started build has a slot."""
    for _, step in _triggered(decision):
        capacity = board.capacity(step)
        everything = [*board.runs.values(), *board.verifications.values()]
        inside = sum(1 for built in everything if built.holds_slot and built.step == step)
        unmanaged_builds = sum(1 for unmanaged in board.unmanaged.values() if unmanaged.step == step)
        assert capacity is None or inside + unmanaged_builds <= capacity, f"{step} holds more than {capacity}"


def _locks(board: Board, decision: Decision) -> None:
    """Invariant 2: a locked stage lets in a fix whose service holds a lock, a permitted run, or the retried run."""
    for key, step in _triggered(decision):
        standing = [lock for lock in board.locks.values() if lock.stage == step.stage]
        if step.track is not Track.REAL or not standing:
            continue
        run = board.runs[key]
        locks = [lock for lock in standing if not _is_excepted(board, lock.freeze, run)]
        assert not any(lock.freeze for lock in locks), f"{key} entered {step}, which is frozen"
        if not locks:
            continue
        forbidding = [lock for lock in locks if lock.service is None and not lock.let_fixes_in]
        assert not forbidding, f"{key} passed a lock that lets no fixes in"
        retried = any(lock.run == key for lock in locks) and run.retrying
        own = any(lock.service == run.service for lock in locks) or step.stage in run.permits
        no_fix_needed = all(lock.service is None for lock in locks)
        assert retried or (run.lane is Lane.FAST and (own or no_fix_needed)), f"{key} entered the locked {step}"


def _is_excepted(board: Board, name: str, run: Run) -> bool:
    """Return whether a freeze lets the run through, by its service, a label, or a person (W2)."""
    freeze = next((each for each in board.header.freezes if each.name == name), None) if name else None
    if freeze is None:
        return False
    labels = {label.casefold() for each in run.merge.labels for label in each.names}
    by_label = bool(labels & {label.casefold() for label in freeze.labels})
    return run.service in freeze.services or by_label or (bool(freeze.role) and run.let_through is not None)


def _freezes(board: Board, now: float) -> None:
    """W1: each window in force has its lock, unless a person has lifted it; no other lock is one of a freeze."""
    lifted = {(each.freeze, each.stage) for each in board.header.lifted if now < each.until}
    stages = {stage.name for stage in board.pipeline.stages}
    due = {
        (freeze.name, stage, window.ends)
        for freeze in board.header.freezes
        for window in freeze.windows
        for stage in freeze.stages
        if window.begins <= now < window.ends and stage in stages and (freeze.name, stage) not in lifted
    }
    assert {(k.freeze, k.stage, k.until) for k in board.locks.values() if k.freeze} == due


def _is_plain(run: Run | None) -> bool:
    return run is not None and run.lane is Lane.MAIN and not run.retrying and run.status is Status.WAITING


def _remember_arrivals(decision: Decision, memory: Memory) -> None:
    for fact in decision.facts:
        if fact.kind is FactKind.RUN_QUEUED and fact.run:
            memory.arrivals += 1
            memory.arrived[fact.run] = memory.arrivals
        if fact.kind is FactKind.RUN_MOVED and fact.run:  # a person puts it before all who wait (L7)
            memory.arrivals += 1
            memory.arrived[fact.run] = -memory.arrivals


def _order(board: Board, decision: Decision, was: Before, memory: Memory, now: float) -> None:
    """Invariant 3: a main lane stands in the order of arrival; nobody is passed, but for a proof or another run."""
    _remember_arrivals(decision, memory)
    for step in board.steps():
        plain = [run.key for run in board.queue(step) if _is_plain(run)]
        assert plain == sorted(plain, key=memory.arrived.__getitem__), f"the order of {step} is lost"
    admitted = dict(_admitted(decision))
    for step, keys in was.queues.items():
        plain = sorted((key for key in keys if _is_plain(was.runs[key])), key=lambda key: memory.arrived.get(key, 0))
        for position, key in enumerate(plain):
            if admitted.get(key) == step and board.runs[key].lane is Lane.MAIN:
                for passed in plain[:position]:
                    if was.runs[passed].service == was.runs[key].service:  # its own newer commit contains it (F11)
                        continue
                    if not _only_one_is_excepted(board, step, board.runs[key], board.runs.get(passed)):
                        _may_be_passed(board, passed, step, now)


def _only_one_is_excepted(board: Board, step: Step, entered: Run, passed: Run | None) -> bool:
    """Return whether a freeze of the step lets in the run that entered, and not the one that it passed (W2)."""
    if passed is None or step.track is not Track.REAL:
        return False
    names = [lock.freeze for lock in board.locks.values() if lock.stage == step.stage and lock.freeze]
    return any(_is_excepted(board, name, entered) and not _is_excepted(board, name, passed) for name in names)


def _may_be_passed(board: Board, key: str, step: Step, now: float) -> None:
    run = board.runs.get(key)
    if run is not None and run.status is Status.WAITING and run.step == step and run.lane is Lane.MAIN:
        reason = why(board, run, now)
        beside = any(other.service == run.service for other in board.inside(step))
        assert beside or reason.why is Why.PROOF, f"{key} was passed in the queue for {step}: {reason}"


def _nobody_lost(board: Board, decision: Decision, memory: Memory) -> None:
    """Invariant 4: each run is live, or ended once, with a reason; each accepted merge has its run."""
    for ended in decision.ended:
        assert words(ended.ending.why).strip(), f"{ended.run.key} ended without a reason"
        memory.ended[ended.run.key] += 1
    for state in board.services.values():
        for number in range(1, state.number + 1):
            key = f"{state.key}.{number}"
            assert (key in board.runs) + memory.ended[key] == 1, f"{key} is lost, or there twice"
    merged = sum(fact.kind is FactKind.MERGE_ACCEPTED for fact in decision.facts)
    started = {fact.run for fact in decision.facts if fact.kind is FactKind.RUN_QUEUED}
    assert not merged or started, "a merge was accepted and no run started"


def _one_build(decision: Decision, was: Before, memory: Memory) -> None:
    """Invariant 5: one build decides an attempt, and an attempt is triggered once (or looked for first)."""
    for fact in decision.facts:
        if fact.kind in BUILD_DECIDED and fact.run:
            built: Run | Verification = was.runs.get(fact.run) or was.verifications[fact.run]
            memory.decided[fact.run, built.attempt.number] += 1
    for effect in decision.effects:
        if isinstance(effect, Trigger) and not effect.look_first:
            memory.triggered[effect.run, effect.attempt] += 1
    assert all(count == 1 for count in memory.decided.values()), "two builds moved one attempt"
    assert all(count == 1 for count in memory.triggered.values()), "an attempt was triggered twice"


def _verifications(board: Board, decision: Decision, was: Before, memory: Memory) -> None:
    """One verification of a pull request that counts, each under a name of its own; only the head it is of is told."""
    live = [v for v in board.verifications.values() if v.status is not Status.ENDING]
    assert max(Counter((v.service, v.pull) for v in live).values(), default=0) <= 1, "two heads of one pull request"
    for key in board.verifications.keys() - was.verifications.keys():
        assert key not in memory.verified, f"{key} is there a second time"
        memory.verified.add(key)
    counted = {v.sha for v in was.verifications.values() if v.status is not Status.ENDING}
    for effect in decision.effects:
        told = isinstance(effect, SetStatus) and effect.run is None and effect.job is not None
        if isinstance(effect, SetStatus) and told and effect.state in ("success", "failure"):
            assert effect.sha in counted, "the result of a build that was superseded was told"
        if isinstance(effect, Trigger) and effect.pull is not None:
            _begun(board, board.verifications[effect.run])
    for verification in live:
        assert board.pipeline.verifies(verification.service), f"{verification.key} is of nobody"


def _begun(board: Board, verification: Verification) -> None:
    """A build is begun where there is room, of the head that the pull request has, and of no draft or fork unasked."""
    verify, pull = board.pipeline.verify, board.pull(verification.service, verification.pull)
    assert verify is not None
    assert pull is not None
    assert (pull.sha, pull.open) == (verification.sha, True), f"{verification.key} is no head"
    assert pull.asked or not (pull.fork or (pull.draft and not verify.drafts)), f"{verification.key} was not asked for"
    inside = sum(1 for v in board.verifications.values() if v.holds_slot)
    unmanaged_builds = sum(1 for unmanaged in board.unmanaged.values() if unmanaged.step == VERIFY)
    assert verify.capacity is None or inside + unmanaged_builds <= verify.capacity, (
        "more are verified than there is room for"
    )


def _proofs(board: Board, decision: Decision, memory: Memory, truth: Truth) -> None:
    """F8, F9, F11: who is superseded is contained; a lock opens for what contains it; nobody goes backwards."""
    memory.commits.update({run.key: run.position.sha for run in board.runs.values()})
    memory.commits.update({ended.run.key: ended.run.position.sha for ended in decision.ended})
    for ended in decision.ended:
        if ended.ending.end is End.SUPERSEDED and ended.ending.by:
            assert truth(memory.commits[ended.ending.by], ended.run.position.sha), f"{ended.run.key} is not contained"
    for fact in decision.facts:
        if fact.kind in BUILD_DECIDED and fact.step and _rolls_out(board, fact.step):
            memory.brought[str(fact.service), fact.step.stage] = str(fact.sha)
        if fact.kind is FactKind.STAGE_UNLOCKED and fact.by in memory.commits and fact.run:
            dropped = board.service(str(fact.service)).forced_heads
            assert dropped or truth(memory.commits[str(fact.by)], memory.commits[fact.run]), "opened by a stranger"
    for key, step in _triggered(decision):
        if _rolls_out(board, step):
            _forwards(board, board.runs[key], memory, truth)


def _rolls_out(board: Board, step: Step) -> bool:
    """Return whether it is a real stage from the first one that locks on, or the last."""
    return step.track is Track.REAL and step.stage in _rolling(board)


def _rolling(board: Board) -> list[str]:
    """The stages that roll out."""
    stages = board.pipeline.stages
    first = next((at for at, stage in enumerate(stages) if stage.locks), len(stages) - 1)
    return [stage.name for stage in stages[first:]]


def _forwards(board: Board, run: Run, memory: Memory, truth: Truth) -> None:
    """Invariant 11: no other run of the service is there; nothing newer on main, as we know it, was brought there."""
    others = [r for r in board.inside(run.step) if r.service == run.service and r.key != run.key]
    assert not others, f"{run.key} enters {run.step} beside {others[0].key}"
    sha, head = memory.brought.get((run.service, run.step.stage)), board.service(run.service).history.head
    if sha is None or head is None or sha == run.position.sha:
        return
    newer = truth(sha, run.position.sha) and truth(head.sha, sha)
    assert not newer, f"{run.key} goes backwards: {sha} was brought to {run.step} already"


def _doors(board: Board, decision: Decision, now: float) -> None:
    """There is one way to start a build: each start is of the run's next attempt, in a step that is not backing off."""
    for key, step in _triggered(decision):
        backoff, built = board.backoffs.get(str(step)), board.built(key)
        assert backoff is None or backoff.retry_at <= now, f"{key} is started in {step}, which Jenkins refuses"
        assert built is not None
        fresh = (Status.STARTING, step, Attempt(built.attempt.number))
        assert (built.status, built.step, built.attempt) == fresh, f"{key} was started from aside"
        cleaned = built.verifies is None and built.lane is Lane.MAIN and built.service in board.clean_ups
        assert not cleaned, f"{key} is started while what a fix contains of its service is removed"


def _flags(board: Board) -> None:
    """What is noted of a build or of a status ends with it."""
    for built in (*board.runs.values(), *board.verifications.values()):
        waits = built.status is Status.WAITING
        assert not waits or built.attempt == built.attempt.over(), f"an attempt outlives {built.key}, which waits"
    for run in board.runs.values():
        where, holds = f"{run.key}, which is {run.status}", run.holds_slot
        asked = (run.attempt.cancelled_by, run.attempt.abort, run.attempt.timed_out)
        assert holds or asked == (None, None, False), f"a cancel outlives {where}"
        assert (run.ending is not None) == (run.status is Status.ENDING), f"an end is noted of {where}"
        assert (run.attempt.failure is not None) == (run.status is Status.FAILED), f"a failure is noted of {where}"
        assert not run.retrying or run.status not in (Status.FAILED, Status.ENDING), f"a retry outlives {where}"
        assert not run.retrying or any(lock.run == run.key for lock in board.locks_of(run.step.stage)), where


def _mode(decision: Decision, board: Board, was: Before) -> None:
    """`pause` triggers nothing; `observe` changes nothing outside, but takes back first what may not be posted yet."""
    kinds = {effect.kind for effect in decision.effects}
    if board.header.mode is Mode.PAUSE:
        assert "trigger" not in kinds, "triggered while paused"
    if board.header.mode is Mode.OBSERVE:
        takes_back = {"withdraw"} if was.mode is not Mode.OBSERVE else set()
        assert kinds <= {"look", "compare", "authorize-command"} | takes_back, "acted while observing"


def _no_force_where_it_rolls_out(decision: Decision, board: Board) -> None:
    """A build in a stage that locks is asked to stop, never more: half a roll-out is left behind otherwise."""
    for effect in decision.effects:
        if isinstance(effect, (Withdraw, AbortDuplicate)) and effect.level is not AbortLevel.STOP:
            real = [stage for stage in board.pipeline.stages if stage.job == effect.job]
            assert not any(stage.locks for stage in real), f"{effect.slot} in a stage that locks"


def _reasons(board: Board, now: float) -> None:
    """Invariant 10: everybody has a sentence, the page can always be drawn, and is plain JSON."""
    for run in board.runs.values():
        assert why(board, run, now).sentence.strip(), f"{run.key} does not say why"
        if run.status is Status.WAITING:
            assert run.step in board.steps(), f"{run.key} waits for {run.step}, which is not there"
    for verification in board.verifications.values():
        assert why_of_verification(board, verification, now).sentence.strip(), f"{verification.key} does not say why"
    json.dumps(view(board, 1, now))


def _no_abort_where_it_rolls_out(board: Board, decision: Decision) -> None:
    """Where a build rolls out it is aborted only because a person said so, or because it ran too long."""
    rolling = {stage.job for stage in board.pipeline.stages if stage.name in _rolling(board)}
    for effect in decision.effects:
        if isinstance(effect, Withdraw) and effect.abort and effect.job in rolling and effect.run in board.runs:
            run = board.runs[effect.run]
            asked = run.attempt.cancelled_by is not None or (run.ending is not None and run.ending.end is End.CANCELLED)
            assert asked or run.attempt.timed_out, f"{run.key} is aborted where it rolls out, and nobody asked for it"


def _grounds(board: Board) -> None:
    """A failed run stays for a reason: it holds a lock, or it is a fix whose service still holds one."""
    for run in board.runs.values():
        if run.status is Status.FAILED:
            holds = any(lock.run == run.key for lock in board.locks.values())
            fix = run.lane is Lane.FAST and any(lock.service == run.service for lock in board.locks.values())
            assert holds or fix, f"{run.key} has failed and stays for nothing"


def _endings(board: Board, decision: Decision, was: Before, memory: Memory, truth: Truth) -> None:
    """Who is dropped is not on main as the board knows it at that moment, or its service is no longer configured."""
    for fact in decision.facts:
        if fact.kind is FactKind.BASELINE_TAKEN and fact.sha:
            memory.baselines.add(fact.sha)
    for ended in decision.ended:
        run, end = ended.run, ended.ending.end
        if end is End.DELIVERED:
            memory.delivered.setdefault(run.service, []).append(run.sha)
        if end in (End.FAILED, End.CANCELLED) or run.status is Status.FAILED:
            memory.given_up.add(run.sha)
    leaving = [run for run in board.runs.values() if run.ending is not None and run.ending.end is End.DROPPED]
    dropped = [ended.run for ended in decision.ended if ended.ending.end is End.DROPPED]
    for run in [*leaving, *dropped]:
        before = was.runs.get(run.key)
        decided = before is None or before.ending is None
        if decided and board.pipeline.service(run.service) is not None:
            head = board.service(run.service).history.head
            assert head is not None
            again = any(other.key != run.key for other in board.of_commit(run.service, run.sha))
            assert again or not truth(head.sha, run.sha), f"{run.key} was dropped from main, where it is"


def _indexes(board: Board) -> None:
    """The cheap look-ups answer what a recount answers."""
    anew = rebuilt(board)
    assert indexes_of(board) == indexes_of(anew)
    assert standing(board) == standing(anew)
    for step in board.steps():
        assert board.queue_length(step) == sum(
            run.status is Status.WAITING and run.step == step for run in board.runs.values()
        )
        for position, run in enumerate(board.queue(step)):
            assert board.ahead_of(run) == position
