"""Builds that ask an address, at the beginning of their work, whether Interlock still waits for them.

A first stage in a Jenkinsfile does the same: on 200 the build goes on, on 409 it ends as NOT_BUILT. After any other
answer, or none, it asks again; after the last try the build stops or goes on, by the setting of its job.
"""

from __future__ import annotations

import re
import threading
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from standins.background import Background
from standins.jenkins.model import Build, BuildState
from standins.jenkins.outcomes import as_text

if TYPE_CHECKING:
    from standins.jenkins.controller import Controller

_THREADS = 64


@dataclass(frozen=True, slots=True)
class Question:
    """`url` with `$NAME` for parameters of the build. `silent`: `stop` or `go` without an answer. Times in seconds."""

    url: str
    silent: str = "stop"
    tries: int = 3
    pause: float = 0.05
    timeout: float = 5.0

    @classmethod
    def from_json(cls, given: dict[str, Any] | None) -> Question | None:
        if given is not None and given.get("silent", "stop") not in ("stop", "go"):
            raise ValueError(f"silent is stop or go, not {given['silent']!r}")
        return None if given is None else cls(**given)


class Asker:
    """The asking in the background; the build runs meanwhile."""

    def __init__(self, controller: Controller) -> None:
        self._c = controller
        self._background = Background(_THREADS, "question")
        self._ended = threading.Event()

    def start(self) -> None:
        self._ended.clear()
        self._background.start()

    def stop(self) -> None:
        self._ended.set()
        self._background.stop()

    def ask(self, build: Build, question: Question) -> None:
        """Ask, then let the build go on or end it. Called under the lock."""
        self._background.submit(self._ask, build, question)

    def _ask(self, build: Build, question: Question) -> None:
        goes_on = self._answer(build, question)
        with self._c.lock:
            build.asking = False
            if build.state is not BuildState.RUNNING:
                return
            if goes_on:
                build.let_go_on = True
                self._c.builds.proceed(build)
            else:
                build.turned_away = True
                build.log.append("Nobody waits for this build any more: nothing was done")
                self._c.builds.finish(build, "NOT_BUILT")
            self._c.changed.notify_all()

    def _answer(self, build: Build, question: Question) -> bool:
        url = _filled_in(question.url, build)
        for _ in range(question.tries):
            status = _status(url, question.timeout)
            build.log.append(f"asked whether it is still waited for: {status or 'no answer'}")
            if status in (200, 409):
                return status == 200
            if self._ended.wait(question.pause):
                break
        return question.silent == "go"


def _filled_in(url: str, build: Build) -> str:
    values = {name: as_text(value) for name, value in build.parameters.items()}
    values["BUILD_NUMBER"] = str(build.number)
    return re.sub(r"\$(\w+)", lambda found: values.get(found[1], ""), url)


def _status(url: str, timeout: float) -> int:
    """Return the status of the answer; 0 if there was none."""
    try:
        with urllib.request.urlopen(url, timeout=timeout) as response:  # noqa: S310  the tests' own address
            return int(response.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code
    except OSError:
        return 0
