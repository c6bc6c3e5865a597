"""The parts that messages and reports share: `words`, which renders a message, and helpers for names and times."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, tzinfo
from functools import singledispatch
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from bot.core.model.messages import Message, RunFailed, Who
from bot.core.model.pipeline import Outcome
from bot.core.model.run import Buildable
from bot.core.model.stage_messages import FixComing
from bot.core.model.stage_state import Lock

#: The most failing tests, and the most locks, that a sentence names; after that it gives the number of the rest.
TESTS_NAMED, LOCKS_NAMED = 3, 5
#: The longest reason of a lock that is only named, in characters.
REASON = 80

#: The assumed reason why Jenkins did not take a build, if Jenkins gives none.
CANCELLED_THERE = "somebody cancelled it in Jenkins' queue"
#: The verb for each outcome that is not a success.
OUTCOMES = {
    Outcome.UNSTABLE: "was unstable",
    Outcome.FAILURE: "failed",
    Outcome.NOT_BUILT: "was not built",
    Outcome.ABORTED: "was aborted",
    Outcome.TIMEOUT: "ran too long",
}


@singledispatch
def words(message: Message) -> str:
    """Return a message in words: one clause, without a capital or a full stop, so that it can be part of a sentence.

    Each kind is registered in `messages`, `stage_messages` or `refusals`. Raises TypeError for a kind that is not.
    """
    raise TypeError(f"{type(message).__name__} has no words")


def short(sha: str) -> str:
    """Return the short form of a commit's sha."""
    return sha[:7]


def name(run: Buildable) -> str:
    """Return the name of a run or a verification, see `name_of`."""
    return name_of(run.who)


def name_of(who: Who) -> str:
    """Return service and commit, `S1 1234567`; for a verification with its pull request, `S1 #12 1234567`."""
    pull = f" #{who.pull}" if who.pull is not None else ""
    return f"{who.service}{pull} {short(who.sha)}"


def failed(of: RunFailed) -> str:
    """Return `S1 1234567 failed in pre-production (CheckoutTest.pays; step Roll out: script returned exit code 1)`."""
    if of.lost:
        return f"{name_of(of.who)} was lost in {of.step}: {of.lost}"
    what = broken(of.tests, of.failed_step)
    hand = f" by {of.by}" if of.by else ""
    return f"{name_of(of.who)} {OUTCOMES.get(of.outcome, 'failed')}{hand} in {of.step}{f' ({what})' if what else ''}"


def broken(tests: Sequence[str], step: str) -> str:
    """Return the failing tests and the failing step of a build; empty if Jenkins names none."""
    return "; ".join([*([listed(tests)] if tests else []), *([f"step {step}"] if step else [])])


def listed(names: Iterable[str]) -> str:
    """Return the first few names, and the number of the rest."""
    everything = list(names)
    more = len(everything) - TESTS_NAMED
    shown = ", ".join(everything[:TESTS_NAMED])
    return f"{shown} and {more} more" if more > 0 else shown


def moment(at: float) -> str:
    """Return a time in UTC, so that it is the same for every reader: `2026-11-25 21:40 UTC`."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")


def local_moment(at: float, time_zone: str) -> str:
    """Return a time by the clock of a zone: `Mon 2026-11-30 08:00 CET`; in UTC if the zone is not installed here."""
    try:
        zone: tzinfo = ZoneInfo(time_zone)
    except (ZoneInfoNotFoundError, ValueError):
        zone = UTC
    return datetime.fromtimestamp(at, zone).strftime("%a %Y-%m-%d %H:%M %Z")


def coming(of: FixComing) -> str:
    """Return where a run is that may open a lock, and when Jenkins expects its build to end."""
    who = f"the repeated build of {name_of(of.who)}" if of.retried else f"the fix {name_of(of.who)}"
    if of.waits:
        return f"{who} waits for {of.step}"
    until = f", until about {moment(of.expected)}" if of.expected is not None else ""
    return f"{who} is in {of.step}{until}"


def named(locks: Sequence[Lock]) -> str:
    """Return the first few locks, each with key, reason and owner, and the number of the rest."""
    shown = [f"{lock.key} ({_cut(words(lock.reason))}, by {lock.by})" for lock in locks[:LOCKS_NAMED]]
    more = len(locks) - LOCKS_NAMED
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")


def _cut(reason: str) -> str:
    return reason if len(reason) <= REASON else f"{reason[: REASON - 1]}…"
