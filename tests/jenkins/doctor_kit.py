"""What the tests of the doctor share: a controller with one job, a configuration of it, and what was found."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import requests
import yaml
from pydantic import SecretStr

from bot.doctor import DoctorFinding, Verdict
from bot.jenkins.doctor.examination import examine_jenkins
from bot.jenkins.job_plan import PARAMETERS
from config import pipeline_file
from config.configuration import Configuration
from config.settings import Settings
from standins.jenkins import JenkinsStandIn

NAMES = [name for name, _ in PARAMETERS]
ALL = ["Overall/Read", "Item/Read", "Item/Build", "Item/Cancel", "Item/Configure", "Item/ExtendedRead"]
#: An endpoint as the printed jobs have it; nobody is there.
CALLBACK = {"url": "http://127.0.0.1:1/", "credential": "interlock-callback-cdp", "timeout": 5.0}


def standin(*, without: str = "", **settings: Any) -> JenkinsStandIn:
    """A controller whose user `interlock` may everything that it needs, less one permission."""
    rights = [permission for permission in ALL if permission != without]
    users = {
        "interlock": {"password": "password", "tokens": ["token"], "permissions": rights},
        "admin": {"tokens": ["admin"], "permissions": ["*"]},
    }
    return JenkinsStandIn(settings={"users": users, **settings})


def good_job(jenkins: JenkinsStandIn, name: str = "deploy", **changes: Any) -> None:
    """A job with everything that a stage needs."""
    jenkins.control.create_job(name, **{"parameters": NAMES, "callbacks": [CALLBACK], **changes})


def trigger(jenkins: JenkinsStandIn, name: str, run: str) -> None:
    """As Interlock would, in the name of somebody who may."""
    path = "/".join(f"job/{quote(part, safe='')}" for part in name.split("/"))
    url = f"{jenkins.url}/{path}/buildWithParameters"
    done = requests.post(url, {"INTERLOCK_RUN": run, "delay": "0sec"}, auth=("admin", "admin"), timeout=5)
    assert done.status_code == 201


def configured(
    folder: Path,
    url: str,
    job: str = "deploy",
    public_url: str = "http://127.0.0.1:1",
    others: Iterable[str] = (),
    controller: dict[str, Any] | None = None,
    **stage: Any,
) -> Configuration:
    """A pipeline of one stage that locks, on the controller `cdp`; `others` are stages, and jobs, of these names."""
    stage = {"name": "stage", "job": f"cdp: {job}", "capacity": 1, "on_failure": "lock", **stage}
    stages = [stage, *({"name": name, "job": f"cdp: {name}"} for name in others)]
    file = {
        "controllers": {"cdp": {"url": url, "user": "interlock", "timeout": "60s", **(controller or {})}},
        "pipelines": [{"name": "p", "stages": stages, "services": [{"name": "S1", "repository": "shop/s1"}]}],
        "web": {"public_url": public_url},
    }
    path = folder / "interlock.yaml"
    path.write_text(yaml.safe_dump(file), "utf-8")
    return pipeline_file.load(path)


def examined(configuration: Configuration, token: str = "token", **settings: Any) -> list[DoctorFinding]:
    return list(examine_jenkins(configuration, Settings(jenkins_tokens={"CDP": SecretStr(token)}, **settings)))


def of_jobs(findings: list[DoctorFinding]) -> list[tuple[str, str]]:
    """Verdict and finding of everything about jobs."""
    return [(str(f.verdict), f.found) for f in findings if f.subject is not None]


def of_controller(findings: list[DoctorFinding]) -> list[tuple[str, str]]:
    """The same about the controller, without callbacks, which have tests of their own."""
    ours = ("callbacks", "its last callback", "no callback has", "the time of its last callback", "asking before")
    return [(str(f.verdict), f.found) for f in findings if f.subject is None and not f.found.startswith(ours)]


def bad(findings: list[DoctorFinding]) -> DoctorFinding:
    """The one bad finding."""
    [finding] = [f for f in findings if f.verdict is Verdict.BAD]
    return finding
