"""The world of chaos: 20 services, two Jenkins controllers and a GitHub on loopback, and Interlock's settings."""

from __future__ import annotations

import os
import secrets
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import yaml

from launch import free_port
from standins.github import GitHubStandIn
from standins.jenkins import JenkinsStandIn

ROOT = Path(__file__).resolve().parent.parent
#: The stages as the example has them.
ROWS: list[dict[str, Any]] = yaml.safe_load((ROOT / "config" / "example.yaml").read_text("utf-8"))["pipelines"][0][
    "stages"
]
#: The kept parts of the stages: no timeouts, because a moved clock would end them.
KEPT = ("name", "job", "on_failure", "retries", "fast", "environment", "production")
PIPELINE = "chaos"
SERVICES = {f"S{n}": f"shop/s{n}" for n in range(1, 21)}
PARAMETERS = [
    f"INTERLOCK_{name}" for name in ["RUN", "ATTEMPT", "STAGE", "LANE", "SERVICE", "REPOSITORY", "SHA", "VERSION"]
]
#: The most builds of a job at once. Pre-production takes one; the other stages keep it supplied.
CAPACITY: dict[str, int | None] = {
    "build": None,
    "acceptance": 6,
    "fast-acceptance": 1,
    "pre-production": 1,
    "fast-pre-production": 1,
    "production": 4,
}
#: The stages that roll out.
ROLLS_OUT = ("pre-production", "production")
#: The duration of a build in seconds: the least, and the range above it, by service.
BUILD_SECONDS, BUILD_MORE = 0.02, 0.08


class World:
    """Everything around Interlock. Use as a context manager; `env` is the environment of its processes."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._folder = folder
        self._seed = seed
        self._stack = ExitStack()
        self._bind = f"127.0.0.1:{free_port()}"
        self._secret, self._callback = secrets.token_hex(16), secrets.token_hex(16)
        #: The API token of the people of chaos, who are admins.
        self.token = secrets.token_hex(24)
        self.jenkins: dict[str, JenkinsStandIn] = {}

    def __enter__(self) -> World:
        settings = {
            "users": {"interlock": {"tokens": ["token"]}},
            # Each step takes a moment in Jenkins: the queue, from the queue to the build, the build's parameters.
            "queue_latency": 0.03,
            "executable_delay": 0.005,
            "late_actions": 0.005,
        }
        for controller, names in {"build": ["build"], "cdp": [name for name in CAPACITY if name != "build"]}.items():
            made = JenkinsStandIn(settings, jobs=[self._job(controller, name) for name in names], seed=self._seed)
            self.jenkins[controller] = self._stack.enter_context(made)
        for number, service in enumerate(SERVICES):
            seconds = BUILD_SECONDS + BUILD_MORE * number / (len(SERVICES) - 1)
            for jenkins in self.jenkins.values():
                jenkins.control.rule(match={"INTERLOCK_SERVICE": service}, duration=seconds)
        hook = {"url": f"http://{self._bind}/webhooks/github", "secret": self._secret, "events": ["*"]}
        repos = [{"full_name": name, "hook": hook} for name in SERVICES.values()]
        self.github = self._stack.enter_context(GitHubStandIn(repos=repos))
        self._write_configuration()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def cdp(self) -> JenkinsStandIn:
        """Return the controller of all stages but the first."""
        return self.jenkins["cdp"]

    @property
    def env(self) -> dict[str, str]:
        """Return the environment of Interlock's processes."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("INTERLOCK_")}
        return inherited | {
            "INTERLOCK_CONFIG": str(self._folder / "interlock.yaml"),
            "INTERLOCK_DATA_DIR": str(self._folder),
            "INTERLOCK_BIND": self._bind,
            "INTERLOCK_API_TOKENS": f"dana:{self.token}",
            "INTERLOCK_GITHUB_TOKEN": "token",
            "INTERLOCK_GITHUB_WEBHOOK_SECRETS": self._secret,
            "INTERLOCK_JENKINS_WEBHOOK_SECRET": self._callback,
            "INTERLOCK_JENKINS_TOKEN_BUILD": "token",
            "INTERLOCK_JENKINS_TOKEN_CDP": "token",
            "INTERLOCK_LOG_LEVEL": "INFO",
            "INTERLOCK_WEB_WORKERS": "1",
        }

    @property
    def url(self) -> str:
        """Return the address of Interlock's web process."""
        return f"http://{self._bind}"

    def builds(self) -> list[dict[str, Any]]:
        """Return all builds of the stand-ins, with controller and the short name of the job."""
        return [
            {**row, "controller": name, "stage": row["job"].rpartition("/")[2]}
            for name, jenkins in self.jenkins.items()
            for row in jenkins.control.builds()
        ]

    def controller_of(self, stage: str) -> JenkinsStandIn:
        """Return the controller of a stage's job."""
        return self.jenkins["build" if stage == "build" else "cdp"]

    def _job(self, controller: str, name: str) -> dict[str, Any]:
        url = f"http://{self._bind}/webhooks/jenkins/{controller}/{self._callback}"
        callbacks = [{"url": url, "events": "all", "timeout": 5}]
        job = {"name": f"shop/{name}", "parameters": PARAMETERS, "quiet_period": 0, "callbacks": callbacks}
        return job | {"asks": self._question(name)} if name in ROLLS_OUT else job

    def _question(self, stage: str) -> dict[str, Any]:
        """Return the question of the documented jobs before they roll out; many tries, as Redis may fail over."""
        attempt = f"attempts/$INTERLOCK_RUN/{stage}/$INTERLOCK_ATTEMPT"
        query = "version=$INTERLOCK_VERSION&build=$BUILD_NUMBER"
        url = f"http://{self._bind}/api/v1/pipelines/{PIPELINE}/{attempt}?{query}"
        return {"url": url, "tries": 120, "pause": 0.25}

    def _write_configuration(self) -> None:
        stages = [
            {name: row[name] for name in KEPT if name in row} | {"capacity": CAPACITY[row["name"]] or "unlimited"}
            for row in ROWS
        ]
        services = [{"name": name, "repository": repository} for name, repository in SERVICES.items()]
        retry, roles = {"first": "1s", "most": "2s"}, {"admin": [{"name": "dana"}]}
        content = {
            "controllers": {
                name: {"url": jenkins.url, "user": "interlock", "timeout": "1s", "late_triggers": "4s"}
                for name, jenkins in self.jenkins.items()
            },
            "pipelines": [{"name": PIPELINE, "stages": stages, "services": services, "retry": retry, "roles": roles}],
            "github": {"api_url": self.github.url, "web_url": self.github.url, "write_spacing": "0s"},
            "web": {"public_url": f"http://{self._bind}"},
            # The shortest intervals that the configuration allows.
            "polling": {"builds": "1s", "heads": "10s", "clock": "1s"},
        }
        (self._folder / "interlock.yaml").write_text(yaml.safe_dump(content, sort_keys=False), "utf-8")
