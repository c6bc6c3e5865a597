"""The turn: claim what came in, translate, decide, commit; the only caller of `decide`."""

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

#: Whom to wake: who performs a family of effects, or, by this name, who takes the turn.
TURN = "turn"
Wake = Callable[[str], None]
#: How many commits one thread makes in a row: then somebody else takes the turn, and this thread does what was asked of
#: it. Else it would never come to that while deliveries never stop.
COMMITS_IN_A_ROW = 16
#: From how many milliseconds of debounce on nobody is woken up for an effect: the clock finds it when it is due.
DEBOUNCE = 100


#: An effect that was claimed, if one was due, and whether more are.
Claimed = tuple[Claim | None, bool]


@dataclass(frozen=True, slots=True)
class ClaimWish:
    """What the caller goes on with: an effect of this family, claimed in the same step as the last commit."""

    family: str
    wanted: Callable[[], ClaimRequest]


@dataclass(slots=True)
class TurnResult:
    """What came of the turns: the families of effects that were asked for and are due, and what was claimed, if
    anything was wished for and everything was decided. `handed_on`: more waits, which others must decide."""

    families: set[str] = field(default_factory=set)
    claimed: Claimed | None = None
    handed_on: bool = False


def take_turns(context: PipelineContext, wake: Wake = lambda _: None) -> set[str]:
    """Decide what waits in the inbox; returns the families of effects that were asked for and are due."""
    return take_turns_and_claim(context, wake, None).families


def take_turns_and_claim(context: PipelineContext, wake: Wake, wish: ClaimWish | None) -> TurnResult:
    """Decide what waits in the inbox, and claim what the caller wishes to go on with.

    Effects do not wait until everything is decided: after each commit that has some and is not the last, `wake` is
    called for whoever performs them. What the last one asks for, the caller does.

    Returns at once if somebody else, in this process or another, takes the turn: they will see what came in. Between
    the commit of the last turn and the release of the lock they would not, so they are asked to look once more.
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
    """Take turns until nothing is left to decide; or as many as one thread may, and `handed_on` says so."""
    store, redis = context.store, context.redis
    token = uuid.uuid4().hex
    commits = 0
    try:
        entries = _opened(context, token)
        while entries or store.release(token):
            if not entries:
                entries = store.begin(token)
                continue
            if commits == COMMITS_IN_A_ROW:
                store.hand_on(token)
                turned.handed_on = True
                return
            begun = _beginning(context)
            work = decide_all(store.copy.board, entries, redis, store.keys, begun, context.decision_limits)
            try:
                entries = _committed(context, token, entries, work, wish, turned)
            except Outdated:
                log.warning("turn-outdated", pipeline=store.keys.pipeline, version=store.copy.version)
                store.copy.forget()
                entries = store.begin(token)
                continue
            except Unstorable as error:
                entries = _without_culprit(store, token, redis, len(entries), error)
                continue
            _note_what_to_ask(context, begun, work)
            commits += 1
            asked_for = {family_of(effect) for effect in work.effects if debounce(effect) < DEBOUNCE}
            turned.families |= asked_for
            entries = _or_what_goes_on(context, token, entries)
            if not entries:
                break  # the commit has given the lease back
            for family in sorted(asked_for):
                wake(family)
    except Busy:
        return
    except BaseException:
        store.copy.forget()  # whatever was half decided must not be built upon
        raise


def _committed(
    context: PipelineContext,
    token: str,
    entries: list[InboxEntry],
    work: Work,
    wish: ClaimWish | None,
    turned: TurnResult,
) -> list[InboxEntry]:
    """Commit, and claim in the same step what is wished for and was not claimed yet; the next entries.

    Nothing is claimed while a clean-up goes on: it would be held meanwhile.
    """
    store, board = context.store, context.store.copy.board
    if wish is None or board.clean_ups or (turned.claimed is not None and turned.claimed[0] is not None):
        return store.commit(token, entries, work)
    asked_at = time.monotonic()
    following, answer = store.commit_and_claim(token, entries, work, wish.wanted())
    if not following:
        turned.claimed = context.outbox.claimed(wish.family, answer, asked_at)
    return following


def _opened(context: PipelineContext, token: str) -> list[InboxEntry]:
    """What there is to decide; if nothing came in and the board has yet to begin, that is the reason for a turn."""
    entries = context.store.begin(token)
    if entries or not beginning.first_events(context, context.store.copy):
        return entries
    context.inbox.add(TimePassed(), f"begin:{token}")
    return context.store.begin(token)


def _or_what_goes_on(context: PipelineContext, token: str, entries: list[InboxEntry]) -> list[InboxEntry]:
    """What there is to decide after a commit; a clean-up under way goes on at once, not when the clock ticks."""
    if entries or not context.store.copy.board.clean_ups:
        return entries
    context.inbox.tick(TimePassed())
    return context.store.begin(token)


def _beginning(context: PipelineContext) -> list[Event]:
    """What must be decided first; after a loss, writes count as unacknowledged before a trigger goes out."""
    begun = beginning.first_events(context, context.store.copy)
    if any(isinstance(event, StateLost) for event in begun):
        context.store.note_unacknowledged_writes(LOOK_MS)
    return begun


def _note_what_to_ask(context: PipelineContext, begun: Sequence[Event], work: Work) -> None:
    """A turn is stored: what it could not know is to be asked of others at once (`tasks.ask_at_once`).

    If it began the board, what is remembered has been used.
    """
    if begun:
        context.store.copy.settled()
        context.began.set()
    if any(fact.kind in (FactKind.FORCE_PUSH_UNPLACED, FactKind.STATE_LOST) for _, fact in work.facts):
        context.main_unclear.set()


def _without_culprit(store: Store, token: str, redis: Redis, batch: int, error: Unstorable) -> list[InboxEntry]:
    """One of `batch` entries leads to something that cannot be stored: they are taken one by one, and it is parked."""
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
    """Decide what begins the board, then these entries, one after the other, as one piece of work."""
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
            # One delivery that we cannot digest must not stop the pipeline: it is kept for people, loudly.
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
    """Decide what begins the board; what a worker remembers must not keep it from beginning."""
    try:
        take(entry, begun)
    except Exception:
        log.exception("memory-unusable", pipeline=board.pipeline.name)
        board.undo()
        take(entry, beginning.without_memory(begun))


def events_of(entry: InboxEntry, pipeline: Pipeline) -> list[Event]:
    """What an inbox entry means under the configuration of the board."""
    if entry.source == "event":
        return [load_event(entry.body)]
    payload = read_object(entry.body)
    if entry.source == "jenkins":
        return callbacks.events(entry.name, payload)
    name, _, known_as = entry.name.partition(" ")  # the ingress adds the name that the file has, after a rename
    said = webhooks.read_commands(name, payload, entry.body)
    if said is not None:
        return [replace(said, repository=known_as or said.repository)]
    found: list[Event] = []
    for target in webhooks.target_branches(name, payload):
        service = pipeline.service_of(known_as or target.repository, target.branch)
        found += webhooks.events(name, payload, service.name, left=target.left) if service else []
    return found


def _merge(changes: dict[tuple[str, str], Change], newer: Iterable[Change]) -> None:
    """Add the changes of one more entry: what was before the first, what is after the last."""
    for change in newer:
        record = change.after or change.before
        if record is None:
            continue
        where = (FAMILIES[type(record)], record.key)
        if where in changes:
            changes[where].after = change.after
        else:
            changes[where] = change
