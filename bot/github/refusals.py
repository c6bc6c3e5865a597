"""What a refusal of GitHub means: not there, not allowed and what is missing, not now, or never."""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from bot.effect_outcomes import PermanentFailure, RetryLater

if TYPE_CHECKING:
    from bot.github.transport import Answer

#: How long to wait after a refusal that does not say (GitHub docs: rate limits, "wait for at least one minute").
A_MINUTE = 60.0


class Unreachable(RetryLater):
    """No answer came. A write may have arrived."""


class Limited(RetryLater):
    """A rate limit: nothing was done, and nobody may ask before `after` seconds have passed.

    `said`: GitHub said for how long.
    """

    def __init__(self, why: str, *, after: float, said: bool) -> None:
        super().__init__(why, after=after, certain=True)
        self.said = said


class NotKnown(RetryLater):
    """Our token or App is not accepted: a matter of us, not of what was asked. Nothing was done."""

    def __init__(self, why: str) -> None:
        super().__init__(why, after=A_MINUTE, certain=True)


class NotThere(PermanentFailure):
    """It does not exist, or we may not know that it does: GitHub says 404 for both."""


class NotAllowed(PermanentFailure):
    """We are known, but lack a permission."""


def refusal(answer: Answer, what: str) -> RetryLater | PermanentFailure:
    """What to raise for an answer with an error status to `what` (in words, for the log and for people)."""
    status, said = answer.status, f"{what}: GitHub answers {answer.status}"
    told = f"{said}: {answer.message}" if answer.message else said
    if status in (403, 429) and (limit := _limit(answer, said)) is not None:
        return limit
    if status == 401:
        return NotKnown(f"{told} (is the token, or the App's key, still good?)")
    if status in (408, 425, 429) or status >= 500:
        return RetryLater(said)
    if status == 404:
        return NotThere(f"{told} (not there, or not ours to see)")
    if status == 403:
        return NotAllowed(f"{told}{_missing(answer)}")
    return PermanentFailure(f"{told}{_errors(answer)}")


def _limit(answer: Answer, said: str) -> Limited | None:
    headers = answer.headers
    why = f"{said}, a rate limit"
    if (wait := headers.get("retry-after", "")).isdigit():
        return Limited(why, after=float(wait), said=True)
    if headers.get("x-ratelimit-remaining") == "0":
        reset = reset_in(answer)
        return Limited(why, after=A_MINUTE if reset is None else reset + 1, said=reset is not None)
    # The body is the only sign of a secondary limit without Retry-After (GitHub docs: rate limits for the REST API).
    if answer.status == 429 or "rate limit" in answer.message.lower():
        return Limited(why, after=A_MINUTE, said=False)
    return None


def reset_in(answer: Answer) -> float | None:
    """In how many seconds the hourly limit begins anew, by GitHub's own clock if it tells it."""
    reset = answer.headers.get("x-ratelimit-reset", "")
    if not reset.isdigit():
        return None
    try:
        now = parsedate_to_datetime(answer.headers.get("date", "")).timestamp()
    except ValueError:
        now = time.time()
    return max(0.0, float(reset) - now)


def _missing(answer: Answer) -> str:
    """Which permission would do, if GitHub says so (GitHub docs: X-Accepted-GitHub-Permissions)."""
    wanted = answer.headers.get("x-accepted-github-permissions")
    if wanted:
        return f" (the permission {wanted.replace('=', ': ')} is missing)"
    if "not accessible by" in answer.message:
        return " (a permission is missing; `interlock doctor` names those that there are)"
    return ""


def _errors(answer: Answer) -> str:
    """What a 422 finds wrong."""
    errors = answer.data.get("errors") if isinstance(answer.data, dict) else None
    if not isinstance(errors, list):
        return ""
    found = [e if isinstance(e, str) else str(e.get("message") or e.get("code")) for e in errors[:5] if e]
    return f" ({'; '.join(found)})" if found else ""
