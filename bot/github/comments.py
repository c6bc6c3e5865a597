"""Write on pull requests: the one comment that says where the run is, and the answers to commands.

`bot.reporting` makes the words.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime

import structlog

from bot.core.model.effects import Answer, Comment
from bot.core.model.run import Status
from bot.effect_outcomes import Done, Postponed
from bot.github import webhooks
from bot.github.session import Purpose, Session
from bot.github.transport import GitHubForbidden, GitHubNotFound
from bot.github.written_state import RenewedClaim, Written, WrittenSlot, mark_of
from bot.payloads import text
from bot.reporting import run_report
from bot.reporting.command_answer import answer
from bot.reporting.markdown import cut
from bot.runtime import PipelineContext, Runtime
from bot.store.outbox import Claim

log = structlog.get_logger()

#: The longest comment that GitHub accepts, in characters (GitHub docs: comments).
COMMENT = 65_536

#: A run older than this, in seconds, has a comment already: if its id is not stored, Redis has lost it.
NEW = 900.0

#: The largest difference between our clock and GitHub's that is expected, in seconds.
SKEW = 3600.0


def keep_comment(runtime: Runtime, context: PipelineContext, claim: Claim, effect: Comment) -> Done:
    """Create or update the comment of a run; an unchanged text is not sent again.

    An effect that only corrects creates no comment, unless the run has waited for long: then the comment reports that,
    and later corrections leave it alone until the run waits for long again, fails or ends. Raises Postponed while the
    run has not waited that long.
    """
    entry, session = (
        WrittenSlot(RenewedClaim(runtime, context, claim), effect.slot),
        Session(runtime, effect.repository),
    )
    marker = f"<!-- interlock {context.pipeline.name} -->"
    written, wait = entry.read(makes=True), ""
    if effect.corrects and (written.wait or _is_missing(written, effect)):
        wait = _long_wait(runtime, context, effect, written.wait)
        if not wait:
            if not written.known:
                entry.looked(None)  # so that a later effect need not look for a comment
            return Done()
    words = effect.text or _render(runtime, context, effect, waits=bool(wait))
    if not words:
        return Done()  # the run is gone
    body = _body(marker, words, runtime.page_of(context.pipeline.name, effect.run))
    number, there, mark = written.id, "", mark_of(body)
    if number is None and (written.unanswered or (not written.known and _is_old(effect))):
        number, there = _find_comment(session, effect, marker)
        entry.looked(number)
        if effect.corrects and number is None:
            return keep_comment(runtime, context, claim, effect)  # again, now that the absence is stored
    elif not written.unanswered and written.mark == mark:
        return Done()
    if number is not None and _same(there, body):
        entry.settle(mark, number)
    else:
        entry.settle(mark, _write_comment(entry, session, effect, number, body), wait=wait)
    return Done()


def _write_comment(entry: WrittenSlot, session: Session, effect: Comment, number: int | None, body: str) -> int:
    """Update our comment `number`, or create one if there is none; return its id."""
    mark = mark_of(body)
    if number is not None:
        try:
            entry.write(session, "PATCH", f"/issues/comments/{number}", {"body": body}, Purpose.COMMENT, mark)
        except GitHubNotFound:
            entry.forget()  # somebody has deleted it
        else:
            return number
    path = f"/issues/{effect.pull}/comments"
    made = entry.write(session, "POST", path, {"body": body}, Purpose.COMMENT, mark)
    return int(made["id"])


def _is_missing(written: Written, effect: Comment) -> bool:
    """Return whether it is certain that our comment does not exist."""
    return written.id is None and not written.unanswered and (written.known or not _is_old(effect))


def _long_wait(runtime: Runtime, context: PipelineContext, effect: Comment, told: str) -> str:
    """Return a name for the long wait that the comment should report now; empty if there is none or `told` is the same.

    Raises Postponed while the run waits, but not long enough yet.
    """
    after = runtime.configuration.github.comment_after
    with context.look() as replica:
        run = replica.board.runs.get(effect.run)
    if after is None or run is None or run.status is not Status.WAITING:
        return ""
    wait = f"{run.step} {run.queued}"
    left = run.queued + after - time.time()
    if wait != told and left > 0:
        raise Postponed("the run has not waited long enough for a comment", after=left)
    return wait if wait != told else ""


def _render(runtime: Runtime, context: PipelineContext, effect: Comment, *, waits: bool) -> str:
    """Return the text of the comment; `waits`: the text that reports a long wait. Empty if there is nothing to say."""
    with context.reported(effect.run) as found:
        if found is None:
            return ""
        board, run, now = found
        if waits and run.status is not Status.WAITING:
            return ""  # it stopped waiting a moment ago
        if waits:
            return run_report.waiting_comment(board, run, now, context.forecast(board, run, now))
        return run_report.comment(
            *found, context.expected(*found), runtime.log_of(board.job_of(run), run.attempt.build)
        )


def _is_old(effect: Comment) -> bool:
    return effect.began > 0 and time.time() - effect.began > NEW


def _body(marker: str, text: str, link: str) -> str:
    tail = f"\n\n[Where it is now]({link})"
    return f"{marker}\n{cut(text, COMMENT - len(marker) - len(tail) - 1)}{tail}"


def _same(there: str, body: str) -> bool:
    return there.replace("\r\n", "\n").rstrip() == body.rstrip()


def _find_comment(session: Session, effect: Comment, marker: str) -> tuple[int | None, str]:
    """Find our comment among those that are not older than its run; return its id and text."""
    since = datetime.fromtimestamp(max(0.0, effect.began - SKEW), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return _find_own(session, f"/issues/{effect.pull}/comments?since={since}", marker)


def _find_own(session: Session, path: str, marker: str) -> tuple[int | None, str]:
    """Find our comment by marker and author; return its id and text. Anybody can copy the marker, so the author must
    be our own login."""
    ours = session.own_login(Purpose.COMMENT).casefold()
    for row in session.pages(path, Purpose.COMMENT):
        if text(row, "body").startswith(marker) and text(row, "user", "login").casefold() == ours:
            return int(row["id"]), text(row, "body")
    return None, ""


# -- answers to commands: each is given once; a hidden marker shows that it exists -------------------------------------

#: The most characters of an answer: GitHub accepts 65,536 in a comment.
LONGEST = 60_000

#: How long the note of a given reaction is kept, in seconds: an answer is not tried for longer.
GIVEN = 2 * 86_400


def say_once(runtime: Runtime, context: PipelineContext, claim: Claim, where: tuple[str, int], text: str) -> Done:
    """Write a comment on a pull request (`where`: repository and number) only once, however often this is called."""
    repository, pull = where
    entry, session = (
        WrittenSlot(RenewedClaim(runtime, context, claim), claim.effect.slot),
        Session(runtime, repository),
    )
    _write_once(entry, session, pull, f"{webhooks.MARKER}{claim.effect.slot} -->", text)
    return Done()


def _write_once(entry: WrittenSlot, session: Session, pull: int, marker: str, text: str) -> None:
    """Write a comment unless it exists, which its hidden marker shows."""
    body = f"{marker}\n{text}"
    written, mark, path = entry.read(makes=True), mark_of(body), f"/issues/{pull}/comments"
    if written.unanswered:
        entry.looked(_find_own(session, path, marker)[0])
        written = entry.read()
    if written.id is None:
        made = entry.write(session, "POST", path, {"body": body}, Purpose.COMMENT, mark)
        entry.settle(mark, int(made["id"]))


def answer_command(runtime: Runtime, context: PipelineContext, claim: Claim, effect: Answer) -> Done:
    """Answer a command: a reaction, then a reply, each once."""
    entry, session = (
        WrittenSlot(RenewedClaim(runtime, context, claim), effect.slot),
        Session(runtime, effect.repository),
    )
    _react(context, session, effect)
    if not effect.replies and not effect.text:
        return Done()
    marker = f"{webhooks.MARKER}{effect.slot} -->"
    with context.look() as replica:
        answered = effect.text or answer(effect, replica.board, time.time())
    words = _without_mentions(answered[:LONGEST])
    link = f"[The pipeline]({runtime.page_of(context.pipeline.name)})"
    _write_once(entry, session, effect.pull, marker, f"{words}\n\n{link}")
    return Done()


def _without_mentions(text: str) -> str:
    """Return the text so that it mentions nobody and hides nothing, whatever a name in it contains."""
    return text.replace("@", "@\u200b").replace("<!--", "<! --")


def _react(context: PipelineContext, session: Session, effect: Answer) -> None:
    """Add the reaction. GitHub keeps one of each kind; a deleted comment is not an error."""
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
