"""The banner: items 51 to 54 of the Jenkins checklist."""

from __future__ import annotations

BANNER = "🔒 <b>locked</b> & why"


def test_51_a_description_is_kept_raw_and_escaped_on_the_page(jenkins, http):
    site = http(jenkins().url)
    assert site.get("/job/job/description").text == ""
    assert site.post("/job/job/description", data={"description": BANNER}).status_code == 204
    shown = site.get("/job/job/description")
    assert (shown.content.decode(), shown.headers["Content-Type"]) == (BANNER, "text/plain;charset=UTF-8")
    assert site.json("/job/job/api/json")["description"] == BANNER
    assert "&lt;b&gt;locked&lt;/b&gt; &amp; why" in site.get("/job/job/").text


def test_51b_another_markup_formatter_shows_it_as_it_is(jenkins, http):
    site = http(jenkins({"markup": "html"}).url)
    site.post("/job/job/description", params={"description": BANNER})
    assert BANNER in site.get("/job/job/").content.decode()
    assert site.json("/job/job/api/json")["description"] == BANNER


def test_52_what_a_missing_field_does(jenkins, http):
    server = jenkins()
    site = http(server.url)
    site.post("/job/job/description", data={"description": "old"})
    assert site.post("/job/job/description").status_code == 400
    assert site("PUT", "/job/job/description").status_code == 400
    assert server.control.description("job") == "old"
    reply = site.post("/job/job/submitDescription")
    assert (reply.status_code, reply.headers["Location"]) == (302, f"{server.url}/job/job/")
    assert site.json("/job/job/api/json")["description"] is None


def test_53_who_may_not_configure_changes_nothing(jenkins, http):
    users = {"bot": {"tokens": ["t"], "permissions": ["Overall/Read", "Item/Read", "Item/Build"]}}
    server = jenkins({"users": users})
    site = http(server.url, ("bot", "t"))
    assert site.post("/job/job/description", data={"description": "x"}).status_code == 403
    assert site.post("/job/job/submitDescription", data={"description": "x"}).status_code == 403
    assert server.control.description("job") is None
    assert site.get("/job/job/submitDescription").status_code == 405


def test_53b_a_post_without_the_field_tells_whether_one_may_configure(jenkins, http):
    """The permission is looked at first (Job#doDescription): 403 for who may not, 400 for who may."""
    may = ["Overall/Read", "Item/Read"]
    users = {
        "a": {"tokens": ["t"], "permissions": may},
        "b": {"tokens": ["t"], "permissions": [*may, "Item/Configure"]},
    }
    server = jenkins({"users": users}, {"name": "job", "description": "old"})
    assert [http(server.url, (who, "t")).post("/job/job/description").status_code for who in "ab"] == [403, 400]
    assert server.control.description("job") == "old"


def test_54_a_new_run_of_the_configuration_overwrites_the_banner(jenkins, http):
    server = jenkins(None, {"name": "job", "description": "declared"})
    http(server.url).post("/job/job/description", data={"description": BANNER})
    server.control.reapply_config("job")
    assert server.control.description("job") == "declared"


def test_a_folder_takes_submit_description_only(jenkins, http):
    server = jenkins(None, {"name": "team/job"})
    site = http(server.url)
    assert site.post("/job/team/description", data={"description": "x"}).status_code == 404
    assert site.post("/job/team/submitDescription", data={"description": "x"}).status_code == 302
    assert site.json("/job/team/api/json")["description"] == "x"
