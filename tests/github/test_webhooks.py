"""What GitHub's deliveries mean, and that no delivery, however odd, upsets the translation."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.model.events import GroupFormed, Merged, PullClosed, PullLabelled, PullMoved
from bot.core.model.freezes import PullLabels
from bot.github import webhooks
from bot.github.webhooks import TargetBranch

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
    assert webhooks.target_branch("push", PUSH) == TargetBranch("shop/s1", "main")


def test_a_push_is_a_merge_with_what_came_before() -> None:
    [event] = webhooks.events("push", PUSH, "S1")
    assert event == Merged("S1", B, before=A, push_id=f"{A}..{B}@1700000000", title="Mend the till", author="dana")


def test_a_push_names_who_wrote_its_commits_once_each_and_no_bots() -> None:
    names = ["dana", "eve", "dana", "mender[bot]", ""]
    commits = [{"id": A, "author": {"username": name}} for name in names] + [{"id": A}, 7]
    [event] = webhooks.events("push", PUSH | {"commits": commits}, "S1")
    assert isinstance(event, Merged)
    assert event.authors == ("dana", "eve")  # the last commits first
    [event] = webhooks.events("push", PUSH | {"commits": [{"author": {"username": f"u{n}"}} for n in range(99)]}, "S1")
    assert isinstance(event, Merged)
    assert event.authors == tuple(f"u{n}" for n in range(98, 88, -1)), "of the last commits"


def test_a_branch_may_have_slashes_in_its_name() -> None:
    assert webhooks.target_branch("push", PUSH | {"ref": "refs/heads/release/2"}) == TargetBranch(
        "shop/s1", "release/2"
    )


def test_a_new_branch_has_nothing_before_it() -> None:
    [event] = webhooks.events("push", PUSH | {"before": "0" * 40}, "S1")
    assert isinstance(event, Merged)
    assert event.before is None


def test_a_merged_pull_request_is_a_merge_of_the_commit_that_landed() -> None:
    assert webhooks.target_branch("pull_request", CLOSED) == TargetBranch("shop/s1", "main")
    assert webhooks.events("pull_request", CLOSED, "S1") == [
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
    assert webhooks.target_branch(event, payload) is None


def test_a_title_is_one_printable_line_of_limited_length() -> None:
    hostile = "\x1b[31mred\u202e\n" + "x" * 500
    [event] = webhooks.events("push", PUSH | {"head_commit": {"message": hostile}}, "S1")
    assert isinstance(event, Merged)
    assert event.title.isprintable()
    assert len(event.title) <= webhooks.TITLE


def test_a_push_without_a_head_commit_is_still_a_merge() -> None:
    [event] = webhooks.events("push", PUSH | {"head_commit": None}, "S1")
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
    if webhooks.target_branch(event, payload) is not None:
        assert all(isinstance(e, Merged) for e in webhooks.events(event, payload, "S1"))


# -- pull requests that are verified ---------------------------------------------------------------------------

PULL = {
    "action": "opened",
    "repository": {"full_name": "shop/s1"},
    "pull_request": {
        "number": 12,
        "title": "Mend the till",
        "draft": False,
        "updated_at": "2026-03-01T10:00:00Z",
        "head": {"sha": B, "repo": {"id": 7}},
        "base": {"ref": "main", "repo": {"id": 7}},
    },
}
AT = 1_772_359_200.0


def pull(action: str = "opened", **changes: object) -> dict[str, object]:
    """A delivery about a pull request; `changes` are those of the pull request itself."""
    return PULL | {"action": action, "pull_request": PULL["pull_request"] | changes}  # type: ignore[operator]


@pytest.mark.parametrize("action", ["opened", "reopened", "ready_for_review"])
def test_a_pull_request_that_is_open_has_a_head(action: str) -> None:
    assert webhooks.target_branch("pull_request", pull(action)) == TargetBranch(
        "shop/s1", "main", verified=True, open=True
    )
    assert webhooks.events("pull_request", pull(action), "S1") == [PullMoved("S1", 12, B, at=AT)]


def test_a_push_to_a_pull_request_says_what_was_before() -> None:
    pushed = pull("synchronize") | {"before": A, "after": B}
    assert webhooks.events("pull_request", pushed, "S1") == [PullMoved("S1", 12, B, before=A, at=AT)]


def test_a_draft_is_one_whatever_else_is_said() -> None:
    assert webhooks.events("pull_request", pull(draft=True), "S1") == [PullMoved("S1", 12, B, at=AT, draft=True)]
    (event,) = webhooks.events("pull_request", pull("converted_to_draft"), "S1")
    assert event == PullMoved("S1", 12, B, at=AT, draft=True)
    assert webhooks.events("pull_request", pull("ready_for_review", draft=True), "S1") == [
        PullMoved("S1", 12, B, at=AT)
    ]


@pytest.mark.parametrize(
    "head",
    [
        {"sha": B, "repo": {"id": 8}},
        {"sha": B, "repo": None},
        {"sha": B},
        {"sha": B, "repo": {"id": "7"}},
        {"sha": B, "repo": {"id": True}},
    ],
)
def test_what_does_not_come_from_the_very_repository_comes_from_a_fork(head: dict[str, object]) -> None:
    (event,) = webhooks.events("pull_request", pull(head=head), "S1")
    assert event == PullMoved("S1", 12, B, at=AT, fork=True)


def test_where_the_base_is_not_known_the_head_comes_from_a_fork() -> None:
    (event,) = webhooks.events(
        "pull_request", pull(base={"ref": "main", "repo": None}, head={"sha": B, "repo": None}), "S1"
    )
    assert event == PullMoved("S1", 12, B, at=AT, fork=True)


@pytest.mark.parametrize("at", [None, 1, "", "yesterday", "2026-03-01T10:00:00", "9" * 400])
def test_a_time_that_is_none_is_not_known(at: object) -> None:
    assert webhooks.events("pull_request", pull(updated_at=at), "S1") == [PullMoved("S1", 12, B)]


def test_a_merged_pull_request_is_a_merge_and_is_closed() -> None:
    merged = pull("closed", merged=True, merge_commit_sha=A, user={"login": "dana"})
    assert webhooks.target_branch("pull_request", merged) == TargetBranch("shop/s1", "main")
    assert webhooks.events("pull_request", merged, "S1") == [
        Merged("S1", A, pull=12, title="Mend the till", author="dana"),
        PullClosed("S1", 12, B, at=AT),
    ]


def test_one_that_is_closed_without_a_merge_is_only_closed() -> None:
    closed = pull("closed", merged=False, merge_commit_sha=None)
    assert webhooks.target_branch("pull_request", closed) == TargetBranch("shop/s1", "main", verified=True)
    assert webhooks.events("pull_request", closed, "S1") == [PullClosed("S1", 12, B, at=AT)]


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(pull("edited"), id="another action"),
        pytest.param(pull("labeled"), id="a label"),
        pytest.param(pull(number=None), id="no number"),
        pytest.param(pull(number=0), id="number 0"),
        pytest.param(pull(number=True), id="a number that is none"),
        pytest.param(pull(head=None), id="no head"),
        pytest.param(pull(head={"sha": "$(reboot)", "repo": {"id": 7}}), id="a sha that is none"),
        pytest.param(pull(head={"sha": B.upper(), "repo": {"id": 7}}), id="a sha in capitals"),
        pytest.param(pull(base=None), id="no base"),
        pytest.param(PULL | {"repository": None}, id="no repository"),
        pytest.param(PULL | {"pull_request": None}, id="no pull request"),
    ],
)
def test_what_says_no_head_of_a_pull_request_moves_nothing(payload: dict[str, object]) -> None:
    assert webhooks.target_branch("pull_request", payload) is None


@given(
    action=st.sampled_from(["opened", "synchronize", "closed"]),
    key=st.sampled_from(["number", "draft", "updated_at", "head", "base", "merged", "merge_commit_sha"]),
    value=JSON,
)
def test_a_field_of_a_pull_request_may_be_anything(action: str, key: str, value: object) -> None:
    payload = pull(action, **{key: value})
    if webhooks.target_branch("pull_request", payload) is not None:
        for event in webhooks.events("pull_request", payload, "S1"):
            assert isinstance(event, PullMoved | PullClosed)
            assert (event.pull > 0, len(event.sha)) == (True, 40)


def group(**changes: object) -> dict[str, object]:
    inside = {"base_ref": "refs/heads/main", "head_sha": B, "head_ref": "refs/heads/gh-readonly-queue/main/pr-1"}
    return {"action": "checks_requested", "merge_group": inside, "repository": {"full_name": "shop/s1"}, **changes}


def test_a_merge_group_asks_for_the_status_of_its_own_commit() -> None:
    assert webhooks.target_branch("merge_group", group()) == webhooks.TargetBranch("shop/s1", "main", verified=True)
    assert webhooks.events("merge_group", group(), "S1") == [GroupFormed("S1", B)]


@pytest.mark.parametrize(
    "changes",
    [{"action": "destroyed"}, {"merge_group": None}, {"merge_group": {"base_ref": "refs/heads/main"}}],
)
def test_a_merge_group_that_asks_for_nothing_is_nothing(changes: dict[str, object]) -> None:
    assert webhooks.target_branch("merge_group", group(**changes)) is None


# -- pull requests that are sent to another branch -------------------------------------------------------------


def turned(to: str = "main", before: object = "release/2") -> dict[str, object]:
    base = {"ref": to, "repo": {"id": 7}}
    return pull("edited", base=base) | {"changes": {"base": {"ref": {"from": before}, "sha": {"from": A}}}}


def test_a_pull_request_that_is_sent_to_another_branch_is_open_there_and_closed_where_it_was() -> None:
    there = TargetBranch("shop/s1", "main", verified=True, open=True)
    here = TargetBranch("shop/s1", "release/2", verified=True, left=True)
    assert webhooks.target_branches("pull_request", turned()) == [there, here]
    assert webhooks.events("pull_request", turned(), "S1") == [PullMoved("S1", 12, B, at=AT)]
    assert webhooks.events("pull_request", turned(), "S2", left=True) == [PullClosed("S2", 12, B, AT, elsewhere=True)]


@pytest.mark.parametrize("before", ["main", "", None, 7, ["main"]])
def test_what_leaves_the_branch_as_it_was_moves_nothing(before: object) -> None:
    assert webhooks.target_branches("pull_request", turned(before=before)) == []


@given(changes=JSON)
def test_what_was_changed_of_a_pull_request_may_be_anything(changes: object) -> None:
    assert webhooks.target_branches("pull_request", pull("edited") | {"changes": changes}) == []


# -- labels ----------------------------------------------------------------------------------------------------


def test_the_labels_of_a_merged_pull_request_are_told_when_they_change() -> None:
    for action in ("labeled", "unlabeled"):
        labelled = pull(action, merged=True, labels=[{"name": "hotfix"}, {"name": " "}, 7])
        assert webhooks.target_branch("pull_request", labelled) == TargetBranch("shop/s1", "main")
        assert webhooks.events("pull_request", labelled, "S1") == [PullLabelled("S1", PullLabels(12, ("hotfix",), AT))]


def test_the_labels_of_an_open_pull_request_are_no_news_before_its_merge() -> None:
    assert webhooks.target_branches("pull_request", pull("labeled", merged=False, labels=[{"name": "hotfix"}])) == []


def test_of_many_labels_some_are_kept_and_of_a_long_name_the_beginning() -> None:
    many = pull("labeled", merged=True, labels=[{"name": f"{n}{'x' * 90}"} for n in range(200)])
    (event,) = webhooks.events("pull_request", many, "S1")
    assert isinstance(event, PullLabelled)
    assert (len(event.labels.names), {len(name) for name in event.labels.names}) == (20, {50})
