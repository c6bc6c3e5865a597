"""Commands at GitHub: whether whoever said it may, asked live and refused in doubt; and the answer, given once."""

from __future__ import annotations

import time
from typing import Any

import structlog

from bot.core.model.effects import Answer, AuthorizeCommand
from bot.core.model.events import CommandAllowed, CommandRefused, CommandSaid
from bot.core.rules.decision import Ended
from bot.effect_outcomes import Done, PermanentFailure, RetryLater
from bot.github import commands
from bot.github.limits import Purpose
from bot.github.refusals import NotAllowed, NotThere
from bot.github.session import Session
from bot.github.wording import page_of
from bot.github.written_state import Entry, Hold, mark_of
from bot.payloads import at, number, text
from bot.runtime import PipelineContext, Runtime
from bot.store.outbox import Claim
from bot.store.records import Records

log = structlog.get_logger()

#: For how long GitHub is asked again, and how old a command may be when we come to it, in seconds.
PATIENCE, TOO_OLD = 900.0, 3600.0
#: How often a comment may be missing before it counts as deleted: reads may lag behind the webhook.
MISSING = 3
#: How many of the latest finished runs are looked through.
PAST = 200
_MAY_ACT = ("admin", "write")
#: The most characters of an answer (GitHub takes 65,536 in a comment), and of the name of a branch in it.
LONGEST, BRANCH = 60_000, 60
#: How long it is remembered that a reaction was given, in seconds: an answer is not tried for longer.
GIVEN = 2 * 86_400


def authorize(runtime: Runtime, context: PipelineContext, claim: Claim, effect: AuthorizeCommand) -> Done:
    """Ask what must be known before anything is done. Whatever GitHub does not say counts as no."""
    said, waited = effect.said, time.time() - effect.since
    if waited > TOO_OLD:
        return Done(CommandRefused(said, "it came too late: nobody was there to hear it for an hour"))
    try:
        return _ask(runtime, context, claim, effect)
    except RetryLater as error:
        if waited > PATIENCE:
            log.warning("command-refused", command=said.key, why=str(error))
            return Done(CommandRefused(said, "GitHub could not be asked whether you may; say it again later"))
        raise
    except PermanentFailure as error:
        log.warning("command-refused", command=said.key, why=str(error))
        return Done(CommandRefused(said, "GitHub does not say whether you may"))


def _ask(runtime: Runtime, context: PipelineContext, claim: Claim, effect: AuthorizeCommand) -> Done:
    said, session = effect.said, Session(runtime, effect.said.repository)
    purpose = Purpose.PROOF if effect.acts else Purpose.COMMENT  # an unlock may be what everybody waits for
    if said.comment is not None and (over := _is_over(session, claim, said, purpose)) is not None:
        return over
    allowed = CommandAllowed(said)
    if said.pull is not None:
        found = session.read(f"/pulls/{said.pull}", purpose).data
        base = text(found, "base", "ref")
        known = runtime.configuration.service_for(said.repository, base)
        if known is None or known[0].name != context.pipeline.name:
            if said.comment is not None:
                return _not_ours(runtime, context, said, base) if known is None else Done()
        else:
            allowed = _about(said, known[1].name, found)
    if effect.acts and (no := _no(session, said, purpose)) is not None:
        return Done(CommandRefused(said, no))
    return Done(_with_past(context, allowed))


def _is_over(session: Session, claim: Claim, said: CommandSaid, purpose: Purpose) -> Done | None:
    """Whether the comment has been deleted or says something else by now: then it is not meant any more."""
    try:
        present = session.read(f"/issues/comments/{said.comment}", purpose).data
    except NotThere:
        if claim.tries < MISSING:
            raise RetryLater("the comment is not there (yet)", after=1.0) from None
        log.info("command-deleted", command=said.key)
        return Done()
    if commands.parse(text(present, "body"))[: commands.MOST] != said.commands:
        return Done(CommandRefused(said, "the comment was changed since; say it in a new one"))
    return None


def _about(said: CommandSaid, service: str, pull: Any) -> CommandAllowed:
    """What the pull request is at this moment. A fork that is gone is a fork."""
    own, theirs = number(pull, "base", "repo", "id"), number(pull, "head", "repo", "id")
    merged = text(pull, "merge_commit_sha") if at(pull, "merged") is True else ""
    is_open = text(pull, "state") == "open"
    return CommandAllowed(
        said, service, text(pull, "head", "sha"), fork=own is None or own != theirs, open=is_open, merged=merged
    )


def _not_ours(runtime: Runtime, context: PipelineContext, said: CommandSaid, base: str) -> Done:
    """A pull request into a branch that starts nothing: one pipeline says so, though several share the repository."""
    first = runtime.configuration.pipelines_of(said.repository)[:1]
    if [pipeline.name for pipeline in first] != [context.pipeline.name]:
        return Done()
    branch = base[:BRANCH].replace("`", "'")
    return Done(CommandRefused(said, f"#{said.pull} goes into `{branch}`, which is no service's main"))


def _no(session: Session, said: CommandSaid, purpose: Purpose) -> str | None:
    """Why they may not act. `read` says nothing: on a public repository everybody has it (GitHub docs)."""
    try:
        answer = session.read(f"/collaborators/{said.by}/permission", purpose).data
    except NotThere:
        return f"{said.by} may not write to {said.repository}"
    permission, known_as = text(answer, "permission"), text(answer, "user", "login")
    if known_as.casefold() != said.by.casefold() or permission not in _MAY_ACT:
        return f"{said.by} may not write to {said.repository}; `status`, `why` and `help` are for everybody"
    return None


def _with_past(context: PipelineContext, allowed: CommandAllowed) -> CommandAllowed:
    """The same, with what became of the last run that it may be about."""
    rows, _ = Records(context.redis, context.keys).ended(0, PAST)
    past = next((row for row in rows if _is_about(row, allowed)), None)
    if past is None:
        return allowed
    words = f"{past.run.key} ended as {past.ending.end} in {past.run.step}: {past.ending.why}"
    return CommandAllowed(
        allowed.said, allowed.service, allowed.head, allowed.fork, allowed.open, allowed.merged, past=words
    )


def _is_about(row: Ended, allowed: CommandAllowed) -> bool:
    run, said = row.run, allowed.said
    if said.comment is None:
        return run.position.sha == said.sha
    mine = said.pull in run.carries or run.position.sha == allowed.merged
    return run.service == allowed.service and mine


def answer(runtime: Runtime, context: PipelineContext, claim: Claim, effect: Answer) -> Done:
    """Answer a comment: a reaction, then the words, each once. A hidden marker of ours tells that they are there."""
    entry, session = Entry(Hold(context, claim), effect.slot), Session(runtime, effect.repository)
    _react(context, session, effect)
    marker = f"{commands.MARKER}{effect.slot} -->"
    body = f"{marker}\n{_tamed(effect.text[:LONGEST])}\n\n[The pipeline]({page_of(runtime, context)})"
    written, mark, path = entry.read(), mark_of(body), f"/issues/{effect.pull}/comments"
    if written.doubt:
        entry.looked(_find(session, path, marker))
        written = entry.read()
    if written.id is None:
        made = entry.write(session, "POST", path, {"body": body}, Purpose.COMMENT, mark)
        entry.settle(mark, int(made["id"]))
    return Done()


def _find(session: Session, path: str, marker: str) -> int | None:
    """Our answer, if it is there. Anybody can copy the marker: only what we have written ourselves is ours."""
    ours = session.own_login(Purpose.COMMENT).casefold()
    for one in session.pages(path, Purpose.COMMENT):
        if text(one, "body").startswith(marker) and text(one, "user", "login").casefold() == ours:
            return int(one["id"])
    return None


def _tamed(text: str) -> str:
    """A text that pings nobody and hides nothing, whatever a stranger put into a name."""
    return text.replace("@", "@\u200b").replace("<!--", "<! --")


def _react(context: PipelineContext, session: Session, effect: Answer) -> None:
    """Give the reaction: GitHub keeps one of a kind, and it is no matter if the comment is gone by now."""
    name = context.keys.said(f"{effect.slot}/reaction")
    if context.redis.exists(name):
        return
    path = f"/issues/comments/{effect.comment}/reactions"
    ticket = f"{context.pipeline.name}/{effect.slot}/reaction"
    try:
        session.write("POST", path, {"content": effect.reaction}, Purpose.COMMENT, ticket)
    except (NotThere, NotAllowed) as error:
        log.info("reaction-refused", comment=effect.comment, why=str(error))
    context.redis.set(name, "1", ex=GIVEN)
