"""What a request may hold: each mistake is said, and nothing that is sent makes the API fail."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tests.web.asked import ACTIONS, AUTH, WHY, Api
from tests.web.conftest import json_values
from tests.web.story import Story

SOON = (datetime.now(UTC) + timedelta(hours=1)).replace(microsecond=0)


@pytest.mark.parametrize(
    "until",
    [SOON.isoformat(), SOON.strftime("%Y-%m-%dT%H:%M:%SZ"), "90m", "3d", None],
    ids=["with an offset", "with a Z", "minutes", "days", "none"],  # never the time: every process must name it alike
)
def test_a_lock_may_end_by_itself(api: Api, story: Story, until: str | None) -> None:
    story.start()
    assert api.post("/stages/production/lock", {**WHY, "until": until}).status_code == 202


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/stages/production/lock", {}, "reason"),
        ("/stages/production/lock", {"reason": "  "}, "reason"),
        ("/stages/production/lock", {"reason": 1}, "reason"),
        ("/stages/production/lock", {"reason": "a\nb"}, "reason"),
        ("/stages/production/lock", {"reason": "x" * 501}, "reason"),
        ("/stages/production/lock", {**WHY, "let_fixes_in": "yes"}, "let_fixes_in"),
        ("/stages/production/lock", {**WHY, "until": "2020-01-01T00:00:00Z"}, "until"),
        ("/stages/production/lock", {**WHY, "until": "2100-01-01T00:00:00Z"}, "until"),
        ("/stages/production/lock", {**WHY, "dry_run": "yes"}, "dry_run"),
        ("/stages/production/lock", {**WHY, "until": "soon"}, "until"),
        ("/stages/production/lock", {**WHY, "until": 5}, "until"),
        ("/stages/production/lock", {**WHY, "untill": "2h"}, "untill"),
        ("/mode", {**WHY, "mode": "stop"}, "mode"),
        ("/mode", WHY, "mode"),
        ("/dead-letters/retry", WHY, "slot"),
    ],
)
def test_a_wrong_body_is_refused_with_each_mistake(
    api: Api, story: Story, path: str, body: dict[str, Any], field: str
) -> None:
    answer = api.post(path, body)
    assert answer.status_code == 422
    assert [mistake["field"] for mistake in answer.json["errors"]] == [field]
    assert story.waiting() == 0


@pytest.mark.parametrize("raw", [b"[]", b"null", b"{", b"\xff", b"[" * 50_000])
def test_a_body_that_is_no_object_is_refused(client: FlaskClient, api: Api, raw: bytes) -> None:
    assert (
        client.post(f"{api.base}/mode", data=raw, headers={**AUTH, "Content-Type": "application/json"}).status_code
        == 400
    )


@given(
    path=st.sampled_from(ACTIONS),
    body=st.dictionaries(
        st.sampled_from(["reason", "until", "lock", "stage", "mode", "slot"]), json_values, max_size=4
    ),
)
@hypothesis_settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_body_makes_the_api_fail(api: Api, path: str, body: dict[str, Any]) -> None:
    assert api.post(path, body).status_code < 500


@pytest.mark.parametrize("name", ["%00", "%ff", "%F0%9F%92%A5", "x" * 3_000, "..", "%2e%2e%2f", "{", "'"])
def test_no_name_makes_the_api_fail(client: FlaskClient, api: Api, name: str) -> None:
    for path in (f"/runs/{name}", f"/facts?before={name}", f"/why?q={name}", f"/requests/{name}"):
        assert api.get(path).status_code in (400, 404)
    for path in (f"/runs/{name}/retry", f"/stages/{name}/lock", f"/services/{name}/fast-lane"):
        assert api.post(path).status_code == 404
    for path in (f"/p/{name}", f"/p/{name}/live", f"/api/v1/pipelines/{name}/facts"):
        assert client.get(path).status_code == 404


def test_a_body_that_is_too_large_is_refused(client: FlaskClient, api: Api) -> None:
    assert client.post(f"{api.base}/mode", data=b" " * 70_000, headers=AUTH).status_code == 413
