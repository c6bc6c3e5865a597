"""The words of refusals, including the role that an action takes and its members."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from bot.core.access import HIGHEST, AccessRefused, AccessRequest, Action, Member, MemberKind, Role, Roles
from bot.core.model.refusals import No, NoSuchStage, NotClosedBy, Refusal, SeveralLocks
from bot.reporting.sentences import name_of, named, short, words


def _name(of: Refusal) -> str:
    return name_of(of.who) if of.who is not None else of.run


def _head(of: Refusal) -> str:
    return f"{short(of.head)}, the head of {of.service}"


def _which(of: Refusal) -> str:
    """Return the pull request or the check that a command is about."""
    return f"#{of.pull}" if of.pull is not None else "this check"


_REFUSALS: Mapping[No, Callable[[Refusal], str]] = {
    # requests about runs
    No.NOT_LIVE: lambda of: f"{of.run} is not on the board",
    No.NOT_FAILED: lambda of: f"{_name(of)} has not failed: it is {of.status} in {of.step}",
    No.OFF_MAIN: lambda of: f"{_name(of)} is not on main any more, so nobody can retry it",
    No.FIX_IS_THERE: lambda of: (
        f"the fix {of.who.service if of.who else ''} {short(of.head)} is in {of.step} or past it: "
        f"{_name(of)} is too old for a retry"
    ),
    No.LEAVES_ALREADY: lambda of: f"{of.run} is leaving the board already",
    No.NOT_WAITING: lambda of: f"{_name(of)} does not wait: it is {of.status} in {of.step}",
    No.GOES_FIRST: lambda of: f"{_name(of)} is a fix: it goes before the main lane already, and never past another fix",
    No.FRONT_ALREADY: lambda of: f"{_name(of)} is at the front of the queue for {of.step} already",
    No.OLDER_GOES_FIRST: lambda of: (
        f"{of.run} ({of.who.service if of.who else ''} {short(of.head)}) is older and waits for {of.step} as well, "
        f"which never goes back: move that one first"
    ),
    # notices when a stage opens
    No.NOTHING_LOCKED: lambda of: f"{of.told or 'no stage'} is {'not ' if of.told else ''}locked",
    No.SEVERAL_LOCKED: lambda of: f"several stages are locked: {of.told}. Name one of them",
    No.NO_CHANNEL: lambda of: (
        f"{of.told} has no channel: add one (`notify: people` in the pipeline file), or comment "
        "`/interlock watch` on a pull request"
    ),
    No.WATCHES_ALREADY: lambda of: f"{of.told} already gets a notice when the stage opens",
    No.TOO_MANY_WATCH: lambda of: f"{of.number} people already get a notice when the stage opens, which is the limit",
    # freezes
    No.NOBODY_LET_THROUGH: lambda of: (
        f"no freeze lets single runs through (`except: let_through`): a freeze of {of.step} ends early by `unlock`"
    ),
    No.LET_THROUGH_ALREADY: lambda of: f"{_name(of)} is let through already",
    # the fast lane
    No.NO_COMMIT_KNOWN: lambda of: f"no commit on main of {of.service} is known",
    No.HEAD_HAS_FAILED: lambda of: f"{_head(of)}, has failed already: merge a fix, or retry it",
    No.LANE_IS_CLOSED: lambda of: (
        f"the fast lane is closed to {of.service}, which holds no lock: name the stage to open for it"
    ),
    No.HEAD_IS_THROUGH: lambda of: f"{_head(of)}, is through already: merge a fix",
    No.HEAD_IS_FAST: lambda of: f"{_head(of)}, is on the fast lane already",
    # services and pull requests
    No.SERVICE_NOT_CONFIGURED: lambda of: f"{of.service} is not configured in this pipeline",
    No.NOT_VERIFIED: lambda of: f"Interlock verifies no pull requests of {of.service}",
    No.NO_COMMIT_NAMED: lambda _: "the request names no commit to verify",
    No.FORKS_NEVER: lambda of: f"#{of.pull} comes from a fork, and this pipeline verifies no forks",
    No.PULL_GONE: lambda of: f"#{of.pull} is closed, or targets another branch",
    No.HEAD_MOVED: lambda of: (
        f"the head of #{of.pull} has moved on from {short(of.sha)} to {short(of.head)}: look at "
        "the new head, then ask again"
    ),
    No.VERIFIED_NOW: lambda of: f"{_name(of)} is being verified already",
    # commands at GitHub
    No.TOO_LATE: lambda _: "it was written more than an hour ago, and Interlock obeys no older command",
    No.TOO_MANY: lambda of: f"the limit is {of.number} commands in an hour: try again when they are older",
    No.USAGE: lambda of: (
        f"name the stage and the reason: `{of.verb} <stage> <reason>`. Everybody who waits reads the reason"
    ),
    No.NO_SUCH_OPTION: lambda of: f"there is no option {of.told}; `lock` has `--until <time>` and `--let-fixes-in`",
    No.NO_END_TIME: lambda of: (
        f"{of.told} is not a time within a year: give `16:00` (UTC), `2h` or `2026-12-01T18:00+01:00`"
    ),
    No.PULL_NOT_OPEN: lambda of: f"#{of.pull} is not open: there is nothing to verify",
    No.OTHER_HEAD: lambda of: f"the head of #{of.pull} is {of.head} by now: look at it, then ask again",
    No.NAME_THE_COMMIT: lambda of: (
        f"#{of.pull} comes from a fork: look at the commit, then write its full sha, as in `verify {of.head}`"
    ),
    No.NOT_MERGED: lambda of: f"{_which(of)} is not merged, so it has no run",
    No.NO_RUN: lambda of: f"no run of {_which(of)} is on the board, nor among the latest that have ended",
    No.NO_RUN_ANY_MORE: lambda of: f"no run of {_which(of)} is live any more: {of.told}",
    # whether a build may still do its work
    No.RUN_NOT_THERE: lambda _: "its run is not on the board: it has ended, or was never there",
    No.OTHER_INSTALLATION: lambda _: "its run belongs to an older installation of Interlock",
    No.RUN_ELSEWHERE: lambda of: f"its run is at {of.step} now",
    No.GIVEN_UP: lambda of: f"Interlock gave up attempt {of.number}: attempt {of.present} is the present one",
    No.WAITS_AGAIN: lambda of: f"Interlock gave up attempt {of.number}: its run waits to enter {of.step} again",
    No.FAILED_ALREADY: lambda of: f"attempt {of.number} has failed already",
    No.RUN_LEAVES: lambda _: "its run is leaving the board",
    No.OTHER_BUILD: lambda of: f"build #{of.build} belongs to attempt {of.number}",
}


def _not_closed_by(of: NotClosedBy) -> str:
    if not of.locks:
        return f"{of.stage} is not locked" if of.key is None else f"{of.stage} is not closed by lock {of.key}"
    return f"{of.stage} is not closed by lock {of.key}; it has {named(of.locks)}"


def _several_locks(of: SeveralLocks) -> str:
    which = f"{of.stage} has {len(of.locks)} locks: {named(of.locks)}"
    return f"{which}. Name the one to open by its key, or ask for all"


words.register(Refusal, lambda of: _REFUSALS[of.no](of))
words.register(NoSuchStage, lambda of: f"{of.pipeline} has no stage {of.stage!r}; it has {', '.join(of.stages)}")
words.register(NotClosedBy, _not_closed_by)
words.register(SeveralLocks, _several_locks)


# -- roles: their members, and the role that an action takes -----------------------------------------------------------

#: Each action in the words that follow `may not`.
_ACTIONS = {
    Action.READ: "look at this pipeline",
    Action.RETRY: "retry a run",
    Action.CANCEL: "cancel a run",
    Action.VERIFY: "verify a pull request",
    Action.FAST_LANE: "send a fix on the fast lane",
    Action.FAST_LANE_INTO: "send a run past a lock into a stage that is named",
    Action.LOCK: "lock a stage",
    Action.UNLOCK: "unlock a stage",
    Action.MOVE: "move a run in its queue",
    Action.WATCH: "ask for a notice when a stage opens",
    Action.LET_THROUGH: "let a run through a freeze",
    Action.PAUSE: "pause or resume the pipeline",
    Action.MODE: "change whether the pipeline only observes",
    Action.DEAD_LETTERS: "take out a dead letter",
    Action.PARKED: "take out a parked delivery",
    Action.TOKENS: "manage tokens",
}
#: The most repositories that a sentence names.
_NAMED = 3


def refusal(refused: AccessRefused, who: str) -> str:
    """Return a sentence such as `kim may not lock a stage: that takes the role operator. It is held by ...`.

    Without a full stop at the end.
    """
    text = f"{who} may not {_ACTIONS[refused.request.action]}: that takes the role `{refused.needs}`"
    if refused.request.service is not None:
        text += f" for {refused.request.service}"
    if refused.scope is not None:
        return f"{text}, and a token of scope `{refused.scope}` acts as `{HIGHEST[refused.scope]}` at most"
    return f"{text}. It is held by {_held_by(refused.holders, _repositories(refused.request))}"


def who_has_which_role(roles: Roles) -> Iterator[str]:
    """Yield a line for each role: `operator: the team shop/release-managers and ...`."""
    for role in Role:
        if role is Role.DEVELOPER:
            held = _held_by(roles.developer, "the repository of the service")
            also = (f"; of {name} also {_held_by(more, '')}" for name, more in roles.developers.items())
            yield f"{role}: {held}{''.join(also)}"
        else:
            yield f"{role}: {_held_by(roles.members(role), 'a repository of the pipeline')}"


def _held_by(members: tuple[Member, ...], where: str) -> str:
    return _listed(list(_holders(members, where))) if members else "nobody"


def _holders(members: tuple[Member, ...], where: str) -> Iterator[str]:
    for member in members:
        match member.kind:
            case MemberKind.NAME:
                yield member.value
            case MemberKind.TEAM:
                yield f"the team {member.value}"
            case MemberKind.PERMISSION:
                yield f"everybody with the permission `{member.value}` in {where}"
            case MemberKind.TOKEN:
                yield "everybody with an API token"
            case MemberKind.SIGNED_IN:
                yield "everybody who signs in with a token or through the proxy"


def _repositories(request: AccessRequest) -> str:
    if len(request.repositories) > _NAMED:
        return f"one of the {len(request.repositories)} repositories of the pipeline"
    return " or ".join(request.repositories)


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
