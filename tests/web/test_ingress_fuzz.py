"""Whatever is signed and sent, the door answers properly."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tests.web.conftest import Send, json_values, merged_pull, push
from tests.web.story import Story

fields = st.sampled_from(
    ["ref", "before", "after", "deleted", "repository", "head_commit", "action", "pull_request", "pusher"]
)


@pytest.mark.slow
@given(
    event=st.sampled_from(["push", "pull_request", "ping", "issues"]),
    changes=st.dictionaries(fields, json_values, max_size=5),
    whole=st.booleans(),
)
@hypothesis_settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_signed_object_makes_the_door_fail(
    send: Send, story: Story, event: str, changes: dict[str, Any], whole: bool
) -> None:
    body = {**push(story), **merged_pull(story), **changes} if whole else changes
    answer = send(json.dumps(body).encode(), event, X_GitHub_Delivery=uuid.uuid4().hex)
    assert answer.status_code in (200, 202, 400)
