"""Prints each fact in the terminal as it happens, in one line with its reason."""

from __future__ import annotations

import threading
import time
from datetime import datetime

from rich.console import Console
from rich.markup import escape

from bot.core.model.facts import FactKind
from bot.reporting.messages import words
from bot.store.codec import RecordedFact
from bot.store.records import Records
from demo.words import Names

_STYLES = {
    FactKind.STAGE_LOCKED: "bold red",
    FactKind.BUILD_FAILED: "red",
    FactKind.STAGE_UNLOCKED: "bold green",
    FactKind.RUN_SUPERSEDED: "yellow",
    FactKind.RUN_LEAVING: "yellow",
    FactKind.RUN_DELIVERED: "green",
    FactKind.MERGE_ACCEPTED: "cyan",
}
#: Facts that only repeat the line before them.
_QUIET = frozenset({FactKind.MERGE_KNOWN, FactKind.BUILD_STARTED, FactKind.BASELINE_TAKEN})


class Teller:
    """A follower of the fact log, in a thread of its own until it is stopped."""

    def __init__(self, console: Console, records: Records, names: Names) -> None:
        self._console = console
        self._records = records
        self._names = names
        self._last = "0-0"
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)

    def __enter__(self) -> Teller:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(5)

    def _follow(self) -> None:
        while not self._stop.is_set():
            self.catch_up()
            time.sleep(0.15)

    def catch_up(self) -> None:
        """Print the facts since the last call."""
        for identity, told in self._records.facts_after(self._last):
            self._last = identity
            if told.fact.kind not in _QUIET:
                self._tell(told)

    def _words(self, told: RecordedFact) -> str:
        """Return the fact's sentence with the names of the story; it begins with the name of its run."""
        fact = told.fact
        if fact.run is not None and fact.sha is not None:
            self._names.learn_run(fact.run, fact.sha)
        sentence = self._names.told(words(fact.why))
        who = self._names.of(fact.sha) if fact.run is not None and fact.sha is not None else ""
        return sentence if sentence.startswith(who) else f"{who}: {sentence}"

    def _tell(self, told: RecordedFact) -> None:
        at = datetime.fromtimestamp(told.at).astimezone().strftime("%H:%M:%S.%f")[:-4]
        style = _STYLES.get(told.fact.kind, "default")
        sentence = escape(self._words(told))
        self._console.print(f"  [dim]{at}  {told.fact.kind:<19}[/dim] [{style}]{sentence}[/{style}]", highlight=False)
