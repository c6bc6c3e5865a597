"""Send requests to GitHub by PyGithub, return every answer unchanged, and turn refusals into exceptions.

PyGithub 2.10 by default repeats POSTs (duplicate comments), sleeps for up to an hour on a rate limit, and treats a
POST that was answered 307 as done. So its retries are replaced: only a GET or HEAD is repeated, once, and only if the
connection broke. Any HTTP status is returned as an answer; the outbox does the waiting.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

from github import Auth, Github, GithubException
from jwt.exceptions import PyJWTError
from requests.exceptions import RequestException
from urllib3.util import Retry

from bot.effect_outcomes import PermanentFailure, RetryLater
from bot.health.contacts import Contact
from bot.health.observations import RATE_LIMIT
from config.configuration import GitHubSettings

#: The version of the API whose answers we read (GitHub docs: API versions), and GitHub's own media type.
API_VERSION, ACCEPT = "2022-11-28", "application/vnd.github+json"
#: Retries for broken connections only: an HTTP status is an answer, and `Retry-After` causes no sleep.
_RETRY = Retry(
    total=1,
    status=0,
    raise_on_status=False,
    respect_retry_after_header=False,
    allowed_methods=frozenset({"GET", "HEAD"}),
)


@dataclass(frozen=True, slots=True)
class GitHubResponse:
    """GitHub's answer: the header names are in lower case, `data` is the JSON (None if there is none)."""

    status: int
    headers: Mapping[str, str]
    data: Any = None

    @property
    def message(self) -> str:
        """GitHub's message about a refusal; empty if there is none."""
        found = self.data.get("message") if isinstance(self.data, dict) else None
        return found if isinstance(found, str) else ""


class GitHubTransport:
    """A connection under one identity. Not thread-safe, because PyGithub keeps the request in its fields."""

    def __init__(self, where: GitHubSettings, auth: Auth.Auth | None, contact: Contact | None = None) -> None:
        self._contact = contact
        self._github = Github(
            auth=auth,
            base_url=where.api_url,
            timeout=max(1, round(where.timeout)),  # whole seconds; 0 is refused
            lazy=True,
            user_agent="interlock",
            seconds_between_requests=0,
            seconds_between_writes=0,
            retry=_RETRY,
            api_version=API_VERSION,
        )

    def ask(
        self, verb: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> GitHubResponse:
        """Send one request and return the answer, whatever its status; `path` is below the API's address.

        Raises GitHubUnreachable if no answer came (a write may have arrived nevertheless), PermanentFailure if the
        request could not be signed or GitHub redirects to another host.
        """
        try:
            answer = self._ask(verb, path, body, headers)
        except (RetryLater, PermanentFailure) as error:
            if self._contact is not None:
                self._contact.bad(str(error))
            raise
        if self._contact is not None:
            _note_contact(self._contact, refusal(answer, f"{verb} {path}") if answer.status >= 400 else None)
        return answer

    def _ask(self, verb: str, path: str, body: object, headers: Mapping[str, str] | None) -> GitHubResponse:
        try:
            requester = self._github.requester
            sent = {"Accept": ACCEPT, **(headers or {})}
            status, found, text = requester.requestJson(verb, path, headers=sent, input=body)
        except RequestException as error:
            raise GitHubUnreachable(f"GitHub cannot be reached: {type(error).__name__}") from error
        except (GithubException, PyJWTError) as error:  # raised while signing in; any status is an answer
            raise PermanentFailure(f"Interlock could not sign in at GitHub: {type(error).__name__}") from error
        except RuntimeError as error:  # PyGithub raises it for a redirect to another host
            raise PermanentFailure(f"GitHub redirects to another host: correct `github: api_url` ({error})") from error
        return GitHubResponse(status, {name.lower(): str(value) for name, value in found.items()}, _read(text))

    def close(self) -> None:
        """Close the connections."""
        self._github.close()


def _note_contact(contact: Contact, refused: RetryLater | PermanentFailure | None) -> None:
    if isinstance(refused, RetryLater | GitHubForbidden):
        contact.bad(str(refused), forbidden=isinstance(refused, GitHubForbidden))
    else:
        contact.good()  # GitHub is up: a refusal such as 404 concerns only this request


def _read(text: Any) -> Any:
    try:
        return json.loads(text) if text else None
    except (ValueError, RecursionError):
        return None


# -- refusals as exceptions: not found, forbidden (and which permission is missing), later, or never -------------------


class GitHubUnreachable(RetryLater):
    """An error: no answer came. A write may have arrived."""


class GitHubLimited(RetryLater):
    """A rate limit: GitHub did nothing, and no process may send a request before `after` seconds have passed.

    None: GitHub named no time, and `bot.github.session.respect` sets one.
    """

    def __init__(self, why: str, *, after: float | None) -> None:
        super().__init__(why, after=after, certain=True)


class GitHubUnauthorized(RetryLater):
    """An error: GitHub does not accept our token or App, for any request. It did nothing."""

    def __init__(self, why: str) -> None:
        super().__init__(why, certain=True)


class GitHubNotFound(PermanentFailure):
    """An error: the resource does not exist, or we may not see it. GitHub answers 404 to both."""


class GitHubForbidden(PermanentFailure):
    """An error: GitHub accepts our identity, but we lack a permission."""


def refusal(answer: GitHubResponse, what: str) -> RetryLater | PermanentFailure:
    """Return the exception for an error status; `what`: the request, in words for the log and for people."""
    status, said = answer.status, f"{what}: GitHub answers {answer.status}"
    words = f"{said}: {answer.message}" if answer.message else said
    if status in (403, 429) and (limit := _limit(answer, said)) is not None:
        return limit
    if status == 401:
        return GitHubUnauthorized(f"{words} (check the token, or the key of the App)")
    if status in (408, 425, 429) or status >= 500:
        return RetryLater(said)
    if status == 404:
        return GitHubNotFound(f"{words} (it does not exist, or Interlock may not see it)")
    if status == 403:
        return GitHubForbidden(f"{words}{_missing(answer)}")
    return PermanentFailure(f"{words}{_errors(answer)}")


def _limit(answer: GitHubResponse, said: str) -> GitHubLimited | None:
    headers = answer.headers
    why = f"{said}, {RATE_LIMIT}"
    if (wait := headers.get("retry-after", "")).isdigit():
        return GitHubLimited(why, after=float(wait))
    if headers.get("x-ratelimit-remaining") == "0":
        reset = reset_in(answer)
        return GitHubLimited(why, after=None if reset is None else reset + 1)
    # The body is the only sign of a secondary limit without Retry-After (GitHub docs: rate limits for the REST API).
    if answer.status == 429 or "rate limit" in answer.message.lower():
        return GitHubLimited(why, after=None)
    return None


def reset_in(answer: GitHubResponse) -> float | None:
    """Return the seconds until the hourly limit is reset, by GitHub's clock if the answer has a date; None if the
    answer does not say."""
    reset = answer.headers.get("x-ratelimit-reset", "")
    if not reset.isdigit():
        return None
    try:
        now = parsedate_to_datetime(answer.headers.get("date", "")).timestamp()
    except ValueError:
        now = time.time()
    return max(0.0, float(reset) - now)


def _missing(answer: GitHubResponse) -> str:
    """Return words for the missing permission, if GitHub names it (GitHub docs: X-Accepted-GitHub-Permissions)."""
    wanted = answer.headers.get("x-accepted-github-permissions")
    if wanted:
        return f" (the permission {wanted.replace('=', ': ')} is missing)"
    if "not accessible by" in answer.message:
        return " (a permission is missing; `interlock doctor` lists what is missing)"
    return ""


def _errors(answer: GitHubResponse) -> str:
    """Return the errors that a 422 lists, in words."""
    errors = answer.data.get("errors") if isinstance(answer.data, dict) else None
    if not isinstance(errors, list):
        return ""
    found = [e if isinstance(e, str) else str(e.get("message") or e.get("code")) for e in errors[:5] if e]
    return f" ({'; '.join(found)})" if found else ""
