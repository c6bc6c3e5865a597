"""Answers are small on the wire, and who asks again is told that nothing has changed."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Generator

import pytest
from flask.testing import FlaskClient

from bot.web import compression
from tests.web.story import Story

GZIP = {"Accept-Encoding": "gzip, deflate, br"}


@pytest.mark.parametrize("path", ["/p/{}", "/p/{}/runs", "/api/v1/pipelines/{}", "/static/page.css", "/static/live.js"])
def test_what_is_answered_is_compressed_and_the_same(client: FlaskClient, story: Story, path: str) -> None:
    story.start()
    address = path.format(story.shape.name)
    plain, packed = client.get(address), client.get(address, headers=GZIP)
    assert (packed.headers["Content-Encoding"], "Content-Encoding" in plain.headers) == ("gzip", False)
    assert "Accept-Encoding" in packed.headers["Vary"]
    assert "Accept-Encoding" in plain.headers["Vary"]
    assert int(packed.headers["Content-Length"]) == len(packed.data) < len(plain.data)
    if "pipelines" not in path and path != "/p/{}":  # those say what time it is
        assert gzip.decompress(packed.data) == plain.data


@pytest.mark.parametrize("accepted", ["", "br", "gzip;q=0", "identity"])
def test_nobody_is_sent_what_they_do_not_take(client: FlaskClient, story: Story, accepted: str) -> None:
    story.start()
    answer = client.get(f"/p/{story.shape.name}/runs", headers={"Accept-Encoding": accepted})
    assert "Content-Encoding" not in answer.headers
    assert "<!doctype html>" in answer.text


def test_a_small_answer_stays_as_it_is(client: FlaskClient) -> None:
    assert "Content-Encoding" not in client.get("/healthz", headers=GZIP).headers


def test_who_has_the_latest_is_told_so_in_a_few_bytes(client: FlaskClient, story: Story) -> None:
    story.start()
    address = f"/p/{story.shape.name}/runs"
    tag = client.get(address, headers=GZIP).headers["ETag"]
    again = client.get(address, headers={**GZIP, "If-None-Match": tag})
    assert (again.status_code, again.data) == (304, b"")
    story.merge("S1", "a")
    assert client.get(address, headers={**GZIP, "If-None-Match": tag}).status_code == 200


def test_an_error_is_left_alone(client: FlaskClient, story: Story) -> None:
    answer = client.get("/p/nowhere", headers=GZIP)
    assert (answer.status_code, "ETag" in answer.headers) == (404, False)


def test_each_piece_of_a_stream_can_be_read_when_it_comes() -> None:
    pieces = [b"retry: 2000\n\n", b"event: board\n" + b"data: x\n" * 5_000 + b"\n", b"event: beat\ndata: \n\n"]
    closed = []

    def told() -> Generator[bytes, None, None]:
        try:
            yield from pieces
            yield b"never read"
        finally:
            closed.append(True)

    reader = zlib.decompressobj(zlib.MAX_WBITS | 16)
    stream = compression.stream(told())
    assert reader.decompress(next(stream)) == b""
    assert [reader.decompress(next(stream)) for _ in pieces] == pieces
    stream.close()  # type: ignore[attr-defined]  # it is a generator
    assert closed == [True]


def test_the_live_stream_is_compressed(client: FlaskClient, story: Story) -> None:
    story.start()
    answer = client.get(f"/p/{story.shape.name}/live", headers=GZIP, buffered=False)
    assert answer.headers["Content-Encoding"] == "gzip"
    reader = zlib.decompressobj(zlib.MAX_WBITS | 16)
    read = b""
    for piece in answer.response:
        read += reader.decompress(piece)
        if b"event: board" in read:
            break
    answer.close()
    assert read.startswith(b"retry: ")
