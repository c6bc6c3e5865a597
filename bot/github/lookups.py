"""Questions to GitHub that come back as events: what contains what, and which pull request brought a commit."""

from __future__ import annotations

from typing import Any

from bot.core.model.effects import Compare, FindPull
from bot.core.model.events import ContainmentKnown, PullFound
from bot.effect_outcomes import Done, RetryLater
from bot.github.limits import Purpose
from bot.github.refusals import NotThere
from bot.github.session import Session
from bot.github.webhooks import TITLE
from bot.payloads import line as one_line
from bot.runtime import PipelineContext, Runtime
from bot.store.outbox import Claim

#: After how many tries a comparison that is answered 404 is answered no; with the pauses between, half a minute.
NOT_KNOWN_TRIES = 6


def compare(runtime: Runtime, context: PipelineContext, claim: Claim, effect: Compare) -> Done:
    """Ask whether `head` contains `base`: so it is if GitHub says `ahead` or `identical` (GitHub docs: compare).

    404 may come from a replica that lags, so it is asked again. If it stays so though the repository is there, GitHub
    has lost one of the commits (it was taken off main long ago), or they have nothing in common: the answer is no.
    """
    session = Session(runtime, effect.repository)
    try:
        answer = session.read(f"/compare/{effect.base}...{effect.head}?per_page=1&page=1", Purpose.PROOF)
    except NotThere as error:
        if claim.tries < NOT_KNOWN_TRIES:
            raise RetryLater(f"GitHub does not know {effect.base[:7]} or {effect.head[:7]}") from error
        session.read("", Purpose.PROOF)  # raises NotThere if we do not see the repository at all: that is no answer
        return Done(ContainmentKnown(effect.service, effect.base, effect.head, contains=False))
    contains = answer.data["status"] in ("ahead", "identical")
    return Done(ContainmentKnown(effect.service, effect.base, effect.head, contains))


def find_pull(runtime: Runtime, context: PipelineContext, claim: Claim, effect: FindPull) -> Done:
    """Ask which pull request brought a commit, unless its webhook has told meanwhile, or the run is gone."""
    with context.look() as replica:
        runs = replica.board.of_commit(effect.service, effect.sha)
    if all(run.pull is not None for run in runs) and not effect.text:
        return Done()
    session = Session(runtime, effect.repository)
    try:
        rows = list(session.pages(f"/commits/{effect.sha}/pulls", Purpose.COMMENT))
    except NotThere:
        return Done()  # the commit is gone: nobody is to be told of it
    merged = [row for row in rows if row.get("merged_at") and row["base"]["ref"] == effect.branch]
    exact = [row for row in merged if row.get("merge_commit_sha") == effect.sha]
    return Done(_found(effect, (exact or merged)[0])) if exact or len(merged) == 1 else Done()


def _found(effect: FindPull, row: dict[str, Any]) -> PullFound:
    author = str((row.get("user") or {}).get("login") or "")[:TITLE]
    title, said = one_line(str(row["title"]), TITLE), (effect.run, effect.text, effect.began)
    return PullFound(effect.service, effect.sha, int(row["number"]), title, author, *said)
