"""The demo: the four pictures with real processes, drawn in the terminal, with banner, mail and lock report."""

from __future__ import annotations

import time
from collections.abc import Callable

from rich.console import Console
from rich.panel import Panel
from rich.text import Text

from bot.core.model.pipeline import Step
from demo.pictures import TITLES, drawn, seen, tell
from demo.processes import ProcessWorld
from demo.town import OWNERS_TEXT
from demo.verbs import Spoiled


class Story:
    """The story of the four pictures. `shown` is called with the number of each picture while it is there."""

    def __init__(self, world: ProcessWorld, console: Console, shown: Callable[[int], None] = lambda _: None) -> None:
        self._world, self._town, self._names = world, world.town, world.names
        self._console = console
        self._shown = shown
        self._cdp = world.town.jenkins["cdp"].control
        #: The key of the lock of the second picture.
        self._lock = ""

    def play(self) -> None:
        """Play the whole story. Raise Spoiled with the difference if it does not match the pictures."""
        self._world.start()
        tell(self._world, self._show)
        self._report()
        self._once()

    def _show(self, number: int) -> None:
        """Draw the current picture, and wait for the banner and the mail that belong to it."""
        time.sleep(0.3)  # let the teller finish its lines
        picture = Text(drawn(seen(self._world)))
        self._console.print(Panel(picture, title=f"{number}  {TITLES[number]}", title_align="left", expand=False))
        if number == 2:
            self._lock = self._world.board_now().locks_of("pre-production")[0].key
            self._world.wait_until("the banner stands on the Jenkins job", lambda: "locked" in self._description())
            self._mail("is locked")
        if number == 4:
            there = "the banner is gone, the owner's text is back"
            self._world.wait_until(there, lambda: self._description() == OWNERS_TEXT)
            self._mail("is open")
        self._shown(number)
        time.sleep(self._world.pace)

    def _mail(self, words: str) -> None:
        """Wait for a mail with these words in its subject, and print the last subject."""
        subjects = self._town.mailbox.subjects
        self._world.wait_until("people have mail", lambda: any(words in subject for subject in subjects))
        self._console.print(f"  mail: {self._names.told(subjects[-1])}", style="magenta")

    def _description(self) -> str:
        return str(self._cdp.description(self._town.job("pre-production")))

    def _report(self) -> None:
        """Check the report of the lock against the story, and print its address and its main parts."""
        listed = self._world.board_now().version("S1", Step("pre-production")).whole
        fix = listed.run if listed is not None else ""
        found = self._town.report(self._lock)
        wanted = {"run": self._lock.partition("/")[2], "fix": fix, "service": "S1", "held": 2}
        told = {**{name: found[name] for name in wanted}, "held": len(found["held"])}
        if told != wanted or "CheckoutTest.paysWithCard" not in found["cause"]:
            raise Spoiled(f"the report of the lock says {told}: {found['cause']}; expected {wanted}")
        self._console.print(f"  report of the lock: {self._town.page(self._lock)}", style="magenta", soft_wrap=True)
        for name, said in (("cause", found["cause"]), ("fix", found["end"])):
            self._console.print(f"    {name}: {self._names.told(said)}", markup=False, highlight=False)
        for name in ("duration", "cost"):
            said = self._names.told(found[name]["words"])
            self._console.print(f"    {name}: {said}", markup=False, highlight=False)

    def _once(self) -> None:
        """Check that each attempt was built once, and that only S1c's build was stopped."""
        rows = [row for jenkins in self._town.jenkins.values() for row in jenkins.control.builds()]
        attempts = [(row["params"]["INTERLOCK_RUN"], row["params"]["INTERLOCK_ATTEMPT"]) for row in rows]
        twice = {attempt for attempt in attempts if attempts.count(attempt) > 1}
        aborted = {self._names.of(r["params"]["INTERLOCK_SHA"]) for r in rows if r["result"] == "ABORTED"}
        if twice or aborted != {"S1c"}:
            raise Spoiled(f"built twice: {sorted(twice) or 'none'}; aborted: {sorted(aborted)}, expected S1c alone")
