"""The doctor knows whether callbacks are configured as they should be, are answered, and have come in."""

from __future__ import annotations

import time
import uuid
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from redis import Redis

from bot.core.model.pipeline import Track
from bot.doctor import Subject
from bot.jenkins.doctor import callbacks, job_settings
from bot.jenkins.job_plan import JobPlan
from bot.store.connection import connect
from bot.store.inbox import Inbox
from bot.store.keys import Keys
from bot.web.app import create_app
from config.configuration import Configuration
from config.settings import Settings
from standins.jenkins import JenkinsStandIn
from standins.wire.message import Reply, Request
from standins.wire.server import HttpServer
from tests.cli.conftest import serving
from tests.jenkins.doctor_kit import configured, examined, good_job, of_jobs, standin, trigger

SECRET = "s3cret"
PLAN = JobPlan("cdp", "deploy", "p", "stage", Track.REAL, 3, locks=True)


@pytest.fixture
def jenkins() -> Iterator[JenkinsStandIn]:
    with standin() as controller:
        good_job(controller)
        yield controller


def told_of_callbacks(
    folder: Path, jenkins: JenkinsStandIn, public_url: str, **settings: Any
) -> list[tuple[str, str, str]]:
    """What is found about the answering of callbacks, with how to mend it."""
    secret = {"jenkins_webhook_secret": (SecretStr(SECRET),), **settings}
    found = examined(configured(folder, jenkins.url, public_url=public_url), **secret)
    assert not any(SECRET in f"{finding}" for finding in found)
    return [(str(f.verdict), f.found, f.mend) for f in found if f.found.startswith("callbacks")]


# -- answering -------------------------------------------------------------------------------------------------


def web(configuration: Configuration, redis_url: str, secret: str) -> Any:
    """The web process of an Interlock, with what it needs to start."""
    settings = Settings(
        redis_url=SecretStr(redis_url),
        github_webhook_secrets=(SecretStr("github"),),
        jenkins_webhook_secret=(SecretStr(secret),),
    )
    return create_app(settings, configuration, lambda _: None)


def test_our_own_door_answers_and_keeps_nothing(tmp_path: Path, jenkins: JenkinsStandIn, redis_url: str) -> None:
    configuration = configured(tmp_path, jenkins.url)
    with serving(web(configuration, redis_url, SECRET)) as url, connect(redis_url) as redis:
        before = redis.xlen(Keys("p").inbox)
        assert told_of_callbacks(tmp_path, jenkins, url) == [("good", f"callbacks: {url} accepts them", "")]
        assert redis.xlen(Keys("p").inbox) == before


def test_another_secret_at_the_door_is_told(tmp_path: Path, jenkins: JenkinsStandIn, redis_url: str) -> None:
    configuration = configured(tmp_path, jenkins.url)
    with serving(web(configuration, redis_url, "another")) as url:
        [(verdict, found, mend)] = told_of_callbacks(tmp_path, jenkins, url)
    assert (verdict, found) == ("unsure", f"callbacks: {url} refuses the secret (401)")
    assert "INTERLOCK_JENKINS_WEBHOOK_SECRET" in mend


def test_a_door_that_does_not_know_the_controller_is_told(
    tmp_path: Path, jenkins: JenkinsStandIn, redis_url: str
) -> None:
    other = configured(tmp_path, jenkins.url)
    other = Configuration(other.pipelines, {"old": next(iter(other.controllers.values()))})
    with serving(web(other, redis_url, SECRET)) as url:
        [(_, found, _)] = told_of_callbacks(tmp_path, jenkins, url)
    assert found == f"callbacks: {url} has no address /webhooks/jenkins/cdp (404)"


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (
            Reply(308, b"", [("Location", f"https://interlock.example.com/webhooks/jenkins/cdp/{SECRET}")]),
            "redirects them",
        ),
        (Reply(200, b"<html>Sign in</html>"), "answers 200, which is not Interlock's answer"),
        (Reply(202, b"[]"), "answers 202, which is not Interlock's answer"),
        (Reply(502), "answers 502"),
    ],
)
def test_what_stands_before_our_door_is_told(tmp_path: Path, jenkins: JenkinsStandIn, reply: Reply, words: str) -> None:
    with HttpServer(lambda _: reply) as server:
        [(verdict, found, mend)] = told_of_callbacks(tmp_path, jenkins, f"http://127.0.0.1:{server.port}")
    assert verdict == "unsure"
    assert words in found
    assert mend


def test_nobody_at_our_door_is_told(tmp_path: Path, jenkins: JenkinsStandIn) -> None:
    with HttpServer(lambda _: Reply(202)) as server:
        port = server.port
    [(_, found, mend)] = told_of_callbacks(tmp_path, jenkins, f"http://127.0.0.1:{port}")
    assert found == f"callbacks: http://127.0.0.1:{port} refuses the connection: nothing listens there"
    assert "check that Interlock is running" in mend


def test_the_door_is_asked_about_no_build(tmp_path: Path, jenkins: JenkinsStandIn) -> None:
    bodies: list[bytes] = []

    def door(request: Request) -> Reply:
        bodies.extend([request.body] if request.method == "POST" else [])
        return Reply(202, b'{"status": "ignored"}')

    with HttpServer(door) as server:
        told_of_callbacks(tmp_path, jenkins, f"http://127.0.0.1:{server.port}")
    assert bodies == [b'{"name": "interlock doctor"}']


def test_without_the_secret_it_is_said_that_callbacks_cannot_be_tried(tmp_path: Path, jenkins: JenkinsStandIn) -> None:
    [(verdict, found, _)] = told_of_callbacks(tmp_path, jenkins, "http://127.0.0.1:1", jenkins_webhook_secret=())
    assert (verdict, "is not set here" in found) == ("unsure", True)


def test_a_public_url_that_only_this_machine_has_is_told(tmp_path: Path) -> None:
    configuration = configured(tmp_path, "http://jenkins.nowhere.test", public_url="http://localhost:1")
    found = [f.found for f in examined(configuration, jenkins_webhook_secret=(SecretStr(SECRET),))]
    assert "callbacks: http://localhost:1 leads Jenkins to its own machine, not to Interlock's" in found


# -- asking before a roll-out ----------------------------------------------------------------------------------


def asking(folder: Path, jenkins: JenkinsStandIn, public_url: str) -> list[str]:
    found = examined(configured(folder, jenkins.url, public_url=public_url))
    return [f.found for f in found if f.found.startswith("asking before a roll-out")]


def test_our_own_web_process_answers_what_a_roll_out_asks(
    tmp_path: Path, jenkins: JenkinsStandIn, redis_url: str
) -> None:
    with serving(web(configured(tmp_path, jenkins.url), redis_url, SECRET)) as url:
        assert asking(tmp_path, jenkins, url) == []


@pytest.mark.parametrize("reply", [Reply(200, b"<html>Sign in</html>"), Reply(403, b"no"), Reply(409, b"[]")])
def test_what_keeps_a_roll_out_from_its_answer_is_told(tmp_path: Path, jenkins: JenkinsStandIn, reply: Reply) -> None:
    with HttpServer(lambda _: reply) as server:
        [found] = asking(tmp_path, jenkins, f"http://127.0.0.1:{server.port}")
    assert f"answers {reply.status}, which is not Interlock's answer" in found


# -- heard -----------------------------------------------------------------------------------------------------


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    with connect(redis_url) as redis:
        redis.delete(Keys("p").inbox, Keys("p").meta, Keys("p").wake_up)
        yield redis
        redis.delete(Keys("p").inbox, Keys("p").meta, Keys("p").wake_up)


def last(folder: Path, jenkins: JenkinsStandIn, redis_url: str) -> list[tuple[str, str]]:
    found = examined(configured(folder, jenkins.url), redis_url=SecretStr(redis_url))
    words = ("its last callback", "no callback has", "the time of its last callback")
    return [(str(f.verdict), f.found) for f in found if f.found.startswith(words)]


def test_it_is_said_that_no_callback_has_come_in(
    tmp_path: Path, jenkins: JenkinsStandIn, redis: Redis, redis_url: str
) -> None:
    Inbox(redis, Keys("p")).accept("github", "push", "1", b"{}")
    Inbox(redis, Keys("p")).accept("jenkins", "build", "2", b"{}")  # that of another controller
    assert last(tmp_path, jenkins, redis_url) == [("unsure", "no callback has arrived from it lately")]


def test_it_is_said_when_the_last_callback_came_in(
    tmp_path: Path, jenkins: JenkinsStandIn, redis: Redis, redis_url: str
) -> None:
    inbox = Inbox(redis, Keys("p"))
    inbox.accept("jenkins", "cdp", uuid.uuid4().hex, b'{"job": "deploy", "build": "7"}')
    for number in range(250):  # more than one page of others
        inbox.accept("github", "push", str(number), b"{}")
    [(verdict, words)] = last(tmp_path, jenkins, redis_url)
    assert verdict == "good"
    assert words.startswith("its last callback arrived at 20")


def test_a_job_that_called_lately_is_not_said_to_be_silent(
    tmp_path: Path, jenkins: JenkinsStandIn, redis: Redis, redis_url: str
) -> None:
    jenkins.control.change_job("deploy", {"callbacks": []})
    silent = of_jobs(examined(configured(tmp_path, jenkins.url), redis_url=SecretStr(redis_url)))
    Inbox(redis, Keys("p")).accept("jenkins", "cdp", "1", b'{"job": "deploy", "build": "7"}')
    heard_of = of_jobs(examined(configured(tmp_path, jenkins.url), redis_url=SecretStr(redis_url)))
    assert ([verdict for verdict, _ in silent], [verdict for verdict, _ in heard_of]) == (["unsure"], ["good"])


def test_only_so_many_deliveries_are_looked_at(redis: Redis, tmp_path: Path) -> None:
    inbox = Inbox(redis, Keys("p"))
    inbox.accept("jenkins", "cdp", "1", b'{"job": "deploy", "build": "7"}')
    for number in range(callbacks._LOOKED_AT):
        inbox.accept("github", "push", str(number), b"{}")
    assert callbacks.read_callbacks(configured(tmp_path, "http://127.0.0.1:1"), redis).controllers == {}


def test_a_redis_out_of_reach_is_told(tmp_path: Path, jenkins: JenkinsStandIn) -> None:
    [(verdict, words)] = last(tmp_path, jenkins, "redis://127.0.0.1:1/0")
    assert verdict == "unsure"
    assert words.startswith("the time of its last callback is not known")


# -- a build that did not call -----------------------------------------------------------------------------------


def set_up(jenkins: JenkinsStandIn, url: str, **endpoint: Any) -> None:
    """A job that calls back by a credential, as the printed ones do, and one build of it that has ended."""
    jenkins.control.set({"credentials": {"interlock-callback-cdp": f"{url}/webhooks/jenkins/cdp/{SECRET}"}})
    callback = {"credential": "interlock-callback-cdp", "timeout": 2.0, **endpoint}
    good_job(jenkins, callbacks=[callback], quiet_period=0, duration_seconds=0.01)
    trigger(jenkins, "deploy", "S1.1")
    jenkins.control.wait_builds("deploy", state="done")
    jenkins.control.wait_idle()


def silent(findings: list[Any]) -> list[Any]:
    return [f for f in findings if f.found.startswith("no callback has arrived from its build")]


@pytest.mark.parametrize("known_by", ["redis", "web"])
@pytest.mark.parametrize(
    ("what", "told"),
    [("all is well", 0), ("another secret", 1), ("no credential", 1), ("ALL", 1), ("a dollar", 1)],
)
def test_a_set_up_that_looks_right_and_is_silent_is_found_by_its_last_build(
    tmp_path: Path,
    jenkins: JenkinsStandIn,
    redis: Redis,
    redis_url: str,
    monkeypatch: pytest.MonkeyPatch,
    known_by: str,
    what: str,
    told: int,
) -> None:
    monkeypatch.setattr(callbacks, "_SLACK", 0.0)
    Inbox(redis, Keys("p")).accept("github", "push", uuid.uuid4().hex, b"{}")  # since then all is known
    configuration = configured(tmp_path, jenkins.url)
    with serving(web(configuration, redis_url, SECRET)) as url:
        set_up(jenkins, url, **({"events": "ALL"} if what == "ALL" else {}))
        address = f"{url}/webhooks/jenkins/cdp/"
        credentials = {"another secret": f"{address}another", "a dollar": f"{address}pa$$", "no credential": None}
        if what in credentials:
            holds = {} if credentials[what] is None else {"interlock-callback-cdp": credentials[what]}
            redis.delete(Keys("p").inbox)
            Inbox(redis, Keys("p")).accept("github", "push", uuid.uuid4().hex, b"{}")
            jenkins.control.set({"credentials": holds})
            trigger(jenkins, "deploy", "S1.2")
            jenkins.control.wait_builds("deploy", 2, state="done")
            jenkins.control.wait_idle()
        where: dict[str, Any] = {"redis_url": SecretStr(redis_url)} if known_by == "redis" else {}
        findings = examined(configured(tmp_path, jenkins.url, public_url=url), **where)
    assert len(silent(findings)) == told
    for finding in silent(findings):
        assert "NullPointerException" in finding.mend
        assert "401" in finding.mend


def test_without_redis_and_without_an_interlock_it_is_said_that_nothing_is_known(
    tmp_path: Path, jenkins: JenkinsStandIn
) -> None:
    [finding] = [
        f for f in examined(configured(tmp_path, jenkins.url)) if f.found.startswith("the time of its last callback")
    ]
    assert "is not known: http://127.0.0.1:1 refuses the connection" in finding.found
    assert "INTERLOCK_REDIS_URL" in finding.mend


def test_an_older_interlock_that_does_not_know_the_question_is_told(tmp_path: Path, jenkins: JenkinsStandIn) -> None:
    for reply in (Reply(404, b"{}"), Reply(200, b"[]"), Reply(200, b'{"since": "x", "callbacks": []}')):
        with HttpServer(lambda _, reply=reply: reply) as server:
            configuration = configured(tmp_path, jenkins.url, public_url=f"http://127.0.0.1:{server.port}")
            assert [f.found for f in examined(configuration) if f.found.startswith("the time of its last callback")]


def test_what_is_older_than_what_is_known_and_what_has_just_ended_is_not_judged() -> None:
    about, job = Subject("cdp", "deploy", "stage"), ("cdp", "deploy")
    now = time.time()
    for ended, since in ((now - 7200, now - 3600), (now - 5, now - 3600), (now - 600, None)):
        last = {"number": 7, "timestamp": (ended - 1) * 1000, "duration": 1000}
        assert list(callbacks.examine_job(about, job, last, callbacks.KnownCallbacks(since=since))) == []
    last = {"number": 7, "timestamp": (now - 601) * 1000, "duration": 1000}
    [told] = callbacks.examine_job(about, job, last, callbacks.KnownCallbacks(since=now - 3600, jobs={job: now - 1800}))
    assert "from its build #7" in told.found
    assert (
        list(callbacks.examine_job(about, job, last, callbacks.KnownCallbacks(since=now - 3600, jobs={job: now - 600})))
        == []
    )


# -- configured ------------------------------------------------------------------------------------------------

ENDPOINT = {
    "protocol": "HTTP",
    "format": "JSON",
    "event": "all",
    "timeout": "5000",
    "branch": ".*",
    "urlOrId": "interlock-callback-cdp",
    "urlType": "SECRET",
}


def job(plugin: str = "notification@1.18", inside: str = "", **endpoint: str | None) -> ET.Element:
    """A job's configuration as Jenkins writes it, with one endpoint; None leaves a field out."""
    fields = {**ENDPOINT, **endpoint}
    plain = "".join(f"<{k}>{v}</{k}>" for k, v in fields.items() if v is not None and not k.startswith("url"))
    info = "".join(f"<{k}>{v}</{k}>" for k, v in fields.items() if v is not None and k.startswith("url"))
    name = "com.tikal.hudson.plugins.notification"
    body = f"""<?xml version='1.1' encoding='UTF-8'?>
      <flow-definition plugin="workflow-job@1400"><properties>
        <{name}.HudsonNotificationProperty plugin="{plugin}"><endpoints>
          <{name}.Endpoint>{plain}<urlInfo>{info}</urlInfo></{name}.Endpoint>
        </endpoints></{name}.HudsonNotificationProperty>{inside}
      </properties></flow-definition>"""
    return job_settings.parsed(body.encode())


def told(root: ET.Element, public_url: str = "") -> list[str]:
    about = Subject("cdp", "deploy", "stage")
    findings = [
        *job_settings.examine_callback(about, PLAN, root, (SECRET,), called=False, public_url=public_url),
        *job_settings.examine_settings(about, PLAN, root),
    ]
    assert all(finding.mend for finding in findings)
    assert not any(SECRET in f"{finding}" for finding in findings)
    return [finding.found for finding in findings]


@pytest.mark.parametrize(
    ("address", "public_url", "words"),
    [
        ("https://interlock.example.com", "https://interlock.example.com", None),
        ("https://INTERLOCK.example.com:443", "https://interlock.example.com", None),
        ("https://elsewhere.example.com", "https://interlock.example.com", "goes to elsewhere.example.com, but"),
        ("http://interlock.example.com:81", "http://interlock.example.com", "with another port"),
        ("http://interlock.example.com:x", "http://interlock.example.com", "with another port"),
        ("https://ci.example.com/interlock", "https://ci.example.com/interlock", None),
        ("https://ci.example.com", "https://ci.example.com/interlock", "Interlock is at ci.example.com/interlock"),
        ("https://ci.example.com/old", "https://ci.example.com", "goes to ci.example.com/old, but Interlock is at ci."),
        ("https://interlock.example.com", "", None),
    ],
)
def test_a_callback_that_goes_to_another_host_is_told(address: str, public_url: str, words: str | None) -> None:
    root = job(urlType="PUBLIC", urlOrId=f"{address}/webhooks/jenkins/cdp/{SECRET}")
    found = [each for each in told(root, public_url) if "its callback goes to" in each]
    assert [words in each for each in found if words] == ([True] if words else [])
    assert bool(found) == bool(words)


def test_either_of_two_secrets_is_right_while_one_replaces_the_other() -> None:
    root = job(urlType="PUBLIC", urlOrId=f"https://interlock.example.com/webhooks/jenkins/cdp/{SECRET}")
    about = Subject("cdp", "deploy", "stage")
    for secrets in ((SECRET, "the new one, of 16"), ("the new one, of 16", SECRET)):
        found = job_settings.examine_callback(about, PLAN, root, secrets, called=False)
        assert not any("is not Interlock's" in finding.found for finding in found)


def test_the_printed_endpoint_is_good() -> None:
    assert told(job()) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"urlOrId": "interlock-callback-build"},
            "by the credential interlock-callback-build, which belongs to another",
        ),
        ({"urlOrId": "team-chat"}, "the address in the credential team-chat"),
        ({"event": "failed"}, "for the event failed only"),
        ({"event": "manual"}, "for the event manual only"),
        ({"format": "XML"}, "by HTTP in XML"),
        ({"protocol": "TCP"}, "by TCP in JSON"),
        ({"timeout": "30000"}, "may delay the build by 30 s"),
        ({"timeout": None}, "may delay the build by 30 s"),
        ({"retries": "2"}, "may delay the build by 15 s (3 times 5 s)"),
        ({"timeout": "2000", "retries": "9"}, "may delay the build by 20 s (10 times 2 s)"),
        ({"event": "ALL"}, "for the event 'ALL', which the plugin does not have, so it sends nothing"),
        ({"event": "Finalized"}, "for the event 'Finalized', which the plugin does not have"),
        ({"event": ""}, "for the event '', which the plugin does not have"),
        ({"loglines": "-1"}, "contains the whole log of the build"),
        ({"loglines": "50"}, "contains 50 lines of the build's log"),
        ({"branch": None}, "it has no branch filter"),
        ({"branch": "main"}, "its branch filter is 'main'"),
    ],
)
def test_a_wrong_endpoint_is_told(changes: dict[str, str | None], words: str) -> None:
    [found] = told(job(**changes))
    assert words in found


@pytest.mark.parametrize("event", ["all", "completed", "finalized", None])
def test_events_with_the_end_of_every_build_are_good(event: str | None) -> None:
    assert told(job(event=event)) == []


def test_a_plugin_that_knows_no_branch_filter_needs_none() -> None:
    assert told(job(plugin="notification@1.16", branch=None)) == []


def public(address: str) -> list[str]:
    return told(job(urlType="PUBLIC", urlOrId=f"https://interlock.example.com{address}"))


def test_a_public_address_is_warned_of_and_its_parts_are_checked() -> None:
    [printed] = public(f"/webhooks/jenkins/cdp/{SECRET}")
    assert "Jenkins prints it with its secret" in printed
    assert public(f"/webhooks/jenkins/build/{SECRET}") == [printed, "its callback names the controller build"]
    assert public("/webhooks/jenkins/cdp/old") == [printed, "the secret in its callback's address is not Interlock's"]


def test_an_address_as_old_versions_keep_it_is_read() -> None:
    name = "com.tikal.hudson.plugins.notification"
    root = job(urlType=None, urlOrId=None)
    endpoint = next(root.iter(f"{name}.Endpoint"))
    ET.SubElement(endpoint, "url").text = f"https://interlock.example.com/webhooks/jenkins/cdp/{SECRET}"
    assert ["PUBLIC" in found for found in told(root)] == [True]


def test_a_script_that_calls_back_itself_is_seen() -> None:
    script = "withCredentials([string(credentialsId: 'interlock-callback-cdp', variable: 'X')]) {}"
    text = f"<flow-definition><definition><script>{script}</script></definition></flow-definition>"
    assert told(job_settings.parsed(text.encode())) == []


@pytest.mark.parametrize(
    ("inside", "words"),
    [
        (
            "<jenkins.model.BuildDiscarderProperty><strategy><numToKeep>3</numToKeep></strategy>"
            "</jenkins.model.BuildDiscarderProperty>",
            "it keeps 3 builds at most",
        ),
        (
            "<org.jenkinsci.plugins.workflow.job.properties.PipelineTriggersJobProperty><triggers>"
            "<hudson.triggers.TimerTrigger/></triggers>"
            "</org.jenkinsci.plugins.workflow.job.properties.PipelineTriggersJobProperty>",
            "it also starts builds by itself (TimerTrigger)",
        ),
        (
            "<hudson.plugins.throttleconcurrents.ThrottleJobProperty><maxConcurrentTotal>2</maxConcurrentTotal>"
            "<throttleEnabled>true</throttleEnabled><throttleOption>project</throttleOption>"
            "</hudson.plugins.throttleconcurrents.ThrottleJobProperty>",
            "throttle-concurrents allows 2 builds at once, and the stage has room for more",
        ),
        (
            "<hudson.plugins.throttleconcurrents.ThrottleJobProperty><maxConcurrentTotal>9</maxConcurrentTotal>"
            "<throttleEnabled>true</throttleEnabled><throttleOption>category</throttleOption>"
            "</hudson.plugins.throttleconcurrents.ThrottleJobProperty>",
            "throttle-concurrents limits its builds together with those of other jobs",
        ),
    ],
)
def test_a_setting_that_would_surprise_a_run_is_told(inside: str, words: str) -> None:
    assert told(job(inside=inside)) == [words]


def test_a_throttle_that_leaves_room_or_is_off_is_good() -> None:
    name = "hudson.plugins.throttleconcurrents.ThrottleJobProperty"
    for most, enabled in (("3", "true"), ("0", "true"), ("1", "false")):
        inside = f"<maxConcurrentTotal>{most}</maxConcurrentTotal><throttleEnabled>{enabled}</throttleEnabled>"
        assert told(job(inside=f"<{name}>{inside}</{name}>")) == []
