"""The steady work: merges, of which some fail, fixes, people who lock and unlock, readers of pages."""

from __future__ import annotations

import http.client
import itertools
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import closing
from urllib.parse import urlsplit

from bot.core.model.board import Board
from bot.core.model.pipeline import Lane
from bot.core.model.run import Status
from chaos.world import PIPELINE, World

#: One of so many merges fails in acceptance, which only reports it, and one of so many breaks pre-production.
FAILS, BREAKS = 20, 60
#: The pages that people load in turn; `{run}` is one of the latest runs.
PAGES = (
    "/p/{pipeline}",
    "/p/{pipeline}/runs",
    "/p/{pipeline}/runs/{run}",
    "/p/{pipeline}/where",
    "/p/{pipeline}/services/S1",
    "/p/{pipeline}/locks",
    "/p/{pipeline}/log",
    "/p/{pipeline}/statistics",
    "/p/{pipeline}/badge.svg",
    "/api/v1/pipelines/{pipeline}",
    "/api/v1/pipelines/{pipeline}/why?q={run}",
    "/api/v1/pipelines/{pipeline}/facts",
    "/find?q={run}",
    "/readyz",
    "/metrics",
    "/docs",
)
#: The pages that stay open and get each change.
LIVE = ("/p/{pipeline}/live", "/p/{pipeline}/runs/{run}/live", "/api/v1/pipelines/{pipeline}/events")
#: The seconds that a page stays open, and the timeout of an answer.
STAYS, TIMEOUT = 8.0, 30.0
#: The share of requests that may fail: an overloaded machine answers late.
MAY_FAIL = 0.02
#: The seconds without any data after which a page is closed.
HEARS_WITHIN = 3.0
#: The interval of manual locks, and their duration, in seconds.
LOCKS_EVERY, LOCKED_FOR = 15.0, 1.5


class Developers:
    """The developers: they merge to one service after the other, and a fix as soon as something is broken."""

    def __init__(self, world: World, seed: int, services: Mapping[str, str]) -> None:
        """Take the services: their names, each with its repository."""
        self._world, self._chance = world, random.Random(seed)
        self._repositories, self._services = services, itertools.cycle(services)
        self._numbers: Counter[str] = Counter()
        self._answered: set[str] = set()
        self.merged = self.fixes = self.broken = 0
        #: The run of the last merge.
        self.last = ""

    def merge(self, service: str | None = None) -> None:
        """Merge one commit; without `service`, to the next one in turn, and then it may fail."""
        name = service or next(self._services)
        self._numbers[name] += 1
        self.last = f"{name}.{self._numbers[name]}"
        if service is None and self._chance.randrange(BREAKS) == 0:
            self._doom("pre-production")
            self.broken += 1
        elif service is None and self._chance.randrange(FAILS) == 0:
            self._doom("acceptance")
        self._world.github.control.merge(self._repositories[name], title=f"{self.last}: a change", author="dana")
        self.merged += 1

    def mend(self, board: Board) -> None:
        """Merge a fix for each lock, and another one for each fix that failed; once each."""
        broken = [(lock.run, lock.service) for lock in board.locks.values() if lock.run and lock.service]
        broken += [
            (run.key, run.service)
            for run in board.runs.values()
            if run.lane is Lane.FAST and run.status is Status.FAILED
        ]
        standing = {run for run, _ in broken}
        for run, service in broken:
            if run not in self._answered:
                self.fixes += 1
                self.merge(service)
        self._answered = standing

    def _doom(self, stage: str) -> None:
        """Make the last run fail in a stage."""
        control = self._world.controller_of(stage).control
        control.rule(f"shop/{stage}", {"INTERLOCK_RUN": self.last}, result="FAILURE", duration=0.05)


class Background:
    """Threads that repeat an action until `stop`, and count their failures."""

    def __init__(self) -> None:
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []
        #: By name: the number of successes and of failures; and the number of each error.
        self.done: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self._errors: Counter[str] = Counter()

    def start(self, name: str, pause: float, act: Callable[[], None]) -> None:
        """Repeat an action from now on, with `pause` seconds in between."""

        def work() -> None:
            while not self._over.wait(pause):
                try:
                    act()
                    self.done[name] += 1
                except (OSError, http.client.HTTPException, AssertionError) as error:
                    self.note(name, error)

        thread = threading.Thread(target=work, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def stop(self) -> None:
        """Stop the threads after their current action."""
        self._over.set()
        for thread in self._threads:
            thread.join(TIMEOUT)

    def note(self, name: str, error: Exception) -> None:
        """Note a failure of a thread."""
        self.failed[name] += 1
        self._errors[f"{name}: {type(error).__name__} {error}"[:120]] += 1

    def faults(self) -> list[str]:
        """Return the errors of the threads that failed more often than a busy machine explains."""
        bad = {name for name, n in self.failed.items() if n > max(1.0, MAY_FAIL * (n + self.done[name]))}
        return [f"{n} times {what}" for what, n in self._errors.items() if what.partition(":")[0] in bad]

    @property
    def stopping(self) -> bool:
        """Return whether `stop` was called."""
        return self._over.is_set()


class Readers:
    """The readers who load pages, each over a connection of its own, and those who leave one open."""

    def __init__(self, web_url: str, run: Callable[[], str], background: Background) -> None:
        self._address = urlsplit(web_url).netloc
        self._run, self._background = run, background
        self._pages, self._live = itertools.cycle(PAGES), itertools.cycle(LIVE)

    def look(self) -> None:
        """Load one page."""
        path = self._path(next(self._pages))
        with _connection(self._address) as connection:
            connection.request("GET", path)
            answer = connection.getresponse()
            answer.read()
            assert answer.status in (200, 302, 404), f"{answer.status} {path}"  # a run may be gone by now

    def watch(self) -> None:
        """Leave a page open for a while, and read its stream."""
        with _connection(self._address) as connection:
            connection.request("GET", self._path(next(self._live)), headers={"Accept": "text/event-stream"})
            answer = connection.getresponse()
            assert answer.status in (200, 404), str(answer.status)
            until = time.monotonic() + STAYS
            while time.monotonic() < until and not self._background.stopping and self._hears(connection, answer):
                pass

    @staticmethod
    def _hears(connection: http.client.HTTPConnection, answer: http.client.HTTPResponse) -> bool:
        """Return whether the page gets data soon."""
        if connection.sock is not None:
            connection.sock.settimeout(HEARS_WITHIN)
        try:
            return bool(answer.read1(65_536))
        except TimeoutError:
            return False

    def _path(self, page: str) -> str:
        return page.format(pipeline=PIPELINE, run=self._run())


class Operator:
    """An operator with a token who locks acceptance now and then, and unlocks it again."""

    def __init__(self, web_url: str, token: str) -> None:
        self._address, self._token = urlsplit(web_url).netloc, token

    def lock_and_unlock(self) -> None:
        """Lock and unlock, with a moment in between."""
        self._post("lock", {"reason": "a look at the environment"})
        time.sleep(LOCKED_FOR)
        self._post("unlock", {"reason": "it is well", "all": True})

    def _post(self, verb: str, body: dict[str, object]) -> None:
        head = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        with _connection(self._address) as connection:
            path = f"/api/v1/pipelines/{PIPELINE}/stages/acceptance/{verb}?wait=5"
            connection.request("POST", path, json.dumps(body), head)
            answer = connection.getresponse()
            text = answer.read()
            assert answer.status in (200, 202), f"{answer.status} {text[:80]!r}"


def _connection(address: str) -> closing[http.client.HTTPConnection]:
    """Open a connection that the end of the block closes."""
    return closing(http.client.HTTPConnection(address, timeout=TIMEOUT))
