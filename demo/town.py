"""The world of the demo: two Jenkins controllers, a GitHub and a mailbox, all on loopback, and Interlock's settings."""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from contextlib import ExitStack
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Any

import requests
import yaml
from aiosmtpd.controller import Controller as SmtpServer

from launch import free_port
from standins.github import GitHubStandIn
from standins.jenkins import JenkinsStandIn

PIPELINE = "epages"
PARAMETERS = [
    f"INTERLOCK_{name}" for name in ["RUN", "ATTEMPT", "STAGE", "LANE", "SERVICE", "REPOSITORY", "SHA", "VERSION"]
]
SERVICES = {"S1": "shop/s1", "S2": "shop/s2", "S3": "shop/s3"}
#: The description that the job owners wrote; a banner must not change it.
OWNERS_TEXT = "Rolls out to pre-production.\nAsk #shop-release before you touch it."
#: The admins: `demo`, whose token the demo prints, and Ann, who acts in the stories.
PEOPLE = ("demo", "ann")
#: The duration of a build that is not held, in seconds.
BUILD_SECONDS = 0.8


class Mailbox:
    """A mail server that keeps the subject of each mail."""

    def __init__(self) -> None:
        self.subjects: list[str] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802  aiosmtpd's name
        """Keep the subject of one mail (RFC 5321)."""
        self.subjects.append(str(message_from_bytes(envelope.content, policy=default)["Subject"]))
        return "250 OK"


class Town:
    """Everything around Interlock. Use as a context manager; `env` is the environment of its processes."""

    def __init__(
        self, folder: Path, bind: str | None = None, others: Sequence[str] = (), host: str = "127.0.0.1"
    ) -> None:
        """Prepare a town whose files go to `folder` and whose Interlock listens on `bind`.

        `others`: the names of more pipelines, each with two services without any merges. `host`: the
        address on which the stand-ins listen.
        """
        self.folder = folder
        self._host = host
        self._others = others
        self._stack = ExitStack()
        self.bind = bind or f"127.0.0.1:{free_port()}"
        self.mailbox = Mailbox()
        self._secret = secrets.token_hex(16)
        self._callback = secrets.token_hex(16)
        #: The API tokens of the admins, by their names.
        self.tokens = {name: secrets.token_hex(16) for name in PEOPLE}
        self.token = self.tokens["demo"]
        self._session = secrets.token_hex(16)
        self.jenkins: dict[str, JenkinsStandIn] = {}

    def __enter__(self) -> Town:
        self.folder.mkdir(parents=True, exist_ok=True)
        jobs_of = [_jobs(f"http://{self.bind}/webhooks/jenkins", self._callback, of) for of in ("shop", *self._others)]
        for controller in jobs_of[0]:
            jobs = [job for each in jobs_of for job in each[controller]]
            self.jenkins[controller] = self._stack.enter_context(JenkinsStandIn(host=self._host, jobs=jobs))
        hook = {"url": f"http://{self.bind}/webhooks/github", "secret": self._secret, "events": ["*"]}
        names = [*SERVICES.values(), *(name for each in self._others for name in _services(each).values())]
        repos = [{"full_name": name, "hook": hook} for name in names]
        self.github = self._stack.enter_context(GitHubStandIn(host=self._host, repos=repos))
        self._smtp = SmtpServer(self.mailbox, hostname=self._host, port=free_port())
        self._smtp.start()
        self._stack.callback(self._smtp.stop)
        self._write_configuration()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def env(self) -> dict[str, str]:
        """Return the environment of Interlock's processes."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("INTERLOCK_")}
        mail = f"mailto://{self._host}:{self._smtp.port}?from=interlock@shop.test&to=release@shop.test&mode=insecure"
        return inherited | {
            "INTERLOCK_CONFIG": str(self.folder / "interlock.yaml"),
            "INTERLOCK_DATA_DIR": str(self.folder),
            "INTERLOCK_BIND": self.bind,
            "INTERLOCK_GITHUB_TOKEN": "token",
            "INTERLOCK_GITHUB_WEBHOOK_SECRETS": self._secret,
            "INTERLOCK_JENKINS_WEBHOOK_SECRET": self._callback,
            "INTERLOCK_JENKINS_TOKEN_BUILD": "token",
            "INTERLOCK_JENKINS_TOKEN_CDP": "token",
            "INTERLOCK_API_TOKENS": ",".join(f"{name}:{token}" for name, token in self.tokens.items()),
            "INTERLOCK_SESSION_SECRETS": self._session,
            "INTERLOCK_NOTIFY_URLS": f"mail={mail}",
            "INTERLOCK_LOG_LEVEL": "INFO",
            "INTERLOCK_WEB_WORKERS": "1",
        }

    def page(self, lock: str) -> str:
        """Return the address of the page with the report of a lock."""
        return f"http://{self.bind}/p/{PIPELINE}/locks/{lock}"

    def report(self, lock: str) -> dict[str, Any]:
        """Return the report of a lock from the API. Raise requests.HTTPError if there is none."""
        address = f"http://{self.bind}/api/v1/pipelines/{PIPELINE}/lock-reports/{lock}"
        answer = requests.get(address, headers={"Authorization": f"Bearer {self.token}"}, timeout=10)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    def job(self, stage: str) -> str:
        """Return the full name of a stage's job."""
        return f"shop/{stage.replace(' ', '-')}"

    def _write_configuration(self) -> None:
        """Write the example's configuration with the addresses of this town, so that the demo plays the example."""
        example = yaml.safe_load((Path(__file__).parent.parent / "config" / "example.yaml").read_text("utf-8"))
        for name, controller in example["controllers"].items():
            controller["url"] = self.jenkins[name].url
        example["github"] = {"api_url": self.github.url, "web_url": self.github.url, "write_spacing": "0s"}
        web = {"public_url": f"http://{self.bind}", "read": "public", "sign_in": {"token": True}}
        example["web"] = web
        example["notify"] = {"channels": {"mail": ["locked", "unlocked", "fix-failed"]}}
        example["pipelines"][0].pop("freezes", None)  # the story must work on any day
        example["pipelines"][0]["notify"] = {
            "routes": [{"of": ["locked", "unlocked"], "to": ["authors"]}],
            "escalation": [{"after": "15m", "to": ["mail"]}],
        }
        example["polling"] = {"builds": "2s", "heads": "30s", "clock": "1s"}
        example["pipelines"][0]["roles"]["admin"] += [{"name": name} for name in PEOPLE]
        example["pipelines"] += [_like(example["pipelines"][0], each) for each in self._others]
        (self.folder / "interlock.yaml").write_text(yaml.safe_dump(example, sort_keys=False), "utf-8")


def _services(pipeline: str) -> dict[str, str]:
    """Return the services of one of the other pipelines, with their repositories."""
    return {f"{pipeline}-{part}": f"{pipeline}/{part}" for part in ("api", "worker")}


def _like(example: dict[str, Any], name: str) -> dict[str, Any]:
    """Return another pipeline with the example's stages and with jobs and services of its own."""
    made: dict[str, Any] = yaml.safe_load(yaml.safe_dump(example).replace("shop/", f"{name}/"))
    services = [{"name": service, "repository": repository} for service, repository in _services(name).items()]
    return {"name": name, "stages": made["stages"], "services": services, "roles": made["roles"]}


def _jobs(callback: str, secret: str, of: str) -> dict[str, list[dict[str, Any]]]:
    def job(controller: str, stage: str, **more: Any) -> dict[str, Any]:
        hooks = [{"url": f"{callback}/{controller}/{secret}", "events": "all", "timeout": 5}]
        return {"name": f"{of}/{stage}", "parameters": PARAMETERS, "quiet_period": 0, "callbacks": hooks, **more}

    seconds = {"duration_seconds": BUILD_SECONDS}
    return {
        "build": [
            job("build", "build", **seconds),
            job("build", "verify", **{"parameters": [*PARAMETERS, "INTERLOCK_PULL"], **seconds}),
        ],
        "cdp": [
            job("cdp", "acceptance", **seconds),
            job("cdp", "fast-acceptance", **seconds),
            job("cdp", "fast-pre-production", **seconds),
            job("cdp", "pre-production", description=OWNERS_TEXT, **seconds),
            job("cdp", "production", **seconds),
        ],
    }
