"""Limits and times that no pipeline file sets: what GitHub and Jenkins allow, and how long Interlock waits for them.

Times are in seconds. A `Configuration` holds them, so whoever builds one may choose others.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class GitHubLimits:
    """What GitHub allows, and how long Interlock waits for it."""

    #: How long a request may still arrive after it was sent (GitHub docs: troubleshooting the REST API, time-outs).
    late_request: float = 10.0
    #: So many statuses of one context GitHub takes on one commit, ever (GitHub docs: commit statuses).
    statuses_of_context: int = 1000
    #: How many open pull requests of a repository get the status of a lock (the newest).
    lock_notices: int = 300
    #: How many of them get it before others get a turn.
    lock_notices_at_once: int = 20
    #: For how long GitHub is asked again whether somebody may command.
    command_patience: float = 900.0
    #: How old a command may be when Interlock comes to it.
    command_age: float = 3600.0
    #: The pause after a refusal that names none (GitHub docs: rate limits, "wait for at least one minute").
    unnamed_pause: float = 60.0
    #: That pause doubles with each further refusal, up to this.
    longest_pause: float = 900.0
    #: How long before its end a token of an installation is renewed: longer than a request may take.
    token_renewal: float = 300.0
    #: GitHub may refuse a new token for a moment (octokit/auth-app.js#65): the age up to which a token is new.
    new_token: float = 60.0
    #: The pause before the one repetition with a new token.
    new_token_pause: float = 0.5
    #: For how long a process believes what it has read of the names of repositories.
    names_believed: float = 30.0


@dataclass(frozen=True, slots=True)
class JenkinsLimits:
    """How long Interlock waits for one controller, and how far it looks back there."""

    #: How long a trigger whose reply was lost may still be on its way, beyond the time-out of the request.
    late_request: float = 3.0
    #: How long a build must be nowhere to be seen, at every look, before it counts as lost: queue and executor lag
    #: behind, and a Jenkins that has just restarted answers before it has read everything.
    lost_after: float = 30.0
    #: The pause between two looks for a build that must end and is gone.
    gone_pause: float = 5.0
    #: How many builds of a job one look takes in.
    builds: int = 50
    #: How long after its claim a trigger goes out on what the claim has noted: far less than it is held for
    #: (`bot.store.outbox`). Later it is noted once more, which proves that it is still ours.
    claim_note: float = 2.0
