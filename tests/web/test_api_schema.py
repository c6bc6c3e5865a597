"""schemathesis sends what the API's document allows and what it forbids, over the real application and a real store.

No answer is an error of ours, and none is missing in the document: neither a status, nor a media type, nor a member.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from flask import Flask
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from redis import Redis
from schemathesis import GenerationMode
from schemathesis.core.failures import Failure, FailureGroup

from bot.core.access import Scope
from bot.core.model.pipeline import Outcome
from bot.store.tokens import Tokens
from bot.web.app import create_app
from config.configuration import Configuration
from config.settings import Settings
from tests.web.story import Story

#: How many requests each operation is sent, in each way.
EXAMPLES = {GenerationMode.POSITIVE: 4, GenerationMode.NEGATIVE: 2}
#: A stream does not end, so an answer of it cannot be looked at whole; tests/web/test_fact_stream.py reads it.
ENDLESS = "stream_facts"

schemathesis.openapi.format("one-line", st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1))
schemathesis.openapi.format("until", st.sampled_from(["90m", "2h", "3d", "16:00"]))


@pytest.fixture
def served(settings: Settings, configuration: Configuration, story: Story, redis: Redis) -> Iterator[Flask]:
    """The application over a board on which something is locked, waits, has failed and has ended.

    What is asked for is decided at once.
    """
    story.start()
    first = story.merge("S1", "a")
    story.pass_stages(first, 2)
    story.pass_stages(story.merge("S2", "a"), 2)
    story.build(first, Outcome.FAILURE)
    story.build(story.merge("S3", "a"), Outcome.FAILURE)
    yield create_app(settings, configuration, lambda _: story.turns())
    for token in Tokens(redis).all():
        Tokens(redis).revoke(token.id)


def names(story: Story) -> dict[str, Any]:
    """What there is, and what there is not, for the places in an address."""
    return {
        "pipeline": st.just(story.shape.name),
        "run": st.sampled_from(["S1.1", "S2.1", "S3.1", "S9.9"]),
        "service": st.sampled_from(["S1", "S2", "S9"]),
        "stage": st.sampled_from(["pre-production", "production", "nowhere"]),
    }


def prepare(case: Any, mode: GenerationMode, known: dict[str, str]) -> None:
    """Let a case be about what there is, where it may be, and wait for nothing."""
    if case.query and case.query.get("wait") in range(1, 6):
        case.query["wait"] = 0  # nothing is decided later than at once, so waiting shows nothing
    if mode is GenerationMode.POSITIVE:
        if isinstance(case.body, dict) and case.body.get("until"):
            case.body["until"] = "2h"  # what such a text may say is more than a schema can
        case.path_parameters.update((name, known[name]) for name in set(case.path_parameters) & set(known))


@pytest.mark.slow
@pytest.mark.timeout(360)  # a time-out in the middle of an example is reported as an unreliable assumption
@pytest.mark.parametrize(
    ("scope", "mode"),
    [*((scope, GenerationMode.POSITIVE) for scope in (None, *Scope)), (Scope.ADMIN, GenerationMode.NEGATIVE)],
    ids=lambda value: str(value).lower(),
)
def test_every_answer_is_one_that_the_document_has(
    served: Flask, story: Story, redis: Redis, scope: Scope | None, mode: GenerationMode
) -> None:
    headers = {"Accept-Encoding": "identity"}  # the client for WSGI unpacks nothing
    if scope is not None:
        text, _ = Tokens(redis).create("robot", scope, None, time.time())
        headers["Authorization"] = f"Bearer {text}"
    schema = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", served)
    known, failures = names(story), []
    found = [each.ok() for each in schema.get_all_operations()]
    for operation in found:
        if operation.definition.raw["operationId"] == ENDLESS:
            continue

        @examples(
            max_examples=EXAMPLES[mode],
            deadline=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
            derandomize=True,
            database=None,
        )
        @given(case=operation.as_strategy(generation_mode=mode), data=st.data())
        def send(case: Any, data: Any) -> None:
            prepare(case, mode, {name: data.draw(strategy) for name, strategy in known.items()})
            case.call_and_validate(headers=headers)

        try:
            send()
        except Unsatisfiable:  # what takes nothing cannot be sent anything wrong
            assert mode is GenerationMode.NEGATIVE, operation.label
        except (FailureGroup, ExceptionGroup, Failure) as failure:
            failures.append(f"{operation.label}: {failure} {getattr(failure, 'exceptions', '')}")
    assert not failures, "\n\n".join(failures)
