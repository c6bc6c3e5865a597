"""The one comment on a pull request that says where its change is: written once, then kept up to date."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from bot.core.model.effects import Comment
from bot.effect_outcomes import Done
from bot.github.limits import Purpose
from bot.github.refusals import NotThere
from bot.github.session import Session
from bot.github.wording import COMMENT, cut, page_of
from bot.github.written_state import Entry, Hold, mark_of
from bot.runtime import PipelineContext, Runtime
from bot.store.outbox import Claim

#: A run that began so long ago, in seconds, has its comment: if nobody knows where, Redis has lost it.
NEW = 900.0
#: How far our clock and GitHub's may differ, in seconds.
SKEW = 3600.0


def comment(runtime: Runtime, context: PipelineContext, claim: Claim, effect: Comment) -> Done:
    """Bring the comment up to date; what stands there already is not sent again."""
    entry, session = Entry(Hold(context, claim), effect.slot), Session(runtime, effect.repository)
    marker = f"<!-- interlock {context.pipeline.name} -->"
    body = _body(marker, effect.text, page_of(runtime, context, effect.run))
    written, mark = entry.read(), mark_of(body)
    number, there = written.id, ""
    if number is None and (written.doubt or (not written.known and _is_old(effect))):
        number, there = _find(session, effect, marker)
        entry.looked(number)
    elif not written.doubt and written.mark == mark:
        return Done()
    if number is not None and _same(there, body):
        entry.settle(mark, number)
        return Done()
    if number is not None:
        try:
            entry.write(session, "PATCH", f"/issues/comments/{number}", {"body": body}, Purpose.COMMENT, mark)
        except NotThere:
            entry.forget()  # somebody has deleted it
        else:
            entry.settle(mark, number)
            return Done()
    path = f"/issues/{effect.pull}/comments"
    made = entry.write(session, "POST", path, {"body": body}, Purpose.COMMENT, mark)
    entry.settle(mark, int(made["id"]))
    return Done()


def _is_old(effect: Comment) -> bool:
    return effect.began > 0 and time.time() - effect.began > NEW


def _body(marker: str, text: str, link: str) -> str:
    tail = f"\n\n[Where it is now]({link})"
    return f"{marker}\n{cut(text, COMMENT - len(marker) - len(tail) - 1)}{tail}"


def _same(there: str, body: str) -> bool:
    return there.replace("\r\n", "\n").rstrip() == body.rstrip()


def _find(session: Session, effect: Comment, marker: str) -> tuple[int | None, str]:
    """Our comment and its text. Anybody can copy the marker: only what we have written ourselves is ours."""
    since = datetime.fromtimestamp(max(0.0, effect.began - SKEW), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    ours = session.own_login(Purpose.COMMENT).casefold()
    for row in session.pages(f"/issues/{effect.pull}/comments?since={since}", Purpose.COMMENT):
        text = row["body"] or ""
        if text.startswith(marker) and ((row["user"] or {}).get("login") or "").casefold() == ours:
            return int(row["id"]), text
    return None, ""
