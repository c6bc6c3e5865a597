"""The story: seven merges, one failure, one fix. Each step waits for the picture it leads to."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.panel import Panel
from rich.text import Text

from bot.core.model.pipeline import Step
from bot.reporting.view import view
from bot.store.replica import BoardReplica
from demo.pictures import PICTURES, TITLES, Picture, differences, drawn, seen
from demo.town import OWNERS_TEXT, SERVICES, Town
from demo.words import Names


class Spoiled(Exception):
    """The story did not come out as it should; the message says what differs."""


class Story:
    """Plays the four pictures. `pace` is the pause, in seconds, that lets a person follow.

    `patience`: the longest that any one step may take, in seconds. `shown` is called with the number of each picture
    while it stands.
    """

    def __init__(
        self,
        town: Town,
        copy: BoardReplica,
        names: Names,
        console: Console,
        pace: float,
        patience: float = 30.0,
        shown: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._patience = patience
        self._shown = shown
        self._town = town
        self._copy = copy
        self._names = names
        self._console = console
        self._pace = pace
        self._cdp = town.jenkins["cdp"].control
        #: The key of the lock of the second picture.
        self._lock = ""

    def play(self) -> None:
        """The whole story. Raises Spoiled with the difference if it goes otherwise than in the pictures."""
        for stage in ("acceptance", "fast-acceptance", "fast-pre-production", "pre-production", "production"):
            self._cdp.hold(self._town.job(stage))
        self._first_picture()
        self._second_picture()
        self._third_picture()
        self._fourth_picture()

    def wait_until_ready(self) -> None:
        """The pipeline is configured, and where main stands is known: from there on every merge counts."""
        services = len(SERVICES)
        self._wait("the heads of main are known", lambda: self._known_services() == services)

    def let_go(self) -> None:
        """Nobody holds a build any more: everything that is live runs through."""
        for job in ("acceptance", "fast-acceptance", "fast-pre-production", "pre-production", "production"):
            self._cdp.unhold(self._town.job(job))
        for row in self._cdp.builds(running=True):
            self._cdp.release(row["job"], number=row["number"])

    def wait_until_all_have_ended(self) -> None:
        """No run is on its way any more."""
        self._wait("all runs have ended", lambda: not self._live())

    def _live(self) -> int:
        self._copy.refresh()
        return len(self._copy.board.runs)

    def _known_services(self) -> int:
        self._copy.refresh()
        return len(self._copy.board.services)

    def _first_picture(self) -> None:
        self._merge("S1", "S1a")
        self._pass("acceptance", "S1a")
        self._until("S1a is in pre-production", lambda p: p.pre_production == {"S1a"})
        for service, name in (("S2", "S2a"), ("S1", "S1b")):
            self._merge(service, name)
            self._pass("acceptance", name)
            self._until_in("queue_2", name)
        for service, name in (("S3", "S3a"), ("S1", "S1c"), ("S2", "S2b")):
            self._merge(service, name)
            self._until_in("acceptance", name)
        self._merge("S1", "S1d")
        self._show(1)

    def _second_picture(self) -> None:
        self._release("pre-production", "S1a", "FAILURE", tests=["CheckoutTest.paysWithCard"])
        self._show(2)
        self._lock = self._copy.board.locks_of("pre-production")[0].key
        self._wait("the banner stands on the Jenkins job", lambda: "locked" in self._description())
        self._wait("people have mail", lambda: any("is locked" in s for s in self._town.mailbox.subjects))
        self._console.print(f"  mail: {self._names.told(self._town.mailbox.subjects[-1])}", style="magenta")

    def _third_picture(self) -> None:
        self._merge("S1", "S1e")
        self._show(3)
        self._pass("fast-acceptance", "S1e")
        self._pass("fast-pre-production", "S1e")
        self._until("S1e is in pre-production", lambda p: p.pre_production == {"S1e"} and p.locked)
        time.sleep(self._pace)

    def _fourth_picture(self) -> None:
        self._pass("pre-production", "S1e")
        self._show(4)
        self._wait("the banner is gone, the owner's text is back", lambda: self._description() == OWNERS_TEXT)
        self._wait("people have mail", lambda: any("is open" in s for s in self._town.mailbox.subjects))
        self._console.print(f"  mail: {self._names.told(self._town.mailbox.subjects[-1])}", style="magenta")
        self._report()
        self._once()

    # -- what people and Jenkins do ------------------------------------------------------------------------------

    def _merge(self, service: str, name: str) -> None:
        sha = self._town.github.control.merge(SERVICES[service], title=f"{name}: a change to {service}", author="dana")
        self._names.learn(sha, name)
        time.sleep(self._pace / 2)

    def _pass(self, stage: str, name: str) -> None:
        self._release(stage, name, "SUCCESS")

    def _release(self, stage: str, name: str, result: str, **how: Any) -> None:
        """Let the held build of a run end. It must have started: the story waits for it."""
        sha = self._names.sha(name)
        time.sleep(self._pace / 2)
        self._cdp.release(
            self._town.job(stage), match={"INTERLOCK_SHA": sha}, result=result, seconds=self._patience, **how
        )

    def _description(self) -> str:
        return str(self._cdp.description(self._town.job("pre-production")))

    # -- what is seen --------------------------------------------------------------------------------------------

    def _picture(self) -> Picture:
        self._copy.refresh()
        return seen(view(self._copy.board, self._copy.version, time.time()), self._names)

    def _until(self, what: str, so: Callable[[Picture], bool]) -> None:
        self._wait(what, lambda: so(self._picture()))

    def _until_in(self, place: str, name: str) -> None:
        self._until(f"{name} is in {place.replace('_', ' ')}", lambda picture: name in getattr(picture, place))

    def _wait(self, what: str, so: Callable[[], bool]) -> None:
        deadline = time.monotonic() + self._patience
        while not so():
            if time.monotonic() > deadline:
                raise Spoiled(
                    f"after {self._patience:.0f} seconds it is still not so that {what}\n{drawn(self._picture())}"
                )
            time.sleep(0.05)

    def _show(self, number: int) -> None:
        """Wait for a picture, then draw it. Raises Spoiled with the differences if it does not come."""
        wanted = PICTURES[number]
        deadline = time.monotonic() + self._patience
        while differences(wanted, found := self._picture()):
            if time.monotonic() > deadline:
                lines = "\n".join(differences(wanted, found))
                raise Spoiled(f"picture {number} did not come about:\n{lines}\n{drawn(found)}")
            time.sleep(0.05)
        time.sleep(0.3)  # let the teller finish its lines
        picture = Panel(Text(drawn(found)), title=f"{number}  {TITLES[number]}", title_align="left", expand=False)
        self._console.print(picture)
        self._shown(number)
        time.sleep(self._pace)

    def _report(self) -> None:
        """The lock has a report, and it says what happened in the story. Print where it is, and what it says."""
        listed = self._copy.board.version("S1", Step("pre-production")).whole
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
        """Every attempt was built once; S1c's build was stopped; nobody else's was touched."""
        rows = [row for jenkins in self._town.jenkins.values() for row in jenkins.control.builds()]
        attempts = [(row["params"]["INTERLOCK_RUN"], row["params"]["INTERLOCK_ATTEMPT"]) for row in rows]
        twice = {attempt for attempt in attempts if attempts.count(attempt) > 1}
        aborted = {self._names.of(r["params"]["INTERLOCK_SHA"]) for r in rows if r["result"] == "ABORTED"}
        if twice or aborted != {"S1c"}:
            raise Spoiled(f"built twice: {sorted(twice) or 'none'}; aborted: {sorted(aborted)}, expected S1c alone")
