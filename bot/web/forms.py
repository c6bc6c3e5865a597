"""The forms of the page: the fields of each action, and the request made from the answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from bot.core.access import Action
from bot.core.model.board import Board
from bot.core.model.pipeline import Mode
from bot.core.model.run import Run
from bot.reporting.messages import words
from bot.runtime import PipelineContext
from bot.store.inbox import parked
from bot.web import actions, finding
from bot.web.actions import RequestKind
from bot.web.problems import unknown

#: The choice of all locks of a stage.
EVERY = "all"


@dataclass(frozen=True, slots=True)
class Choice:
    """One option of a choice."""

    value: str
    label: str
    detail: str = ""
    since: float | None = None


@dataclass(frozen=True)
class ActionForm:
    """The form of one action. Each form asks for a reason; `fields` names its other fields."""

    #: Its name in an address, such as `lock`.
    name: str
    #: The action that it needs at least, before the answers are known.
    action: Action
    #: The title of the page and the label of the button.
    title: str
    #: A sentence that explains the action.
    about: str
    #: The message after the action is done.
    done: str
    #: The page to return to.
    back: str
    #: The service for which the role is needed, if the action is about one.
    service: str | None = None
    #: The subject in its address: a stage, a run or a service.
    target: Mapping[str, str] = field(default_factory=dict)
    #: The request made from the answers, for the next turn to decide.
    request: RequestKind[Any, Any] | None = None
    #: Does the action at once, given the person's name and the reason, without a turn.
    at_once: Callable[[str, str], None] | None = None
    #: A form with neither of the two only asks for the subject of another form.
    fields: tuple[str, ...] = ()
    choices: tuple[Choice, ...] = ()
    #: The preview, if it does not depend on the board.
    lines: tuple[str, ...] = ()
    #: Returns the fields of the body besides the reason, from the fields as sent.
    details: Callable[[Mapping[str, str]], dict[str, Any]] = field(default=lambda _sent: {})

    def chosen(self, sent: Mapping[str, str]) -> Mapping[str, str]:
        """Return the fields with the chosen lock: the only one, or the named one if it still exists."""
        if "lock" not in self.fields:
            return sent
        keys = [choice.value for choice in self.choices]
        return {**sent, "lock": keys[0] if len(keys) == 1 else sent["lock"] if sent.get("lock") in keys else ""}

    def body(self, sent: Mapping[str, str], reason: str) -> dict[str, Any]:
        """Return the answers as a body of the API."""
        return {"reason": reason, **self.details(sent)}


Make = Callable[[PipelineContext, Board, Mapping[str, str]], ActionForm]


def address(pipeline: str, name: str, **target: str) -> str:
    """Return the address of the form called `name`."""
    query = urlencode({key: value for key, value in target.items() if value})
    return f"/p/{pipeline}/act/{name}{'?' if query else ''}{query}"


def form_of(context: PipelineContext, name: str, asked: Mapping[str, str]) -> ActionForm:
    """Return the form called `name` about the subject in `asked`. Raises Problem (404, 409) if that does not exist."""
    with context.look() as replica:
        return _FORMS[name][1](context, replica.board, asked)


def action_of(name: str) -> Action:
    """Return the action of the form called `name`, whatever its subject. Raises Problem (404)."""
    if name not in _FORMS:
        raise unknown("action", name, _FORMS)
    return _FORMS[name][0]


# -- stages ------------------------------------------------------------------------------------------------------------


def _lock(context: PipelineContext, board: Board, asked: Mapping[str, str]) -> ActionForm:
    stage = _stage(context, board, asked)
    if not stage:
        return _choose(context, board, "lock", "Lock a stage", Action.LOCK, "stage")
    return ActionForm(
        name="lock",
        action=Action.LOCK,
        title=f"Lock {stage}",
        about=f"No run enters {stage} until the lock is opened. Whoever waits reads the reason.",
        done=f"{stage} is locked",
        back=f"/p/{context.pipeline.name}#c-{stage}",
        target={"stage": stage},
        request=actions.lock(stage),
        fields=("let_fixes_in", "until"),
        details=_lock_details,
    )


def _lock_details(sent: Mapping[str, str]) -> dict[str, Any]:
    until = sent.get("until", "").strip()
    return {"let_fixes_in": "let_fixes_in" in sent, **({"until": until} if until else {})}


def _unlock(context: PipelineContext, board: Board, asked: Mapping[str, str]) -> ActionForm:
    stage = _stage(context, board, asked)
    if not stage:
        return _choose(context, board, "unlock", "Unlock a stage", Action.UNLOCK, "stage")
    choices = tuple(Choice(lock.key, lock.key, words(lock.reason), lock.since) for lock in board.locks_of(stage))
    several = len(choices) > 1
    every = (Choice(EVERY, "Both locks" if len(choices) == 2 else f"All {len(choices)} locks"),) if several else ()
    return ActionForm(
        name="unlock",
        action=Action.UNLOCK,
        title=f"Unlock {stage}",
        about=f"{len(choices)} locks close {stage}. It opens with the last of them." if several else "",
        done=f"the lock of {stage} is opened",
        back=f"/p/{context.pipeline.name}#c-{stage}",
        target={"stage": stage},
        request=actions.unlock(stage),
        fields=("lock",) if choices else (),
        choices=(*choices, *every),
        details=_unlock_details,
    )


def _watch(context: PipelineContext, board: Board, asked: Mapping[str, str]) -> ActionForm:
    stage = _stage(context, board, asked)
    if not stage:
        return _choose(context, board, "watch", "Be told when a stage opens", Action.WATCH, "stage")
    return ActionForm(
        name="watch",
        action=Action.WATCH,
        title=f"Tell me when {stage} opens",
        about=f"Interlock notifies you once, through your channel, when the last lock of {stage} has opened.",
        done=f"you get a notice when {stage} opens",
        back=f"/p/{context.pipeline.name}#c-{stage}",
        target={"stage": stage},
        request=actions.watch(stage),
    )


def _unlock_details(sent: Mapping[str, str]) -> dict[str, Any]:
    chosen = sent.get("lock", "")
    return {"all": True} if chosen == EVERY else {"lock": chosen} if chosen else {}


def _stage(context: PipelineContext, board: Board, asked: Mapping[str, str]) -> str:
    """Return the named stage; empty if none is named yet."""
    name = asked.get("stage", "")
    return finding.stage(context.pipeline_of(board), name).name if name else ""


def _choose(context: PipelineContext, board: Board, name: str, title: str, action: Action, what: str) -> ActionForm:
    """Return the form that only asks for the `what` (stage or service) of another form."""
    pipeline = context.pipeline_of(board)
    named = pipeline.stages if what == "stage" else pipeline.services
    base = f"/p/{context.pipeline.name}"
    choices = tuple(Choice(each.name, each.name) for each in named)
    return ActionForm(name, action, title, about="", done="", back=base, fields=(what,), choices=choices)


# -- runs --------------------------------------------------------------------------------------------------------------


def _retry(context: PipelineContext, board: Board, asked: Mapping[str, str]) -> ActionForm:
    run = finding.run(context, board, asked.get("run", ""))
    return ActionForm(
        name="retry",
        action=Action.RETRY,
        service=run.service,
        title=f"Retry {run.key}",
        about="Interlock repeats the failed build, without a new commit.",
        done=f"{run.key} is retried",
        back=_run_page(context, run),
        target={"run": run.key},
        request=actions.retry(run.key),
    )


def _cancel(context: PipelineContext, board: Board, asked: Mapping[str, str]) -> ActionForm:
    run = finding.run(context, board, asked.get("run", ""))
    return ActionForm(
        name="cancel",
        action=Action.CANCEL,
        service=run.service,
        title=f"Cancel {run.key}",
        about=f"{run.key} is taken out. Its commit stays on main: the next run of {run.service} carries it.",
        done=f"{run.key} is cancelled",
        back=_run_page(context, run),
        target={"run": run.key},
        request=actions.cancel(run.key),
    )


def _move(context: PipelineContext, board: Board, asked: Mapping[str, str]) -> ActionForm:
    run = finding.run(context, board, asked.get("run", ""))
    return ActionForm(
        name="move",
        action=Action.MOVE,
        title=f"Move {run.key} to the front",
        about=f"{run.key} goes before the others that wait for {run.step}, never past a lock or a fix.",
        done=f"{run.key} is at the front of its queue",
        back=_run_page(context, run),
        target={"run": run.key},
        request=actions.move(run.key),
    )


def _let_through(context: PipelineContext, board: Board, asked: Mapping[str, str]) -> ActionForm:
    run = finding.run(context, board, asked.get("run", ""))
    return ActionForm(
        name="let-through",
        action=Action.LET_THROUGH,
        title=f"Let {run.key} through freezes",
        about=f"{run.key} enters stages that are frozen, where the freeze allows that. Any other lock keeps it out.",
        done=f"{run.key} is let through",
        back=_run_page(context, run),
        target={"run": run.key},
        request=actions.let_through(run.key),
    )


def _run_page(context: PipelineContext, run: Run) -> str:
    return f"/p/{context.pipeline.name}/runs/{run.key}"


def _fast_lane(context: PipelineContext, board: Board, asked: Mapping[str, str]) -> ActionForm:
    if not asked.get("service"):
        return _choose(context, board, "fast-lane", "Send a service on the fast lane", Action.FAST_LANE, "service")
    pipeline = context.pipeline_of(board)
    service = finding.service(pipeline, asked["service"])
    return ActionForm(
        name="fast-lane",
        action=Action.FAST_LANE,
        service=service,
        title=f"Send {service} on the fast lane",
        about="The head of its main branch passes everyone, once. It enters a stage that other services have locked "
        "only if you name that stage, which takes an operator.",
        done=f"{service} is on the fast lane",
        back=f"/p/{context.pipeline.name}/services/{service}",
        target={"service": service},
        request=actions.fast_lane(service),
        fields=("into",),
        choices=tuple(Choice(stage.name, stage.name) for stage in pipeline.stages),
        details=lambda sent: {"stage": sent["into"]} if sent.get("into") else {},
    )


# -- dead letters and parked deliveries --------------------------------------------------------------------------------


def _dead_letter(name: str, *, again: bool) -> Make:
    def make(context: PipelineContext, _board: Board, asked: Mapping[str, str]) -> ActionForm:
        slot = asked.get("slot", "")
        letters = context.outbox.dead_letters()
        found = next((letter for letter in letters if letter.slot == slot), None)
        if found is None:
            raise unknown("dead letter", slot, (letter.slot for letter in letters))
        return ActionForm(
            name=name,
            action=Action.DEAD_LETTERS,
            title=f"{'Retry' if again else 'Drop'} a dead letter",
            about=f"{slot} was given up: {found.error}.",
            done="it is tried again" if again else "it is dropped",
            back=f"/p/{context.pipeline.name}/dead-letters",
            target={"slot": slot},
            at_once=lambda by, why: actions.take_out_dead_letter(context, slot, by, why, again=again),
            lines=("it is tried again at once",) if again else ("it is deleted and never done",),
        )

    return make


def _parked(name: str, *, again: bool) -> Make:
    def make(context: PipelineContext, _board: Board, asked: Mapping[str, str]) -> ActionForm:
        entry = asked.get("entry", "")
        rows = parked(context.redis, context.keys)
        found = next((row for row in rows if row.entry == entry), None)
        if found is None:
            raise unknown("parked delivery", entry, (row.entry for row in rows))
        return ActionForm(
            name=name,
            action=Action.PARKED,
            title=f"{'Retry' if again else 'Drop'} a parked delivery",
            about=f"{found.name} of {found.source} could not be decided: {found.error}.",
            done="it is decided once more" if again else "it is dropped",
            back=f"/p/{context.pipeline.name}/dead-letters",
            target={"entry": entry},
            at_once=lambda by, why: actions.take_out_parked(context, entry, by, why, again=again),
            lines=("the next turn decides it once more",) if again else ("it is deleted and never decided",),
        )

    return make


# -- the pipeline ------------------------------------------------------------------------------------------------------


def _mode(name: str, mode: Mode, title: str, about: str, done: str) -> Make:
    def make(context: PipelineContext, board: Board, _asked: Mapping[str, str]) -> ActionForm:
        pipeline = context.pipeline.name
        return ActionForm(
            name=name,
            action=Action.MODE if Mode.OBSERVE in (mode, board.header.mode) else Action.PAUSE,
            title=title.format(pipeline),
            about=about,
            done=done.format(pipeline),
            back=f"/p/{pipeline}",
            request=actions.change_mode(),
            details=lambda _sent: {"mode": str(mode)},
        )

    return make


_FORMS: Mapping[str, tuple[Action, Make]] = {
    "lock": (Action.LOCK, _lock),
    "unlock": (Action.UNLOCK, _unlock),
    "retry": (Action.RETRY, _retry),
    "cancel": (Action.CANCEL, _cancel),
    "move": (Action.MOVE, _move),
    "watch": (Action.WATCH, _watch),
    "let-through": (Action.LET_THROUGH, _let_through),
    "fast-lane": (Action.FAST_LANE, _fast_lane),
    "pause": (
        Action.PAUSE,
        _mode(
            "pause",
            Mode.PAUSE,
            "Pause {}",
            "Interlock takes in merges and shows them, and triggers nothing.",
            "{} is paused",
        ),
    ),
    "resume": (
        Action.PAUSE,
        _mode("resume", Mode.RUN, "Resume {}", "Interlock triggers waiting runs again.", "{} runs"),
    ),
    "observe": (
        Action.MODE,
        _mode(
            "observe",
            Mode.OBSERVE,
            "Let {} only observe",
            "Interlock decides and shows everything, and sends nothing to Jenkins, GitHub or people.",
            "{} only observes",
        ),
    ),
    "retry-dead-letter": (Action.DEAD_LETTERS, _dead_letter("retry-dead-letter", again=True)),
    "drop-dead-letter": (Action.DEAD_LETTERS, _dead_letter("drop-dead-letter", again=False)),
    "retry-parked": (Action.PARKED, _parked("retry-parked", again=True)),
    "drop-parked": (Action.PARKED, _parked("drop-parked", again=False)),
}
