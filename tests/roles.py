"""One table of what each role may do, for the API, the command line and the comments at GitHub."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from bot.core.access import NEEDED, Action, Member, MemberKind, Role, Roles
from bot.core.model.pipeline import Mode

#: Somebody of each role, by name; at GitHub they have the same login.
PEOPLE = {"vera": Role.VIEWER, "dora": Role.DEVELOPER, "olga": Role.OPERATOR, "ada": Role.ADMIN}
#: A developer of the service S1 alone.
SAM = "sam"
REASON = "the database moves"


def token(who: str) -> str:
    """The API token of somebody."""
    return f"the very own token of {who}"


def _both(who: str) -> tuple[Member, ...]:
    return (Member(MemberKind.NAME, who), Member(MemberKind.NAME, f"github:{who}"))


ROLES = Roles(_both("vera"), _both("dora"), _both("olga"), _both("ada"), {"S1": _both(SAM)})


@dataclass(frozen=True)
class Case:
    """One action, in each way in which it can be asked for: a path of the API and its body, a command, a comment."""

    action: Action
    path: str = ""
    body: dict[str, Any] = field(default_factory=dict)
    typed: tuple[str, ...] = ()
    comment: str = ""
    #: Whether the path and the command are about the whole installation.
    everywhere: bool = False
    #: The mode that the pipeline is in before.
    mode: Mode = Mode.RUN

    @property
    def name(self) -> str:
        """What a failing test is called."""
        return f"{self.action} {self.path or self.comment} {self.mode}"

    @property
    def form(self) -> str:
        """The address of its form on the page, below `act`; empty: it has none."""
        what, _, rest = self.path[1:].partition("/")
        name, _, verb = rest.partition("/")
        match what:
            case "runs" | "stages":
                return f"{verb}?{what[:-1]}={name}"
            case "services":
                return f"{verb}?service={name}&into={self.body.get('stage', '')}"
            case "mode":
                return {"run": "resume"}.get(self.body["mode"], self.body["mode"])
            case "dead-letters":
                return f"{name}-dead-letter?slot={self.body['slot']}"
            case "parked":
                return f"{name}-parked?entry={self.body['entry']}"
        return ""

    @property
    def foreseeable(self) -> bool:
        """Whether a turn decides it, so that a dry run can say what it would lead to."""
        return bool(self.typed) and self.action not in (Action.DEAD_LETTERS, Action.PARKED, Action.TOKENS)

    def may(self, who: str) -> bool:
        """Whether somebody of PEOPLE may."""
        roles = list(Role)
        return roles.index(PEOPLE[who]) >= roles.index(NEEDED[self.action])


_MOVES = ("-r", REASON)
CASES = (
    Case(Action.RETRY, "/runs/S1.1/retry", typed=("retry", "S1.1", *_MOVES), comment="retry"),
    Case(Action.CANCEL, "/runs/S1.1/cancel", typed=("cancel", "S1.1", *_MOVES), comment="cancel"),
    Case(Action.VERIFY, comment="verify"),
    Case(Action.FAST_LANE, "/services/S1/fast-lane", typed=("fast-lane", "S1", *_MOVES), comment=f"fast-lane {REASON}"),
    Case(
        Action.FAST_LANE_INTO,
        "/services/S1/fast-lane",
        {"stage": "pre-production"},
        ("fast-lane", "S1", "--stage", "pre-production", *_MOVES),
        f"fast-lane pre-production {REASON}",
    ),
    Case(
        Action.LOCK,
        "/stages/production/lock",
        typed=("lock", "production", *_MOVES),
        comment=f"lock acceptance {REASON}",
    ),
    Case(
        Action.UNLOCK,
        "/stages/pre-production/unlock",
        typed=("unlock", "pre-production", *_MOVES),
        comment=f"unlock acceptance {REASON}",
    ),
    Case(
        Action.WATCH,
        "/stages/pre-production/watch",
        typed=("watch-lock", "pre-production"),
        comment="watch pre-production",
    ),
    Case(Action.MOVE, "/runs/S2.1/move", typed=("move", "S2.1", *_MOVES), comment=f"move {REASON}"),
    Case(
        Action.LET_THROUGH,
        "/runs/S2.1/let-through",
        typed=("let-through", "S2.1", *_MOVES),
        comment=f"let-through {REASON}",
    ),
    Case(Action.PAUSE, "/mode", {"mode": "pause"}, ("pause", *_MOVES)),
    Case(Action.PAUSE, "/mode", {"mode": "run"}, ("resume", *_MOVES), mode=Mode.PAUSE),
    Case(Action.MODE, "/mode", {"mode": "observe"}, ("observe", *_MOVES)),
    Case(Action.MODE, "/mode", {"mode": "run"}, ("resume", *_MOVES), mode=Mode.OBSERVE),
    Case(Action.MODE, "/mode", {"mode": "pause"}, ("pause", *_MOVES), mode=Mode.OBSERVE),
    Case(Action.DEAD_LETTERS, "/dead-letters/drop", {"slot": "x"}, ("dead-letters", "drop", "x")),
    Case(
        Action.TOKENS,
        "/tokens/revoke",
        {"which": "nobody"},
        ("token", "revoke", "nobody", "--url", "{url}"),
        everywhere=True,
    ),
    Case(
        Action.TOKENS,
        "/tokens",
        {"name": "robot", "scope": "read"},
        ("token", "create", "robot", "--scope", "read", "--url", "{url}"),
        everywhere=True,
    ),
    Case(Action.PARKED, "/parked/retry", {"entry": "1-1"}, ("parked", "retry", "1-1")),
)


def cases(way: str) -> Iterator[tuple[Case, str]]:
    """Each case that can be asked for in this `way` (a field of Case), with each person."""
    yield from ((case, who) for case in CASES if getattr(case, way) for who in PEOPLE)
