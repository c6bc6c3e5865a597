"""Questions to GitHub that come back as events: what contains what, who brought a commit, and who may command."""

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

#: After how many tries a comparison that is answered 404 is answered no; with the pauses between, half a minute.
NOT_KNOWN_TRIES = 6
#: The most commits that a comparison lists: what GitHub gives in one page.
LISTED = 100
#: Among so many runs that ended last, one is looked for whose pull request nobody has told.
ENDED_LATELY = 50


def compare(runtime: Runtime, context: PipelineContext, claim: Claim, effect: Compare) -> Done:
    """Ask whether `head` contains `base`: so it is if GitHub says `ahead` or `identical` (GitHub docs: compare).

    404 may come from a replica that lags, so it is asked again. If it stays so though the repository is there, GitHub
    has lost one of the commits (it was taken off main long ago), or they have nothing in common: the answer is no.
    """
    session, most = Session(runtime, effect.repository), LISTED if effect.listed else 1
    try:
        answer = session.read(f"/compare/{effect.base}...{effect.head}?per_page={most}&page=1", Purpose.PROOF)
    except GitHubNotFound as error:
        if claim.tries < NOT_KNOWN_TRIES:
            raise RetryLater(f"GitHub does not know {effect.base[:7]} or {effect.head[:7]}") from error
        session.read(
            "", Purpose.PROOF
        )  # raises GitHubNotFound if we do not see the repository at all: that is no answer
        return Done(ContainmentKnown(effect.service, effect.base, effect.head, contains=False))
    contains = answer.data["status"] in ("ahead", "identical")
    commits = _stood_at(answer.data["commits"], effect.head) if contains and effect.listed else ()
    return Done(ContainmentKnown(effect.service, effect.base, effect.head, contains, commits))


def _stood_at(rows: Sequence[dict[str, Any]], head: str) -> tuple[str, ...]:
    """The commits at which main stood up to `head`, oldest first: the first parents, not what merges brought in.

    A comparison lists the oldest first (GitHub docs: compare two commits): if there are more than `LISTED`, it names
    no parent of `head`, and there are none.
    """
    parents = {str(row["sha"]): [str(parent["sha"]) for parent in row["parents"]] for row in rows}
    found: list[str] = []
    while head in parents:
        found.append(head)
        head = next(iter(parents[head]), "")
    return tuple(reversed(found))


def find_pull(runtime: Runtime, context: PipelineContext, claim: Claim, effect: FindPull) -> Done:
    """Ask which pull request brought a commit, unless its webhook has come meanwhile, or the run is gone.

    The run may end, or have ended, before the answer is decided upon: its pull request hears of it all the same.
    """
    if not effect.run:
        run = _to_tell(context, effect)
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


def _to_tell(context: PipelineContext, effect: FindPull) -> Run | None:
    """The run of the commit, if nobody has told its pull request; if it has none, that of the head that carries it."""
    own = _runs_of(context, effect.service, effect.sha)
    if own or not effect.carried_by:
        return next((run for run in own if run.merge.pull is None), None)
    return next(iter(_runs_of(context, effect.service, effect.carried_by)), None)


def _runs_of(context: PipelineContext, service: str, sha: str) -> list[Run]:
    """The runs of a commit, the latest first: those that live, or else those among the last that have ended."""
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


# -- whether whoever gave a command may: asked live, and refused in doubt ----------------------------------------------

log = structlog.get_logger()

#: How often a comment may be missing before it counts as deleted: reads may lag behind the webhook.
MISSING = 3

#: How many of the latest finished runs are looked through.
PAST = 200

#: The most characters of the name of a branch in one.
BRANCH = 60


def authorize(runtime: Runtime, context: PipelineContext, claim: Claim, effect: AuthorizeCommand) -> Done:
    """Ask what must be known before anything is done. Anything that GitHub does not confirm counts as no."""
    said, waited = effect.said, time.time() - effect.since
    known = runtime.configuration.github.limits
    if waited > known.command_age:
        return Done(CommandRefused(said, "it came too late: nobody was there to hear it for an hour"))
    try:
        return _authorize(runtime, context, claim, effect)
    except RetryLater as error:
        if waited > known.command_patience:
            log.warning("command-refused", command=said.key, why=str(error))
            return Done(CommandRefused(said, "GitHub could not be asked whether you may; say it again later"))
        raise
    except PermanentFailure as error:
        log.warning("command-refused", command=said.key, why=str(error))
        return Done(CommandRefused(said, "GitHub does not say whether you may"))


def _authorize(runtime: Runtime, context: PipelineContext, claim: Claim, effect: AuthorizeCommand) -> Done:
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
    why = _turned_off(runtime, context, said) or _no(runtime, context, allowed, purpose)
    return Done(CommandRefused(said, why)) if why is not None else Done(_with_past(context, allowed))


def _is_over(session: Session, claim: Claim, said: CommandSaid, purpose: Purpose) -> Done | None:
    """Whether the comment has been deleted or says something else by now: then it is not meant any more."""
    try:
        present = session.read(f"/issues/comments/{said.comment}", purpose).data
    except GitHubNotFound:
        if claim.tries < MISSING:
            raise RetryLater("the comment is not there (yet)", after=1.0) from None
        log.info("command-deleted", command=said.key)
        return Done()
    if webhooks.parse(text(present, "body"))[: webhooks.MOST] != said.commands:
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


def _turned_off(runtime: Runtime, context: PipelineContext, said: CommandSaid) -> str | None:
    """Which of the commands the pipeline file turns off."""
    obeyed = runtime.configuration.access(context.pipeline.name).commands
    off = [f"`{command.verb}`" for command in said.commands if command.verb and _known_as(command) not in obeyed]
    return f"the pipeline file turns {' and '.join(off)} off at GitHub" if off else None


def _known_as(command: Command) -> str:
    """The name of a command in the pipeline file. Re-run is a retry, or a verification, which takes the same role."""
    return "retry" if command.verb == webhooks.RERUN.verb else command.verb


def _no(runtime: Runtime, context: PipelineContext, allowed: CommandAllowed, purpose: Purpose) -> str | None:
    """Why they may not do one of the things that they command; then none of them is done.

    A permission counts in the repository in which the command is given: nobody can make us ask about all of them.
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


#: What is for everybody, by whether reading takes a sign-in.
_FREE = {False: "; `status`, `why` and `help` are for everybody", True: "; `help` is for everybody"}
#: What is about the runs of one service; the rest is about what all services share.
_OF_ONE_SERVICE = (Action.RETRY, Action.CANCEL, Action.VERIFY, Action.FAST_LANE)


def _action(runtime: Runtime, context: PipelineContext, command: Command) -> Action | None:
    """What a command does. Where reading takes a sign-in, its answer is for readers: anybody may comment on a public
    repository, and the pipeline may have private ones."""
    action = COMMANDS.get(_known_as(command))
    if action is None and command.verb in ("status", "why") and runtime.configuration.web.private:
        return Action.READ
    if action is Action.FAST_LANE and command.rest:
        with context.look() as replica:
            named = context.pipeline_of(replica.board).stage(command.rest.partition(" ")[0])
        return Action.FAST_LANE if named is None else Action.FAST_LANE_INTO
    return action


def _services(context: PipelineContext, allowed: CommandAllowed) -> list[str]:
    """The services that it may be about: that of the pull request, or all of the repository (all, if it has another
    name by now)."""
    if allowed.service:
        return [allowed.service]
    found = context.pipeline.services_in(allowed.said.repository) or context.pipeline.services
    return [service.name for service in found]


def _with_past(context: PipelineContext, allowed: CommandAllowed) -> CommandAllowed:
    """The same, with what became of the last run that it may be about."""
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


# -- after a loss: what GitHub still shows of a service, by what Interlock wrote there: statuses and deployments -------
# Asked about the services of which neither a worker nor Jenkins knows anything. Whoever may set statuses in the
# repository may have written them: they start nothing but the head of main.

#: How many of the newest deployments of an environment are looked at for one that succeeded.
DEPLOYMENTS = 5

_State = Literal["", "pending", "success", "failure", "error"]
_STATES: tuple[_State, ...] = ("pending", "success", "failure", "error")


def survey(runtime: Runtime, context: PipelineContext, claim: Claim, effect: Survey) -> Done:
    """Ask where main stands, how far it had come, and what is in the environments."""
    if not identity.is_known(runtime.settings):
        return Done()  # nobody can be asked
    session = Session(runtime, effect.repository)
    sha = text(session.read(f"/git/ref/heads/{quote(effect.branch)}", Purpose.HEADS).data, "object", "sha")
    if not is_sha(sha):
        raise RetryLater(f"GitHub's answer names no head of {effect.repository}")
    name = f"{runtime.configuration.github.status_context_prefix}/{effect.last_stage}"
    checks = runtime.configuration.github.report is ReportKind.CHECKS and identity.is_app(runtime.settings)
    state = _check(session, sha, name) if checks else ""
    state = state or _status(session, sha, name)  # also where check runs came later than statuses
    deployed = [found for stage, environment in effect.environments for found in _deployed(session, stage, environment)]
    return Done(HeadSurveyed(effect.service, sha, state, tuple(deployed)))


def _status(session: Session, sha: str, name: str) -> _State:
    """The last commit status of the last stage (GitHub docs: commit statuses; the latest first)."""
    for row in session.pages(f"/commits/{sha}/statuses", Purpose.HEADS):
        if text(row, "context").lower() == name.lower():
            return next((state for state in _STATES if state == text(row, "state")), "")
    return ""


def _check(session: Session, sha: str, name: str) -> _State:
    """What the last check run of the last stage amounts to (GitHub docs: check runs)."""
    path = f"/commits/{sha}/check-runs?check_name={quote(name, safe='')}&filter=latest&per_page=1"
    rows: list[Any] = session.read(path, Purpose.HEADS).data["check_runs"]
    if not rows:
        return ""
    if text(rows[0], "status") != "completed":
        return "pending"
    return "success" if text(rows[0], "conclusion") == "success" else "failure"


def _deployed(session: Session, stage: str, environment: str) -> Iterator[DeployedCommit]:
    """The commit of the newest deployment that succeeded, if it is one of the last few; at most one."""
    path = f"/deployments?environment={quote(environment, safe='')}&per_page={DEPLOYMENTS}"
    for row in session.read(path, Purpose.HEADS).data:
        states = session.read(f"/deployments/{row['id']}/statuses?per_page=1", Purpose.HEADS).data
        at = moment(text(row, "created_at"))
        if states and text(states[0], "state") == "success" and is_sha(text(row, "sha")) and at is not None:
            yield DeployedCommit(stage, text(row, "sha"), at)
            return
