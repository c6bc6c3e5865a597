"""The JSON API: items 13 to 18 of the Jenkins checklist."""

from __future__ import annotations

import ast

from tests.standins.conftest import until

FOLDED = {"A": "x"}


def fill(server, http, count):
    for number in range(count):
        http.trigger(A=str(number))
    server.control.wait_idle()


def test_13_answers_name_version_and_session_and_the_session_changes_at_a_restart(jenkins, http):
    server = jenkins()
    site = http(server.url)
    reply = site.get("/api/json")
    assert reply.headers["Content-Type"] == "application/json;charset=utf-8"
    assert reply.headers["X-Content-Type-Options"] == "nosniff"
    assert reply.headers["X-Jenkins"] == "2.555"
    assert site.get("/job/job/api/json").headers["X-Jenkins-Session"] == reply.headers["X-Jenkins-Session"]
    server.control.restart(seconds=0.02)
    again = until(lambda: (r := site.get("/api/json")).status_code == 200 and r)
    assert again.headers["X-Jenkins-Session"] != reply.headers["X-Jenkins-Session"]


def test_14_tree_gives_what_it_names_within_its_range(jenkins, http):
    server = jenkins()
    site = http(server.url)
    fill(server, site, 5)
    shown = site.json("/job/job/api/json?tree=builds[number,nonsense]{0,3}")
    run = "org.jenkinsci.plugins.workflow.job.WorkflowRun"
    assert shown["builds"] == [{"_class": run, "number": number} for number in (5, 4, 3)]
    assert site.json("/job/job/api/json?tree=builds[number]{1}")["builds"] == [{"_class": run, "number": 4}]
    assert [b["number"] for b in site.json("/job/job/api/json?tree=builds[number]{3,}")["builds"]] == [2, 1]
    assert "builds" not in site.json("/job/job/api/json?tree=nonsense")
    for malformed in ("a[", "a]", "[a]", "a{x}"):
        assert site.get("/job/job/api/json", params={"tree": malformed}).status_code == 500
    assert site.get("/job/job/api/json?depth=abc").status_code == 500


def test_14b_tree_shows_null_as_null_and_goes_before_depth(jenkins, http):
    server = jenkins()
    shown = http(server.url).json("/job/job/api/json?tree=description,lastBuild[number]&depth=2")
    job = "org.jenkinsci.plugins.workflow.job.WorkflowJob"
    assert shown == {"_class": job, "description": None, "lastBuild": None}


def test_15_depth_0_shows_builds_briefly_and_all_builds_only_when_named(jenkins, http):
    server = jenkins()
    site = http(server.url)
    fill(server, site, 2)
    shown = site.json("/job/job/api/json")
    assert [set(build) for build in shown["builds"]] == [{"_class", "number", "url"}] * 2
    assert set(shown["lastBuild"]) == {"_class", "number", "url"}
    assert "allBuilds" not in shown
    assert len(site.json("/job/job/api/json?tree=allBuilds[number]")["allBuilds"]) == 2
    assert "result" in site.json("/job/job/api/json?depth=1")["builds"][0]
    assert set(site.json("/api/json")["jobs"][0]) == {"_class", "name", "url", "color"}


def test_16_builds_are_the_newest_hundred_all_builds_all(jenkins, http):
    server = jenkins()
    site = http(server.url)
    fill(server, site, 103)
    assert [b["number"] for b in site.json("/job/job/api/json")["builds"]] == list(range(103, 3, -1))
    assert len(site.json("/job/job/api/json?tree=allBuilds[number]")["allBuilds"]) == 103


def test_17_folders_branches_and_the_context_path(jenkins, http):
    server = jenkins({"context": "/jenkins"}, {"name": "a/b", "parameters": ["X"]}, {"name": "mb/f%2Fx"})
    site = http(server.url)
    assert site.json("/job/a/job/b/api/json")["fullName"] == "a/b"
    assert site.json("/job/mb/job/f%252Fx/api/json")["name"] == "f%2Fx"
    assert site.get("/job/mb/job/f%2Fx/api/json").status_code == 404
    assert site.get("/job/a/job/c/api/json").status_code == 404
    assert http(server.base).get("/job/a/job/b/api/json").status_code == 404
    assert site.json("/job/a/job/b/api/json")["url"] == f"{server.url}/job/a/job/b/"
    location = site.post("/job/a/job/b/buildWithParameters").headers["Location"]
    assert location == f"{server.url}/queue/item/1/"
    assert site.get("/job/a").headers["Location"] == f"{server.url}/job/a/"
    assert http(server.base).get("/api/json").status_code == 404


def test_17b_the_context_path_is_in_the_crumbs_cookie_as_well(jenkins, http):
    server = jenkins({"context": "/jenkins", "users": {"bot": {"password": "pw"}}})
    reply = http(server.url, ("bot", "pw")).get("/crumbIssuer/api/json")
    assert "Path=/jenkins; HttpOnly" in reply.headers["Set-Cookie"]
    assert http(server.base, ("bot", "pw")).get("/crumbIssuer/api/json").status_code == 404


def test_17c_a_multibranch_job_is_a_folder_whose_jobs_show_their_branch(jenkins, http):
    branch = {"name": "mb/feature%2Fx", "parameters": ["A"], "quiet_period": 0}
    site = http(jenkins(None, {"name": "mb", "kind": "multibranch"}, branch).url)
    folder = site.json("/job/mb/api/json")
    assert folder["_class"].endswith("WorkflowMultiBranchProject")
    assert ("color" in folder, [job["name"] for job in folder["jobs"]]) == (False, ["feature%2Fx"])
    shown = site.json("/job/mb/job/feature%252Fx/api/json")
    assert (shown["fullName"], shown["displayName"]) == ("mb/feature%2Fx", "feature/x")
    assert site.post("/job/mb/buildWithParameters").status_code == 404


def test_14c_the_same_in_pythons_notation(jenkins, http):
    site = http(jenkins().url)
    reply = site.get("/job/job/api/python?tree=description,buildable,name,nextBuildNumber")
    assert reply.headers["Content-Type"] == "text/x-python;charset=utf-8"
    assert ast.literal_eval(reply.text) == {
        "_class": "org.jenkinsci.plugins.workflow.job.WorkflowJob",
        "description": None,
        "buildable": True,
        "name": "job",
        "nextBuildNumber": 1,
    }
    assert site.get("/job/job/api/python?tree=a[").status_code == 500


def test_18_actions_show_parameters_and_causes_but_no_password(jenkins, http):
    secret = {"name": "S", "type": "password"}
    server = jenkins(None, {"name": "job", "parameters": ["A", secret], "quiet_period": 0})
    site = http(server.url)
    site.trigger(A="1", S="hidden")
    actions = site.json("/job/job/1/api/json")["actions"]
    assert actions[0]["parameters"] == [
        {"_class": "hudson.model.StringParameterValue", "name": "A", "value": "1"},
        {"_class": "hudson.model.PasswordParameterValue", "name": "S"},
    ]
    assert actions[1]["causes"][0]["shortDescription"] == "Started by user anonymous"
    assert {} in actions
    item = site.json("/queue/item/1/api/json?tree=actions[parameters[name,value]]")
    assert item["actions"][0]["parameters"][1] == {"_class": "hudson.model.PasswordParameterValue", "name": "S"}


def test_permalinks_lead_to_the_newest_of_their_kind(jenkins, http):
    server = jenkins()
    site = http(server.url)
    assert site.get("/job/job/lastBuild/api/json").status_code == 404
    server.control.rule(result="FAILURE", match={"A": "bad"})
    for value in ("good", "bad"):
        site.trigger(A=value)
        server.control.wait_idle()
    assert site.json("/job/job/lastSuccessfulBuild/api/json")["number"] == 1
    assert site.json("/job/job/lastFailedBuild/api/json")["number"] == 2
    assert site.json("/job/job/api/json?tree=color")["color"] == "red"


def test_a_path_without_its_slash_redirects(jenkins, http):
    server = jenkins()
    reply = http(server.url).get("/job/job")
    assert (reply.status_code, reply.headers["Location"]) == (302, f"{server.url}/job/job/")


def test_jsonp_is_refused_and_pretty_prints(jenkins, http):
    site = http(jenkins().url)
    assert site.get("/api/json?jsonp=f").status_code == 403
    assert "\n" in site.get("/api/json?pretty=true").text
