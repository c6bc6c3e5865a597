"""Talking to GitHub: one PyGithub client per thread, its retries limited to what is safe to repeat.

PyGithub 2.10 by default repeats POSTs (duplicate comments), sleeps for up to an hour on a rate limit, and returns an
empty object for a POST that was answered 307. So: only GETs are repeated, waiting is our outbox's business, and what
a write returns is looked at.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from github import Auth, Github, GithubException, GithubRetry
from requests.exceptions import RequestException

from workers.context import Context
from workers.perform.outcome import Never, NotNow

_local = threading.local()
Answer = TypeVar("Answer")


def client(context: Context) -> Github:
    """This thread's client. Raises Never if no token is configured."""
    found: Github | None = getattr(_local, "github", None)
    if found is not None:
        return found
    token = context.settings.github_token
    if token is None:
        raise Never("INTERLOCK_GITHUB_TOKEN is not set: GitHub can be neither asked nor told anything")
    made = Github(
        auth=Auth.Token(token.get_secret_value()),
        base_url=context.configuration.github.api_url,
        timeout=max(1, round(context.configuration.github.timeout)),  # whole seconds; 0 is refused
        lazy=True,
        user_agent="interlock",
        seconds_between_requests=0,
        seconds_between_writes=0,
        retry=GithubRetry(
            total=1,  # for broken connections; a status is an answer
            status=0,
            raise_on_status=False,
            respect_retry_after_header=False,  # urllib3 would sleep for as long as it says
            allowed_methods=frozenset({"GET", "HEAD"}),
            max_rate_limit_wait=1,
        ),
    )
    _local.github = made
    return made


def asked(request: Callable[[], Answer]) -> Answer:
    """Do one request; what can go wrong becomes *not now* or *never*."""
    try:
        return request()
    except GithubException as error:
        raise _refusal(error) from error
    except RequestException as error:
        raise NotNow(f"GitHub cannot be reached: {type(error).__name__}") from error


def _refusal(error: GithubException) -> Exception:
    headers = {name.lower(): value for name, value in (error.headers or {}).items()}
    wait = str(headers.get("retry-after", ""))
    # The body is the only sign of a secondary limit without Retry-After (GitHub docs: rate limits for the REST API).
    limited = wait.isdigit() or headers.get("x-ratelimit-remaining") == "0" or "rate limit" in str(error).lower()
    if error.status in (403, 429) and limited:
        return NotNow(f"GitHub's rate limit ({error.status})", after=float(wait) if wait.isdigit() else 60.0)
    if error.status in (408, 425, 429) or error.status >= 500:
        return NotNow(f"GitHub answers {error.status}")
    return Never(f"GitHub answers {error.status}: {error.message or error.data}")
