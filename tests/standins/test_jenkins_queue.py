"""The queue: items 35 to 41 of the Jenkins checklist."""

from __future__ import annotations

SERIAL = {"name": "job", "parameters": ["A"], "quiet_period": 0, "concurrent": False}
WAITING = {"name": "job", "parameters": ["A"], "quiet_period": 60}


def item_of(site, number):
    return site.json(f"/queue/item/{number}/api/json")


def cancel(site, number):
    return site.post("/queue/cancelItem", params={"id": number}).status_code


def test_35_an_item_keeps_its_id_through_its_states_and_says_why_until_it_left(jenkins, http):
    server = jenkins(None, SERIAL | {"quiet_period": 30})
    server.control.hold("job")
    site = http(server.url)
    first = site.trigger(A="1", delay="0sec")
    second = site.trigger(A="2")
    assert item_of(site, second)["_class"].endswith("WaitingItem")
    assert "quiet period" in item_of(site, second)["why"]
    server.control.advance(30)
    server.controller.await_(lambda: server.control.queue()[0]["state"] == "BlockedItem", 5, "not blocked")
    blocked = item_of(site, second)
    assert (blocked["id"], blocked["_class"].rpartition("$")[2]) == (second, "BlockedItem")
    assert (blocked["blocked"], bool(blocked["why"]), "timestamp" in blocked) == (True, True, False)
    server.control.release("job", match={"A": "1"})
    server.control.wait_builds("job", 2)
    left = item_of(site, second)
    assert (left["_class"], left["why"], left["cancelled"]) == ("hudson.model.Queue$LeftItem", None, False)
    assert [item_of(site, number)["executable"]["number"] for number in (first, second)] == [1, 2]


def test_36_without_concurrency_the_next_item_is_blocked_until_the_build_ends(jenkins, http):
    server = jenkins(None, SERIAL)
    server.control.hold("job")
    site = http(server.url)
    site.trigger(A="1")
    item = item_of(site, site.trigger(A="2"))
    assert item["_class"] == "hudson.model.Queue$BlockedItem"
    assert item["blocked"] is True
    assert item["why"].startswith("Build #1 is already in progress")
    assert len(server.control.builds()) == 1
    server.control.release("job")
    server.control.wait_builds("job", state="running", match={"A": "2"})


def test_37_an_item_may_have_left_before_its_build_is_there(jenkins, http):
    server = jenkins({"executable_delay": 60})
    site = http(server.url)
    number = site.trigger(A="1")
    item = item_of(site, number)
    assert (item["_class"], item["cancelled"], item["executable"]) == ("hudson.model.Queue$LeftItem", False, None)
    server.control.advance(60)
    server.control.wait_builds("job")
    assert item_of(site, number)["executable"]["number"] == 1


def test_37b_a_fresh_build_may_not_show_its_parameters_yet(jenkins, http):
    server = jenkins({"late_actions": 60})
    site = http(server.url)
    site.trigger(A="1")
    assert site.json("/job/job/1/api/json")["actions"] == []
    server.control.advance(60)
    assert site.json("/job/job/1/api/json")["actions"] != []


def test_38_a_left_item_is_there_for_five_minutes_and_never_in_the_list(jenkins, http):
    server = jenkins()
    site = http(server.url)
    number = site.trigger(A="1")
    assert site.json("/queue/api/json") == {"_class": "hudson.model.Queue", "discoverableItems": [], "items": []}
    server.control.advance(299)
    assert item_of(site, number)["id"] == number
    server.control.advance(2)
    assert site.get(f"/queue/item/{number}/api/json").status_code == 404


def test_39_the_build_names_its_queue_item(jenkins, http):
    server = jenkins()
    site = http(server.url)
    assert site.trigger(A="1") == site.json("/job/job/1/api/json")["queueId"]


def test_40_cancelling_answers_by_what_it_finds(jenkins, http):
    server = jenkins(None, WAITING)
    site = http(server.url)
    waiting, started = site.trigger(A="1"), site.trigger(A="2", delay="0sec")
    server.control.wait_builds("job", state="done")
    assert cancel(site, waiting) == 204
    left = item_of(site, waiting)
    assert (left["_class"], left["cancelled"], left["executable"]) == ("hudson.model.Queue$LeftItem", True, None)
    assert cancel(site, waiting) == 500
    assert cancel(site, started) == 500
    assert cancel(site, 999) == 404
    server.control.advance(301)
    assert cancel(site, waiting) == 404
    assert site.post("/queue/cancelItem").status_code == 404
    assert site.get("/queue/cancelItem?id=1").status_code == 405


def test_40b_who_may_not_cancel_gets_422(jenkins, http):
    users = {"bot": {"tokens": ["t"], "permissions": ["Overall/Read", "Item/Read", "Item/Build"]}}
    server = jenkins({"users": users}, WAITING)
    site = http(server.url, ("bot", "t"))
    assert cancel(site, site.trigger(A="1")) == 422
    assert len(server.control.queue()) == 1


def test_41_a_cancelled_item_has_no_build_number_and_no_callback(jenkins, http, receiver):
    server = jenkins(None, WAITING | {"callbacks": [{"url": receiver.url}]})
    site = http(server.url)
    assert cancel(site, site.trigger(A="1")) == 204
    server.control.advance(60)
    site.trigger(A="2", delay="0sec")
    server.control.wait_idle()
    assert {body["build"]["parameters"]["A"] for body in receiver.bodies} == {"2"}
    assert site.json("/job/job/1/api/json")["number"] == 1


def test_the_queue_lists_what_waits_with_its_parameters(jenkins, http):
    site = http(jenkins(None, WAITING).url)
    number = site.trigger(A="1")
    shown = site.json("/queue/api/json?tree=items[id,task[url],actions[parameters[name,value]]]")
    item = shown["items"][0]
    assert (item["id"], item["task"]["url"]) == (number, f"{site.base}/job/job/")
    assert item["actions"][0]["parameters"][0]["value"] == "1"
    assert site.json("/job/job/api/json?tree=queueItem[id],inQueue,nextBuildNumber")["queueItem"]["id"] == number


def test_40c_an_old_version_redirects_instead_of_saying_whether_it_cancelled(jenkins, http):
    for version, done, unknown in (("2.210", 302, 302), ("2.211", 204, 404)):
        site = http(jenkins({"version": version}, WAITING).url)
        assert cancel(site, site.trigger(A="1")) == done
        assert cancel(site, 999) == unknown


def test_disabling_a_job_cancels_what_waits(jenkins, http):
    server = jenkins(None, WAITING)
    site = http(server.url)
    number = site.trigger(A="1")
    assert site.post("/job/job/disable").status_code == 302
    assert item_of(site, number)["cancelled"] is True
    assert site.post("/job/job/buildWithParameters").status_code == 409


def test_35b_a_freestyle_build_waits_for_an_executor(jenkins, http):
    server = jenkins({"executors": 1}, {"name": "job", "kind": "freestyle", "parameters": ["A"], "concurrent": True})
    server.control.hold("job")
    site = http(server.url)
    site.trigger(A="1", delay="0sec")
    number = site.trigger(A="2", delay="0sec")
    item = item_of(site, number)
    assert (item["_class"], item["buildable"]) == ("hudson.model.Queue$BuildableItem", True)
    assert (item["why"], item["stuck"]) == ("Waiting for next available executor", False)
    server.control.advance(86_401)
    assert item_of(site, number)["stuck"] is True
    server.control.release("job")
    server.control.wait_builds("job", 2)


def test_a_pipeline_that_waits_for_an_agent_is_a_queue_item_of_its_own(jenkins, http):
    server = jenkins({"agents_offline": True})
    site = http(server.url)
    site.trigger(A="1")
    task = site.json("/queue/api/json")["items"][0]["task"]
    assert (task["_class"].rpartition("$")[2], task["name"]) == ("PlaceholderTask", "part of job #1")
    assert site.json("/job/job/1/api/json")["building"] is True
    server.control.set({"agents_offline": False})
    server.control.wait_builds("job", state="done")
    assert site.json("/queue/api/json")["items"] == []
