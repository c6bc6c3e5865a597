"""One line to GitHub: sends a request with PyGithub, and hands back the answer as it is, whatever its status.

PyGithub 2.10 by default repeats POSTs (duplicate comments), sleeps for up to an hour on a rate limit, and takes a
POST that was answered 307 for done. So its retries are replaced: only a GET or HEAD is repeated, once, and only when
the connection broke. Waiting is our outbox's business, and every status is looked at.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from github import Auth, Github, GithubException
from jwt.exceptions import PyJWTError
from requests.exceptions import RequestException
from urllib3.util import Retry

from bot.effect_outcomes import PermanentFailure, RetryLater
from bot.github.refusals import NotAllowed, Unreachable, refusal
from bot.health.contacts import Contact
from config.configuration import GitHubSettings

#: For broken connections. A status is an answer, and `Retry-After` is not slept through.
_RETRY = Retry(
    total=1,
    status=0,
    raise_on_status=False,
    respect_retry_after_header=False,
    allowed_methods=frozenset({"GET", "HEAD"}),
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What GitHub said; the names of the headers are in lower case, `data` is the JSON (None if there is none)."""

    status: int
    headers: Mapping[str, str]
    data: Any = None

    @property
    def message(self) -> str:
        """What it says about a refusal."""
        found = self.data.get("message") if isinstance(self.data, dict) else None
        return found if isinstance(found, str) else ""


class GitHubTransport:
    """A connection under one identity. For one thread at a time: PyGithub keeps the request in its fields."""

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
        )

    def ask(self, verb: str, path: str, body: object = None, headers: Mapping[str, str] | None = None) -> Answer:
        """Send one request; `path` is below the API's address.

        Raises Unreachable if no answer came (a write may have arrived nevertheless), Never if GitHub sends us to
        another host.
        """
        try:
            answer = self._ask(verb, path, body, headers)
        except (RetryLater, PermanentFailure) as error:
            if self._contact is not None:
                self._contact.bad(str(error))
            raise
        if self._contact is not None:
            _note(self._contact, refusal(answer, f"{verb} {path}") if answer.status >= 400 else None)
        return answer

    def _ask(self, verb: str, path: str, body: object, headers: Mapping[str, str] | None) -> Answer:
        try:
            requester = self._github.requester
            status, found, text = requester.requestJson(verb, path, headers=dict(headers or {}), input=body)
        except RequestException as error:
            raise Unreachable(f"GitHub cannot be reached: {type(error).__name__}") from error
        except (GithubException, PyJWTError) as error:  # not from this request, whose status is an answer
            raise PermanentFailure(f"the request to GitHub could not be made: {type(error).__name__}") from error
        except RuntimeError as error:  # PyGithub's word for a redirect to elsewhere
            raise PermanentFailure(f"GitHub is elsewhere: correct `github: api_url` ({error})") from error
        return Answer(status, {name.lower(): str(value) for name, value in found.items()}, _read(text))

    def close(self) -> None:
        """Close the connections."""
        self._github.close()


def _note(contact: Contact, refused: RetryLater | PermanentFailure | None) -> None:
    if isinstance(refused, RetryLater | NotAllowed):
        contact.bad(str(refused), forbidden=isinstance(refused, NotAllowed))
    else:
        contact.good()  # it answers: a refusal like "not there" concerns what was asked


def _read(text: Any) -> Any:
    try:
        return json.loads(text) if text else None
    except (ValueError, RecursionError):
        return None
