"""What Prometheus gets, and that page and dashboard name just that."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import ExitStack
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from prometheus_client import Histogram
from prometheus_client.parser import text_string_to_metric_families

from bot import metrics
from bot.core.model.events import FreezesPlanned
from bot.core.model.freezes import Freeze, FreezeWindow
from bot.core.model.pipeline import Outcome
from bot.health.contacts import GITHUB
from bot.metrics import METRICS
from bot.store.github import Allowance
from bot.web import gunicorn_conf
from tests.web.serving import served
from tests.web.story import Story

ROOT = Path(__file__).parents[2]
DASHBOARD = json.loads((ROOT / "config" / "grafana" / "interlock.json").read_text("utf-8"))
OF_PROCESS = (metrics.REQUESTS, metrics.REQUEST_SECONDS, metrics.EFFECT_SECONDS)


class Samples(dict[tuple[str, frozenset[str]], float]):
    """Every sample by its name and the values of its labels."""

    def __call__(self, name: str, *labels: str) -> float:
        return self[name, frozenset(labels)]


def scraped(client: FlaskClient) -> Samples:
    """What Prometheus gets."""
    answer = client.get("/metrics")
    assert answer.status_code == 200 and answer.content_type.startswith("text/plain")
    families = text_string_to_metric_families(answer.text)
    samples = (sample for family in families for sample in family.samples)
    return Samples({(sample.name, frozenset(sample.labels.values())): sample.value for sample in samples})


def names() -> set[str]:
    """The names of all metrics as Prometheus has them."""
    stored = {f"{name}_total" if grows else name for name, (_, _, grows) in METRICS.items()}
    return stored | {f"{m._name}{'' if isinstance(m, Histogram) else '_total'}" for m in OF_PROCESS}


def named(text: str) -> set[str]:
    """The metrics that a text names; a histogram by its own name."""
    return {re.sub(r"_(bucket|count|sum)$", "", name) for name in re.findall(r"\binterlock_\w+", text)}


def test_until_when_a_stage_is_frozen(client: FlaskClient, story: Story) -> None:
    story.start()
    ends = float(round(time.time() + 3_600))
    story.tell(FreezesPlanned((Freeze("fair", ("production",), (FreezeWindow(ends - 7_200, ends),)),)))
    found = scraped(client)
    assert found("interlock_stage_frozen_until", story.shape.name, "production") == ends
    assert found("interlock_stage_frozen_until", story.shape.name, "build") == 0


def test_a_locked_pipeline_in_numbers(client: FlaskClient, story: Story) -> None:
    story.start()
    run = story.merge("S1", "a")
    story.pass_stages(run, 2)
    story.pass_stages(story.merge("S2", "a"), 2)
    story.build(story.board.runs[run.key], Outcome.FAILURE, ("CheckoutTest",))
    Allowance(story.redis, "token").saw(4_321, 5_000, 600.0)
    Allowance(story.redis, "token").pause(60.0, "a rate limit")
    contact = client.application.extensions["interlock"].contacts.of(GITHUB, "token")
    contact.bad("503")
    assert scraped(client)("interlock_contact_up", "github", "token") == 0
    contact.good()
    found, name = scraped(client), story.shape.name
    assert found("interlock_up") == 1
    assert found("interlock_queue_length", name, "pre-production", "main") == 1
    assert found("interlock_queue_length", name, "pre-production", "fast") == 0
    assert found("interlock_stage_locks", name, "pre-production") == 1
    assert found("interlock_stage_frozen_until", name, "pre-production") == 0
    assert found("interlock_lock_seconds_total", name, "pre-production", "S1") >= 0
    assert found("interlock_runs_live", name) == 2
    assert found("interlock_turns_total", name) > 5
    assert found("interlock_effects_waiting", name, "github") > 0
    assert found("interlock_dead_letters", name) == 0
    assert found("interlock_github_requests_remaining", "token") == 4_321
    assert 50 < found("interlock_github_paused_seconds", "token") <= 60
    assert found("interlock_contact_up", "github", "token") == 1
    assert found("interlock_waiting_seconds_total", name, "acceptance", "jenkins") >= 0


def test_requests_are_counted_by_what_they_ask_for(client: FlaskClient, story: Story) -> None:
    asked = ("machines.answer_alive", "GET", "200")
    client.get("/healthz")
    before = scraped(client)("interlock_http_requests_total", *asked)
    client.get("/healthz")
    after = scraped(client)
    assert after("interlock_http_requests_total", *asked) == before + 1
    assert after("interlock_http_request_seconds_count", "machines.answer_alive") >= 1


def test_an_effect_is_measured_however_it_ends() -> None:
    try:
        with metrics.EFFECT_SECONDS.labels("of-this-test", "trigger").time():
            raise ValueError
    except ValueError:
        pass
    counted = metrics.EFFECT_SECONDS.labels("of-this-test", "trigger")._sum.get()
    assert counted > 0


def test_the_dashboard_names_only_metrics_that_exist() -> None:
    queries = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
    queries += [str(each["query"]) for each in DASHBOARD["templating"]["list"]]
    asked = {name for query in queries for name in named(query)}
    assert asked <= names()
    assert names() - asked == set(), "a metric that the dashboard does not show"


def test_the_page_of_the_metrics_names_all_and_only_them() -> None:
    told = named((ROOT / "docs" / "metrics.md").read_text("utf-8"))
    assert told == names()


@pytest.mark.slow
def test_the_processes_of_one_gunicorn_answer_together(story: Story, redis_url: str, tmp_path: Path) -> None:
    story.start()
    with served(story.shape, redis_url, tmp_path, INTERLOCK_WEB_WORKERS="3") as site:
        for _ in range(60):  # a connection each: the kernel spreads them over the processes
            urllib.request.urlopen(f"{site}/healthz", timeout=5).close()
        counted = set()
        for _ in range(10):
            text = urllib.request.urlopen(f"{site}/metrics", timeout=5).read().decode()
            (line,) = (each for each in text.splitlines() if "requests_total{" in each and "answer_alive" in each)
            counted.add(float(line.rpartition(" ")[2]))
        assert f'interlock_runs_live{{pipeline="{story.shape.name}"}}' in text
    (count,) = counted
    assert count >= 60


def test_what_a_killed_server_has_left_goes_when_another_starts_and_what_a_living_one_uses_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", "")
    starts = "import sys; from bot.web.gunicorn_conf import on_starting; on_starting(None); print(flush=True); input()"
    command, env = [sys.executable, "-c", starts], {**os.environ, "TMPDIR": str(tmp_path)}
    with ExitStack() as stack:
        killed, living = (
            stack.enter_context(subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
            for _ in range(2)
        )
        stack.callback(living.kill)
        for each in (killed, living):
            assert each.stdout is not None
            each.stdout.readline()
        killed.kill()
        killed.wait()
        before = set(tmp_path.iterdir())
        gunicorn_conf.on_starting(None)
        kept = Path(os.environ["PROMETHEUS_MULTIPROC_DIR"])
        assert len(before) == 2
        assert len(before & set(tmp_path.iterdir())) == 1, "the living one's"
        assert kept.is_dir()
        gunicorn_conf.on_exit(None)
        assert not kept.exists()
