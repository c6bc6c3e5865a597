"""A client of Interlock's API that repeats requests without an answer, because processes die here all the time."""

from __future__ import annotations

import time
from typing import Any

import requests

from chaos.world import PIPELINE

Answer = dict[str, Any]
#: The timeouts to connect and between two parts of an answer, in seconds.
TIMEOUT = (2.0, 10.0)
#: The number of rows of one page.
PAGE = 200


class Unanswered(Exception):
    """A request without an answer, or with an error."""


class Api:
    """The API of one pipeline. Every method raises Unanswered."""

    def __init__(self, url: str, token: str) -> None:
        self._root = f"{url}/api/v1/pipelines/{PIPELINE}"
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers["Authorization"] = f"Bearer {token}"

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def board(self) -> Answer:
        """Return the whole pipeline."""
        return self._ask("GET", "")

    def runs(self) -> list[Answer]:
        """Return all runs, live and ended; each once, even if it ends between two pages."""
        return [*{run["run"]: run for run in self._pages("/runs", "runs", "offset")}.values()]

    def facts(self) -> list[Answer]:
        """Return the facts of the log, oldest first."""
        return self._pages("/facts", "facts", "before")[::-1]

    def given_up(self) -> list[Answer]:
        """Return dead letters and parked deliveries."""
        letters, parked = self._ask("GET", "/dead-letters"), self._ask("GET", "/parked")
        return [*letters["dead_letters"], *parked["parked"]]

    def unlock(self, stage: str, lock: str) -> None:
        """Open one lock of a stage."""
        self._ask("POST", f"/stages/{stage}/unlock", json={"reason": "looked", "lock": lock})

    def _pages(self, path: str, rows: str, parameter: str) -> list[Answer]:
        found: list[Answer] = []
        after: str | int | None = None
        while True:
            given = {"limit": PAGE} | ({parameter: after} if after is not None else {})
            page = self._ask("GET", path, params=given)
            found += page[rows]
            after = page["next"]
            if after is None:
                return found

    def _ask(self, method: str, path: str, **more: Any) -> Answer:
        try:
            answer = self._session.request(method, self._root + path, timeout=TIMEOUT, **more)
            if not answer.ok:
                raise Unanswered(f"{method} {path}: {answer.status_code} {answer.text[:300]}")
            found: Answer = answer.json()
        except requests.RequestException as error:
            raise Unanswered(f"{method} {path}: {error}") from error
        return found


def patiently(api: Api, seconds: float, what: str) -> Any:
    """Return the answer of `getattr(api, what)()`, repeated for `seconds` seconds. Raise Unanswered after that."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return getattr(api, what)()
        except Unanswered:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
