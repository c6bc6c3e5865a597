"""Commands at GitHub: received once, authorized by GitHub, carried out like requests through the API, answered.

Anybody may comment. So a person without write access is not obeyed and gets a limited number of answers, and the number
of questions to GitHub is limited too.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal, NamedTuple

from bot.core.end_time import read_end_time
from bot.core.model.board_records import HandledCommand
from bot.core.model.effects import Answer, AuthorizeCommand, CommandReply
from bot.core.model.events import (
    CancelAsked,
    Command,
    CommandAllowed,
    CommandRefused,
    CommandSaid,
    Event,
    FastLaneAsked,
    LetThroughAsked,
    LockAsked,
    MoveAsked,
    RetryAsked,
    UnlockAsked,
    VerifyAsked,
    WatchAsked,
)
from bot.core.model.facts import FactKind
from bot.core.model.github_messages import (
    CommandHeard,
    CommandNotDone,
    HelpAsked,
    NotAllowed,
    NotUnderstood,
    StatusAsked,
    WhyAsked,
)
from bot.core.model.messages import Message, Phrase, Phrased
from bot.core.model.pipeline import Service
from bot.core.model.refusals import No, Refusal
from bot.core.model.replaced import replace
from bot.core.model.run import Run, Status
from bot.core.rules.decision import Decision

#: The commands that change nothing and need no role. An empty verb is an unknown command.
ASKS = frozenset({"status", "why", "help", ""})
#: How old a comment may be, in seconds: an older one was delayed on the way, and its command is outdated.
TOO_OLD = 3600.0
#: How many comments of one person count in an hour; how many of those that anybody may write are answered in words on
#: one pull request in an hour; and how many of a service are answered at all, in words or by a reaction.
FROM_ONE, ON_ONE, ON_ALL = 20, 5, 30
#: The option that opens all locks of a stage.
ALL = "--all"
#: The options for the end of a lock, and for letting fixes in.
UNTIL, LET_FIXES_IN = "--until", "--let-fixes-in"
#: How many received commands a service remembers.
HEARD = 64

Reaction = Literal["+1", "-1", "confused"]
Apply = Callable[[Decision, Event], None]
_SHA = re.compile(r"[0-9a-f]{7,40}\Z")
#: The length of a full sha. A person who can push may create another commit with the same beginning.
_WHOLE = 40


class Reply(NamedTuple):
    """The reply to one command: its name, the reaction, the text and the outcome."""

    command: str
    reaction: Reaction
    text: Message
    outcome: Literal["said", "done", "not-done"] = "said"


# -- receiving -------------------------------------------------------------------------------------------------


def hear_command(decision: Decision, event: CommandSaid) -> None:
    """Receive a command: if it is new, recent and within the limits, ask GitHub to authorize its author."""
    service = _service_of(decision, event)
    pipeline, separator, _ = event.run.rpartition("/")
    if service is None or (separator and pipeline != decision.board.pipeline.name):
        return  # the button of a check run that another pipeline wrote
    if event.comment is not None and (event.at is None or decision.now - event.at > TOO_OLD):
        _refuse(decision, event, Refusal(No.TOO_LATE))
        return
    state = decision.board.service(service.name)
    lately = [heard for heard in state.handled_commands if heard.by == event.by and decision.now - heard.at < TOO_OLD]
    if any(heard.key == event.key for heard in state.handled_commands) or len(lately) > FROM_ONE:
        return
    heard = (*state.handled_commands, HandledCommand(event.key, event.by, decision.now, done=len(lately) == FROM_ONE))[
        -HEARD:
    ]
    decision.board.put(replace(state, handled_commands=heard))
    if len(lately) == FROM_ONE:
        _refuse(decision, event, Refusal(No.TOO_MANY, number=FROM_ONE))
        return
    told = CommandHeard(who(event), via(event), tuple(command.verb for command in event.commands))
    decision.tell(FactKind.COMMAND_SAID, told, by=who(event), via=via(event))
    acts = any(command.verb not in ASKS for command in event.commands)
    decision.do(AuthorizeCommand(event, acts, decision.now))


def who(event: CommandSaid) -> str:
    """Return the person's name in the log."""
    return f"github:{event.by}"


def via(event: CommandSaid) -> str:
    """Return the place of the command for the log."""
    if event.comment is not None:
        return f"{event.repository}#{event.pull}, comment {event.comment}"
    return f"{event.repository}, a check of {event.sha[:7]}"


def _service_of(decision: Decision, event: CommandSaid) -> Service | None:
    """Return the service that keeps the received commands of the repository: the first, if there are several."""
    return next(iter(decision.board.pipeline.services_in(event.repository)), None)


def _refuse(decision: Decision, event: CommandSaid, why: Message) -> None:
    told = CommandNotDone(who(event), via(event), why)
    decision.tell(FactKind.REQUEST_REFUSED, told, by=who(event), via=via(event))


# -- GitHub's answers ------------------------------------------------------------------------------------------


def refuse_command(decision: Decision, event: CommandRefused) -> None:
    """Refuse a command: its author may not give it, it came too late, or GitHub did not answer."""
    if _take(decision, event.said):
        why = NotAllowed(event.why)
        _refuse(decision, event.said, why)
        _answer(decision, event.said, [Reply("", "-1", why, "not-done")], trusted=False)


def obey_command(decision: Decision, event: CommandAllowed, apply: Apply) -> None:
    """Carry out the commands of an authorized person one after another, like requests through the API."""
    if _take(decision, event.said):
        replies = [_obey(decision, event, command, apply) for command in event.said.commands]
        acts = any(command.verb not in ASKS for command in event.said.commands)
        _answer(decision, event.said, replies, trusted=acts)


def _take(decision: Decision, event: CommandSaid) -> bool:
    """Mark a received command as decided. Return whether it was received and not decided before."""
    service = _service_of(decision, event)
    if service is None:
        return False
    state = decision.board.service(service.name)
    if not any(heard.key == event.key and not heard.done for heard in state.handled_commands):
        return False
    heard = tuple(replace(one, done=True) if one.key == event.key else one for one in state.handled_commands)
    decision.board.put(replace(state, handled_commands=heard))
    return True


def _answer(decision: Decision, event: CommandSaid, replies: list[Reply], *, trusted: bool) -> None:
    """Answer a comment; a button needs no answer, because its check run shows the result.

    Questions that anybody may ask get a limited number of answers in words, then a reaction alone, and then none.
    """
    if event.comment is None or event.pull is None:
        return
    found = {reply.reaction for reply in replies}
    reaction: Reaction = "-1" if "-1" in found else "confused" if "confused" in found else "+1"
    told = tuple(CommandReply(reply.command, reply.text, reply.outcome) for reply in replies)
    if not trusted:
        answered = _answered_lately(decision, event, event.pull)
        if answered is None:
            return
        told = told if answered < ON_ONE else ()
    decision.do(Answer(event.repository, event.pull, event.comment, reaction, replies=told, more=event.more))


def _answered_lately(decision: Decision, event: CommandSaid, pull: int) -> int | None:
    """Count this comment. Return how many such comments on the pull request were answered in the hour before.

    None: the limit of the service is reached, so there is no answer.
    """
    service = _service_of(decision, event)
    if service is None:
        return None
    state = decision.board.service(service.name)
    lately = tuple((number, at) for number, at in state.answered if decision.now - at < TOO_OLD)
    if len(lately) >= ON_ALL:
        return None
    decision.board.put(replace(state, answered=(*lately, (pull, decision.now))))
    return sum(number == pull for number, _ in lately)


# -- carrying out ----------------------------------------------------------------------------------------------


def _obey(decision: Decision, event: CommandAllowed, command: Command, apply: Apply) -> Reply:
    match command.verb:
        case "help":
            return Reply("help", "+1", HelpAsked())
        case "status":
            return Reply("status", "+1", StatusAsked())
        case "why":
            runs = tuple(run.key for run in _runs(decision, event))
            return Reply("why", "+1", WhyAsked(runs) if runs else _no_run(event))
        case "":
            return Reply("", "confused", NotUnderstood(command.meant))
        case _:
            wish = _wish(decision, event, command)
            return wish if isinstance(wish, Reply) else _do(decision, event.said, command, wish, apply)


def _do(decision: Decision, said: CommandSaid, command: Command, wish: Event, apply: Apply) -> Reply:
    """Carry out a command, and record its author and place with every fact. The first fact is the reply."""
    before = len(decision.facts)
    apply(decision, wish)
    facts = [replace(fact, by=fact.by or who(said), via=via(said)) for fact in decision.facts[before:]]
    decision.facts[before:] = facts
    no = next((fact.why for fact in facts if fact.kind is FactKind.REQUEST_REFUSED), None)
    if no is not None:
        return Reply(command.verb, "-1", no, "not-done")
    return Reply(command.verb, "+1", facts[0].why if facts else Phrased(Phrase.DONE), "done")


def _wish(decision: Decision, event: CommandAllowed, command: Command) -> Event | Reply:
    """Return the request that the API would make of it, or the reply that refuses the command."""
    said = event.said
    first, _, others = command.rest.partition(" ")
    reason = command.rest or f"asked on {said.repository}" + (f"#{said.pull}" if said.pull is not None else "")
    match command.verb:
        case "lock" | "unlock" if not others.strip():
            return _no(decision, said, command, Refusal(No.USAGE, verb=command.verb))
        case "watch":
            return WatchAsked(first or _waits_for(decision, event), who(said), said.repository, said.pull)
        case "lock":
            return _lock(decision, said, command, first, others.strip())
        case "unlock":
            return _unlock(decision, said, command, first, others.strip())
        case "fast-lane":
            stage = first if decision.board.pipeline.stage(first) is not None else None
            run = _button_run(decision, event) if said.comment is None else None
            if run is None and not event.service:
                return _no(decision, said, command, _no_run(event))
            why = others.strip() or f"asked on {said.repository}#{said.pull}" if stage is not None else reason
            return FastLaneAsked(run.service if run else event.service, who(said), why, stage)
        case "verify":
            return _verify(decision, event, command)
        case "rerun" if _button_run(decision, event) is None and said.pull is not None and event.service:
            return _verify(decision, event, replace(command, rest=said.sha))
        case _:
            return _about_run(decision, event, command, reason)


def _waits_for(decision: Decision, event: CommandAllowed) -> str:
    """Return the locked stage at which a run of the pull request is, the latest such run first; empty: none."""
    stages = [run.step.stage for run in _runs(decision, event) if decision.board.locks_of(run.step.stage)]
    return stages[-1] if stages else ""


def _lock(decision: Decision, said: CommandSaid, command: Command, stage: str, others: str) -> Event | Reply:
    """Return the request of `lock <stage> [--until <time>] [--let-fixes-in] <reason>`. A time without a zone is UTC."""
    until, let_fixes_in = None, False
    while others.startswith("--"):
        option, _, others = others.partition(" ")
        if option == UNTIL:
            text, _, others = others.strip().partition(" ")
            until = read_end_time(text, decision.now)
            if until is None:
                return _no(decision, said, command, Refusal(No.NO_END_TIME, told=text))
        elif option == LET_FIXES_IN:
            let_fixes_in = True
        else:
            return _no(decision, said, command, Refusal(No.NO_SUCH_OPTION, told=option))
        others = others.strip()
    if not others:
        return _no(decision, said, command, Refusal(No.USAGE, verb=command.verb))
    return LockAsked(stage, who(said), others, let_fixes_in, until)


def _unlock(decision: Decision, said: CommandSaid, command: Command, target: str, others: str) -> Event | Reply:
    """Return the request of `unlock <stage> [<lock key>|--all] <reason>`, or `unlock <lock key> <reason>`."""
    stage, is_key, _ = target.partition("/")
    first, _, rest = others.partition(" ")
    if is_key:
        return UnlockAsked(stage, who(said), others, lock=target)
    if first != ALL and not first.startswith(f"{stage}/"):
        return UnlockAsked(stage, who(said), others)
    if not rest.strip():
        return _no(decision, said, command, Refusal(No.USAGE, verb=command.verb))
    return UnlockAsked(stage, who(said), rest.strip(), lock=None if first == ALL else first, every=first == ALL)


def _about_run(decision: Decision, event: CommandAllowed, command: Command, reason: str) -> Event | Reply:
    said, runs = event.said, _runs(decision, event)
    if not runs:
        return _no(decision, said, command, _no_run(event))
    if command.verb == "cancel":
        staying = [run for run in runs if run.status is not Status.ENDING and run.attempt.cancelled_by is None]
        return CancelAsked((staying or runs)[-1].key, who(said), reason)
    if command.verb == "move":
        waiting = [run for run in runs if run.status is Status.WAITING]
        return MoveAsked((waiting or runs)[-1].key, who(said), reason)
    if command.verb == "let-through":
        return LetThroughAsked(_kept_out(runs).key, who(said), reason)
    failed = [run for run in runs if run.status is Status.FAILED]
    return RetryAsked((failed or runs)[-1].key, who(said), reason)


def _kept_out(runs: list[Run]) -> Run:
    """Return the run to let through: the latest that waits, else the latest that stays on the board."""
    staying = [run for run in runs if run.status is not Status.ENDING and run.let_through is None]
    waiting = [run for run in staying if run.status is Status.WAITING]
    return (waiting or staying or runs)[-1]


def _verify(decision: Decision, event: CommandAllowed, command: Command) -> Event | Reply:
    """Return the request to verify the present head of the pull request.

    A head on a fork must be named by its full sha, because the owner of the fork may move the head unnoticed to another
    commit with the same beginning.
    """
    said = event.said
    wanted = command.rest.partition(" ")[0].casefold()
    if not event.open or said.pull is None or not event.head:
        return _no(decision, said, command, Refusal(No.PULL_NOT_OPEN, pull=said.pull))
    if _SHA.match(wanted) and not event.head.startswith(wanted):
        head = event.head if event.fork else event.head[:7]
        return _no(decision, said, command, Refusal(No.OTHER_HEAD, pull=said.pull, head=head))
    if event.fork and (not _SHA.match(wanted) or len(wanted) != _WHOLE):
        return _no(decision, said, command, Refusal(No.NAME_THE_COMMIT, pull=said.pull, head=event.head))
    return VerifyAsked(event.service, said.pull, who(said), event.head, event.fork)


def _no(decision: Decision, said: CommandSaid, command: Command, why: Message) -> Reply:
    _refuse(decision, said, why)
    return Reply(command.verb, "-1", why, "not-done")


def _no_run(event: CommandAllowed) -> Refusal:
    """Return why no run on the board belongs to the pull request or to the check run."""
    pull = event.said.pull if event.said.comment is not None else None
    if event.past:
        return Refusal(No.NO_RUN_ANY_MORE, pull=pull, told=event.past)
    if pull is not None and not event.merged:
        return Refusal(No.NOT_MERGED, pull=pull)
    return Refusal(No.NO_RUN, pull=pull)


def _runs(decision: Decision, event: CommandAllowed) -> list[Run]:
    """Return the live runs that the command is about, oldest first: of the pull request, or the one of the button."""
    if event.said.comment is None:
        run = _button_run(decision, event)
        return [] if run is None else [run]
    live = decision.board.of_service(event.service)
    return [run for run in live if run.position.sha == event.merged or event.said.pull in run.merge.pulls]


def _button_run(decision: Decision, event: CommandAllowed) -> Run | None:
    """Return the live run of a check run: the run that it names if that has its commit, else the latest that has it."""
    board, said = decision.board, event.said
    services = board.pipeline.services_in(said.repository)
    runs = [run for service in services for run in board.of_commit(service.name, said.sha)]
    named = said.run.rpartition("/")[2]  # a check run names pipeline and run
    return next((run for run in runs if run.key == named), runs[-1] if runs else None)
