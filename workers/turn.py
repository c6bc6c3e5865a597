"""Take turns: read inbox entries, translate, decide and commit them. Nothing else in the workers calls `decide`."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

import structlog
from redis import Redis

from bot.core.model.board import Board
from bot.core.model.board_records import FAMILIES, Change
from bot.core.model.events import Event, StateLost, TimePassed
from bot.core.model.facts import FactKind
from bot.core.model.pipeline import Pipeline
from bot.core.rules.decide import decide
from bot.core.rules.decision import LIMITS, DecisionLimits
from bot.core.rules.recorded import DecidedEntry
from bot.github import webhooks
from bot.jenkins import callbacks
from bot.payloads import read_object
from bot.runtime import PipelineContext
from bot.store.codec import load_event
from bot.store.inbox import InboxEntry, park
from bot.store.keys import Keys
from bot.store.outbox import Claim
from bot.store.store import LOOK_MS, Busy, ClaimRequest, Outdated, Store, Unstorable, Work, debounce, family_of
from workers import beginning

log = structlog.get_logger()

#: The name by which a worker is woken up for a turn; for effects it is the name of the family.
TURN = "turn"
Wake = Callable[[str], None]
#: The most commits of one thread in a row. Then another one takes the turn, and this thread performs its effects, which
#: it would otherwise never do under steady load.
COMMITS_IN_A_ROW = 16
#: With a debounce of this many milliseconds or more, no worker is woken up: the clock finds the effect when it is due.
DEBOUNCE = 100


#: The claim of an effect, if one was due, and whether more are due.
Claimed = tuple[Claim | None, bool]


@dataclass(frozen=True, slots=True)
class ClaimWish:
    """The wish of the caller to claim an effect of this family in the same step as the last commit."""

    family: str
    wanted: Callable[[], ClaimRequest]


@dataclass(slots=True)
class TurnResult:
    """The result of turns: the families with new effects that are due, and the claim (None if there was no wish, or not
    everything was decided). `handed_on`: more entries wait, which another worker must decide."""

    families: set[str] = field(default_factory=set)
    claimed: Claimed | None = None
    handed_on: bool = False


def take_turns(context: PipelineContext, wake: Wake = lambda _: None) -> set[str]:
    """Decide the entries in the inbox; returns the families with new effects that are due."""
    return take_turns_and_claim(context, wake, None).families


def take_turns_and_claim(context: PipelineContext, wake: Wake, wish: ClaimWish | None) -> TurnResult:
    """Decide the entries in the inbox, and claim the effect that the caller wishes to perform.

    Effects do not wait until everything is decided: after each commit except the last, `wake` is called for the
    families that have new ones. The caller handles those of the last commit.

    Returns at once if another thread or process takes the turn, which will see the new entries. A thread of this
    process could miss them between its last commit and the release of the lock, so `asked` makes it look once more.
    """
    turned = TurnResult()
    context.asked.set()
    while context.asked.is_set() and context.turn.acquire(blocking=False):
        try:
            context.asked.clear()
            _take_turns(context, wake, wish, turned)
        finally:
            context.turn.release()
        if turned.handed_on:
            wake(TURN)
            break
    return turned


def _take_turns(context: PipelineContext, wake: Wake, wish: ClaimWish | None, turned: TurnResult) -> None:
    """Take turns until nothing is left to decide, or up to the limit of one thread, which sets `handed_on`."""
    store, redis = context.store, context.redis
    token = uuid.uuid4().hex
    commits = 0
    try:
        entries = _begin_turn(context, token)
        while entries or store.release(token):
            if not entries:
                entries = store.begin(token)
                continue
            if commits == COMMITS_IN_A_ROW:
                store.hand_on(token)
                turned.handed_on = True
                return
            begun = _first_events(context)
            work = decide_all(store.copy.board, entries, redis, store.keys, begun, context.decision_limits)
            try:
                entries = _commit(context, token, entries, work, wish, turned)
            except Outdated:
                log.warning("turn-outdated", pipeline=store.keys.pipeline, version=store.copy.version)
                store.copy.forget()
                entries = store.begin(token)
                continue
            except Unstorable as error:
                entries = _isolate_unstorable(store, token, redis, len(entries), error)
                continue
            _note_questions(context, begun, work)
            commits += 1
            asked_for = {family_of(effect) for effect in work.effects if debounce(effect) < DEBOUNCE}
            turned.families |= asked_for
            entries = _continue_clean_up(context, token, entries)
            if not entries:
                break  # the commit has released the lease
            for family in sorted(asked_for):
                wake(family)
    except Busy:
        return
    except BaseException:
        store.copy.forget()  # a partly decided board must not be used again
        raise


def _commit(
    context: PipelineContext,
    token: str,
    entries: list[InboxEntry],
    work: Work,
    wish: ClaimWish | None,
    turned: TurnResult,
) -> list[InboxEntry]:
    """Commit, and claim the wished effect in the same step unless one is claimed already; return the next entries.

    Nothing is claimed while a clean-up is under way, because the claim would be held until its end.
    """
    store, board = context.store, context.store.copy.board
    if wish is None or board.clean_ups or (turned.claimed is not None and turned.claimed[0] is not None):
        return store.commit(token, entries, work)
    asked_at = time.monotonic()
    following, answer = store.commit_and_claim(token, entries, work, wish.wanted())
    if not following:
        turned.claimed = context.outbox.claimed(wish.family, answer, asked_at)
    return following


def _begin_turn(context: PipelineContext, token: str) -> list[InboxEntry]:
    """Begin a turn and return its entries. If there are none but the board has not begun, add one for its beginning."""
    entries = context.store.begin(token)
    copy = context.store.copy
    if entries or not (copy.must_begin and beginning.first_events(context, copy)):
        return entries
    context.inbox.add(TimePassed(), f"begin:{token}")
    return context.store.begin(token)


def _continue_clean_up(context: PipelineContext, token: str, entries: list[InboxEntry]) -> list[InboxEntry]:
    """Return the entries to decide after a commit; if there are none and a clean-up is under way, add one to continue
    it at once instead of at the next tick."""
    if entries or not context.store.copy.board.clean_ups:
        return entries
    context.inbox.tick(TimePassed())
    return context.store.begin(token)


def _first_events(context: PipelineContext) -> list[Event]:
    """Return the events that must be decided first; usually none. After a loss, also make writes count as
    unacknowledged, before any trigger is sent."""
    if not context.store.copy.must_begin:
        return []
    begun = beginning.first_events(context, context.store.copy)
    if any(isinstance(event, StateLost) for event in begun):
        context.store.note_unacknowledged_writes(LOOK_MS)
    return begun


def _note_questions(context: PipelineContext, begun: Sequence[Event], work: Work) -> None:
    """Note, after a commit, what must be asked for at once (`tasks.ask_at_once`).

    If the turn began the board, the remembered board has been used and is discarded.
    """
    if begun:
        context.store.copy.settled()
        context.began.set()
    if any(fact.kind in (FactKind.FORCE_PUSH_UNPLACED, FactKind.STATE_LOST) for _, fact in work.facts):
        context.main_unclear.set()


def _isolate_unstorable(store: Store, token: str, redis: Redis, batch: int, error: Unstorable) -> list[InboxEntry]:
    """Handle a turn whose work cannot be stored: take its entries one by one, and park the one that causes it."""
    store.copy.forget()
    first = store.begin(token)[:1]
    if batch > 1 or not first:
        return first
    log.error("delivery-parked", pipeline=store.keys.pipeline, entry=first[0].id, why=str(error))
    park(redis, store.keys, first[0], error)
    return store.commit(token, first, Work([], [], [], [], store.copy.board.next_due(first[0].at)))


def decide_all(
    board: Board,
    entries: list[InboxEntry],
    redis: Redis,
    keys: Keys,
    begun: Sequence[Event] = (),
    limits: DecisionLimits = LIMITS,
) -> Work:
    """Decide the events that begin the board, then these entries, one after the other, as one piece of work."""
    changes: dict[tuple[str, str], Change] = {}
    work = Work([], [], [], [], None, limits=limits)

    def take(entry: InboxEntry, events: Sequence[Event]) -> None:
        decisions = [decide(board, event, entry.at, limits) for event in events]
        _merge(changes, board.take_changes())
        facts = tuple(fact for decision in decisions for fact in decision.facts)
        effects = tuple(effect for decision in decisions for effect in decision.effects)
        work.facts.extend((entry, fact) for fact in facts)
        work.effects.extend(effects)
        work.ended.extend(ended for decision in decisions for ended in decision.ended)
        work.decided.append(DecidedEntry(entry.id, entry.at, tuple(events), facts, effects))

    if begun:
        _begin(board, entries[0], begun, take)
    for entry in entries:
        try:
            take(entry, events_of(entry, board.pipeline))
        except Exception as error:
            # One delivery that cannot be processed must not stop the pipeline: it is parked and logged as an error.
            log.exception("delivery-parked", pipeline=keys.pipeline, entry=entry.id, source=entry.source)
            board.undo()
            park(redis, keys, entry, error)
    if any(fact.kind is FactKind.STATE_LOST for _, fact in work.facts):
        log.error("state-lost", pipeline=keys.pipeline, why=board.header.lost_why, locked=len(board.locks))
    lasting = [change for change in changes.values() if change.before != change.after]
    return replace(work, changes=lasting, due=board.next_due(entries[-1].at))


def _begin(
    board: Board, entry: InboxEntry, begun: Sequence[Event], take: Callable[[InboxEntry, Sequence[Event]], None]
) -> None:
    """Decide the events that begin the board; if the remembered board makes that fail, begin without it."""
    try:
        take(entry, begun)
    except Exception:
        log.exception("memory-unusable", pipeline=board.pipeline.name)
        board.undo()
        take(entry, beginning.without_memory(begun))


def events_of(entry: InboxEntry, pipeline: Pipeline) -> list[Event]:
    """Translate an inbox entry to events, by the configuration of the board."""
    if entry.source == "event":
        return [load_event(entry.body)]
    payload = read_object(entry.body)
    if entry.source == "jenkins":
        return callbacks.events(entry.name, payload)
    name, _, known_as = entry.name.partition(" ")  # after a rename the ingress adds the name in the pipeline file
    said = webhooks.read_commands(name, payload, entry.body)
    if said is not None:
        return [replace(said, repository=known_as or said.repository)]
    found: list[Event] = []
    for target in webhooks.target_branches(name, payload):
        service = pipeline.service_of(known_as or target.repository, target.branch)
        found += webhooks.events(name, payload, service.name, left=target.left) if service else []
    return found


def _merge(changes: dict[tuple[str, str], Change], newer: Iterable[Change]) -> None:
    """Add the changes of one more entry: keep the record before the first change and the one after the last."""
    for change in newer:
        record = change.after or change.before
        if record is None:
            continue
        where = (FAMILIES[type(record)], record.key)
        if where in changes:
            changes[where].after = change.after
        else:
            changes[where] = change
