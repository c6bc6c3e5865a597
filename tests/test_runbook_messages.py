"""The runbook quotes messages as Interlock writes them: a message with other words needs another quote."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bot.core.access import AccessRefused, AccessRequest, Action, Member, MemberKind, Role, Scope
from bot.core.model.pipeline import Mode
from bot.health.judgement import judge
from bot.reporting.messages import words
from bot.reporting.refusals import refusal
from bot.store import scripts
from tests.core.test_lanes import two_fixes
from tests.core.town import Town
from tests.health.test_judgement import CASES, LIMITS, NOW
from tests.reporting.examples import MESSAGES

ROOT = Path(__file__).parents[1]

#: Words in italics that are names at GitHub or titles of pages.
NAMES = {"Dead letters", "Members: read"}

#: The parts of a quote that stand for something else in a real message.
STANDS_FOR = {
    r"\.\.\.": ".*",
    r"\bNAME\b": r"\\S+",
    r"\bshop\b": r"\\S+",
    r"machine/number": r"\\S+",
    r"\b[nNM]\b": r"\\d+",
    r"\bS\d\b": ".*",
    r"\b\d+\b": r"[\\d,]+",
    r"\b(delivery|deliveries|waits?|actions?|is|are)\b": r"\\w+",
}

#: The modules whose messages are no values that could be rendered here.
SOURCES = ("bot/web/identity.py", "bot/web/sessions.py", "bot/jenkins/triggers.py")


def quoted() -> list[str]:
    """The messages that the runbook quotes: in italics, and in the table of refusals as code."""
    text = " ".join((ROOT / "docs" / "runbook.md").read_text().split())
    italics = re.findall(r"(?<![*\w])\*([^*|]+)\*(?!\*)", text)
    refused = text.partition("## Somebody is refused")[2].partition("## ")[0]
    return sorted({*italics, *re.findall(r"\| `([^`|]+)` \|", refused)} - NAMES)


def reasons() -> Iterator[str]:
    """The reason of a waiting run in each situation of the runbook."""
    town = Town()
    town.merge_up_to("S1", "a", "pre-production")
    town.merge_up_to("S2", "a", "pre-production")
    yield town.says("S2a")
    town.lock("acceptance")
    yield _merged(town, "S3").says("S3a")
    town = Town()
    town.break_stage("S1", "a")
    town.merge_up_to("S2", "a", "pre-production")
    yield town.says("S2a")
    town = Town()
    town.merge("S1", "a")
    town.refuse_trigger("S1a")
    yield town.says("S1a")
    yield two_fixes(1).says("S1f")
    town = Town()
    town.mode(Mode.PAUSE)
    town.merge("S1", "a")
    town.merge("S2", "a")
    yield town.says("S1a")
    town.board.header = replace(town.board.header, mode=Mode.RUN)  # before anybody is admitted
    yield town.says("S2a")
    yield _unproven().says("S1a")
    yield _stuck().says("S1a")


def _merged(town: Town, service: str) -> Town:
    town.merge_up_to(service, "a", "acceptance")
    return town


def _unproven() -> Town:
    """S1c came further than S1a, and a push between the two was lost."""
    town = Town()
    town.merge_up_to("S1", "a", "acceptance")
    town.push("S1", "lost")
    town.merge_up_to("S1", "c", "acceptance")
    town.pass_build("S1c", "S1c", "S1a")
    town.merge_up_to("S2", "a", "pre-production")
    return town


def _stuck() -> Town:
    """The build of S1a runs on although S1a is cancelled and Interlock has killed its build."""
    town = Town()
    town.merge_up_to("S1", "a", "acceptance")
    town.start_build("S1a")
    town.cancel("S1a")
    for _ in range(6):
        town.take_aborts()
        town.tick(60)
    return town


def refusals() -> Iterator[str]:
    """The refusals of a role and of a scope."""
    request, kim = AccessRequest(Action.LOCK, None, ("shop/s1",)), (Member(MemberKind.NAME, "kim"),)
    yield refusal(AccessRefused(request, Role.OPERATOR, kim, None), "dana")
    yield refusal(AccessRefused(request, Role.OPERATOR, kim, Scope.READ), "dana")
    yield str(scripts.refusal("shop", 99))


def literals() -> Iterator[str]:
    """The texts in the modules of `SOURCES`."""
    for source in SOURCES:
        for node in ast.walk(ast.parse((ROOT / source).read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


@pytest.fixture(scope="module")
def written() -> list[str]:
    """All messages that a quote may be of."""
    judged = [each.what for observed, _ in CASES.values() for each in judge(observed, LIMITS, NOW).findings]
    return [*map(words, MESSAGES), *judged, *reasons(), *refusals(), *literals()]


def pattern(quote: str) -> str:
    """The regular expression of the messages that a quote stands for."""
    found = quote
    for part, stands_for in STANDS_FOR.items():
        found = re.sub(part, f"\0{stands_for}\0", found)
    pieces = found.split("\0")
    return "".join(piece if number % 2 else re.escape(piece) for number, piece in enumerate(pieces))


@pytest.mark.parametrize("quote", quoted())
def test_a_quoted_message_is_one_that_interlock_writes(quote: str, written: list[str]) -> None:
    assert any(re.search(pattern(quote), each) for each in written), pattern(quote)


def test_a_quote_of_other_words_is_found(written: list[str]) -> None:
    for quote in ("the broker takes no messages", "Jenkins NAME is away", "n ahead of it in the queue"):
        assert not any(re.search(pattern(quote), each) for each in written)
