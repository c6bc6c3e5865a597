"""Asking GitHub where main stands: a lost push becomes an event in the inbox; never touches a board."""

from __future__ import annotations

import structlog
from github import GithubException

from bot.core.events import HeadSeen
from workers.context import Context, Line
from workers.github_client import asked, client
from workers.perform.outcome import Never, NotNow

log = structlog.get_logger()


def heads(context: Context, line: Line) -> int:
    """Compare where each service's main stands with what the board knows; returns how many differ."""
    if context.settings.github_token is None:
        return 0
    with line.reading:
        copy = line.look()
        board, version = copy.board, copy.version
        # The file's services: at the first start the board may not have taken its configuration yet.
        services = line.pipeline.services
        known = {s.name: board.service(s.name).chain.head for s in services}
    found = 0
    for service in services:
        try:
            sha = asked(
                lambda s=service: (
                    client(context)  # type: ignore[misc]
                    .get_repo(s.repository)
                    .get_git_ref(f"heads/{s.branch}")
                    .object.sha
                )
            )
        except (NotNow, Never, GithubException) as error:
            log.warning("reconcile-later", repository=service.repository, why=str(error))
            continue
        head = known[service.name]
        if head is None or head.sha != sha:
            event = HeadSeen(service.name, sha)
            found += 1 if line.inbox.add(event, f"head:{version}:{service.name}:{sha}") else 0
    return found
