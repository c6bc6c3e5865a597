"""What GitHub's deliveries mean, and that no delivery, however odd, upsets the translation."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.events import Merged
from bot.translate import github
from bot.translate.github import Target

A, B = "a" * 40, "b" * 40
PUSH = {
    "ref": "refs/heads/main",
    "before": A,
    "after": B,
    "forced": False,
    "deleted": False,
    "repository": {"id": 7, "full_name": "shop/s1", "pushed_at": 1_700_000_000},
    "head_commit": {"message": "Mend the till\n\nIt rang twice.", "author": {"username": "dana"}},
}
CLOSED = {
    "action": "closed",
    "repository": {"full_name": "shop/s1"},
    "pull_request": {
        "number": 12,
        "merged": True,
        "merge_commit_sha": B,
        "title": "Mend the till",
        "base": {"ref": "main"},
        "user": {"login": "dana"},
    },
}


def test_a_push_moves_the_branch_it_names() -> None:
    assert github.target("push", PUSH) == Target("shop/s1", "main")


def test_a_push_is_a_merge_with_what_came_before() -> None:
    [event] = github.events("push", PUSH, "S1")
    assert event == Merged("S1", B, before=A, push_id=f"{A}..{B}@1700000000", title="Mend the till", author="dana")


def test_a_branch_may_have_slashes_in_its_name() -> None:
    assert github.target("push", PUSH | {"ref": "refs/heads/release/2"}) == Target("shop/s1", "release/2")


def test_a_new_branch_has_nothing_before_it() -> None:
    [event] = github.events("push", PUSH | {"before": "0" * 40}, "S1")
    assert isinstance(event, Merged)
    assert event.before is None


def test_a_merged_pull_request_is_a_merge_of_the_commit_that_landed() -> None:
    assert github.target("pull_request", CLOSED) == Target("shop/s1", "main")
    assert github.events("pull_request", CLOSED, "S1") == [
        Merged("S1", B, pull=12, title="Mend the till", author="dana")
    ]


@pytest.mark.parametrize(
    ("event", "payload"),
    [
        pytest.param("push", PUSH | {"ref": "refs/tags/v1"}, id="a tag"),
        pytest.param("push", PUSH | {"deleted": True, "after": "0" * 40}, id="a deleted branch"),
        pytest.param("push", PUSH | {"after": "0" * 40}, id="a push to nothing"),
        pytest.param("push", PUSH | {"after": "main; rm -rf /"}, id="a sha that is none"),
        pytest.param("push", PUSH | {"after": B.upper()}, id="a sha in capitals"),
        pytest.param("push", PUSH | {"repository": None}, id="no repository"),
        pytest.param("pull_request", CLOSED | {"action": "opened"}, id="an opened pull request"),
        pytest.param("pull_request", CLOSED | {"pull_request": None}, id="no pull request"),
        pytest.param(
            "pull_request",
            CLOSED | {"pull_request": {**CLOSED["pull_request"], "merged": False}},
            id="an abandoned one",
        ),
        pytest.param("star", PUSH, id="an event of another kind"),
    ],
)
def test_what_moves_no_main_branch_is_nothing(event: str, payload: dict[str, object]) -> None:
    assert github.target(event, payload) is None


def test_a_title_is_one_printable_line_of_limited_length() -> None:
    hostile = "\x1b[31mred\u202e\n" + "x" * 500
    [event] = github.events("push", PUSH | {"head_commit": {"message": hostile}}, "S1")
    assert isinstance(event, Merged)
    assert event.title.isprintable()
    assert len(event.title) <= github.TITLE


def test_a_push_without_a_head_commit_is_still_a_merge() -> None:
    [event] = github.events("push", PUSH | {"head_commit": None}, "S1")
    assert isinstance(event, Merged)
    assert event.sha == B


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(event=st.sampled_from(["push", "pull_request"]), key=st.sampled_from(sorted(PUSH) + sorted(CLOSED)), value=JSON)
def test_a_field_may_be_anything(event: str, key: str, value: object) -> None:
    payload = (PUSH if event == "push" else CLOSED) | {key: value}
    if github.target(event, payload) is not None:
        assert all(isinstance(e, Merged) for e in github.events(event, payload, "S1"))
