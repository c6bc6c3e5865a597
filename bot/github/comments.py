"""What we write on pull requests: the one comment that says where a change is, and the answers to commands."""

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

#: The longest comment that GitHub takes, in characters (GitHub docs: comments).
COMMENT = 65_536

#: A run that began so long ago, in seconds, has its comment: if nobody knows where, Redis has lost it.
NEW = 900.0

#: How far our clock and GitHub's may differ, in seconds.
SKEW = 3600.0


def keep_comment(runtime: Runtime, context: PipelineContext, claim: Claim, effect: Comment) -> Done:
    """Bring the comment up to date; what stands there already is not sent again.

    What only corrects makes no comment, unless the run has waited for long: then the comment tells of that, and nothing
    corrects it before the run waits for long again, fails or ends. Raises Postponed while it has not waited so long.
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
                entry.looked(None)  # so nobody has to look for one when there is something to say
            return Done()
    words = effect.text or _rendered(runtime, context, effect, waits=bool(wait))
    if not words:
        return Done()  # there is nothing to say of the run any more
    body = _body(marker, words, runtime.page_of(context.pipeline.name, effect.run))
    number, there, mark = written.id, "", mark_of(body)
    if number is None and (written.unanswered or (not written.known and _is_old(effect))):
        number, there = _find_comment(session, effect, marker)
        entry.looked(number)
        if effect.corrects and number is None:
            return keep_comment(runtime, context, claim, effect)  # now it is known that there is none
    elif not written.unanswered and written.mark == mark:
        return Done()
    if number is not None and _same(there, body):
        entry.settle(mark, number)
    else:
        entry.settle(mark, _write_comment(entry, session, effect, number, body), wait=wait)
    return Done()


def _write_comment(entry: WrittenSlot, session: Session, effect: Comment, number: int | None, body: str) -> int:
    """Change our comment `number`, or make one; the number of what stands there then."""
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
    """Whether it is certain that no comment of ours is there."""
    return written.id is None and not written.unanswered and (written.known or not _is_old(effect))


def _long_wait(runtime: Runtime, context: PipelineContext, effect: Comment, told: str) -> str:
    """Which waiting of the run its pull request should hear of now; empty if of none, or of the one that it was `told`.

    Raises Postponed while the run waits, but not for long.
    """
    after = runtime.configuration.github.comment_after
    with context.look() as replica:
        run = replica.board.runs.get(effect.run)
    if after is None or run is None or run.status is not Status.WAITING:
        return ""
    wait = f"{run.step} {run.queued}"
    left = run.queued + after - time.time()
    if wait != told and left > 0:
        raise Postponed("it has not waited for long", after=left)
    return wait if wait != told else ""


def _rendered(runtime: Runtime, context: PipelineContext, effect: Comment, *, waits: bool) -> str:
    """The comment; `waits`: the one that tells of a long wait. Empty if there is nothing to say any more."""
    with context.reported(effect.run) as found:
        if found is None:
            return ""
        board, run, now = found
        if waits and run.status is not Status.WAITING:
            return ""  # it has gone on in this moment
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
    _write_once(entry, session, pull, f"{webhooks.MARKER}{claim.effect.slot} -->", text)
    return Done()


def _write_once(entry: WrittenSlot, session: Session, pull: int, marker: str, text: str) -> None:
    """Write the comment unless it is there: the hidden marker tells."""
    body = f"{marker}\n{text}"
    written, mark, path = entry.read(makes=True), mark_of(body), f"/issues/{pull}/comments"
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
    marker = f"{webhooks.MARKER}{effect.slot} -->"
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
