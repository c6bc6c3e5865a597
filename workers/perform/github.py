"""Effects on GitHub: commit statuses, comments, and the question of what contains what."""

from __future__ import annotations

from bot.core.effects import Comment, Compare, SetStatus
from bot.core.events import ContainmentKnown
from bot.state.outbox import Claim
from workers.context import Context, Line
from workers.github.limits import Purpose
from workers.github.refusals import NotThere
from workers.github.session import Session
from workers.jenkins_client import job_path
from workers.perform.outcome import Done, Lost, NotNow

#: GitHub's limits: a status description has 140 characters, a comment 65,536 (GitHub docs: statuses, comments).
DESCRIPTION = 140
COMMENT = 60_000
#: How long it is remembered that a comment was written, in seconds: longer than a run lives.
SAID_SECONDS = 14 * 86_400


def status(context: Context, line: Line, claim: Claim, effect: SetStatus) -> Done:
    """Set the status of one stage on a commit; before a repeat, look whether it is set already."""
    name = f"{context.configuration.github.status_context_prefix}/{effect.context}"
    description = shortened(effect.description, DESCRIPTION)
    session = Session(context, effect.repository)
    if claim.tries:
        found = session.pages(f"/commits/{effect.sha}/statuses", Purpose.STATUS)  # the latest first
        last = next((s for s in found if s["context"].lower() == name.lower()), None)
        if last is not None and (last["state"], last["description"]) == (effect.state, description):
            return Done()
    body = {
        "state": effect.state,
        "target_url": _target(context, line, effect),
        "description": description,
        "context": name,
    }
    session.write("POST", f"/statuses/{effect.sha}", body, Purpose.STATUS, _ticket(line, effect.slot))
    return Done()


def _target(context: Context, line: Line, effect: SetStatus) -> str:
    """Where a status leads to: a run's page, or a build in Jenkins, or the pipeline."""
    page = f"{context.configuration.web.public_url}/p/{line.pipeline.name}"
    if effect.run is not None:
        return f"{page}/runs/{effect.run}"
    controller = context.configuration.controllers.get(effect.job.controller) if effect.job is not None else None
    if controller is None or effect.job is None or effect.build is None:
        return page
    return f"{controller.url}/{job_path(effect.job.name)}/{effect.build}/"


def comment(context: Context, line: Line, claim: Claim, effect: Comment) -> Done:
    """Write a comment, once: a hidden marker tells it from all others, and is looked for before a repeat.

    The rules may ask again for one that was written (a run that enters a stage a second time): that is remembered.
    """
    if line.redis.exists(line.keys.said(effect.slot)):
        return Done()
    marker = f"<!-- interlock {effect.slot} -->"
    link = f"{context.configuration.web.public_url}/p/{line.pipeline.name}/runs/{effect.run}"
    body = f"{marker}\n{tamed(shortened(effect.text, COMMENT))}\n\n[Where it is now]({link})"
    session, path = Session(context, effect.repository), f"/issues/{effect.pull}/comments"
    there = claim.tries and any((c["body"] or "").startswith(marker) for c in session.pages(path, Purpose.COMMENT))
    if not there:
        if line.outbox.renew(claim) is None:
            raise Lost
        session.write("POST", path, {"body": body}, Purpose.COMMENT, _ticket(line, effect.slot))
    line.redis.set(line.keys.said(effect.slot), "1", ex=SAID_SECONDS)
    return Done()


def compare(context: Context, line: Line, claim: Claim, effect: Compare) -> Done:
    """Ask whether `head` contains `base`: so it is if GitHub says `ahead` or `identical` (GitHub docs: compare)."""
    session = Session(context, effect.repository)
    try:
        answer = session.read(f"/compare/{effect.base}...{effect.head}?per_page=1&page=1", Purpose.PROOF)
    except NotThere as error:
        # Not known (yet: a replica lags): *unknown* is not *no*, so whoever waits for the proof goes on waiting.
        raise NotNow(f"GitHub does not know {effect.base[:7]} or {effect.head[:7]}") from error
    contains = answer.data["status"] in ("ahead", "identical")
    return Done(ContainmentKnown(effect.service, effect.base, effect.head, contains))


def _ticket(line: Line, slot: str) -> str:
    """What finds a write's place in the line of all writes."""
    return f"{line.pipeline.name}/{slot}"


def shortened(text: str, most: int) -> str:
    """`text` cut to `most` characters, with an ellipsis where something is missing."""
    return text if len(text) <= most else text[: most - 1] + "…"


def tamed(text: str) -> str:
    """A text that pings nobody and hides nothing, whatever a stranger put into a name or a title."""
    return text.replace("@", "@\u200b").replace("<!--", "<! --")
