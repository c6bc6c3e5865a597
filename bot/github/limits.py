"""GitHub's rate limits, shared by all processes: which request may go out now, and what an answer says about the rest.

No thread sleeps for a limit: what may not go out yet is postponed (`RateLimited`) and counts as no attempt. Only a
write whose turn comes within `MOMENT` waits for it.
"""

from __future__ import annotations

import random
import re
import time
from dataclasses import replace
from enum import Enum

import structlog

from bot.effect_outcomes import RateLimited
from bot.github.transport import GitHubLimited, GitHubResponse, GitHubUnauthorized, reset_in
from bot.store.github import Allowance, Pace, Wait
from config.configuration import GitHubLimits

log = structlog.get_logger()

#: GitHub takes so many points in a minute, 1 for a read and 5 for a write; and so many requests in a minute and an hour
#: that create content (GitHub docs: rate limits for the REST API, secondary rate limits).
POINTS, CREATED_PER_MINUTE, CREATED_PER_HOUR = 900, 80, 500
#: Points that reading leaves to a minute of writes, unless a fix waits for it.
KEPT_FOR_WRITES = 300
#: GitHub's own client keeps requests that notify people three times as far apart as other writes, and counts only
#: these as content (octokit/plugin-throttling.js: `src/index.ts` and its list of paths). Statuses, check runs,
#: deployments, reactions and edits notify nobody.
CREATED_APART = 3
_NOTIFIES = re.compile(r"POST /issues/\d+/comments")
#: The longest that a thread waits for its turn to write, in seconds.
MOMENT = 1.0


class Purpose(Enum):
    """What a request is for: the share of the hourly limits that it leaves to more important ones."""

    PROOF = 0.0  # what contains what, and who may command: a fix may wait for it, or all for an unlock
    HEADS = 0.02
    STATUS = 0.05
    COMMENT = 0.2
    LOCK = 0.3  # whose writes let all others go first


def may_read(allowance: Allowance, purpose: Purpose, spacing: float) -> None:
    """Count a read that goes out now; raises RateLimited if it may not. `spacing`: as for `may_write`."""
    pace = _pace(spacing, purpose)
    if purpose is not Purpose.PROOF:
        pace = replace(pace, points=max(0, pace.points - KEPT_FOR_WRITES))
    _raise_unless_now(allowance.ask(purpose.value, pace))


def may_write(allowance: Allowance, purpose: Purpose, ticket: str, what: str, spacing: float) -> None:
    """Take the turn of one write, `spacing` seconds after the last one (0: GitHub has no limits here).

    `what` is sent: the verb and the path below the repository. Raises RateLimited if its turn has not come yet.
    """
    creates, yields = _NOTIFIES.fullmatch(what) is not None, purpose is Purpose.LOCK
    pace = _pace(spacing, purpose)
    wait = allowance.ask_to_write(ticket, purpose.value, pace, creates=creates, yields=yields)
    if yields and wait.seconds > 0:
        wait = Wait(wait.seconds + random.uniform(0.5, 2.0), wait.why)  # noqa: S311  so that many do not come together
    elif wait.why == "spacing" and wait.seconds <= MOMENT:
        time.sleep(wait.seconds)
        wait = allowance.ask_to_write(ticket, purpose.value, pace, creates=creates)
    _raise_unless_now(wait)


def _pace(spacing: float, purpose: Purpose) -> Pace:
    if spacing == 0:
        return Pace(0, 0.0, 0.0, 0, 0)
    created = round(CREATED_PER_HOUR * (1 - purpose.value))
    return Pace(POINTS, spacing, CREATED_APART * spacing, CREATED_PER_MINUTE, created)


#: Why a request waits, by `Wait.why`.
_REASONS = {
    "reserve": "what is left of GitHub's hourly limit is kept for what matters more",
    "spacing": "GitHub wants writes one after the other",
    "points": "GitHub's limit of points in a minute is used up",
    "content": "GitHub's limit of things created in a minute or an hour is used up",
}


def _raise_unless_now(wait: Wait) -> None:
    if wait.seconds > 0:
        raise RateLimited(_REASONS.get(wait.why, wait.why), after=wait.seconds)


def note(allowance: Allowance, answer: GitHubResponse) -> None:
    """Remember what an answer says about the hourly limit."""
    remaining, limit = answer.headers.get("x-ratelimit-remaining", ""), answer.headers.get("x-ratelimit-limit", "")
    reset = reset_in(answer)
    if remaining.isdigit() and limit.isdigit() and reset is not None:
        allowance.saw(int(remaining), int(limit), reset)


def respect(allowance: Allowance, error: Exception, known: GitHubLimits) -> None:
    """Pause all requests of this identity, in all processes, if `error` concerns all of them and not just one.

    The error says how long, if GitHub did not.
    """
    if isinstance(error, GitHubLimited):
        if error.after is None:
            error.after = min(known.longest_pause, known.unnamed_pause * 2 ** (allowance.count_refusal() - 1))
        log.warning("github-limit", why=str(error), seconds=error.after)
        allowance.pause(error.after, str(error))
    elif isinstance(error, GitHubUnauthorized):
        log.error("github-does-not-know-us", why=str(error))
        error.after = known.unnamed_pause
        allowance.pause(error.after, str(error))
