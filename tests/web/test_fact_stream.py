"""The stream of decisions: a program that connects again goes on where it was, whatever happened in between."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from flask import Flask
from flask.testing import FlaskClient
from httpx_sse import ServerSentEvent, connect_sse
from redis import Redis

from bot.core.model.pipeline import Outcome
from bot.web.fact_stream import MOST_FROM_ONE_ADDRESS, events
from tests.web.serving import free_port, start
from tests.web.story import Story


@pytest.fixture
def told(story: Story) -> Story:
    """A run has failed in pre-production, and another waits behind its lock."""
    story.start()
    first = story.merge("S1", "a")
    story.pass_stages(first, 2)
    story.pass_stages(story.merge("S2", "a"), 2)
    story.build(first, Outcome.FAILURE)
    return story


def ids(story: Story) -> list[str]:
    """The ids of all facts that are kept, the oldest first."""
    return [identity for identity, _ in story.context.records.facts_after("0-0")]


def read(story: Story, after: str, count: int, **more: Any) -> list[dict[str, Any]]:
    """The first events after the first sign of life, as a parser that is not ours would see them."""
    found: list[dict[str, Any]] = []
    with closing(events(story.context, more.pop("wanted", lambda _: True), after, None, **more)) as pieces:
        next(pieces)
        for piece in pieces:
            found += [parsed(block) for block in piece.decode().split("\n\n") if block]
            if len(found) >= count:
                break
    return found[:count]


def parsed(block: str) -> dict[str, Any]:
    fields = dict(line.split(": ", 1) for line in block.splitlines())
    return {"event": fields["event"], "id": fields["id"], **json.loads(fields["data"])}


def test_all_facts_that_are_kept_come_in_order(told: Story) -> None:
    known = ids(told)
    assert [each["id"] for each in read(told, "0-0", len(known))] == known


def test_only_what_is_new_comes_after_the_last_id(told: Story) -> None:
    known = ids(told)
    found = read(told, known[4], len(known) - 5, known=True)
    assert [each["id"] for each in found] == known[5:]


def test_only_the_kinds_that_are_asked_for_come(client: FlaskClient, told: Story) -> None:
    base = f"/api/v1/pipelines/{told.shape.name}/events"
    query = {"kind": ["stage-locked", "build-failed"], "service": "S1", "after": "0-0"}
    with closing(client.get(base, query_string=query)) as answer:
        pieces = answer.iter_encoded()
        next(pieces)
        blocks = next(pieces).decode().split("\n\n")
    assert [parsed(block)["kind"] for block in blocks if block] == ["build-failed", "stage-locked"]


def test_a_sign_of_life_says_how_far_the_log_was_read_though_nothing_fits(told: Story) -> None:
    (beat,) = read(told, "0-0", 1, wanted=lambda _: False, beat=0.0)
    assert (beat["event"], beat["id"]) == ("beat", ids(told)[-1])


def test_what_is_not_kept_any_more_is_announced(told: Story, redis: Redis) -> None:
    known = ids(told)
    redis.xtrim(told.keys.facts, maxlen=3, approximate=False)
    gap, *rest = read(told, known[0], 4, known=True)
    assert (gap["event"], gap["after"]) == ("gap", known[0])
    assert [each["id"] for each in rest] == known[-3:]


def test_facts_that_the_store_has_lost_are_announced(told: Story) -> None:
    known = ids(told)
    (gap,) = read(told, "99999999999999-0", 1, known=True)
    assert (gap["event"], gap["id"], gap["after"]) == ("gap", known[-1], "99999999999999-0")


def test_no_gap_is_announced_where_the_last_id_is_the_newest(told: Story) -> None:
    (beat,) = read(told, ids(told)[-1], 1, known=True, beat=0.0)
    assert beat["event"] == "beat"


@pytest.mark.parametrize(
    ("query", "headers"), [("after=x", {}), ("", {"Last-Event-ID": "yesterday"}), ("kind=locked", {}), ("stat=x", {})]
)
def test_what_cannot_be_is_refused(client: FlaskClient, told: Story, query: str, headers: dict[str, str]) -> None:
    answer = client.get(f"/api/v1/pipelines/{told.shape.name}/events?{query}", headers=headers)
    assert (answer.status_code, answer.mimetype) == (400, "application/problem+json")


def test_one_address_has_a_bounded_number_of_streams(app: Flask, told: Story) -> None:
    client, path = app.test_client(), f"/api/v1/pipelines/{told.shape.name}/events"
    opened = [client.get(path) for _ in range(MOST_FROM_ONE_ADDRESS)]
    refused = client.get(path)
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "5")
    assert "too many streams" in refused.json["detail"]
    for each in opened:
        each.close()
    with closing(client.get(path)) as again:
        assert again.status_code == 200


def listen(address: str, story: Story, last: str) -> Iterator[ServerSentEvent]:
    """The events as `httpx-sse` reads them, until the connection ends."""
    headers = {"Last-Event-ID": last, "Accept-Encoding": "identity"}
    with (
        httpx.Client(timeout=30) as client,
        connect_sse(client, "GET", f"{address}/api/v1/pipelines/{story.shape.name}/events", headers=headers) as source,
    ):
        try:
            yield from source.iter_sse()
        except httpx.TransportError:
            return


@pytest.mark.slow
def test_a_killed_web_process_loses_no_event_and_doubles_none(told: Story, redis_url: str, tmp_path: Path) -> None:
    """Each round kills the process with SIGKILL while a client reads, and decides more before it is there again."""
    port, last = free_port(), "0-0"
    got: list[str] = []
    for letter in ("b", "c"):
        process, address = start(told.shape, redis_url, tmp_path, port=port)
        before = len(got)
        try:
            for event in listen(address, told, last):
                last = event.id or last
                if event.event == "fact":
                    got.append(event.id)
                assert event.event != "gap"
                if len(got) > before and process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        told.merge("S3", letter)
    process, address = start(told.shape, redis_url, tmp_path, port=port)
    try:
        for event in listen(address, told, last):
            got += [event.id] if event.event == "fact" else []
            if got[-1] == ids(told)[-1]:
                break
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert got == ids(told)
