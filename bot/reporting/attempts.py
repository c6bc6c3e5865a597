"""The attempts of a run or a verification, in order, derived from its facts: build, times, outcome."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from bot.core.model.facts import Fact, FactKind
from bot.core.model.messages import Message, RetriedAutomatically, RunFailed
from bot.core.model.pipeline import Step
from bot.reporting.messages import words


@dataclass(frozen=True, slots=True)
class PastAttempt:
    """One try at a step. Times are in seconds since the epoch, as Interlock learned of them; None: not known (yet)."""

    step: Step
    #: `starting`, `running`, `recalled` or `ending` while it is live; then `passed`, an outcome of Jenkins in lower
    #: case, `lost`, `refused` (Jenkins did not take it), `called-back` (before it started) or `stopped`.
    outcome: str
    asked: float | None = None
    started: float | None = None
    ended: float | None = None
    build: int | None = None
    tests: tuple[str, ...] = ()
    failed_step: str = ""
    #: The reason for the outcome, if the outcome alone does not tell it.
    why: str = ""

    @property
    def goes_on(self) -> bool:
        """Return whether it has not ended."""
        return self.ended is None

    @property
    def seconds(self) -> float | None:
        """Return how long its build took, in seconds; None while it is live, or if its start was not seen."""
        return None if self.ended is None or self.started is None else self.ended - self.started

    @property
    def failed(self) -> bool:
        """Return whether its build has ended and did not pass."""
        return not self.goes_on and self.outcome not in ("passed", "refused", "called-back", "stopped")


def attempts(facts: Iterable[tuple[float, Fact]]) -> list[PastAttempt]:
    """Return the attempts in the facts of one run, oldest first; each fact comes with the time of its decision."""
    found: list[PastAttempt] = []
    for at, fact in facts:
        handler = _HANDLERS.get(fact.kind)
        if handler is not None and fact.step is not None:
            handler(found, at, fact, fact.step)
    return found


def numbered(found: Sequence[PastAttempt], last: int) -> list[tuple[int, PastAttempt]]:
    """Return the attempts with their numbers; `last` is the number of the newest.

    The first attempts of a long story may be missing, so the numbers need not begin with 1.
    """
    first = max(1, last - len(found) + 1)
    return list(enumerate(found, first))


# -- how each kind of fact changes the attempts ------------------------------------------------------------------------


def _admitted(found: list[PastAttempt], at: float, fact: Fact, step: Step) -> None:
    _returned(found, at, fact, step)
    found.append(PastAttempt(step, "starting", asked=at))


def _started(found: list[PastAttempt], at: float, fact: Fact, step: Step) -> None:
    last = _live_attempt(found)
    if last is None or last.step != step or last.started is not None:
        found.append(PastAttempt(step, "running", started=at, build=fact.build))
    else:
        found[-1] = replace(last, outcome="running", started=at, build=fact.build)


def _ended(found: list[PastAttempt], at: float, fact: Fact, step: Step) -> None:
    last = _live_attempt(found)
    if last is None or last.step != step:
        last = PastAttempt(step, "starting")
        found.append(last)
    ended = replace(last, ended=at, build=fact.build if fact.build is not None else last.build)
    failure = _failure(fact.why)
    if fact.kind is FactKind.BUILD_PASSED:
        found[-1] = replace(ended, outcome="passed", why="")
    elif failure is None:  # an older version stored it in words
        found[-1] = replace(ended, outcome="failure", why=words(fact.why))
    else:
        outcome = "lost" if failure.lost else failure.outcome.value.casefold().replace("_", "-")
        why = failure.lost or (f"cancelled by {failure.by}" if failure.by else "")
        found[-1] = replace(ended, outcome=outcome, tests=failure.tests, failed_step=failure.failed_step, why=why)


def _failure(why: Message) -> RunFailed | None:
    if isinstance(why, RetriedAutomatically):
        return _failure(why.failed)
    return why if isinstance(why, RunFailed) else None


def _refused(found: list[PastAttempt], at: float, fact: Fact, step: Step) -> None:
    _close(found, at, "refused", words(fact.why))


def _returned(found: list[PastAttempt], at: float, fact: Fact, step: Step) -> None:
    _close(found, at, "called-back")


def _gone(found: list[PastAttempt], at: float, fact: Fact, step: Step) -> None:
    _close(found, at, "stopped", words(fact.why))


def _recalled(found: list[PastAttempt], at: float, fact: Fact, step: Step) -> None:
    _change(found, "recalled", words(fact.why))


def _leaving(found: list[PastAttempt], at: float, fact: Fact, step: Step) -> None:
    _change(found, "ending", words(fact.why))


def _live_attempt(found: list[PastAttempt]) -> PastAttempt | None:
    """Return the last attempt if it is live, else None."""
    return found[-1] if found and found[-1].goes_on else None


def _close(found: list[PastAttempt], at: float, outcome: str, why: str = "") -> None:
    last = _live_attempt(found)
    if last is not None:
        found[-1] = replace(last, outcome=outcome, ended=at, why=why or last.why)


def _change(found: list[PastAttempt], outcome: str, why: str) -> None:
    last = _live_attempt(found)
    if last is not None:
        found[-1] = replace(last, outcome=outcome, why=why)


_HANDLERS: Mapping[FactKind, Callable[[list[PastAttempt], float, Fact, Step], None]] = {
    FactKind.RUN_QUEUED: _returned,
    FactKind.RUN_ADMITTED: _admitted,
    FactKind.RUN_RETURNED: _returned,
    FactKind.RUN_RECALLED: _recalled,
    FactKind.BUILD_STARTED: _started,
    FactKind.BUILD_PASSED: _ended,
    FactKind.BUILD_FAILED: _ended,
    FactKind.BUILD_REPEATED: _ended,
    FactKind.TRIGGER_REFUSED: _refused,
    FactKind.RUN_LEAVING: _leaving,
    FactKind.RUN_DELIVERED: _gone,
    FactKind.RUN_FAILED: _gone,
    FactKind.RUN_SUPERSEDED: _gone,
    FactKind.RUN_CANCELLED: _gone,
    FactKind.RUN_DROPPED: _gone,
    FactKind.VERIFICATION_ENDED: _gone,
}
