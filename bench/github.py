"""Counts the requests to GitHub of one run, from its merge to production, and the runs an hour that they allow."""

from __future__ import annotations

import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from pydantic import SecretStr

from bench.report import Section
from bot.core.model.events import BuildSeen, Configured, Event, HeadSeen, Merged
from bot.core.model.pipeline import Job, Outcome, Pipeline, Policy, Service
from bot.core.model.run import Run
from bot.github import session
from bot.runtime import PipelineContext, Runtime, build
from config.configuration import Configuration, GitHubSettings
from config.model import ReportKind
from config.settings import Settings
from demo.pipeline import pipeline as pictures
from launch import Embedded
from standins.github import GitHubStandIn
from workers.performer import perform_due
from workers.turn import take_turns

STAGES = ("build", "acceptance", "pre-production", "production")
SERVICES = ("s1", "s2", "s3")
#: The number of runs that measure the rate of reports under GitHub's limits.
PACED_RUNS = 6


@dataclass
class Shop:
    """A pipeline without a Jenkins, whose builds this class reports, and a GitHub that counts."""

    runtime: Runtime
    context: PipelineContext
    github: GitHubStandIn
    builds: int = 0
    heads: dict[str, str] | None = None
    #: Wait until all effects are done before the next event, so that no write replaces another one.
    patient: bool = False

    def tell(self, *events: Event) -> None:
        """Take turns on these events and perform the effects that are due."""
        for event in events:
            self.context.inbox.add(event, uuid.uuid4().hex)
        while take_turns(self.context):
            perform_due(self.runtime, self.context, "github", lambda *_: None)

    def time_passes(self) -> None:
        """Make all effects due, as after a long time, and perform them."""
        due = self.context.keys.due("github")
        while slots := cast("list[bytes]", self.context.redis.zrange(due, 0, -1)):
            self.context.redis.zadd(due, dict.fromkeys(slots, 0))
            perform_due(self.runtime, self.context, "github", lambda *_: None)
            if not self.patient:
                break
            time.sleep(0.05)
        self.tell()

    def merge(self, service: str, *, told: bool = True) -> str:
        """Merge a pull request; `told`: its own webhook arrives as well as that of the push."""
        control, repository = self.github.control, f"shop/{service}"
        number, before = control.open_pull(repository, title="Change"), control.head(repository)
        sha = str(control.merge(repository, number))
        self.tell(Merged(service, sha, before, push_id=sha))
        if told:
            self.tell(Merged(service, sha, pull=number, title="Change", author="kim"))
        return sha

    def run(self, sha: str) -> Run | None:
        """Return the live run of a commit."""
        with self.context.look() as replica:
            return next((run for run in replica.board.runs.values() if run.position.sha == sha), None)

    def pass_build(self, sha: str, outcome: Outcome = Outcome.SUCCESS) -> None:
        """Start the build of a run at once, let some time pass, and end it."""
        run = self.run(sha)
        assert run is not None
        job = self.context.pipeline.job(run.step.stage, run.step.track)
        assert job is not None
        self.builds += 1
        seen = BuildSeen(job.controller, job.name, self.builds, None, run.key, run.attempt.number)
        self.tell(seen)
        self.time_passes()
        self.tell(replace(seen, result=outcome))
        if self.patient:
            self.time_passes()

    def to_production(self, sha: str) -> None:
        """Let a run pass its remaining stages."""
        while self.run(sha) is not None:
            self.pass_build(sha)


def straight(shop: Shop) -> None:
    """Play a run that never waits."""
    shop.to_production(shop.merge("s1"))


def untold(shop: Shop) -> None:
    """Play the same without the webhook of the pull request."""
    shop.to_production(shop.merge("s1", told=False))


def waiting(shop: Shop) -> None:
    """Play a run that waits before acceptance, pre-production and production, while others move."""
    shop.github.control.reset_counters()
    first, second = shop.merge("s2"), shop.merge("s3")
    shop.pass_build(first)
    shop.pass_build(second)
    mine = shop.merge("s1")
    shop.pass_build(mine)
    for _ in range(3):
        shop.time_passes()
        shop.pass_build(first)
        shop.time_passes()
        shop.pass_build(second)
        shop.pass_build(mine)


def fixed(shop: Shop) -> None:
    """Play a run that locks pre-production, with one pull request open, and its fix; both count."""
    shop.github.control.open_pull("shop/s1", title="Fix")
    broken = shop.merge("s1")
    shop.pass_build(broken)
    shop.pass_build(broken)
    shop.pass_build(broken, Outcome.FAILURE)
    shop.time_passes()
    shop.to_production(shop.merge("s1"))


#: By name: the story, the counted repository, and the seconds of waiting until a pull request gets a comment.
STORIES: dict[str, tuple[Callable[[Shop], None], str, float]] = {
    "a run that waits nowhere": (straight, "shop/s1", 900.0),
    "the same, its pull request not told": (untold, "shop/s1", 900.0),
    "a run that waits three times": (waiting, "shop/s1", 900.0),
    "the same, each time for over 15 min": (waiting, "shop/s1", 0.001),
    "a lock and its fix (two runs)": (fixed, "shop/s1", 900.0),
}


def measure(say: Callable[[str], None], scale: float = 1.0) -> Section:
    """Play each story with both kinds of report and count exactly; `scale` applies to the paced runs."""
    section = Section(
        "github",
        "The requests to GitHub: one run from its merge to production, through four stages, two of them deployed",
        ["", "statuses: writes", "reads", "check runs: writes", "reads"],
    )
    for name, (story, repository, comment_after) in STORIES.items():
        counts = {}
        for report in ReportKind:
            say(f"{name}, with {report}")
            with _shop(report, comment_after=comment_after) as shop:
                story(shop)
                shop.time_passes()
                counts[report] = _of(shop, repository)
        section.figures[name] = {str(report): dict(found) for report, found in counts.items()}
        cells = [str(n) for report in ReportKind for n in (_writes(counts[report]), _reads(counts[report]))]
        section.rows.append([name, *cells])
    routes = section.figures["a run that waits nowhere"]["statuses"]
    paced = max(1, round(PACED_RUNS * scale))
    say(f"{paced} runs as fast as their reports go out, under GitHub's documented limits")
    hourly = _ceiling(paced)
    section.figures["runs an hour"] = hourly
    section.remarks = [
        "Builds start within five seconds and take over thirty; of each run only its own repository is counted.",
        "The first row: " + ", ".join(f"{count} {route}" for route, count in sorted(routes.items())) + ".",
        f"{paced} runs as fast as their reports go out, a second between two writes, at a stand-in that enforces "
        f"the secondary limits as documented: {hourly['writes']} writes in {hourly['seconds']:.0f} s, "
        f"{hourly['refused']} refused; that is {hourly['runs']:.0f} runs an hour (wanted: at least 300).",
    ]
    return section


def _ceiling(count: int) -> dict[str, float]:
    """Bring runs to production as fast as GitHub accepts their reports, without leaving any out."""
    with _shop(ReportKind.STATUSES, write_spacing=1.0) as shop:
        shop.patient = True
        shop.github.control.set_documented_limits()
        began = time.monotonic()
        for number in range(count):
            shop.to_production(shop.merge(SERVICES[number % len(SERVICES)]))
        took = time.monotonic() - began
        rows = shop.github.control.recorded()
    writes = sum(row["method"] != "GET" for row in rows)
    refused = sum(row["status"] in (403, 429) for row in rows)
    return {"runs": count / took * 3600, "refused": refused, "seconds": took, "writes": writes}


def _of(shop: Shop, repository: str) -> Counter[str]:
    """Count the requests about one repository by route, without those for the App's tokens, once an hour."""
    found: Counter[str] = Counter()
    for row in shop.github.control.recorded():
        if row["path"].startswith(f"/repos/{repository}/") and not row["path"].endswith("/installation"):
            parts = row["path"].split("/")[4:]
            kind = [part for part in parts if not (part.isdigit() or len(part) == 40)]
            found[f"{row['method']} {'/'.join(kind)}"] += 1
    return found


def _writes(found: Counter[str]) -> int:
    return sum(count for route, count in found.items() if not route.startswith("GET"))


def _reads(found: Counter[str]) -> int:
    return sum(count for route, count in found.items() if route.startswith("GET"))


@contextmanager
def _shop(report: ReportKind, write_spacing: float = 0.0, comment_after: float = 900.0) -> Iterator[Shop]:
    with (
        tempfile.TemporaryDirectory(prefix="interlock-bench-") as folder,
        Embedded(Path(folder), fsync="no") as server,
        GitHubStandIn(repos=[{"full_name": f"shop/{name}"} for name in SERVICES]) as github,
    ):
        found = Configuration(
            (_pipeline(),),
            github=GitHubSettings(github.url, report=report, write_spacing=write_spacing, comment_after=comment_after),
            digest=uuid.uuid4().hex,
        )
        runtime = build(_settings(server.url, report), found)
        shop = Shop(runtime, runtime.pipeline("bench"), github)
        try:
            shop.tell(
                Configured(found.pipelines[0]),
                *(HeadSeen(name, github.control.head(f"shop/{name}")) for name in SERVICES),
            )
            github.control.record()
            yield shop
        finally:
            session.close_all()
            runtime.redis.close()


def _settings(redis_url: str, report: ReportKind) -> Settings:
    who: dict[str, Any] = {"github_token": SecretStr("t")}
    if report is ReportKind.CHECKS:
        key = rsa.generate_private_key(65537, 2048)
        form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        who = {"github_app_id": "1", "github_app_private_key": SecretStr(key.private_bytes(*form).decode())}
    return Settings(redis_url=SecretStr(redis_url), **who)


def _pipeline() -> Pipeline:
    return pictures(
        "bench",
        lambda name: Job("ci", name),
        services=[Service(name, f"shop/{name}") for name in SERVICES],
        changes={
            "acceptance": {"capacity": 1},
            "pre-production": {"environment": "pre-production"},
            "production": {"on_failure": Policy.REPORT, "environment": "production", "production": True},
        },
    )
