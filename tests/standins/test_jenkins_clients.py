"""Three client libraries that are not ours each drive whole builds through the stand-in, over real HTTP."""

from __future__ import annotations

import time

import api4jenkins
import jenkins as python_jenkins
import pytest
import requests
from api4jenkins.exceptions import AuthenticationError, ItemNotFoundError
from jenkinsapi.custom_exceptions import JenkinsAPIException, NotBuiltYet, UnknownJob
from jenkinsapi.jenkins import Jenkins as JenkinsApiServer

from tests.standins.conftest import until

USERS = {"bot": {"password": "pw", "tokens": ["tok"]}, "reader": {"tokens": ["r"], "permissions": ["Overall/Read"]}}
JOBS = (
    {"name": "mb", "kind": "multibranch"},
    {"name": "mb/feature%2Fx", "parameters": ["TARGET", "RUN"], "quiet_period": 0},
    {"name": "team/deploy", "parameters": ["TARGET", "RUN"], "quiet_period": 0},
    {"name": "team/patient", "parameters": ["RUN"], "quiet_period": 60},
)


class PythonJenkins:
    """python-jenkins: names of jobs, answers as dictionaries."""

    def __init__(self, url, name, secret):
        self.server = python_jenkins.Jenkins(url, name, secret, timeout=10)

    def close(self):
        self.server._session.close()

    def trigger(self, job, **parameters):
        return self.server.build_job(job, parameters)

    def number(self, job, item):
        return (self.server.get_queue_item(item).get("executable") or {}).get("number")

    def parameters(self, job, number):
        actions = self.server.get_build_info(job, number)["actions"]
        return {one["name"]: one["value"] for one in actions[0]["parameters"]}

    def building(self, job, number):
        return self.server.get_build_info(job, number)["building"]

    def result(self, job, number):
        return self.server.get_build_info(job, number)["result"]

    def stop(self, job, number):
        self.server.stop_build(job, number)

    def console(self, job, number):
        return self.server.get_build_console_output(job, number)

    def failing_tests(self, job, number):
        report = self.server.get_build_test_report(job, number)
        cases = report["suites"][0]["cases"] if report else []
        return [case["name"] for case in cases if case["status"] in ("FAILED", "REGRESSION")]

    def describe(self, job, text):
        """The library has no call for it, but sends any request with its sign-in and crumb."""
        folder, name = self.server._get_job_folder(job)
        url = self.server._build_url(
            "%(folder_url)sjob/%(short_name)s/description", {"folder_url": folder, "short_name": name}
        )
        self.server.jenkins_open(requests.Request("POST", url, data={"description": text}))

    def cancel(self, item):
        self.server.cancel_queue(item)

    def cancelled(self, item):
        return self.server.get_queue_item(item)["cancelled"]


class Api4Jenkins:
    """api4jenkins: objects by address, `tree` in every question; httpx underneath."""

    def __init__(self, url, name, secret):
        self.server = api4jenkins.Jenkins(f"{url}/", auth=(name, secret), timeout=10)

    def close(self):
        self.server.http_client.close()

    def _build(self, job, number):
        return self.server.get_job(job).get(number)

    def _item(self, item):
        return api4jenkins.queue.QueueItem(self.server, f"{self.server.url}queue/item/{item}/")

    def trigger(self, job, **parameters):
        return self.server.get_job(job).build(**parameters).id

    def number(self, job, item):
        build = self._item(item).get_build()
        return build and build.number

    def parameters(self, job, number):
        return {one.name: one.value for one in self._build(job, number).get_parameters()}

    def building(self, job, number):
        return self._build(job, number).building

    def result(self, job, number):
        return self._build(job, number).result

    def stop(self, job, number):
        self._build(job, number).stop()

    def console(self, job, number):
        return "\n".join(self._build(job, number).console_text())

    def failing_tests(self, job, number):
        report = self._build(job, number).get_test_report()
        return [case.name for suite in report or () for case in suite.cases if case.status in ("FAILED", "REGRESSION")]

    def describe(self, job, text):
        self.server.get_job(job).set_description(text)

    def cancel(self, item):
        self._item(item).cancel()

    def cancelled(self, item):
        """Not by attribute: it remembers the attributes of the first item that it saw, for all of them."""
        return self._item(item).api_json(tree="cancelled")["cancelled"]


class JenkinsApi:
    """jenkinsapi: reads `api/python`, posts the form of `/build` even to buildWithParameters, follows no redirect."""

    def __init__(self, url, name, secret):
        self.server = JenkinsApiServer(url, name, secret, timeout=10)

    def close(self):
        self.server.requester.session.close()

    def _build(self, job, number):
        return self.server[job].get_build(number)

    def trigger(self, job, **parameters):
        self.last = self.server[job].invoke(build_params=parameters)
        return self.last.queue_id

    def number(self, job, item):
        self.last.poll()
        try:
            return self.last.get_build_number()
        except NotBuiltYet:
            return None

    def parameters(self, job, number):
        return self._build(job, number).get_params()

    def building(self, job, number):
        return self._build(job, number).is_running()

    def result(self, job, number):
        return self._build(job, number).get_status()

    def stop(self, job, number):
        assert self._build(job, number).stop() is True

    def console(self, job, number):
        return self._build(job, number).get_console()

    def failing_tests(self, job, number):
        build = self._build(job, number)
        results = [one for _, one in build.get_resultset().items()] if build.has_resultset() else []
        return [one.name for one in results if one.status in ("FAILED", "REGRESSION")]

    def describe(self, job, text):
        """By way of config.xml, all of which it posts again."""
        self.server[job].change_description(text)

    def cancel(self, item):
        self.server.get_queue().delete_item_by_id(item)

    def cancelled(self, item):
        self.last.poll()
        return self.last._data["cancelled"]


CLIENTS = [PythonJenkins, Api4Jenkins, JenkinsApi]


@pytest.fixture(params=CLIENTS)
def sign_in(request):
    """Signs in with one of the libraries; their connections are closed afterwards."""
    made = []

    def start(url, name="bot", secret="tok"):
        made.append(request.param(url, name, secret))
        return made[-1]

    yield start
    for one in made:
        one.close()


@pytest.fixture
def closed(jenkins):
    return jenkins({"users": USERS, "context": "/ci"}, *JOBS)


@pytest.mark.parametrize("job", ["team/deploy", "mb/feature%2Fx"])
@pytest.mark.parametrize("secret", ["tok", "pw"])
def test_19_a_whole_build_with_token_or_with_password_and_crumb(closed, sign_in, secret, job):
    """From the trigger over the queue item to the build, its end, its log and its tests; under a context path."""
    closed.control.hold(job)
    client = sign_in(closed.url, secret=secret)
    item = client.trigger(job, TARGET="dev & test/1", RUN="r ü1")
    number = until(lambda: client.number(job, item))
    assert client.parameters(job, number) == {"TARGET": "dev & test/1", "RUN": "r ü1"}
    assert (client.building(job, number), client.result(job, number)) == (True, None)
    closed.control.release(job, result="UNSTABLE", tests=["shop.BasketTest.adds", "shop.BasketTest.pays"])
    assert (client.building(job, number), client.result(job, number)) == (False, "UNSTABLE")
    console = client.console(job, number)
    assert ("Started by user bot" in console, "Finished: UNSTABLE" in console) == (True, True)
    assert client.failing_tests(job, number) == ["adds", "pays"]
    crumbs = sum(count for route, count in closed.control.requests().items() if "crumbIssuer" in route)
    assert crumbs == 1


def test_44_a_build_that_a_client_stops_ends_aborted_a_moment_later(closed, sign_in):
    closed.control.hold("team/deploy")
    closed.control.rule(stop_seconds=60)
    client = sign_in(closed.url)
    item = client.trigger("team/deploy", RUN="1")
    number = until(lambda: client.number("team/deploy", item))
    client.stop("team/deploy", number)
    assert client.building("team/deploy", number) is True
    closed.control.advance(60)
    closed.control.wait_builds("team/deploy", state="done")
    assert client.result("team/deploy", number) == "ABORTED"
    assert closed.control.builds()[0]["interrupted_by"] == ["bot"]
    assert client.failing_tests("team/deploy", number) == []


def test_40_a_client_cancels_what_waits(closed, sign_in):
    client = sign_in(closed.url)
    item = client.trigger("team/patient", RUN="1")
    assert client.number("team/patient", item) is None
    client.cancel(item)
    assert client.cancelled(item) is True
    assert closed.control.queue() == closed.control.builds() == []


def test_51_a_client_sets_the_description_and_the_job_still_builds_as_before(closed, sign_in):
    client = sign_in(closed.url, secret="pw")
    client.describe("team/deploy", "🔒 <b>locked</b>")
    assert closed.control.description("team/deploy") == "🔒 <b>locked</b>"
    client.trigger("team/deploy", TARGET="dev", RUN="1")
    assert closed.control.wait_builds("team/deploy")[0]["params"] == {"TARGET": "dev", "RUN": "1"}


def test_01_a_wrong_token_is_refused_to_every_client(closed, sign_in):
    refusals = (python_jenkins.JenkinsException, AuthenticationError, requests.HTTPError)
    with pytest.raises(refusals, match="401"):
        sign_in(closed.url, secret="wrong").trigger("team/deploy", RUN="1")
    assert closed.control.builds() == closed.control.queue() == []


def test_12_what_one_may_not_see_is_not_there_for_any_client(closed, sign_in):
    absent = (python_jenkins.NotFoundException, ItemNotFoundError, UnknownJob, AttributeError)
    with pytest.raises(absent):
        sign_in(closed.url, "reader", "r").trigger("team/deploy", RUN="1")


def test_11_a_restart_ends_the_crumb_and_jenkinsapi_alone_fetches_another(closed, sign_in):
    client = sign_in(closed.url, secret="pw")
    client.trigger("team/patient", RUN="1")
    closed.control.restart(seconds=0.02)
    until(lambda: not closed.controller.restart.down)
    if isinstance(client, JenkinsApi):
        assert client.trigger("team/patient", RUN="2") == 2
        return
    with pytest.raises((python_jenkins.JenkinsException, PermissionError), match="403"):
        client.trigger("team/patient", RUN="2")


def test_09_without_crumbs_a_client_does_without_but_api4jenkins_sees_no_job(jenkins, sign_in):
    """It takes the missing issuer for a missing folder."""
    server = jenkins({"users": USERS, "crumbs": False})
    client = sign_in(server.url, secret="pw")
    if isinstance(client, Api4Jenkins):
        assert client.server.get_job("job") is None
        return
    assert client.trigger("job", A="1") == 1


def test_26_what_each_client_makes_of_a_folded_trigger(closed, sign_in):
    client = sign_in(closed.url)
    first = client.trigger("team/patient", RUN="1")
    if isinstance(client, PythonJenkins):
        with pytest.raises(python_jenkins.EmptyResponseException):
            client.trigger("team/patient", RUN="1")
        return
    assert client.trigger("team/patient", RUN="1") == first


def test_34_a_location_that_names_another_host_upsets_jenkinsapi_alone(jenkins, sign_in):
    server = jenkins({"users": USERS, "location_host": "inner:8080"})
    client = sign_in(server.url)
    if isinstance(client, JenkinsApi):
        with pytest.raises(ValueError, match="Not a Queue URL: http://inner:8080/queue/item/1/"):
            client.trigger("job", A="1")
    else:
        assert client.trigger("job", A="1") == 1
    assert server.control.wait_builds("job")[0]["params"]["A"] == "1"


def test_24_an_illegal_choice_is_an_error_for_every_client(jenkins, sign_in):
    server = jenkins({"users": USERS}, {"name": "job", "parameters": [{"name": "C", "choices": ["x", "y"]}]})
    with pytest.raises(
        (python_jenkins.JenkinsException, api4jenkins.HTTPStatusError, JenkinsAPIException), match="500"
    ):
        sign_in(server.url).trigger("job", C="z")
    assert server.control.queue() == []


def test_a_client_that_looks_for_builds_on_the_nodes_finds_a_pipeline_there(closed):
    """api4jenkins follows an item that still waits by asking every executor for the item's id."""
    closed.control.hold("team/deploy")
    client = Api4Jenkins(closed.url, "bot", "tok")
    first = client.trigger("team/deploy", RUN="1")
    until(lambda: client.number("team/deploy", first))
    assert [build.number for build in client.server.nodes.iter_builds()] == [1]
    client.close()
    old = PythonJenkins(closed.url, "bot", "tok")
    assert old.server.get_running_builds() == []  # it reads no one-off executors
    old.close()


@pytest.mark.slow  # it sleeps between its questions
def test_48_progressive_output_ends_with_the_build(closed):
    client = Api4Jenkins(closed.url, "bot", "tok")
    client.trigger("team/deploy", RUN="1")
    closed.control.wait_idle()
    began = time.monotonic()
    lines = list(client._build("team/deploy", 1).progressive_output())
    client.close()
    assert lines[-1] == "Finished: SUCCESS"
    assert time.monotonic() - began < 10
