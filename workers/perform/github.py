"""Effects on GitHub: commit statuses, comments, and the question of what contains what."""

from __future__ import annotations

from github import Github, GithubException

from bot.core.effects import Comment, Compare, SetStatus
from bot.core.events import ContainmentKnown
from bot.state.outbox import Claim
from workers.context import Context, Line
from workers.github_client import asked, client
from workers.perform.outcome import Done, Lost, Never, NotNow

#: GitHub's limits: a status description has 140 characters, a comment 65,536 (GitHub docs: statuses, comments).
DESCRIPTION = 140
COMMENT = 60_000
#: How long it is remembered that a comment was written, in seconds: longer than a run lives.
SAID_SECONDS = 14 * 86_400


def status(context: Context, line: Line, claim: Claim, effect: SetStatus) -> Done:
    """Set the status of one stage on a commit; before a repeat, look whether it is set already."""
    context_name = f"{context.configuration.github.status_context_prefix}/{effect.context}"
    description = shortened(effect.description, DESCRIPTION)
    url = f"{context.configuration.web.public_url}/p/{line.pipeline.name}/runs/{effect.run}"

    def write() -> None:
        repository = client(context).get_repo(effect.repository)
        commit = repository.get_commit(effect.sha)
        if claim.tries:
            last = next((s for s in commit.get_statuses() if s.context.lower() == context_name.lower()), None)
            if last is not None and (last.state, last.description) == (effect.state, description):
                return
        made = commit.create_status(effect.state, url, description, context_name)
        if not made.raw_data.get("id"):
            raise Never(f"{effect.repository} seems to have moved: GitHub took no status (a redirect)")

    asked(write)
    return Done()


def comment(context: Context, line: Line, claim: Claim, effect: Comment) -> Done:
    """Write a comment, once: a hidden marker tells it from all others, and is looked for before a repeat.

    The rules may ask again for one that was written (a run that enters a stage a second time): that is remembered.
    """
    if line.redis.exists(line.keys.said(effect.slot)):
        return Done()
    marker = f"<!-- interlock {effect.slot} -->"
    link = f"{context.configuration.web.public_url}/p/{line.pipeline.name}/runs/{effect.run}"
    body = f"{marker}\n{tamed(shortened(effect.text, COMMENT))}\n\n[Where it is now]({link})"

    def write() -> None:
        issue = client(context).get_repo(effect.repository).get_issue(effect.pull)
        if claim.tries and any(c.body.startswith(marker) for c in issue.get_comments()):
            return
        if line.outbox.renew(claim) is None:
            raise Lost
        made = issue.create_comment(body)
        if not made.raw_data.get("id"):
            raise Never(f"{effect.repository} seems to have moved: GitHub took no comment (a redirect)")

    asked(write)
    line.redis.set(line.keys.said(effect.slot), "1", ex=SAID_SECONDS)
    return Done()


def compare(context: Context, line: Line, claim: Claim, effect: Compare) -> Done:
    """Ask whether `head` contains `base`: so it is if GitHub says `ahead` or `identical` (GitHub docs: compare)."""
    contains = asked(lambda: _contains(client(context), effect))
    return Done(ContainmentKnown(effect.service, effect.base, effect.head, contains))


def _contains(github: Github, effect: Compare) -> bool:
    try:
        repository = github.get_repo(effect.repository)
        answer = repository.compare(effect.base, effect.head, comparison_commits_per_page=1)
        return answer.status in ("ahead", "identical")
    except GithubException as error:
        if error.status == 404:
            # Not known (yet: a replica lags): *unknown* is not *no*, so whoever waits for the proof goes on waiting.
            raise NotNow(f"GitHub does not know {effect.base[:7]} or {effect.head[:7]}") from error
        raise


def shortened(text: str, most: int) -> str:
    """`text` cut to `most` characters, with an ellipsis where something is missing."""
    return text if len(text) <= most else text[: most - 1] + "…"


def tamed(text: str) -> str:
    """A text that pings nobody and hides nothing, whatever a stranger put into a name or a title."""
    return text.replace("@", "@\u200b").replace("<!--", "<! --")
