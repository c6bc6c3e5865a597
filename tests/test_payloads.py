"""Bytes from strangers: a JSON object comes out, or a sentence that says what is wrong."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.payloads import DEEPEST, Unreadable, at, flag, number, read_object, text


def test_an_object_is_read() -> None:
    assert read_object(b'{"a": {"b": 1}}') == {"a": {"b": 1}}


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"null", "expected a JSON object, found NoneType"),
        (b"[]", "expected a JSON object, found list"),
        (b'{"a": NaN}', "NaN is not JSON"),
        ('{"a": 1}'.encode("utf-16"), "not UTF-8"),
        (b'{"a": ' + b"9" * 5000 + b"}", "not JSON"),
        (b"[" * 100_000, "nested deeper"),
        (b'{"a": [' + b"[]," * 250_000 + b"[]]}", "more than 200,000 objects and lists"),
        (b'{"a":' * 70 + b"1" + b"}" * 70, "nested deeper"),
    ],
)
def test_what_is_no_object_is_refused_with_the_reason(body: bytes, says: str) -> None:
    with pytest.raises(Unreadable, match=says):
        read_object(body)


def test_twenty_megabytes_of_brackets_are_refused_without_being_parsed() -> None:
    """Counting them takes 0.05 s; adding up their depth took 0.7 s, and parsing them a gigabyte."""
    for body in (b"[" * 20_000_000, b"[]," * 7_000_000, b'{"a":' * 4_000_000):
        began = time.process_time()
        with pytest.raises(Unreadable):
            read_object(body)
        assert time.process_time() - began < 0.3


def test_half_a_character_is_replaced_and_whole_ones_stay() -> None:
    body = rb'{"\udc00": ["a\ud83d", "\ud83d\ude00", "\\ud83d", {"b": "\uDFFF\uD800"}], "n": 1}'
    assert read_object(body) == {"\ufffd": ["a\ufffd", "\U0001f600", "\\ud83d", {"b": "\ufffd\ufffd"}], "n": 1}


def test_nesting_up_to_the_limit_is_read() -> None:
    levels = DEEPEST
    assert read_object(b'{"a":' * levels + b"1" + b"}" * levels)


@given(st.binary(max_size=200))
def test_any_bytes_are_an_object_or_unreadable(body: bytes) -> None:
    try:
        assert isinstance(read_object(body), dict)
    except Unreadable as error:
        assert str(error)


def test_fields_of_another_kind_count_as_missing() -> None:
    value = {"a": {"b": 3}, "c": True, "d": "x"}
    assert (text(value, "a", "b"), number(value, "a", "b"), number(value, "c")) == ("", 3, None)
    assert (flag(value, "c"), flag(value, "d"), at(value, "d", "e")) == (True, False, None)
