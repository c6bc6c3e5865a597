"""Begin and commit turns: one writer at a time by lease, and at most one commit per version even if the lease is lost.

It stores what a turn has decided, and does not decide anything.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from redis import Redis

from bot.core.model.board_records import Change
from bot.core.model.effects import (
    Answer,
    AuthorizeCommand,
    Banner,
    Comment,
    Compare,
    Deploy,
    Effect,
    FindPull,
    LockNotice,
    Mention,
    Notify,
    SetStatus,
    Survey,
)
from bot.core.model.facts import Fact
from bot.core.rules.decision import LIMITS, DecisionLimits, Ended
from bot.core.rules.recorded import DecidedEntry
from bot.store.codec import RecordedFact, dump_effect, dump_ended, dump_recorded_fact
from bot.store.inbox import InboxEntry, entry
from bot.store.keys import FAMILIES, Keys
from bot.store.parts import changed_fields
from bot.store.recording_line import pack_line, turn_line
from bot.store.replica import BoardReplica
from bot.store.scripts import Scripts

#: How long a turn may take before another worker may begin one, in milliseconds. A late commit is refused in any case.
LEASE_MS = 8_000
#: The most inbox entries that one turn decides.
BATCH = 64
#: The field of the board's hash with the header, which contains the configuration.
HEADER = "header/header"
#: How many versions a board replica may lag behind before it must load the whole board.
CHANGES_KEPT = 2_000
#: For how many turns the facts about a run are kept beside the log. They are deleted with the run from the history.
STORY_KEPT = 100
#: For how many verifications facts are kept in the same way: those with the latest facts.
VERIFIED_KEPT = 2_000
#: The most recorded turns that wait to be packed (`bot/store/recording.py`): enough for hours without beat.
TURNS_KEPT = 20_000


#: How long after a loss each trigger is preceded by a look in Jenkins, in milliseconds: a run may wait before a locked
#: stage for days. As long as a post note is kept (`NOTED_MS` in `bot/jenkins/triggers.py`).
LOOK_MS = 14 * 86_400_000

#: The effects that talk to GitHub.
GITHUB = (SetStatus, Comment, Compare, Survey, FindPull, Deploy, LockNotice, AuthorizeCommand, Answer, Mention)


class Busy(Exception):
    """An error: another worker holds the lease."""


class Unstorable(Exception):
    """An error: the work of a turn cannot be encoded. Nothing of the turn was stored."""


class Outdated(Exception):
    """An error: another worker committed first. Nothing of this turn was stored."""


@dataclass(frozen=True, slots=True)
class Work:
    """The decisions of a turn, ready to be committed."""

    changes: list[Change]
    facts: list[tuple[InboxEntry, Fact]]
    effects: list[Effect]
    ended: list[Ended]
    #: When the clock next leads to a decision (`Board.next_due`), in seconds since the epoch.
    due: float | None
    #: The decided entries, for the recording, and the limits that were in force.
    decided: list[DecidedEntry] = field(default_factory=list)
    limits: DecisionLimits = LIMITS


@dataclass(frozen=True, slots=True)
class ClaimRequest:
    """Keys and arguments of a claim, as `bot/store/lua/claiming.lua` expects them; made by `Outbox.claim_request`."""

    names: list[str]
    args: list[Any]


class Store:
    """The state of one pipeline, for the worker that takes the turn."""

    def __init__(
        self,
        redis: Redis,
        keys: Keys,
        *,
        facts_kept: int = 10_000,
        ended_kept: int = 10_000,
        changes_kept: int = CHANGES_KEPT,
        lease_ms: int = LEASE_MS,
        verified_kept: int = VERIFIED_KEPT,
    ) -> None:
        self.keys = keys
        self._lease_ms = lease_ms
        self._redis = redis
        self._scripts = Scripts(redis)
        self._verified_kept = verified_kept
        self._kept = (changes_kept, facts_kept, ended_kept)
        self.copy = BoardReplica(self._scripts, keys, remembers=True)

    def begin(self, token: str) -> list[InboxEntry]:
        """Take the lease, bring the board replica up to date, and return the inbox entries to decide, at most `BATCH`.

        Raises Busy if another worker holds the lease.
        """
        keys, copy = self.keys, self.copy
        names = [keys.lease, keys.wake_up, keys.meta, keys.inbox, keys.changes]
        while True:
            args = [token, self._lease_ms, copy.version, copy.epoch, BATCH]
            answer = self._scripts.run("begin", names, args, fence=keys)
            if answer[0] == 0:
                raise Busy(keys.pipeline)
            _, version, entries, changes, epoch = answer
            if copy.catch_up(version, epoch, changes):
                return [entry(raw) for raw in entries]
            if version < copy.version or (version == copy.version and epoch.decode() != copy.epoch):
                self.note_unacknowledged_writes()  # a commit that this process has seen was lost
            # The reloaded replica may be newer than the entries: a worker whose lease had ended may have committed.
            # Entries and board must be of one version, or an entry is decided twice. So begin again.
            copy.forget()
            copy.refresh()

    def commit(self, token: str, taken: list[InboxEntry], work: Work) -> list[InboxEntry]:
        """Store a turn and acknowledge its entries in one step; returns the next entries, with the lease still held.

        If there are none, the lease is released. Raises Outdated if another worker committed first, and Unstorable if
        the work cannot be encoded: then nothing was stored, and the caller must call `forget` on the board replica.
        """
        return self.commit_and_claim(token, taken, work)[0]

    def commit_and_claim(
        self, token: str, taken: list[InboxEntry], work: Work, wanted: ClaimRequest | None = None
    ) -> tuple[list[InboxEntry], list[Any]]:
        """Commit, and claim an effect in the same step unless there are next entries, which come first.

        Returns the next entries, and the answer that `Outbox.claimed` reads.
        """
        keys = self.keys
        names = [keys.lease, keys.wake_up, keys.meta, keys.inbox, keys.board, keys.changes, keys.facts, keys.outbox]
        names += [
            keys.ended,
            keys.ended_order,
            *(keys.due(family) for family in FAMILIES),
            keys.dead_letters,
            keys.stories,
            keys.verified,
            keys.recorded_turns,
        ]
        copy, claim = self.copy, wanted.args if wanted is not None else []
        if wanted is not None:
            names += wanted.names
        counts, rows = _packed(work)
        turn = _recorded(copy.version + 1, copy.epoch, work)
        args = [token, copy.version, copy.epoch, taken[-1].id, len(taken), "" if work.due is None else work.due]
        args += [
            *self._kept,
            BATCH,
            self._lease_ms,
            STORY_KEPT,
            self._verified_kept,
            *counts,
            len(claim),
            turn,
            TURNS_KEPT,
            *claim,
            *rows,
        ]
        answer = self._scripts.run("commit", names, args, fence=keys)
        if answer[0] == 0:
            raise Outdated(keys.pipeline)
        copy.version, copy.epoch = answer[1], answer[3].decode()
        return [entry(raw) for raw in answer[2]], answer[4]

    def note_unacknowledged_writes(self, at_least_ms: int = 0) -> None:
        """Record that acknowledged writes were lost, so that for a while each trigger first looks for a former build.

        This lasts half an hour, as long as most builds run, or for `at_least_ms` milliseconds if that is longer.
        """
        self._scripts.run("unacknowledged", [self.keys.meta], [at_least_ms], fence=self.keys)

    def is_configured(self) -> bool:
        """Return whether a configured board is stored; False at the first start, and when the state was lost."""
        return bool(self._redis.hexists(self.keys.board, HEADER))

    def release(self, token: str) -> bool:
        """Release the lease; returns True, and keeps the lease, if new entries have arrived."""
        keys = self.keys
        return bool(self._scripts.run("release", [keys.lease, keys.meta, keys.inbox], [token, 0]))

    def hand_on(self, token: str) -> None:
        """Release the lease even if there are new entries; the caller must then wake a worker up for these."""
        keys = self.keys
        self._scripts.run("release", [keys.lease, keys.meta, keys.inbox], [token, 1])


def family_of(effect: Effect) -> str:
    """Return the family of an effect: `github`, `people` or `jenkins`."""
    if isinstance(effect, GITHUB):
        return "github"
    if isinstance(effect, Notify):
        return "people"
    return "jenkins"


def _packed(work: Work) -> tuple[list[int], list[Any]]:
    """Return the numbers of board rows, facts, effects and ended runs, and all their values, as `commit.lua` expects.

    Raises Unstorable.
    """
    effects = {effect.slot: effect for effect in work.effects}  # the last effect in a slot counts
    try:
        board = [text for change in work.changes for row in changed_fields(change) for text in row]
        facts = [text for entry, fact in work.facts for text in _fact(entry, fact)]
        of_effects = [part for effect in effects.values() for part in _effect(effect)]
        ended = [part for each in work.ended for part in (each.run.key, dump_ended(each), each.at)]
    except ValueError as error:  # such as half a surrogate pair in a name: valid in JSON, not in UTF-8
        raise Unstorable(str(error)) from error
    counts = [len(board) // 2, len(work.facts), len(effects), len(work.ended)]
    return counts, [*board, *facts, *of_effects, *ended]


def _recorded(version: int, after: str, work: Work) -> bytes:
    """Encode the turn that makes this version, for the recording. Raises Unstorable."""
    try:
        return pack_line(turn_line(version, after, work.decided, work.limits))
    except ValueError as error:
        raise Unstorable(str(error)) from error


def _fact(entry: InboxEntry, fact: Fact) -> tuple[str, str]:
    return dump_recorded_fact(RecordedFact(entry.at, entry.id, fact)), fact.run or ""


def debounce(effect: Effect) -> int:
    """Return how long after its decision an effect becomes due, in milliseconds."""
    if isinstance(effect, Banner):
        return 1  # after triggers: the next build of a stage is more urgent than its banner
    return int(effect.debounce * 1000) if isinstance(effect, (SetStatus, Comment, FindPull)) else 0


def _effect(effect: Effect) -> tuple[str, str, int, int]:
    return effect.slot, dump_effect(effect), FAMILIES.index(family_of(effect)), debounce(effect)
