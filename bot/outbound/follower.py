"""Follow the log of facts of one pipeline for one outbound webhook: post each fact, try again, or give up.

The order of the log is kept: a fact waits until the one before it was taken or given up. Facts that were given up
become a dead letter, which an admin has redelivered or drops. Delivery is at least once: if a process dies between the
answer and its note, the message is sent again under the same identity.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace

import structlog

from bot.effect_outcomes import WEBHOOKS
from bot.outbound import cd_events, payload, posts
from bot.outbound.payload import OutboundMessage
from bot.outbound.posts import PostResult
from bot.runtime import PipelineContext, Runtime
from bot.store.codec import RecordedFact
from bot.store.records import PAGE
from bot.store.webhooks import LetterChanged, OutboundState, Undelivered, UndeliveredLetter, order
from config.configuration import OutboundWebhook
from config.errors import SettingsError
from config.notices import WebhookFormat

log = structlog.get_logger()

#: How long the lease lasts beyond the longest duration of one post, in seconds. If its process is killed, another one
#: continues after that.
LEASE = 3.0
#: The longest pause before a process looks for new facts again, in seconds.
LOOK = 1.0
#: The number of facts that are read first, to find the next one that concerns the webhook.
FIRST_READ = 4
#: Only if a fact is older than this, in seconds, is it checked whether the log has deleted earlier ones.
OLD = 600.0
#: The highest number of facts within one millisecond (ids of Redis streams have 64 bits for it).
LAST_NUMBER = 2**64 - 1
#: The most characters of an error that are kept.
LONGEST = 300


@dataclass(frozen=True, slots=True)
class OutboundEntry:
    """A fact of the log: its id, when it was decided (seconds since the epoch), and the messages to post about it."""

    identity: str
    at: float
    messages: list[OutboundMessage]


class WebhookFollower:
    """The follower for one webhook and one pipeline, in one process. Not thread-safe."""

    def __init__(self, runtime: Runtime, context: PipelineContext, webhook: OutboundWebhook) -> None:
        self._runtime, self._context, self._webhook = runtime, context, webhook
        self._store, self._name = context.webhooks, webhook.name
        self._token = uuid.uuid4().hex
        self._session = posts.open_session(webhook)
        self._lease_ms = int((posts.longest(webhook) + LEASE) * 1000)
        #: The stored state as long as the lease is held; no other process changes it then.
        self._state: OutboundState | None = None
        self._now = 0.0

    def follow(self, ended: threading.Event) -> None:
        """Post all facts and wait for new ones, until `ended`. Raises RedisError if the store cannot be reached."""
        try:
            while not ended.is_set():
                pause = self.advance()
                if pause is None and self._state is not None:
                    self._store.wait(self._state.cursor, LOOK)
                elif pause:
                    ended.wait(min(pause, LOOK))
        finally:
            self._state = None
            self._store.lease(self._name, self._token, 0)

    def advance(self) -> float | None:
        """Do one step; return 0 if there is more to do, None if not, or the pause in seconds before a retry.

        While another process has the lease, a pause is returned as well. Raises RedisError.
        """
        lease = self._store.lease(self._name, self._token, self._lease_ms)
        if not lease.held:
            self._state = None
            return LOOK
        if lease.taken or self._state is None:
            self._state = self._store.state(self._name)
        self._now, state = lease.now, self._state
        if state.due > lease.now:
            return state.due - lease.now
        if lease.redeliveries and (redeliveries := self._store.redeliveries(self._name)):
            self._redeliver(state, redeliveries[0])
            return 0.0
        entry, before = self._next(state.cursor)
        passed = state if before == state.cursor else replace(state, cursor=before, taken=0)
        if entry is None:
            if passed != state:  # none of the skipped facts concerns the webhook
                self._keep(passed)
            return None
        forgotten = self._deleted_facts(state, entry)
        if forgotten is not None:
            self._report_deleted(state, forgotten)
        else:
            self._deliver(passed, entry)
        return 0.0

    # -- what comes next -----------------------------------------------------------------------------------------

    def _next(self, cursor: str, last: str = "") -> tuple[OutboundEntry | None, str]:
        """Return the next fact that concerns the webhook, up to `last`, and the id of the one before it in the log."""
        before = cursor
        for entry in self._entries(cursor):
            if last and order(entry.identity) > order(last):
                break
            if entry.messages:
                return entry, before
            before = entry.identity
        return None, before

    def _entries(self, cursor: str) -> Iterator[OutboundEntry]:
        size = FIRST_READ
        while rows := self._context.records.facts_after(cursor, size):
            for identity, recorded in rows:
                yield OutboundEntry(identity, recorded.at, self._messages(identity, recorded))
            cursor, size = rows[-1][0], PAGE

    def _messages(self, identity: str, recorded: RecordedFact) -> list[OutboundMessage]:
        if not self._webhook.wants(recorded.fact.kind):
            return []
        told = payload.outbound_fact(self._runtime.configuration, self._context.pipeline, identity, recorded)
        return cd_events.messages(told) if self._webhook.format is WebhookFormat.CDEVENTS else [payload.message(told)]

    # -- posting it ------------------------------------------------------------------------------------------------

    def _deliver(self, state: OutboundState, entry: OutboundEntry) -> None:
        """Post the next message about a fact, and store the result."""
        taken = min(state.taken, len(entry.messages) - 1)
        result = self._post(entry.messages[taken])
        state = self._after_try(state, result)
        if result.refused:
            self._give_up(state, [entry.identity])
        elif result.error and self._must_give_up(state):
            self._give_up(state, [entry.identity, *self._equally_old(entry)])
        elif result.error:
            self._keep(state)
        elif taken + 1 < len(entry.messages):
            self._keep(replace(state, taken=taken + 1))
        else:
            self._keep(replace(state, cursor=entry.identity, taken=0, gap=""))

    def _post(self, message: OutboundMessage) -> PostResult:
        try:
            secret = self._runtime.settings.webhook_secret(self._name).get_secret_value()
        except SettingsError as error:
            return PostResult(None, str(error), 0.0)
        return posts.post(self._session, self._webhook, secret, message)

    def _after_try(self, state: OutboundState, result: PostResult) -> OutboundState:
        """Return the state after a try: a good one ends a failure, a bad one leads to a pause.

        A receiver that refuses one message has answered, so it does not count as failing.
        """
        if not result.error:
            if state.error:
                log.info("webhook-taken", webhook=self._name, pipeline=self._context.pipeline.name, tries=state.tries)
            return replace(state, delivered=state.delivered + 1, tries=0, error="", failing_since=0.0, due=0.0)
        if state.error != result.error:
            log.warning("webhook-failed", webhook=self._name, pipeline=self._context.pipeline.name, why=result.error)
        tried = replace(state, failed=state.failed + 1, tries=state.tries + 1, error=result.error[:LONGEST])
        if result.refused:
            return replace(tried, failing_since=0.0, due=0.0)
        now = self._now + result.seconds
        pause = self._runtime.retry_policy.before_retry(state.tries, result.after)
        return replace(tried, failing_since=state.failing_since or now, due=now + pause)

    # -- giving up -------------------------------------------------------------------------------------------------

    def _must_give_up(self, state: OutboundState) -> bool:
        """Return whether it has failed for so long that it is given up."""
        return self._now - state.failing_since >= self._runtime.retry_policy.give_up[WEBHOOKS]

    def _equally_old(self, entry: OutboundEntry) -> Iterator[str]:
        """Yield the following facts that have waited as long, so that they are not tried one by one."""
        until = self._now - self._runtime.retry_policy.give_up[WEBHOOKS]
        for each in self._entries(entry.identity):
            if each.at > until:
                return
            if each.messages:
                yield each.identity

    def _give_up(self, state: OutboundState, facts: list[str]) -> None:
        """Turn these facts, the next ones, into a dead letter; if those just before them are one, it is extended."""
        known = self._store.letter(state.gap)
        if known is not None:
            what, text = replace(known[0], last=facts[-1], facts=known[0].facts + len(facts)), known[1]
        else:
            what, text = Undelivered(self._name, state.cursor, facts[-1], len(facts)), ""
        given_up = state.given_up + len(facts)
        moved = replace(state, cursor=facts[-1], taken=0, gap=what.slot, tries=0, given_up=given_up)
        self._store_letter(moved, what, text, state.tries)

    def _store_letter(
        self, state: OutboundState, what: Undelivered, text: str, tries: int, redelivered: Undelivered | None = None
    ) -> None:
        """Store a dead letter. `text`: that of the one that it continues, or empty; `redelivered`: the redelivery that
        it ends."""
        facts = "one fact" if what.facts == 1 else f"{what.facts} facts"
        error = f"webhook {self._name} did not accept {facts}: {state.error}"
        letter = UndeliveredLetter(what, error, self._now, tries)
        over = None if redelivered is None else (redelivered, None)
        try:
            self._keep(state, letter=(letter, text), redelivered=over)
        except LetterChanged:  # a person has just retried or dropped it: the next try begins a new one
            log.info("webhook-letter-changed", webhook=self._name)
            return
        log.error("webhook-given-up", webhook=self._name, pipeline=self._context.pipeline.name, why=error)
        self._context.outbox.bound_dead()

    def _deleted_facts(self, state: OutboundState, entry: OutboundEntry) -> Undelivered | None:
        """Return the facts that the log has deleted before the webhook took them; None if it still begins at or before
        the cursor."""
        if self._now - entry.at < OLD or not (state.delivered or state.given_up):
            return None
        milliseconds, number = order(self._store.oldest())
        before = (milliseconds, number - 1) if number else (milliseconds - 1, LAST_NUMBER)
        if before <= order(state.cursor):
            return None
        return Undelivered(self._name, state.cursor, f"{before[0]}-{before[1]}", 0)

    def _report_deleted(self, state: OutboundState, what: Undelivered) -> None:
        """Report deleted facts by a dead letter, although they cannot be redelivered; the webhook continues with the
        facts that are left.

        If the log begins right after the last fact that was taken, this is reported although nothing is missing.
        """
        error = (
            f"Interlock deleted facts from the log (`keep: facts`) that webhook {self._name} had not "
            f"accepted: {state.error}"
        )
        moved = replace(state, cursor=what.last, taken=0, gap="")
        self._keep(moved, letter=(UndeliveredLetter(what, error, self._now, state.tries), ""))
        self._context.outbox.bound_dead()
        log.error("webhook-facts-forgotten", webhook=self._name, pipeline=self._context.pipeline.name)

    # -- once more -------------------------------------------------------------------------------------------------

    def _redeliver(self, state: OutboundState, what: Undelivered) -> None:
        """Post the next fact of a redelivery.

        The rest of it is given up again if the post is refused, or if every try has failed for long.
        """
        entry, _ = self._next(what.after, what.last)
        if entry is None:  # the log has deleted it
            self._keep(state, redelivered=(what, None))
            return
        result = PostResult(None, "", 0.0)
        for message in entry.messages:
            result = self._post(message)
            state = self._after_try(state, result)
            if result.error:
                break
        if not result.error:
            left = replace(what, after=entry.identity, facts=max(0, what.facts - 1))
            self._keep(state, redelivered=(what, left if order(left.after) < order(left.last) else None))
        elif result.refused or self._must_give_up(state):
            known = self._store.letter(what.slot)
            self._store_letter(state, what, known[1] if known is not None else "", state.tries, redelivered=what)
        else:
            self._keep(state)

    def _keep(
        self,
        state: OutboundState,
        *,
        letter: tuple[UndeliveredLetter, str] | None = None,
        redelivered: tuple[Undelivered, Undelivered | None] | None = None,
    ) -> None:
        """Store the progress. If another process has the lease, nothing is stored, and that one continues."""
        kept = self._store.store(self._name, self._token, self._lease_ms, state, letter=letter, redelivered=redelivered)
        self._state = state if kept else None
