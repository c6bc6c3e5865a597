"""What counts as a command in a comment or on a button: little, exactly, and never what GitHub shows as a quote."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.model.events import Command, CommandSaid
from bot.github import webhooks
from bot.github.webhooks import MOST, RERUN, VERBS, parse

SHA = "a" * 40
AT = 1_700_000_000


def comment(body: str = "/interlock retry", **changes: Any) -> dict[str, Any]:
    """A comment on pull request 12 as GitHub tells it, as far as it is used."""
    dana = {"login": "dana", "type": "User"}
    return {
        "action": "created",
        "issue": {"number": 12, "pull_request": {"url": "https://api.github.com/repos/shop/s1/pulls/12"}},
        "comment": {"id": 4711, "body": body, "user": dana, "created_at": "2023-11-14T22:13:20Z"},
        "repository": {"id": 7, "full_name": "shop/s1"},
        "sender": dana,
        **changes,
    }


def pressed(**changes: Any) -> dict[str, Any]:
    """A button of a check run."""
    run = {"id": 99, "head_sha": SHA, "external_id": "S1.3", "pull_requests": [{"number": 12}]}
    return {
        "action": "requested_action",
        "requested_action": {"identifier": "retry"},
        "check_run": run,
        "repository": {"id": 7, "full_name": "shop/s1"},
        "sender": {"login": "dana", "type": "User"},
        **changes,
    }


def said(payload: dict[str, Any], event: str = "issue_comment") -> CommandSaid | None:
    return webhooks.read_commands(event, payload, b"as it was signed")


def verbs(body: str) -> list[str]:
    return [command.verb for command in parse(body)]


def test_a_command_says_who_where_when_and_what() -> None:
    wanted = (Command("retry", "it was the network"),)
    found = said(comment("Sorry.\r\n/interlock retry  it was the network\r\nThanks!"))
    assert found == CommandSaid("comment/4711", "shop/s1", "dana", wanted, 12, 4711, AT)


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_is_understood_in_any_case_with_tabs_and_words(verb: str) -> None:
    assert parse(f"/interlock\t{verb.upper()} pre-production  a reason ") == (Command(verb, "pre-production a reason"),)


def test_nothing_but_the_name_asks_for_help() -> None:
    assert parse("/interlock") == parse("/interlock  ") == (Command("help"),)


@pytest.mark.parametrize(
    ("word", "meant"), [("rety", "retry"), ("fastlane", "fast-lane"), ("stauts", "status"), ("deploy", ""), ("🚀", "")]
)
def test_a_close_name_is_suggested(word: str, meant: str) -> None:
    assert parse(f"/interlock {word} now") == (Command("", meant=meant),)


UNHEARD = {
    "in the middle of a line": "please /interlock retry",
    "indented": " /interlock retry",
    "indented as code": "    /interlock retry",
    "another word": "/interlocked retry",
    "another path": "/interlock/retry",
    "in capitals": "/Interlock retry",
    "in a quote": "> /interlock retry",
    "right below a quote": "> she wrote\n/interlock retry",
    "in a fence": "```\n/interlock retry\n```",
    "in a fence with a language": "```sh\n/interlock retry\n```",
    "in a fence of tildes": "~~~\n/interlock retry\n~~~",
    "in a fence in a fence": "````\n```\n/interlock retry\n```\n/interlock cancel\n````",
    "in a fence that a shorter one does not close": "`````\n````\n/interlock retry\n`````",
    "in a fence that other signs do not close": "```\n~~~\n/interlock retry\n```",
    "in a fence that is not closed by what has words behind it": "```\n``` x\n/interlock retry",
    "in a fence that is never closed": "```\n/interlock retry",
    "in an indented fence": "   ```\n/interlock retry\n   ```",
    "hidden": "<!--\n/interlock retry\n-->",
    "hidden from the middle of a line": "fine <!-- \n/interlock retry\n--> thanks",
    "in raw HTML": "<pre>\n/interlock retry\n</pre>",
    "in raw HTML with an attribute": '<TEXTAREA rows="3">\n\n/interlock retry\n</textarea>',
    "behind what only some take for a new line": "x\u2028/interlock retry\x0b/interlock retry\x85/interlock retry",
    "with a look-alike": "∕interlock retry\n/іnterlock retry",
    "behind an invisible sign": "\u200b/interlock retry\n\ufeff/interlock retry",
    "behind a backslash": "\\/interlock retry",
    "in a list": "- /interlock retry\n1. /interlock retry",
    "in a table": "| /interlock retry |",
}


@pytest.mark.parametrize("body", UNHEARD.values(), ids=UNHEARD.keys())
def test_what_is_no_line_of_its_own_is_no_command(body: str) -> None:
    assert parse(body) == ()
    assert said(comment(body)) is None


HEARD = {
    "after a quote and an empty line": "> she wrote\n\n/interlock retry",
    "after a fence": "```\n/interlock cancel\n```\n/interlock retry",
    "after a longer end of a fence": "```\n/interlock cancel\n`````  \n/interlock retry",
    "after code in a line": "``` not a fence `x\n/interlock retry",
    "after something hidden": "<!-- /interlock cancel -->\n/interlock retry",
    "after old ends of lines": "x\r/interlock retry\rx",
    "after raw HTML": "<pre>/interlock cancel</pre>\n/interlock retry",
}


@pytest.mark.parametrize("body", HEARD.values(), ids=HEARD.keys())
def test_what_stands_on_a_line_of_its_own_is_a_command(body: str) -> None:
    assert verbs(body) == ["retry"]


def test_a_hundred_commands_are_three() -> None:
    found = said(comment("\n".join(["/interlock status", "/interlock why", "/interlock help"] * 33 + ["/interlock"])))
    assert found is not None
    assert ([command.verb for command in found.commands], found.more) == (["status", "why", "help"], 97)
    assert len(found.commands) == MOST


@pytest.mark.parametrize(
    "body",
    [
        "/interlock retry " + "x" * 65_000,
        "/interlock " + "y" * 65_000,
        "/interlock retry\n" * 4_000,
        "`" * 65_000 + "\n/interlock retry",
        "> " * 30_000 + "\n\n/interlock retry",
        "<!--" * 16_000 + "-->\n/interlock retry",
        "<pre " * 13_000,
    ],
    ids=lambda body: f"{body[:14]!r}",
)
def test_what_is_kept_of_a_huge_comment_is_small(body: str) -> None:
    found = said(comment(body))
    assert found is None or sum(len(c.rest) + len(c.meant) for c in found.commands) <= MOST * webhooks.LENGTH


def test_a_reason_is_one_printable_line() -> None:
    (found,) = parse("/interlock lock acceptance \x1b[31mred\u202e \x00@everyone <!-- x -->")
    assert found.rest == "acceptance [31mred @everyone <!-- x -->"


DANA = {"login": "dana", "type": "User"}
OTHERS: dict[str, dict[str, Any]] = {
    "an edit": {"action": "edited"},
    "a deletion": {"action": "deleted"},
    "no action": {"action": None},
    "an issue that is no pull request": {"issue": {"number": 12}},
    "an issue whose pull request is null": {"issue": {"number": 12, "pull_request": None}},
    "no number": {"issue": {"pull_request": {}}},
    "a bot": {"sender": {"login": "x[bot]", "type": "Bot"}},
    "a bot's comment that a person sends": {"comment": comment()["comment"] | {"user": {"login": "b", "type": "Bot"}}},
    "another's comment": {"sender": {"login": "eve", "type": "User"}},
    "an organization": {"sender": {"login": "dana", "type": "Organization"}},
    "nobody": {"sender": None},
    "a login that is a path": {
        "sender": {"login": "../x", "type": "User"},
        "comment": comment()["comment"] | {"user": {"login": "../x", "type": "User"}},
    },
    "no repository": {"repository": None},
    "no time": {"comment": comment()["comment"] | {"created_at": None}},
    "a time without a zone": {"comment": comment()["comment"] | {"created_at": "2023-11-14T22:13:20"}},
    "no such time": {"comment": comment()["comment"] | {"created_at": "2023-02-30T00:00:00Z"}},
    "an id that is none": {"comment": comment()["comment"] | {"id": 10**400}},
    "no id": {"comment": comment()["comment"] | {"id": "4711"}},
    "no comment": {"comment": None},
    "our own": {"comment": comment()["comment"] | {"body": "<!-- interlock x -->\n/interlock retry"}},
}


@pytest.mark.parametrize("changes", OTHERS.values(), ids=OTHERS.keys())
def test_nobody_else_and_nothing_else_is_listened_to(changes: dict[str, Any]) -> None:
    assert said(comment(**changes)) is None


def test_a_button_names_the_check_and_each_press_counts_once() -> None:
    found = said(pressed(), "check_run")
    press = hashlib.sha256(b"as it was signed").hexdigest()[:32]
    assert found == CommandSaid(f"check/99/{press}", "shop/s1", "dana", (Command("retry"),), 12, sha=SHA, run="S1.3")


def test_rerun_is_a_command_too_and_a_fork_names_no_pull_request() -> None:
    run = pressed()["check_run"] | {"pull_requests": []}
    found = said(pressed(action="rerequested", requested_action=None, check_run=run), "check_run")
    assert found is not None
    assert (found.commands, found.pull) == ((RERUN,), None)


BUTTONS: dict[str, dict[str, Any]] = {
    "created": {"action": "created"},
    "another button": {"requested_action": {"identifier": "unlock"}},
    "no button": {"requested_action": None},
    "a bot": {"sender": {"login": "x[bot]", "type": "Bot"}},
    "no check": {"check_run": None},
    "no sha": {"check_run": {"id": 9, "head_sha": "main"}},
}


@pytest.mark.parametrize("changes", BUTTONS.values(), ids=BUTTONS.keys())
def test_no_other_button_is_listened_to(changes: dict[str, Any]) -> None:
    assert said(pressed(**changes), "check_run") is None


@given(st.text(alphabet="/interlock retry`~>\n\r\t<!-pre\u2028é", max_size=200))
def test_any_text_is_read_without_a_failure_and_only_plain_lines_count(body: str) -> None:
    rows = body.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    assert len(parse(body)) <= sum(row == "/interlock" or row[:11] in ("/interlock ", "/interlock\t") for row in rows)


odd = st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just([]) | st.just([None]) | st.just({})


@given(
    event=st.sampled_from(["issue_comment", "check_run"]), key=st.sampled_from(sorted(comment() | pressed())), value=odd
)
def test_a_field_may_be_anything(event: str, key: str, value: object) -> None:
    payload = (comment() if event == "issue_comment" else pressed()) | {key: value}
    assert isinstance(said(payload, event), CommandSaid | None)
