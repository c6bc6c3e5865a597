"""What we write on pull requests: the one comment that says where a change is, and the answers to commands."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import structlog

from bot.core.model.effects import Answer, Comment
from bot.effect_outcomes import Done
from bot.github import commands
from bot.github.limits import Purpose
from bot.github.session import Session
from bot.github.transport import GitHubForbidden, GitHubNotFound
from bot.github.wording import COMMENT, cut, expected_of, log_of, reported_run
from bot.github.written_state import RenewedClaim, WrittenSlot, mark_of
from bot.payloads import text
from bot.reporting import run_report
from bot.reporting.command_answer import answer
from bot.runtime import PipelineContext, Runtime
from bot.store.outbox import Claim

log = structlog.get_logger()

#: A run that began so long ago, in seconds, has its comment: if nobody knows where, Redis has lost it.
NEW = 900.0

#: How far our clock and GitHub's may differ, in seconds.
SKEW = 3600.0


def keep_comment(runtime: Runtime, context: PipelineContext, claim: Claim, effect: Comment) -> Done:
    """Bring the comment up to date; what stands there already is not sent again, what only corrects makes none."""
    entry, session = (
        WrittenSlot(RenewedClaim(runtime, context, claim), effect.slot),
        Session(runtime, effect.repository),
    )
    marker = f"<!-- interlock {context.pipeline.name} -->"
    words = effect.text or _rendered(runtime, context, effect)
    if not words:
        return Done()  # nobody knows of the run any more
    body = _body(marker, words, runtime.page_of(context.pipeline.name, effect.run))
    written, mark = entry.read(), mark_of(body)
    number, there = written.id, ""
    if effect.corrects and number is None and not written.unanswered and (written.known or not _is_old(effect)):
        entry.looked(None)  # so nobody has to look for one when there is something to say
        return Done()
    if number is None and (written.unanswered or (not written.known and _is_old(effect))):
        number, there = _find_comment(session, effect, marker)
        entry.looked(number)
        if effect.corrects and number is None:
            return Done()
    elif not written.unanswered and written.mark == mark:
        return Done()
    if number is not None and _same(there, body):
        entry.settle(mark, number)
        return Done()
    if number is not None:
        try:
            entry.write(session, "PATCH", f"/issues/comments/{number}", {"body": body}, Purpose.COMMENT, mark)
        except GitHubNotFound:
            entry.forget()  # somebody has deleted it
        else:
            entry.settle(mark, number)
            return Done()
    path = f"/issues/{effect.pull}/comments"
    made = entry.write(session, "POST", path, {"body": body}, Purpose.COMMENT, mark)
    entry.settle(mark, int(made["id"]))
    return Done()


def _rendered(runtime: Runtime, context: PipelineContext, effect: Comment) -> str:
    with reported_run(context, effect.run) as found:
        if found is None:
            return ""
        board, run, _ = found
        return run_report.comment(*found, expected_of(context, *found), log_of(runtime, board, run))


def _is_old(effect: Comment) -> bool:
    return effect.began > 0 and time.time() - effect.began > NEW


def _body(marker: str, text: str, link: str) -> str:
    tail = f"\n\n[Where it is now]({link})"
    return f"{marker}\n{cut(text, COMMENT - len(marker) - len(tail) - 1)}{tail}"


def _same(there: str, body: str) -> bool:
    return there.replace("\r\n", "\n").rstrip() == body.rstrip()


def _find_comment(session: Session, effect: Comment, marker: str) -> tuple[int | None, str]:
    """Our comment and its text, among those that are not older than its run."""
    since = datetime.fromtimestamp(max(0.0, effect.began - SKEW), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return _find_own(session, f"/issues/{effect.pull}/comments?since={since}", marker)


def _find_own(session: Session, path: str, marker: str) -> tuple[int | None, str]:
    """Our comment and its text. Anybody can copy the marker: only what we have written ourselves is ours."""
    ours = session.own_login(Purpose.COMMENT).casefold()
    for row in session.pages(path, Purpose.COMMENT):
        if text(row, "body").startswith(marker) and text(row, "user", "login").casefold() == ours:
            return int(row["id"]), text(row, "body")
    return None, ""


# -- answers to commands: each is given once; a hidden marker of ours tells that it is there ---------------------------

#: The most characters of an answer: GitHub takes 65,536 in a comment.
LONGEST = 60_000

#: How long it is remembered that a reaction was given, in seconds: an answer is not tried for longer.
GIVEN = 2 * 86_400


def say_once(runtime: Runtime, context: PipelineContext, claim: Claim, where: tuple[str, int], text: str) -> Done:
    """Put a comment on a pull request (`where`: repository and number), once, however often it is tried."""
    repository, pull = where
    entry, session = (
        WrittenSlot(RenewedClaim(runtime, context, claim), claim.effect.slot),
        Session(runtime, repository),
    )
    _write_once(entry, session, pull, f"{commands.MARKER}{claim.effect.slot} -->", text)
    return Done()


def _write_once(entry: WrittenSlot, session: Session, pull: int, marker: str, text: str) -> None:
    """Write the comment unless it is there: the hidden marker tells."""
    body = f"{marker}\n{text}"
    written, mark, path = entry.read(), mark_of(body), f"/issues/{pull}/comments"
    if written.unanswered:
        entry.looked(_find_own(session, path, marker)[0])
        written = entry.read()
    if written.id is None:
        made = entry.write(session, "POST", path, {"body": body}, Purpose.COMMENT, mark)
        entry.settle(mark, int(made["id"]))


def answer_command(runtime: Runtime, context: PipelineContext, claim: Claim, effect: Answer) -> Done:
    """Answer a comment: a reaction, then the words, each once. A hidden marker of ours tells that they are there."""
    entry, session = (
        WrittenSlot(RenewedClaim(runtime, context, claim), effect.slot),
        Session(runtime, effect.repository),
    )
    _react(context, session, effect)
    if not effect.replies and not effect.text:
        return Done()
    marker = f"{commands.MARKER}{effect.slot} -->"
    with context.look() as replica:
        answered = effect.text or answer(effect, replica.board, time.time())
    words = _tamed(answered[:LONGEST])
    link = f"[The pipeline]({runtime.page_of(context.pipeline.name)})"
    _write_once(entry, session, effect.pull, marker, f"{words}\n\n{link}")
    return Done()


def _tamed(text: str) -> str:
    """A text that pings nobody and hides nothing, whatever somebody put into a name."""
    return text.replace("@", "@\u200b").replace("<!--", "<! --")


def _react(context: PipelineContext, session: Session, effect: Answer) -> None:
    """Give the reaction: GitHub keeps one of a kind, and it is no matter if the comment is gone by now."""
    name = context.keys.given(f"{effect.slot}/reaction")
    if context.redis.exists(name):
        return
    path = f"/issues/comments/{effect.comment}/reactions"
    ticket = f"{context.pipeline.name}/{effect.slot}/reaction"
    try:
        session.write("POST", path, {"content": effect.reaction}, Purpose.COMMENT, ticket)
    except (GitHubNotFound, GitHubForbidden) as error:
        log.info("reaction-refused", comment=effect.comment, why=str(error))
    context.redis.set(name, "1", ex=GIVEN)
