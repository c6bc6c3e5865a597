"""In words: a build that is not in Jenkins any more, and what is known of why."""

from __future__ import annotations

from bot.core.sentences import moment
from bot.jenkins import restarts
from bot.jenkins.client import JenkinsClient


def gone(jenkins: JenkinsClient, number: int, since: float) -> str:
    """`build #7 is no longer there: ...`; `since`: when it was there at the latest, in seconds since the epoch.

    A core that is stopped while a build that is no Pipeline runs may lose its record (seen on 2.426.3).
    """
    restarted = restarts.last(jenkins.url)
    if restarted is not None and restarted >= since:
        return f"build #{number} is no longer there: Jenkins restarted at {moment(restarted)} and has no record of it"
    return f"build #{number} is no longer there: somebody deleted it, or Jenkins lost its record when it was stopped"
