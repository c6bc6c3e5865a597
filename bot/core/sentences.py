"""Sentences that several rules say to people, and the texts of the mails; those of messages: bot.reporting.messages."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from bot.core.model.messages import RunFailed, Who
from bot.core.model.pipeline import Outcome, Service, Step
from bot.core.model.run import Buildable, End, Ending, Run, Status
from bot.core.model.stage_state import Lock

#: How many failing tests, and how many locks, a sentence names before it says how many more there are.
TESTS_NAMED, LOCKS_NAMED = 3, 5
#: How much of its reason is shown where a lock is only named.
REASON = 80

#: What is told when the store has failed over.
STORE_CHANGED = (
    "the store has another master or was started anew, and may have forgotten what it acknowledged last: GitHub and "
    "Jenkins are asked for it, and before a build is started Jenkins is looked at"
)

#: How a build did not pass.
OUTCOMES = {
    Outcome.UNSTABLE: "was unstable",
    Outcome.FAILURE: "failed",
    Outcome.NOT_BUILT: "was not built",
    Outcome.ABORTED: "was aborted",
    Outcome.TIMEOUT: "ran too long",
}


def short(sha: str) -> str:
    """A commit as people write it."""
    return sha[:7]


def name(run: Buildable) -> str:
    """A run or a verification as people write it, see `name_of`."""
    return name_of(run.who)


def name_of(who: Who) -> str:
    """`S1 1234567`: service, commit; a verification with its pull request: `S1 #12 1234567`."""
    pull = f" #{who.pull}" if who.pull is not None else ""
    return f"{who.service}{pull} {short(who.sha)}"


def failed(of: RunFailed) -> str:
    """`S1 1234567 failed in pre-production (CheckoutTest.pays; step Roll out: script returned exit code 1)`."""
    if of.lost:
        return f"{name_of(of.who)} was lost in {of.step}: {of.lost}"
    what = broken(of.tests, of.failed_step)
    hand = f" by {of.by}" if of.by else ""
    return f"{name_of(of.who)} {OUTCOMES.get(of.outcome, 'failed')}{hand} in {of.step}{f' ({what})' if what else ''}"


def broken(tests: Sequence[str], step: str) -> str:
    """The failing tests and the failing step of a build; empty if Jenkins names none."""
    return "; ".join([*([listed(tests)] if tests else []), *([f"step {step}"] if step else [])])


def unplaced(sha: str, before: str, head: str) -> str:
    """A force-push that did not begin at the head that we know."""
    return (
        f"a force-push from {short(before)} to {short(sha)} was told, but main stood at {short(head)}: "
        "GitHub is asked where it stands now"
    )


def listed(names: Iterable[str]) -> str:
    """The first few names, and how many more there are."""
    everything = list(names)
    more = len(everything) - TESTS_NAMED
    shown = ", ".join(everything[:TESTS_NAMED])
    return f"{shown} and {more} more" if more > 0 else shown


def superseded(replacement: str, sha: str) -> Ending:
    """Contained in a commit that replaced it."""
    return Ending(End.SUPERSEDED, f"contained in {short(sha)}, superseded by {replacement}", replacement)


def contained_in_failed(sha: str, step: Step) -> Ending:
    """Contained in a newer commit that failed in a stage: an older one is not rolled out over it."""
    return Ending(End.SUPERSEDED, f"contained in {short(sha)}, which has failed in {step}: that stage never goes back")


def default_branch_changed(service: Service, now: str) -> str:
    """What is followed, and what to do if that is not meant."""
    return (
        f"the default branch of {service.repository} is now {now}; {service.name} still follows {service.branch}, as "
        f"the pipeline file says. If that is not meant, correct its branch there; if {service.branch} is gone, nothing "
        f"of {service.name} is seen any more"
    )


def dropped(run: Run) -> Ending:
    """A force-push took it off main."""
    return Ending(End.DROPPED, f"{short(run.position.sha)} was dropped from main by a force-push")


def unconfigured(run: Run) -> Ending:
    """Its service is gone from the configuration."""
    return Ending(End.DROPPED, f"{run.service} is no longer configured in this pipeline")


def afterwards(ending: Ending) -> str:
    """What is to be done when a run has ended without being delivered."""
    match ending.end:
        case End.FAILED:
            return "Merge a fix to start a new run."
        case End.SUPERSEDED if ending.by is not None:
            return f"Nothing to do: {ending.by} carries it on."
        case End.DROPPED:
            return "If that was not meant, merge it again."
        case _:
            return "Merge again to start a new run."


def fix_wanted(stages: Iterable[str], *, by_itself: bool) -> str:
    """What is to be done about a run that holds locks."""
    lane = "it takes the fast lane past everyone" if by_itself else "then ask for the fast lane"
    return (
        f"Nobody passes {' and '.join(stages)} until it is fixed: merge the fix, {lane}. "
        f"If the environment was at fault, retry: that repeats the build without a commit."
    )


FIX_AGAIN = "Merge another fix, or retry this one: that repeats its build without a commit."


def stamp(at: float) -> str:
    """A time as versions of artifacts have it: `20261125214005`, in UTC."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y%m%d%H%M%S")


def moment(at: float) -> str:
    """A time as everybody reads it alike, wherever they are: `2026-11-25 21:40 UTC`."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")


def left(run: Buildable, now: float) -> str:
    """How long Jenkins expects the run's build still to take; empty if it does not say, or hardly knows."""
    if run.attempt.expected is None:
        return ""
    seconds = run.attempt.expected - now
    if seconds <= 0:
        return ", longer than usual"
    return f", about {math.ceil(seconds / 60)} min left" if seconds > 60 else ", less than a minute left"


def coming(run: Run) -> str:
    """Where a run is that may open a lock, and until when Jenkins expects its build to take."""
    who = f"the repeated build of {name(run)}" if run.retrying else f"the fix {name(run)}"
    if run.status is Status.WAITING:
        return f"{who} waits for {run.step}"
    until = f", until about {moment(run.attempt.expected)}" if run.attempt.expected is not None else ""
    return f"{who} is in {run.step}{until}"


def nothing_coming(service: str) -> str:
    """What has to be done to open a lock, while nobody does."""
    return f"no fix is on its way: merge one to {service}, it takes the fast lane"


def locked_subject(lock: Lock) -> str:
    """The subject of the mail about a lock."""
    return f"{lock.stage} is locked: {lock.reason}"


def locked_mail(lock: Lock) -> str:
    """The text of the mail about a lock."""
    if lock.automatic:
        then = (
            f"Nobody enters {lock.stage} until it is fixed. Merge the fix to main of {lock.service}: it takes the fast "
            f"lane. If the environment was at fault, retry {lock.run}; or unlock the stage with a reason."
        )
    else:
        end = "" if lock.until is None else f", or until {moment(lock.until)}: then it opens by itself"
        then = f"Nobody enters{' but fixes on the fast lane' if lock.let_fixes_in else ''} until it is unlocked{end}."
    return f"{lock.stage} is locked: {lock.reason}.\nLocked by: {lock.by}\n\n{then}\n"


def which_lock(stage: str, locks: Sequence[Lock]) -> str:
    """Several locks close a stage, and which of them is to be opened was not said."""
    return f"{stage} has {len(locks)} locks: {named(locks)}. Name the one to open by its key, or all with --all"


def not_closed_by(stage: str, key: str | None, locks: Sequence[Lock]) -> str:
    """There is no such lock; which there are."""
    if not locks:
        return f"{stage} is not locked" if key is None else f"{stage} is not closed by lock {key}"
    return f"{stage} is not closed by lock {key}; it has {named(locks)}"


def named(locks: Sequence[Lock]) -> str:
    """The first few locks, each by its key, with its reason and whose it is; and how many more there are."""
    shown = [f"{lock.key} ({_cut(lock.reason)}, by {lock.by})" for lock in locks[:LOCKS_NAMED]]
    more = len(locks) - LOCKS_NAMED
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")


def _cut(reason: str) -> str:
    return reason if len(reason) <= REASON else f"{reason[: REASON - 1]}…"


def stays_locked(stage: str, left: Sequence[Lock], before: int) -> str:
    """The subject of the mail about a lock that was opened and was not the only one."""
    return f"{stage} stays locked: {len(left)} of {before} locks left"


def one_less(stage: str, left: Sequence[Lock], why: str) -> str:
    """The text of that mail."""
    return f"A lock of {stage} is open: {why}.\n{stage} stays locked by {named(left)}.\n"


def fix_failed(run: Run, why: str, locks: Sequence[Lock]) -> str:
    """The text of the mail about a failing fix; `locks`: those of its stage, if it holds one of them now itself."""
    others = len(locks) - 1
    beside = "" if others < 1 else f", beside {others} other {'lock' if others == 1 else 'locks'}"
    stays = f"It holds a lock of {run.step.stage} now{beside}." if locks else "The lock stays."
    return (
        f"The fix {name(run)} did not get through: {why}.\n{stays} Merge another fix, or retry {run.key}; "
        f"a newer fix that waited goes on at once.\n"
    )


def stuck(build: int, whose: str, step: Step, *, rolls_out: bool) -> str:
    """A build that does not end, and nothing firmer may be done."""
    limit = ", and nothing firmer is done where it rolls out" if rolls_out else " though it was killed"
    return (
        f"build #{build} of {whose} in {step} was asked to end and has not{limit}: end it in Jenkins. "
        f"It keeps its slot until then"
    )


def full(inside: Sequence[Buildable], capacity: int, step: Step, unmanaged_builds: int) -> str:
    """Why nobody else fits in."""
    who = listed(name(run) for run in inside)
    if unmanaged_builds:
        builds = f"{unmanaged_builds} {'build' if unmanaged_builds == 1 else 'builds'} started by hand"
        who = f"{who} and {builds}" if who else builds
    return f"{step} is full ({len(inside) + unmanaged_builds} of {capacity}): {who}" if who else f"{step} takes nobody"
