"""The input of the checker: the records of Jenkins and GitHub, the acts of the people, the answers of the API."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from chaos.api import Api, patiently
from chaos.people import People
from chaos.world import CAPACITY, ROLLS_OUT, SERVICES, World

Row = dict[str, Any]
#: The longest wait for the API at the end, in seconds.
PATIENCE = 30.0


@dataclass
class Records:
    """All records as plain values, which can be saved, read and changed."""

    #: By job: the most builds at once; None: any number.
    capacity: dict[str, int | None]
    #: The stages that roll out, in order.
    rolls_out: list[str]
    #: Every build, in the order of the starts, with `controller` and `stage`.
    builds: list[Row] = field(default_factory=list)
    #: The merged commits, in order: service, sha, at.
    merged: list[Row] = field(default_factory=list)
    #: By service: commit statuses, comments and deployments, each in the order in which they were made.
    statuses: dict[str, list[Row]] = field(default_factory=dict)
    comments: dict[str, list[Row]] = field(default_factory=dict)
    deployments: dict[str, list[Row]] = field(default_factory=dict)
    #: By job: its description.
    descriptions: dict[str, str | None] = field(default_factory=dict)
    #: The stages that people unlocked, with the times.
    unlocked: list[tuple[str, float]] = field(default_factory=list)
    #: The times at which the store was emptied.
    emptied: list[float] = field(default_factory=list)
    #: The answers of the API at the end: the pipeline, its runs, its log, dead letters and parked deliveries.
    board: Row = field(default_factory=dict)
    runs: list[Row] = field(default_factory=list)
    facts: list[Row] = field(default_factory=list)
    given_up: list[Row] = field(default_factory=list)
    #: The merged commits without a webhook, or with none that the store still had after a fail-over: polling finds
    #: the last one, which carries the others.
    untold: list[str] = field(default_factory=list)
    #: The number of the pull request of each merged commit, from GitHub.
    pulls: dict[str, int] = field(default_factory=dict)
    #: The time of collection, in seconds since the epoch.
    at: float = 0.0

    def save(self, file: Path) -> None:
        """Write them as JSON."""
        file.write_text(json.dumps(asdict(self), indent=1), "utf-8")

    @classmethod
    def read(cls, file: Path) -> Records:
        """Read the file of `save`."""
        return cls(**json.loads(file.read_text("utf-8")))


def collect(
    world: World, people: People, api: Api, emptied: list[float], forgot: Sequence[tuple[float, float]]
) -> Records:
    """Collect the current records. Raise Unanswered if the API does not answer.

    `emptied`, `forgot`: see `Faults`.
    """
    control = world.github.control
    webhooks = [row for event in ("push", "pull_request") for row in control.deliveries(event, payloads=True)]
    jobs = [(jenkins, f"shop/{name}") for name in CAPACITY for jenkins in [world.controller_of(name)]]
    return Records(
        dict(CAPACITY),
        list(ROLLS_OUT),
        sorted(world.builds(), key=lambda build: float(build["started"])),
        [asdict(each) for each in people.merged],
        {service: control.statuses(repo) for service, repo in SERVICES.items()},
        {service: control.comments(repo) for service, repo in SERVICES.items()},
        {service: control.deployments(repo) for service, repo in SERVICES.items()},
        {job: jenkins.control.description(job) for jenkins, job in jobs},
        list(people.unlocked),
        list(emptied),
        patiently(api, PATIENCE, "board"),
        patiently(api, PATIENCE, "runs"),
        patiently(api, PATIENCE, "facts"),
        patiently(api, PATIENCE, "given_up"),
        sorted({each.sha for each in people.merged} - told(webhooks, forgot)),
        _pulls(webhooks),
        time.time(),
    )


def told(webhooks: list[Row], forgot: Sequence[tuple[float, float]]) -> set[str]:
    """Return the commits with a successful webhook outside of the periods whose writes the store lost."""
    arrived = [
        row["payload"]
        for row in webhooks
        if 200 <= row["status_code"] < 300 and not any(begin <= row["ended"] <= end for begin, end in forgot)
    ]
    return {str(each.get("after") or (each.get("pull_request") or {}).get("merge_commit_sha")) for each in arrived}


def _pulls(webhooks: list[Row]) -> dict[str, int]:
    """Return the pull request of each commit, whether its webhook arrived or not."""
    pulls = [row["payload"]["pull_request"] for row in webhooks if row["event"] == "pull_request"]
    return {str(pull["merge_commit_sha"]): int(pull["number"]) for pull in pulls if pull.get("merged")}
