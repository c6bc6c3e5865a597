"""The recovery from traces of a lost board: its locks, the stage versions, and the progress of each head of main.

Whoever may start builds or edit a description may have forged a trace. So a lock known only from a banner opens no fast
lane and is opened by a person, unless Jenkins has the failed build that it names. And only the head of main is started,
which has to be delivered anyway.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from typing import Literal

from bot.core.model.board import Board
from bot.core.model.board_records import ServiceState
from bot.core.model.effects import Survey
from bot.core.model.events import HeadSurveyed, StateLost
from bot.core.model.facts import FactKind
from bot.core.model.history import CommitHistory, Position
from bot.core.model.messages import StartsAgain, Who
from bot.core.model.pipeline import Lane, Outcome, Policy, Service, Step, Track
from bot.core.model.replaced import replace
from bot.core.model.run import Attempt, Run, Status, verified_pull
from bot.core.model.stage_messages import FoundInBanner, HeadWasSurveyed
from bot.core.model.stage_state import Lock, StageVersion, Version
from bot.core.model.traces import BuildTrace, DeployedCommit, LockTrace
from bot.core.rules import fast_lane
from bot.core.rules.decision import Decision
from bot.core.rules.queue import start_run
from bot.core.rules.stage_locks import lock_stage


def _by_service(board: Board, builds: Iterable[BuildTrace]) -> dict[str, list[BuildTrace]]:
    """Return the builds of runs by configured service, those of the newest run last; no verifications."""
    found: dict[str, list[BuildTrace]] = defaultdict(list)
    for trace in sorted(builds, key=lambda each: (_stamp(each.version), _number(each.run), each.started)):
        if board.pipeline.service(trace.service) is not None and verified_pull(trace.run) is None:
            found[trace.service].append(trace)
    return found


def _stamp(version: str) -> str:
    """Return the stamp of a version: its last part, digits in the order of time (`version_stamp`); else empty."""
    last = version.rpartition("-")[2]
    return last if last.isdecimal() else ""


def _number(run: str) -> int:
    last = run.rpartition(".")[2]
    return int(last) if last.isdecimal() else 0


# -- the services ------------------------------------------------------------------------------------------------------


def put_back_services(board: Board, event: StateLost) -> None:
    """Record the commits that traces name, the newest as the head of main until GitHub names it.

    The numbers of runs continue after theirs. Containment between the commits is unknown: GitHub is asked when it
    matters.
    """
    builds = _by_service(board, event.builds)
    locks: dict[str, list[LockTrace]] = defaultdict(list)
    for lock in event.locks:
        locks[lock.service].append(lock)
    for service in board.pipeline.services:
        traces, held = builds.get(service.name, []), locks[service.name]
        shas = [lock.sha for lock in held if lock.sha] + [trace.sha for trace in _telling(board, traces)]
        numbers = [_number(key) for key in (*(t.run for t in traces), *(lock.run for lock in held))]
        state = board.service(service.name)
        history = _with(state.history, shas)
        moved = history.head != state.history.head  # then earlier answers about the head are outdated
        known = replace(state, history=history, number=max([state.number, *numbers]), moves=state.moves + moved)
        if known != state:
            board.put(known)


def _telling(board: Board, traces: list[BuildTrace]) -> list[BuildTrace]:
    """Return the builds whose commits matter: those of the versions in the steps, and last the newest run's."""
    found = {trace.sha: trace for each in _in_steps(board, traces).values() for trace in each if trace is not None}
    newest = traces[-1:]
    return [trace for trace in traces if found.get(trace.sha) is trace and trace.sha != newest[0].sha] + newest


def _with(history: CommitHistory, shas: Iterable[str]) -> CommitHistory:
    """Return the history with these commits, each in a segment of its own; a known head stays the head."""
    grown = history
    for sha in dict.fromkeys(shas):
        if grown.find(sha) is None:
            grown, _ = grown.push(None, sha, forced=False)
    return grown if history.head is None else replace(grown, head=history.head)


# -- stage versions ----------------------------------------------------------------------------------------------------


def put_back_versions(board: Board, event: StateLost) -> None:
    """Record the version in each step, as a worker remembers it or as the last builds there left it (F11)."""
    remembered = {state.key for state in event.services}  # a position has a meaning only in the remembered history
    for version in event.versions:
        if version.service in remembered and _is_free(board, version.service, version.step):
            board.put(version)
    for service, traces in _by_service(board, event.builds).items():
        for step, (whole, broken) in _in_steps(board, traces).items():
            if _is_free(board, service, step):
                known = StageVersion(f"{service}/{step}", service, step)
                found = replace(known, whole=_version(board, whole), broken=_version(board, broken))
                board.put(found)


def _is_free(board: Board, service: str, step: Step) -> bool:
    configured = board.pipeline.service(service) is not None and step in board.steps()
    return configured and board.version(service, step).present is None


def _in_steps(board: Board, traces: list[BuildTrace]) -> dict[Step, tuple[BuildTrace | None, BuildTrace | None]]:
    """Return by step the last build that passed, and the last build if that did not pass."""
    found: dict[Step, tuple[BuildTrace | None, BuildTrace | None]] = {}
    for trace in sorted(traces, key=lambda each: each.started):
        if trace.result is None or trace.result is Outcome.NOT_BUILT:
            continue
        whole, _ = found.get(trace.step, (None, None))
        found[trace.step] = (trace, None) if _passed(board, trace) else (whole, trace)
    return found


def _passed(board: Board, trace: BuildTrace) -> bool:
    stage = board.pipeline.stage(trace.step.stage)
    return stage is not None and trace.result is not None and stage.policy(trace.result) is Policy.PASS


def _version(board: Board, trace: BuildTrace | None) -> Version | None:
    position = board.service(trace.service).history.find(trace.sha) if trace is not None else None
    return Version(position, trace.run, trace.lane, trace.started) if trace is not None and position else None


# -- the locks ---------------------------------------------------------------------------------------------------------


def put_back_locks(decision: Decision, event: StateLost) -> list[Lock]:
    """Put back each lock that stood and has not ended since, and return these locks."""
    board = decision.board
    found: list[Lock] = []
    for trace in event.locks:
        over = trace.until is not None and trace.until <= decision.now
        if over or board.pipeline.stage(trace.stage) is None:
            continue
        holder = _holder(decision, event, trace)
        lock = _manual(board, trace, decision.now) if holder is None else _automatic(holder, trace, decision.now)
        lock_stage(decision, lock)
        found.append(lock)
    return found


def _automatic(holder: Run, trace: LockTrace, now: float) -> Lock:
    """Return an automatic lock (L1): its failed run holds it, so that a fix opens it (F9)."""
    plain = _plain(trace, f"{trace.stage}/{holder.key}", now)
    return replace(
        plain,
        by=holder.key,
        until=None,
        let_fixes_in=False,
        run=holder.key,
        service=holder.service,
        position=holder.position,
        build=trace.build,
    )


def _manual(board: Board, trace: LockTrace, now: float) -> Lock:
    """Return a lock without a holder, which a person opens, because no failed run is proven to hold it."""
    number = board.counters.next_lock
    board.put(replace(board.counters, next_lock=number + 1))
    return _plain(trace, f"{trace.stage}/{number}", now)


def _plain(trace: LockTrace, key: str, now: float) -> Lock:
    reason = FoundInBanner(trace.reason, trace.banner) if trace.banner else trace.reason
    since = min(trace.since, now)
    return Lock(key, trace.stage, reason, trace.by, since, until=trace.until, let_fixes_in=trace.let_fixes_in)


def _holder(decision: Decision, event: StateLost, trace: LockTrace) -> Run | None:
    """Return the failed run that held a lock, put back so that it can be retried (L4); None: it is not proven.

    A merge that came before the loss was found may have taken its key: then a person must open the lock.
    """
    board = decision.board
    if board.pipeline.service(trace.service) is None:
        return None
    known = _proven(decision, event, trace) if trace.banner else _remembered(event, trace)
    if known is None:
        return None
    there = board.runs.get(known.key)
    if there is not None:
        return there if there.status is Status.FAILED and there.sha == known.sha else None
    holder = replace(known, queue_number=board.queue_number())
    board.put(holder)
    return holder


def _remembered(event: StateLost, trace: LockTrace) -> Run | None:
    """Return the failed run of a lock as a worker remembers it; None: no worker does."""
    services = {state.key for state in event.services}  # a position has a meaning only in the remembered history
    return next((run for run in event.holders if run.key == trace.run and run.service in services), None)


def _proven(decision: Decision, event: StateLost, trace: LockTrace) -> Run | None:
    """Return the failed run of a lock from a banner, if Jenkins has the failed build that it names; else None."""
    board = decision.board
    same = (Step(trace.stage), trace.build, trace.service, trace.sha, trace.run)
    build = next((b for b in event.builds if (b.step, b.number, b.service, b.sha, b.run) == same), None)
    position = board.service(trace.service).history.find(trace.sha)
    if build is None or build.result is None or _passed(board, build) or position is None:
        return None
    stages = board.pipeline.stages[: board.pipeline.index(trace.stage)]
    return Run(
        key=build.run,
        service=build.service,
        position=position,
        lane=build.lane,
        status=Status.FAILED,
        step=build.step,
        queue_number=board.counters.next_queue_number,
        created=build.started,
        since=min(trace.since, decision.now),
        version=build.version,
        queued=build.started,
        passed=tuple(Step(stage.name) for stage in stages),
        attempt=Attempt(build.attempt, build=build.number, failure=build.result),
    )


# -- the heads of main -------------------------------------------------------------------------------------------------


def start_heads(decision: Decision, event: StateLost) -> list[Run]:
    """Start each head of main whose builds do not show that it was delivered or failed. Return the new runs."""
    board, started = decision.board, list[Run]()
    for service, traces in _by_service(board, event.builds).items():
        head = board.service(service).history.head
        if head is None or board.of_commit(service, head.sha):
            continue
        own = [trace for trace in traces if trace.sha == head.sha]
        if not _is_over(board, own):
            last = traces[-1]
            run = _start(decision, service, head, {trace.lane for trace in own})
            decision.note(run, StartsAgain(run.key, last.run, last.step))
            started.append(run)
    return started


def _is_over(board: Board, own: list[BuildTrace]) -> bool:
    """Return whether the builds of a commit show that its run has ended: delivered, or failed."""
    last = Step(board.pipeline.stages[-1].name)
    if any(trace.step == last and _passed(board, trace) for trace in own):
        return True
    if not own or any(trace.result is None for trace in own):
        return False
    latest = max(own, key=lambda trace: trace.started)
    return latest.result in _FAILURES and not _passed(board, latest)


#: The outcomes of a build that failed by its content, not because a person or a crash ended it.
_FAILURES = (Outcome.FAILURE, Outcome.UNSTABLE)


def _start(decision: Decision, service: str, position: Position, lanes: Collection[Lane] = ()) -> Run:
    """Start a commit on the lane of its builds; a commit that was never built takes the lane of a new merge (F2)."""
    fast = fast_lane.merge_enters(decision.board, service) and (not lanes or Lane.FAST in lanes)
    return start_run(decision, service, position, Lane.FAST if fast else Lane.MAIN)


# -- surveys -----------------------------------------------------------------------------------------------------------


_Became = Literal["delivered", "ended", "started", "unknown"]


def survey(decision: Decision, event: StateLost) -> int:
    """Ask GitHub about the services that no worker remembers and Jenkins has no builds of. Return their number."""
    board = decision.board
    known = {state.key for state in event.services} | _by_service(board, event.builds).keys()
    unknown = [service for service in board.pipeline.services if service.name not in known]
    last = board.pipeline.stages[-1].name
    environments = tuple((s.name, s.environment) for s in board.pipeline.stages if s.environment)
    for service in unknown:
        decision.do(Survey(service.name, service.repository, service.branch, last, environments))
    return len(unknown)


def survey_head(decision: Decision, event: HeadSurveyed) -> None:
    """Take GitHub's answer about how far the head of main had come: if it was on its way, it starts again.

    Without a mark of ours it is unknown whether the head has to be delivered. A fact records that, and a person
    decides, unless GitHub reports its merge after all (`merges.accept_merge`).
    """
    board, service = decision.board, decision.board.pipeline.service(event.service)
    if service is None or board.header.lost is None:
        return
    _put_back_deployed(board, service, event)
    became = _became(board, event)
    position = board.service(event.service).history.find(event.sha)
    if became == "started" and position is not None and not board.of_commit(event.service, event.sha):
        run = _start(decision, event.service, position)
        decision.note(run, StartsAgain(run.key, "", run.step))
    elif became == "unknown":
        board.put(replace(board.service(event.service), undecided_head=event.sha))
    told = HeadWasSurveyed(Who(event.service, event.sha), became)
    decision.tell(FactKind.HEAD_SURVEYED, told, service=event.service, sha=event.sha)


def _became(board: Board, event: HeadSurveyed) -> _Became:
    states: dict[str, _Became] = {"pending": "started", "success": "delivered", "failure": "ended", "error": "ended"}
    last = board.pipeline.stages[-1].name
    found = states.get(event.state)
    if found is None:
        moved = any(each.stage == last and each.sha != event.sha for each in event.deployed)
        there = any(each.stage == last and each.sha == event.sha for each in event.deployed)
        return "started" if moved else "delivered" if there else "unknown"
    return found


def _put_back_deployed(board: Board, service: Service, event: HeadSurveyed) -> None:
    """Record the head of main, and the deployed commits as stage versions."""
    state: ServiceState = board.service(service.name)
    shas = [*(each.sha for each in event.deployed), event.sha]
    history = _with(state.history, shas)
    if state.history.head is None:
        history = replace(history, head=history.find(event.sha))
    if history != state.history:
        moved = history.head != state.history.head
        board.put(replace(state, history=history, moves=state.moves + moved))
    for each in event.deployed:
        _put_back_version(board, service.name, each)


def _put_back_version(board: Board, service: str, deployed: DeployedCommit) -> None:
    step = Step(deployed.stage, Track.REAL)
    position = board.service(service).history.find(deployed.sha)
    if position is not None and _is_free(board, service, step):
        whole = Version(position, "", Lane.MAIN, deployed.at)
        board.put(StageVersion(f"{service}/{step}", service, step, whole=whole))
