"""Notify people: by channels (mail and every other service that apprise supports), and by comments that name them.

Addresses come only from the settings. `bot.reporting` makes the words.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from bot.core.model.board import Board
from bot.core.model.effects import Mention, Notify
from bot.core.model.messages import Message, WeekNotice
from bot.core.model.pipeline import Step
from bot.core.model.stage_messages import StageNotice
from bot.core.model.stage_state import Lock
from bot.effect_outcomes import Done, RateLimited, RetryLater
from bot.forecast.forecast import Forecast
from bot.github.comments import say_once
from bot.health import channels
from bot.health.contacts import CHANNEL
from bot.reporting.estimates import lock_clauses
from bot.reporting.notices import NoticeDetails, notice
from bot.reporting.notices import mention as comment
from bot.runtime import PipelineContext, Runtime
from bot.statistics.report import week_figures
from bot.store.outbox import Claim

#: How long the note that a channel took a notice is kept, in seconds: longer than a notice is tried.
TOLD_SECONDS = 2 * 86_400
#: The pause before a notice that waits for earlier ones is tried again, in seconds.
EARLIER_PAUSE = 0.5


def notify(runtime: Runtime, context: PipelineContext, claim: Claim, effect: Notify) -> Done:
    """Send a notice to every channel for its topic, to each until it has taken it.

    Delivery is at least once: a channel that took it just before a crash, or whose answer was lost, may get it twice. A
    channel gets the notices in their order: a later one waits until the earlier ones were taken or given up. Raises
    RetryLater if a channel did not take it, RateLimited while it waits for an earlier notice.
    """
    failed: list[str] = []
    waiting: list[str] = []
    earlier = [other for other in context.outbox.earlier(claim) if isinstance(other, Notify)]
    written: tuple[str, str] | None = None
    for name in _listeners(runtime, effect):
        address, told = runtime.settings.notify_urls.get(name), context.keys.given(f"{effect.slot}/{name}")
        if address is None or context.redis.exists(told):
            continue
        if any(name in _listeners(runtime, other) and not _was_told(context, other, name) for other in earlier):
            waiting.append(name)
            continue
        subject, text = written = written or _written(runtime, context, effect.about)
        why = channels.send(address.get_secret_value(), subject, text, key=effect.key, topic=effect.topic)
        runtime.contacts.note(CHANNEL, name, why)
        if why is None:
            context.redis.set(told, "1", ex=TOLD_SECONDS)
        else:
            failed.append(f"{name} ({why})")
    if failed:
        raise RetryLater(f"could not notify {', '.join(failed)}")
    if waiting:
        raise RateLimited(f"an earlier notice goes to {', '.join(waiting)} first", after=EARLIER_PAUSE)
    return Done()


def mention(runtime: Runtime, context: PipelineContext, claim: Claim, effect: Mention) -> Done:
    """Write one comment that names people on a pull request."""
    details = details_of(runtime, context, effect.about)
    text = f"{comment(effect.about, effect.people, details)}\n\n[The pipeline]({details.page})"
    return say_once(runtime, context, claim, (effect.repository, effect.pull), text)


def _written(runtime: Runtime, context: PipelineContext, about: Message) -> tuple[str, str]:
    details = details_of(runtime, context, about)
    subject, text = notice(about, details)
    return subject, f"{text}\n{details.page}\n"


def _listeners(runtime: Runtime, effect: Notify) -> list[str]:
    """Return the channels for the recipients and topics of a notice, each once."""
    told = runtime.configuration.notify.channels_for
    everywhere = (name for topic in (effect.topic, *effect.also) for name in told(topic))
    return list(dict.fromkeys((*effect.to, *everywhere)))


def _was_told(context: PipelineContext, effect: Notify, name: str) -> bool:
    return bool(context.redis.exists(context.keys.given(f"{effect.slot}/{name}")))


# -- details of a notice, as they are when it is written ---------------------------------------------------------------


def details_of(runtime: Runtime, context: PipelineContext, about: Message) -> NoticeDetails:
    """Return the details of a notice: addresses, what to type, and what the statistics say of the locks."""
    name = context.pipeline.name
    page, flag = runtime.page_of(name), f" -p {name}" if len(runtime.pipelines) > 1 else ""
    if isinstance(about, WeekNotice):
        return NoticeDetails(page, flag, week=week_figures(context.statistics.current(), about.week, time.time()))
    if not isinstance(about, StageNotice):
        return NoticeDetails(page, flag)
    failed = [(lock.run, Step(lock.stage), lock.build) for lock in about.left if lock.run is not None]
    failed += [(each.run, each.step, each.build) for each in (*about.failed, about.fix) if each is not None]
    with context.look() as replica:
        board = replica.board
        configured = context.pipeline_of(board)
        facts = {lock.key: tuple(_facts(context, board, lock)) for lock in about.left if lock.key in board.locks}
    logs = {run: runtime.log_of(configured.job(step.stage, step.track), build) for run, step, build in failed}
    pages = {run: runtime.page_of(name, run) for run, _, _ in failed}
    reports = {key: f"{page}/locks/{key}" for key in about.closed}
    return NoticeDetails(page, flag, logs, pages, facts, reports)


def _facts(context: PipelineContext, board: Board, lock: Lock) -> Iterator[str]:
    now, statistics = time.time(), context.statistics.current()
    forecast = Forecast(board, statistics, now).of_lock(board.locks[lock.key])
    yield from lock_clauses(board, lock, statistics, forecast, now)
