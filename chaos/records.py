"""What the checker judges by: the records of Jenkins and GitHub, what the people did, and what the API answers."""

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
#: How long the API is asked at the end, in seconds.
PATIENCE = 30.0


@dataclass
class Records:
    """All of it, as plain values: it can be saved, read again and changed."""

    #: By job: how many builds at once; None: any number.
    capacity: dict[str, int | None]
    #: The stages whose builds change what is there, in their order.
    rolls_out: list[str]
    #: Every build, in the order of the starts, with `controller` and `stage`.
    builds: list[Row] = field(default_factory=list)
    #: The commits that were merged, in their order: service, sha, at.
    merged: list[Row] = field(default_factory=list)
    #: By service: commit statuses, comments and deployments, each in the order in which they were made.
    statuses: dict[str, list[Row]] = field(default_factory=dict)
    comments: dict[str, list[Row]] = field(default_factory=dict)
    deployments: dict[str, list[Row]] = field(default_factory=dict)
    #: By job: what is written over it.
    descriptions: dict[str, str | None] = field(default_factory=dict)
    #: Stages that people unlocked, and when.
    unlocked: list[tuple[str, float]] = field(default_factory=list)
    #: When the store was emptied.
    emptied: list[float] = field(default_factory=list)
    #: What the API answers at the end: the pipeline, its runs, its log, what was given up.
    board: Row = field(default_factory=dict)
    runs: list[Row] = field(default_factory=list)
    facts: list[Row] = field(default_factory=list)
    given_up: list[Row] = field(default_factory=list)
    #: Of the merged commits, those of which no webhook arrived, or none that the store still had after a fail-over:
    #: polling finds the last one, which carries the others.
    untold: list[str] = field(default_factory=list)
    #: The number of the pull request of each merged commit, as GitHub has it.
    pulls: dict[str, int] = field(default_factory=dict)
    #: When all of this was collected, in seconds since the epoch.
    at: float = 0.0

    def save(self, file: Path) -> None:
        """Write them as JSON."""
        file.write_text(json.dumps(asdict(self), indent=1), "utf-8")

    @classmethod
    def read(cls, file: Path) -> Records:
        """Read what `save` wrote."""
        return cls(**json.loads(file.read_text("utf-8")))


def collect(
    world: World, people: People, api: Api, emptied: list[float], forgot: Sequence[tuple[float, float]]
) -> Records:
    """The records as they are now. Raises Unanswered if the API does not answer.

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
    """The commits of which a webhook was answered with success, and not while the store forgot what it acknowledged."""
    arrived = [
        row["payload"]
        for row in webhooks
        if 200 <= row["status_code"] < 300 and not any(begin <= row["ended"] <= end for begin, end in forgot)
    ]
    return {str(each.get("after") or (each.get("pull_request") or {}).get("merge_commit_sha")) for each in arrived}


def _pulls(webhooks: list[Row]) -> dict[str, int]:
    """The pull request of each commit, whether its webhook arrived or not."""
    pulls = [row["payload"]["pull_request"] for row in webhooks if row["event"] == "pull_request"]
    return {str(pull["merge_commit_sha"]): int(pull["number"]) for pull in pulls if pull.get("merged")}
