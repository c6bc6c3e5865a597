"""Roles in words: who has which, and a refusal: which role an action takes, and who has it."""

from __future__ import annotations

from collections.abc import Iterator

from bot.core.access import HIGHEST, AccessRefused, AccessRequest, Action, Member, MemberKind, Role, Roles

#: Each action as what somebody may not do.
_ACTIONS = {
    Action.READ: "look at this pipeline",
    Action.RETRY: "retry a run",
    Action.CANCEL: "cancel a run",
    Action.VERIFY: "have a pull request verified",
    Action.FAST_LANE: "send a fix on the fast lane",
    Action.FAST_LANE_INTO: "send a run past a lock into a stage that is named",
    Action.LOCK: "lock a stage",
    Action.UNLOCK: "unlock a stage",
    Action.MOVE: "move a run in its queue",
    Action.WATCH: "be told when a stage opens",
    Action.LET_THROUGH: "let a run through a freeze",
    Action.PAUSE: "pause or resume the pipeline",
    Action.MODE: "change whether the pipeline only observes",
    Action.DEAD_LETTERS: "take out a dead letter",
    Action.PARKED: "take out a parked delivery",
    Action.TOKENS: "manage tokens",
}
#: How many repositories a sentence names.
_NAMED = 3


def refusal(refused: AccessRefused, who: str) -> str:
    """`kim may not lock a stage: that takes the role operator. It is held by ...`, without a full stop at the end."""
    text = f"{who} may not {_ACTIONS[refused.request.action]}: that takes the role `{refused.needs}`"
    if refused.request.service is not None:
        text += f" for {refused.request.service}"
    if refused.scope is not None:
        return f"{text}, and a token of scope `{refused.scope}` acts as `{HIGHEST[refused.scope]}` at most"
    return f"{text}. It is held by {_held_by(refused.holders, _repositories(refused.request))}"


def who_has_which_role(roles: Roles) -> Iterator[str]:
    """A line for each role: `operator: the team shop/release-managers and ...`."""
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
