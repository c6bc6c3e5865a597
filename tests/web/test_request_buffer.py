"""The collecting of one request: it ends where HTTP says that it ends, and whatever makes no sense ends the waiting."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.web.request_buffer import LONGEST_HEAD, Progress, RequestBuffer

MOST = 1_000


def limit(method: str, path: str, headers: Mapping[str, str]) -> int:
    """Bodies are welcome at one path, from those who say so."""
    return MOST if (method, path) == ("POST", "/here") and headers.get("x-welcome") == "yes" else 0


def request(*headers: str, body: bytes = b"", target: str = "/here") -> bytes:
    return "\r\n".join([f"POST {target} HTTP/1.1", "X-Welcome: yes", *headers, "", ""]).encode() + body


SIZED = request("Content-Length: 5", body=b"12345")
CHUNKED = request("Transfer-Encoding: chunked", body=b"3;x=y\r\nabc\r\n0A\r\n0123456789\r\n0\r\nTrailer: t\r\n\r\n")
PLAIN = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


def progress_of(data: bytes) -> Progress:
    return RequestBuffer(limit).feed(data)


@given(whole=st.sampled_from([SIZED, CHUNKED, PLAIN]), cuts=st.lists(st.integers(1, 30), max_size=40))
def test_a_request_is_whole_at_its_last_byte_however_it_is_cut(whole: bytes, cuts: list[int]) -> None:
    buffer, at = RequestBuffer(limit), 0
    for size in cuts:
        end = min(at + size, len(whole) - 1)
        if end > at:
            assert buffer.feed(whole[at:end]) is Progress.MORE
            at = end
    assert buffer.feed(whole[at:]) is Progress.WHOLE
    assert bytes(buffer.data) == whole


@pytest.mark.parametrize("first", [SIZED, CHUNKED, PLAIN])
def test_what_follows_a_request_is_kept(first: bytes) -> None:
    buffer = RequestBuffer(limit)
    assert buffer.feed(first + b"GET /next") is Progress.WHOLE
    assert bytes(buffer.data) == first + b"GET /next"


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(request("Content-Length: 5", target="/there"), id="a body that is not welcome"),
        pytest.param(request("Content-Length: 5").replace(b"yes", b"no"), id="without what makes it welcome"),
        pytest.param(request(f"Content-Length: {MOST + 1}"), id="a body that is too large"),
        pytest.param(request("Content-Length: -1"), id="no length"),
        pytest.param(request("Content-Length: 9" + "9" * 30), id="an endless length"),
        pytest.param(request("Content-Length: 5", "Transfer-Encoding: chunked"), id="two framings"),
        pytest.param(request("Content-Length: 5", "Content-Length: 6"), id="two lengths"),
        pytest.param(request("Transfer-Encoding: gzip, chunked"), id="another coding"),
        pytest.param(request("Transfer-Encoding: chunked", body=b"zz\r\n"), id="no size of a chunk"),
        pytest.param(request("Transfer-Encoding: chunked", body=b"-1\r\n"), id="a negative chunk"),
        pytest.param(request("Transfer-Encoding: chunked", body=b"fffffffffffffff\r\n"), id="a huge chunk"),
        pytest.param(request("Transfer-Encoding: chunked", body=b"1" * 5_000), id="an endless size"),
        pytest.param(request("Transfer-Encoding: chunked", body=b"0\r\n" + b"a: b\r\n" * 2_000), id="endless trailers"),
        pytest.param(request("Transfer-Encoding: chunked", body=b"1f4\r\n" + b"x" * 500 + b"\r\n1f5\r\n"), id="much"),
    ],
)
def test_what_is_not_waited_for_is_cut(data: bytes) -> None:
    assert progress_of(data) is Progress.CUT


def test_a_head_without_end_is_noticed() -> None:
    assert progress_of(b"GET / HTTP/1.1\r\nX: " + b"x" * LONGEST_HEAD) is Progress.ENDLESS


def test_an_address_in_full_and_percent_signs_name_the_same_path() -> None:
    for target in ("http://interlock.example.com/here", "/h%65re", "/here?x=y"):
        assert progress_of(request("Content-Length: 5", target=target)) is Progress.MORE


def test_who_waits_to_be_told_to_continue_is_noticed() -> None:
    buffer = RequestBuffer(limit)
    buffer.feed(request("Content-Length: 5", "Expect: 100-Continue"))
    assert buffer.awaits_continue


@given(st.binary(max_size=200), st.sampled_from([b"", PLAIN[:-2], CHUNKED[:90], SIZED[:-3]]))
def test_no_bytes_make_it_fail(data: bytes, start: bytes) -> None:
    buffer = RequestBuffer(limit)
    if buffer.feed(start) is Progress.MORE:
        buffer.feed(data)
