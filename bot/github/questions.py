"""Ask GitHub and return the answers as events: containment, the pull request of a commit, who may command, surveys."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Literal
from urllib.parse import quote

import structlog

from bot.core.access import COMMANDS, AccessRefused, AccessRequest, Action, github_person
from bot.core.model.effects import AuthorizeCommand, Compare, FindPull, Survey
from bot.core.model.events import (
    Command,
    CommandAllowed,
    CommandRefused,
    CommandSaid,
    ContainmentKnown,
    HeadSurveyed,
    PullFound,
)
from bot.core.model.run import Run
from bot.core.model.traces import DeployedCommit
from bot.effect_outcomes import Done, PermanentFailure, RetryLater
from bot.github import identity, membership, webhooks
from bot.github.session import Purpose, Session
from bot.github.transport import GitHubNotFound
from bot.github.webhooks import TITLE, labels_of
from bot.payloads import at, is_sha, moment, number, text
from bot.payloads import line as one_line
from bot.reporting.messages import words
from bot.reporting.refusals import refusal
from bot.runtime import PipelineContext, Runtime
from bot.store.outbox import Claim
from config.model import ReportKind

#: After this many tries a comparison that gets a 404 counts as a no; with the pauses, that is half a minute.
NOT_KNOWN_TRIES = 6
#: The most commits that a comparison lists: one page of GitHub's answer.
LISTED = 100
#: The number of latest ended runs that are searched for the run of a commit.
ENDED_LATELY = 50


def compare(runtime: Runtime, context: PipelineContext, claim: Claim, effect: Compare) -> Done:
    """Ask whether `head` contains `base`; it does if GitHub says `ahead` or `identical` (GitHub docs: compare).

    A 404 may come from a replica that lags, so the question is repeated. If it stays 404 although the repository can be
    read, GitHub has deleted one of the commits (it was taken off main long ago), or they have no common ancestor: the
    answer is no.
    """
    session, most = Session(runtime, effect.repository), LISTED if effect.listed else 1
    try:
        answer = session.read(f"/compare/{effect.base}...{effect.head}?per_page={most}&page=1", Purpose.PROOF)
    except GitHubNotFound as error:
        if claim.tries < NOT_KNOWN_TRIES:
            raise RetryLater(f"GitHub does not find commit {effect.base[:7]} or {effect.head[:7]}") from error
        session.read(
            "", Purpose.PROOF
        )  # raises GitHubNotFound if we may not read the repository: then there is no answer
        return Done(ContainmentKnown(effect.service, effect.base, effect.head, contains=False))
    contains = answer.data["status"] in ("ahead", "identical")
    commits = _first_parents(answer.data["commits"], effect.head) if contains and effect.listed else ()
    return Done(ContainmentKnown(effect.service, effect.base, effect.head, contains, commits))


def _first_parents(rows: Sequence[dict[str, Any]], head: str) -> tuple[str, ...]:
    """Return the commits that were the head of main, up to `head`, oldest first: the chain of first parents.

    A comparison lists the oldest commits first (GitHub docs: compare two commits). If there are more than `LISTED`, it
    does not contain `head`, and the result is empty.
    """
    parents = {str(row["sha"]): [str(parent["sha"]) for parent in row["parents"]] for row in rows}
    found: list[str] = []
    while head in parents:
        found.append(head)
        head = next(iter(parents[head]), "")
    return tuple(reversed(found))


def find_pull(runtime: Runtime, context: PipelineContext, claim: Claim, effect: FindPull) -> Done:
    """Ask which pull request brought a commit, unless its webhook has arrived meanwhile or the run is gone.

    If the run ends before the answer is decided, its pull request is told nevertheless.
    """
    if not effect.run:
        run = _run_to_tell(context, effect)
        if run is None:
            return Done()
        effect = replace(effect, run=run.key, began=run.created)
    session = Session(runtime, effect.repository)
    try:
        rows = list(session.pages(f"/commits/{effect.sha}/pulls", Purpose.COMMENT))
    except GitHubNotFound:
        return Done()  # the commit is gone: there is no pull request to comment on
    merged = [row for row in rows if row.get("merged_at") and row["base"]["ref"] == effect.branch]
    exact = [row for row in merged if row.get("merge_commit_sha") == effect.sha]
    return Done(_found(effect, (exact or merged)[0])) if exact or len(merged) == 1 else Done()


def _run_to_tell(context: PipelineContext, effect: FindPull) -> Run | None:
    """Return the run of the commit if its pull request is not known; if the commit has no run, that of the head that
    carries it."""
    own = _runs_of(context, effect.service, effect.sha)
    if own or not effect.carried_by:
        return next((run for run in own if run.merge.pull is None), None)
    return next(iter(_runs_of(context, effect.service, effect.carried_by)), None)


def _runs_of(context: PipelineContext, service: str, sha: str) -> list[Run]:
    """Return the runs of a commit, latest first: those on the board, or if none, those among the latest ended ones."""
    with context.look() as replica:
        runs = replica.board.of_commit(service, sha)[::-1]
    if not runs:
        ended, _ = context.records.ended(0, ENDED_LATELY)
        runs = [row.run for row in ended if (row.run.service, row.run.position.sha) == (service, sha)]
    return runs


def _found(effect: FindPull, row: dict[str, Any]) -> PullFound:
    author = str((row.get("user") or {}).get("login") or "")[:TITLE]
    title, said = one_line(str(row["title"]), TITLE), (effect.run, effect.text, effect.began)
    return PullFound(effect.service, effect.sha, int(row["number"]), title, author, *said, labels=labels_of(row))


# -- whether the author of a command may give it: asked live, and refused in doubt -------------------------------------

log = structlog.get_logger()

#: After this many tries a comment that GitHub does not find counts as deleted: reads may lag behind the webhook.
MISSING = 3

#: The number of latest ended runs that are searched.
PAST = 200

#: The most characters of a branch name in an answer.
BRANCH = 60


def authorize(runtime: Runtime, context: PipelineContext, claim: Claim, effect: AuthorizeCommand) -> Done:
    """Ask whether the author may give the command. Anything that GitHub does not confirm counts as no."""
    said, waited = effect.said, time.time() - effect.since
    known = runtime.configuration.github.limits
    if waited > known.command_age:
        return Done(
            CommandRefused(said, "Interlock did not handle it within an hour; write it again if you still want it")
        )
    try:
        return _authorize(runtime, context, claim, effect)
    except RetryLater as error:
        if waited > known.command_patience:
            log.warning("command-refused", command=said.key, why=str(error))
            return Done(
                CommandRefused(said, "Interlock could not ask GitHub whether you may do this; write it again later")
            )
        raise
    except PermanentFailure as error:
        log.warning("command-refused", command=said.key, why=str(error))
        return Done(
            CommandRefused(said, "GitHub did not say whether you may do this, and Interlock does nothing without that")
        )


def _authorize(runtime: Runtime, context: PipelineContext, claim: Claim, effect: AuthorizeCommand) -> Done:
    said, session = effect.said, Session(runtime, effect.said.repository)
    purpose = Purpose.PROOF if effect.acts else Purpose.COMMENT  # everybody may be waiting for an unlock
    if said.comment is not None and (over := _gone_or_changed(session, claim, said, purpose)) is not None:
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
            allowed = _with_pull(said, known[1].name, found)
    why = _why_turned_off(runtime, context, said) or _why_refused(runtime, context, allowed, purpose)
    return Done(CommandRefused(said, why)) if why is not None else Done(_with_past(context, allowed))


def _gone_or_changed(session: Session, claim: Claim, said: CommandSaid, purpose: Purpose) -> Done | None:
    """Return the outcome if the comment has been deleted or changed meanwhile and must not be obeyed; else None."""
    try:
        present = session.read(f"/issues/comments/{said.comment}", purpose).data
    except GitHubNotFound:
        if claim.tries < MISSING:
            raise RetryLater("GitHub does not find the comment (yet)", after=1.0) from None
        log.info("command-deleted", command=said.key)
        return Done()
    if webhooks.parse(text(present, "body"))[: webhooks.MOST] != said.commands:
        return Done(CommandRefused(said, "somebody has edited the comment; write the command in a new one"))
    return None


def _with_pull(said: CommandSaid, service: str, pull: Any) -> CommandAllowed:
    """Return the allowed command with the present state of its pull request. A deleted fork counts as a fork."""
    own, theirs = number(pull, "base", "repo", "id"), number(pull, "head", "repo", "id")
    merged = text(pull, "merge_commit_sha") if at(pull, "merged") is True else ""
    is_open = text(pull, "state") == "open"
    return CommandAllowed(
        said, service, text(pull, "head", "sha"), fork=own is None or own != theirs, open=is_open, merged=merged
    )


def _not_ours(runtime: Runtime, context: PipelineContext, said: CommandSaid, base: str) -> Done:
    """Refuse a command on a pull request into a branch that is no service's main. If several pipelines share the
    repository, only the first one answers."""
    first = runtime.configuration.pipelines_of(said.repository)[:1]
    if [pipeline.name for pipeline in first] != [context.pipeline.name]:
        return Done()
    branch = base[:BRANCH].replace("`", "'")
    return Done(CommandRefused(said, f"#{said.pull} targets `{branch}`, which is not the main branch of any service"))


def _why_turned_off(runtime: Runtime, context: PipelineContext, said: CommandSaid) -> str | None:
    """Return a sentence about the commands that the pipeline file turns off; None if it turns off none of them."""
    obeyed = runtime.configuration.access(context.pipeline.name).commands
    off = [f"`{command.verb}`" for command in said.commands if command.verb and _known_as(command) not in obeyed]
    return f"the pipeline file turns {' and '.join(off)} off at GitHub" if off else None


def _known_as(command: Command) -> str:
    """Return the name of a command in the pipeline file. Re-run is a retry or a verification: the role is the same."""
    return "retry" if command.verb == webhooks.RERUN.verb else command.verb


def _why_refused(runtime: Runtime, context: PipelineContext, allowed: CommandAllowed, purpose: Purpose) -> str | None:
    """Return why one of the commands is refused, and with it all of them; None if all are allowed.

    Only a permission in the repository of the command counts, so that nobody can make us ask about all repositories.
    """
    said, roles = allowed.said, runtime.configuration.access(context.pipeline.name).roles
    person, services = github_person(said.by), _services(context, allowed)
    for command in said.commands:
        action = _action(runtime, context, command)
        if action is None:
            continue
        for service in services if action in _OF_ONE_SERVICE else [None]:
            request = AccessRequest(action, service, (said.repository,))
            verdict = membership.judge(runtime, roles, request, person, purpose)
            if isinstance(verdict, AccessRefused):
                return refusal(verdict, said.by) + _FREE[runtime.configuration.web.private]
    return None


#: The commands that everybody may give, by whether reading requires a sign-in.
_FREE = {False: "; everybody may use `status`, `why` and `help`", True: "; everybody may use `help`"}
#: The actions about the runs of one service; the others concern all services.
_OF_ONE_SERVICE = (Action.RETRY, Action.CANCEL, Action.VERIFY, Action.FAST_LANE)


def _action(runtime: Runtime, context: PipelineContext, command: Command) -> Action | None:
    """Return the action of a command, or None if everybody may do it. Where reading requires a sign-in, `status` and
    `why` are for readers only: anybody may comment on a public repository, and the pipeline may have private ones."""
    action = COMMANDS.get(_known_as(command))
    if action is None and command.verb in ("status", "why") and runtime.configuration.web.private:
        return Action.READ
    if action is Action.FAST_LANE and command.rest:
        with context.look() as replica:
            named = context.pipeline_of(replica.board).stage(command.rest.partition(" ")[0])
        return Action.FAST_LANE if named is None else Action.FAST_LANE_INTO
    return action


def _services(context: PipelineContext, allowed: CommandAllowed) -> list[str]:
    """Return the services that the command may be about: that of the pull request, or all of the repository (all of the
    pipeline if the repository has been renamed)."""
    if allowed.service:
        return [allowed.service]
    found = context.pipeline.services_in(allowed.said.repository) or context.pipeline.services
    return [service.name for service in found]


def _with_past(context: PipelineContext, allowed: CommandAllowed) -> CommandAllowed:
    """Add to the command how the last ended run that it may be about has ended."""
    rows, _ = context.records.ended(0, PAST)
    past = next((row for row in rows if _is_about(row.run, allowed)), None)
    if past is None:
        return allowed
    became = f"{past.run.key} ended as {past.ending.end} in {past.run.step}: {words(past.ending.why)}"
    return replace(allowed, past=became)


def _is_about(run: Run, allowed: CommandAllowed) -> bool:
    said = allowed.said
    if said.comment is None:
        return run.position.sha == said.sha
    mine = said.pull in run.merge.pulls or run.position.sha == allowed.merged
    return run.service == allowed.service and mine


# -- after a loss of state: the statuses and deployments that Interlock once wrote for a service -----------------------
# Asked for services of which neither a worker nor Jenkins has a trace. Anybody who may set statuses in the repository
# may have written them, so they can start nothing but the head of main.

#: The number of newest deployments of an environment among which one that succeeded is looked for.
DEPLOYMENTS = 5

_State = Literal["", "pending", "success", "failure", "error"]
_STATES: tuple[_State, ...] = ("pending", "success", "failure", "error")


def survey(runtime: Runtime, context: PipelineContext, claim: Claim, effect: Survey) -> Done:
    """Ask for the head of main, how far it had come, and which commits are in the environments."""
    if not identity.is_known(runtime.settings):
        return Done()  # without an identity GitHub cannot be asked
    session = Session(runtime, effect.repository)
    sha = text(session.read(f"/git/ref/heads/{quote(effect.branch)}", Purpose.HEADS).data, "object", "sha")
    if not is_sha(sha):
        raise RetryLater(f"GitHub's answer contains no head of main of {effect.repository}")
    name = f"{runtime.configuration.github.status_context_prefix}/{effect.last_stage}"
    checks = runtime.configuration.github.report is ReportKind.CHECKS and identity.is_app(runtime.settings)
    state = _check(session, sha, name) if checks else ""
    state = state or _status(session, sha, name)  # also where check runs came later than statuses
    deployed = [found for stage, environment in effect.environments for found in _deployed(session, stage, environment)]
    return Done(HeadSurveyed(effect.service, sha, state, tuple(deployed)))


def _status(session: Session, sha: str, name: str) -> _State:
    """Return the last commit status of the last stage (GitHub docs: commit statuses; latest first)."""
    for row in session.pages(f"/commits/{sha}/statuses", Purpose.HEADS):
        if text(row, "context").lower() == name.lower():
            return next((state for state in _STATES if state == text(row, "state")), "")
    return ""


def _check(session: Session, sha: str, name: str) -> _State:
    """Return the last check run of the last stage as a state of a commit status (GitHub docs: check runs)."""
    path = f"/commits/{sha}/check-runs?check_name={quote(name, safe='')}&filter=latest&per_page=1"
    rows: list[Any] = session.read(path, Purpose.HEADS).data["check_runs"]
    if not rows:
        return ""
    if text(rows[0], "status") != "completed":
        return "pending"
    return "success" if text(rows[0], "conclusion") == "success" else "failure"


def _deployed(session: Session, stage: str, environment: str) -> Iterator[DeployedCommit]:
    """Yield at most one commit: that of the newest deployment that succeeded, if it is among the last `DEPLOYMENTS`."""
    path = f"/deployments?environment={quote(environment, safe='')}&per_page={DEPLOYMENTS}"
    for row in session.read(path, Purpose.HEADS).data:
        states = session.read(f"/deployments/{row['id']}/statuses?per_page=1", Purpose.HEADS).data
        at = moment(text(row, "created_at"))
        if states and text(states[0], "state") == "success" and is_sha(text(row, "sha")) and at is not None:
            yield DeployedCommit(stage, text(row, "sha"), at)
            return
