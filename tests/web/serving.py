"""The application as it is really served: gunicorn with our configuration, on a free port, until the block ends."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from redis import Redis

from bot.core.model.pipeline import Pipeline, Stage
from standins.github import GitHubStandIn
from tests.web.nest import nest
from tests.web.story import Story

ROOT = Path(__file__).parents[2]


def file_of(pipeline: Pipeline) -> str:
    """The pipeline file that describes this pipeline."""
    lines = ["controllers:"]
    lines += [f"  {name}: {{url: 'https://{name}.shop.test', user: interlock}}" for name in ("build", "cdp")]
    lines += ["pipelines:", f"  - name: {pipeline.name}", "    stages:"]
    lines += [f"      - {_stage(stage)}" for stage in pipeline.stages]
    lines += ["    services:"]
    lines += [f"      - {{name: '{s.name}', repository: '{s.repository}'}}" for s in pipeline.services]
    return "\n".join(lines) + "\n"


def _stage(stage: Stage) -> str:
    fast = stage.fast_job and f", fast: {{job: '{stage.fast_job.controller}: {stage.fast_job.name}'}}"
    job = f"'{stage.job.controller}: {stage.job.name}'"
    capacity = stage.capacity or "unlimited"
    return f"{{name: {stage.name}, job: {job}, capacity: {capacity}, on_failure: {stage.on_failure}{fast or ''}}}"


def free_port() -> int:
    """A port on which no process listens now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def served(
    pipeline: Pipeline, redis_url: str, folder: Path, also: str = "", port: int | None = None, **more: str
) -> Iterator[str]:
    """Serve one pipeline with a gunicorn of its own; yields the address of the site. `also` ends the pipeline file."""
    port = port or free_port()
    site = nest().start(_prepared(pipeline, redis_url, folder, also, port, **more), folder / "web.log")
    try:
        yield _awaited(port, site.has_ended)
    finally:
        site.end()


def start(
    pipeline: Pipeline, redis_url: str, folder: Path, also: str = "", port: int | None = None, **more: str
) -> tuple[subprocess.Popen[bytes], str]:
    """The same as a program that is started as people start it, and goes on: it leads a session of its own."""
    port = port or free_port()
    env = _prepared(pipeline, redis_url, folder, also, port, **more)
    command = [str(Path(sys.executable).parent / "gunicorn"), "--config", "bot/web/gunicorn_conf.py"]
    with (folder / "web.log").open("ab") as log:
        process = subprocess.Popen(
            [*command, "bot.web.app:serve()"], cwd=ROOT, env=env, stderr=log, start_new_session=True
        )
    return process, _awaited(port, lambda: process.poll() is not None)


def _prepared(pipeline: Pipeline, redis_url: str, folder: Path, also: str, port: int, **more: str) -> dict[str, str]:
    """Write the pipeline file; the environment of a gunicorn that serves it."""
    (folder / "interlock.yaml").write_text(file_of(pipeline) + also)
    with Redis.from_url(redis_url) as redis:
        redis.delete("interlock:{configuration}:current")  # that of another test
    return {
        **os.environ,
        "INTERLOCK_REDIS_URL": redis_url,
        "INTERLOCK_CONFIG": str(folder / "interlock.yaml"),
        "INTERLOCK_GITHUB_WEBHOOK_SECRETS": "a secret that GitHub knows",
        "INTERLOCK_JENKINS_WEBHOOK_SECRET": "a-secret-that-Jenkins-knows",
        "INTERLOCK_API_TOKENS": "alex:the token of alex",
        "INTERLOCK_BIND": f"127.0.0.1:{port}",
        "INTERLOCK_WEB_WORKERS": "1",
        **more,
    }


def _awaited(port: int, has_ended: Callable[[], bool]) -> str:
    """The address, once the application itself answers: gunicorn listens before it has loaded it."""
    address, deadline = f"http://127.0.0.1:{port}", time.monotonic() + 90
    while time.monotonic() < deadline:
        assert not has_ended(), "gunicorn has ended"
        try:
            with urllib.request.urlopen(f"{address}/healthz", timeout=30):
                return address
        except OSError:
            time.sleep(0.02)
    raise AssertionError("the application does not answer")


@contextmanager
def served_with_sign_in(
    story: Story, redis_url: str, folder: Path, github: GitHubStandIn, also: str = ""
) -> Iterator[str]:
    """The address of a site on which people sign in with GitHub or with a token. `also`: more pipelines of the file."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    github.control.register_oauth_app("client", "very secret", f"{url}/sign-in/github/callback")
    story.start()
    also += (
        f"github: {{api_url: '{github.url}', web_url: '{github.url}'}}\n"
        f"web: {{public_url: '{url}', sign_in: {{token: true, github: true}}}}\n"
    )
    secrets = {
        "INTERLOCK_SESSION_SECRETS": "a secret for the cookies",
        "INTERLOCK_GITHUB_TOKEN": "token",
        "INTERLOCK_GITHUB_OAUTH_CLIENT_ID": "client",
        "INTERLOCK_GITHUB_OAUTH_CLIENT_SECRET": "very secret",
    }
    with served(story.shape, redis_url, folder, also, port, **secrets) as address:
        yield address
