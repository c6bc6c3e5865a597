"""The names of all Redis keys of a pipeline. They share one hash tag, so that a cluster keeps them on one server."""

from __future__ import annotations

from dataclasses import dataclass

#: The families of effects, by the system that they address. Each has its own queue in the outbox, so that one that
#: hangs does not delay the others.
FAMILIES = ("jenkins", "github", "people")


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of one pipeline; `prefix` separates several installations on one Redis."""

    pipeline: str
    prefix: str = "interlock"

    def named(self, name: str) -> str:
        """Return the key of this pipeline with this name."""
        return f"{self.prefix}:{{{self.pipeline}}}:{name}"

    @property
    def meta(self) -> str:
        """Hash: version and its epoch, cursor (last inbox entry decided), accepted, taken, due, schema."""
        return self.named("meta")

    @property
    def inbox(self) -> str:
        """Stream of raw deliveries and events, in the order of acceptance."""
        return self.named("inbox")

    @property
    def deliveries(self) -> str:
        """Stream of packs: raw deliveries that were decided, compressed, many per entry."""
        return self.named("deliveries")

    @property
    def wake_up(self) -> str:
        """String that exists from the moment a wake-up is sent until a worker begins its turn."""
        return self.named("wake-up")

    @property
    def lease(self) -> str:
        """String: the token of the worker that takes the turn now."""
        return self.named("lease")

    @property
    def board(self) -> str:
        """Hash of the board's records as JSON, by `family/key`."""
        return self.named("board")

    @property
    def changes(self) -> str:
        """Stream of the changes of each version, for processes that keep a board replica."""
        return self.named("changes")

    @property
    def facts(self) -> str:
        """Stream of facts: the audit log and the live feed."""
        return self.named("facts")

    @property
    def stories(self) -> str:
        """Hash of the facts about each run on the board or in the history, and about the last verifications.

        Field `run`: how many turns had facts about it. Field `run#n`: the facts of the n-th of them, as lines that
        alternate the id and the JSON of each fact.
        """
        return self.named("stories")

    @property
    def verified(self) -> str:
        """Sorted set: the verifications whose facts are kept in `stories`, by when the last fact was added."""
        return self.named("verified")

    @property
    def outbox(self) -> str:
        """Hash of the effects to be performed, by slot."""
        return self.named("outbox")

    @property
    def tries(self) -> str:
        """Hash: how often each effect was tried, by slot."""
        return self.named("tries")

    @property
    def delays(self) -> str:
        """Hash: why each delayed effect has failed so far, by slot."""
        return self.named("delays")

    @property
    def failing(self) -> str:
        """Hash: since when each effect that may be given up has been failing, by slot."""
        return self.named("failing")

    @property
    def dead_letters(self) -> str:
        """Hash of the effects that were given up, each with its error, by slot."""
        return self.named("dead-letters")

    @property
    def parked(self) -> str:
        """List of the parked deliveries."""
        return self.named("parked")

    @property
    def ended(self) -> str:
        """Hash of the runs that have ended, as JSON, by run."""
        return self.named("ended")

    @property
    def ended_order(self) -> str:
        """Sorted set: the same runs, by when they ended."""
        return self.named("ended-order")

    @property
    def repairs(self) -> str:
        """Hash: the number of repairs, and the time of the last one, by kind."""
        return self.named("repairs")

    @property
    def statistics(self) -> str:
        """Hash: the parts of the statistics as JSON, by key; and `cursor`, the id of the last fact included."""
        return self.named("statistics")

    @property
    def lock_reports(self) -> str:
        """Hash: the lock reports of locks that have opened, as JSON, by the key of the lock."""
        return self.named("lock-reports")

    @property
    def lock_reports_order(self) -> str:
        """Sorted set: the same locks, by when they opened."""
        return self.named("lock-reports-order")

    @property
    def recorded_turns(self) -> str:
        """Stream of the recorded turns (`t`) that are not packed yet, each with the epoch of its version (`e`)."""
        return self.named("recorded-turns")

    @property
    def recording(self) -> str:
        """Stream of blocks of recorded turns, and of snapshots of the board (`bot/store/recording.py`)."""
        return self.named("recording")

    @property
    def recent_snapshots(self) -> str:
        """Stream of snapshots of the board of the last day (`d`), each with its version (`v`)."""
        return self.named("recent-snapshots")

    @property
    def recording_state(self) -> str:
        """Hash: the size of the recording, the version at its end, and when the last snapshot was taken."""
        return self.named("recording-state")

    def webhook(self, name: str) -> str:
        """Return the key of a hash: how far an outbound webhook has come in the log of facts."""
        return self.named(f"webhook:{name}")

    def webhook_lease(self, name: str) -> str:
        """Return the key of a string: the token of the process that serves an outbound webhook now."""
        return self.named(f"webhook-lease:{name}")

    @property
    def redeliveries(self) -> str:
        """Hash: the redeliveries of outbound webhooks, by the slot of the former dead letter."""
        return self.named("redeliveries")

    @property
    def heads(self) -> str:
        """Hash: GitHub's last answer about the head of main of each service."""
        return self.named("heads")

    @property
    def restarted(self) -> str:
        """String that exists for a moment after a restart of a Jenkins was noticed."""
        return self.named("restarted")

    def due(self, family: str) -> str:
        """Return the key of a sorted set: the slots of one family, by when they are due (milliseconds)."""
        return self.named(f"due:{family}")

    def claimed(self, family: str) -> str:
        """Return the key of a sorted set: the claimed slots of one family, by when the claim ends (milliseconds)."""
        return self.named(f"claimed:{family}")

    def performer_wake_up(self, family: str) -> str:
        """Return the key that exists from the moment a performer of this family is woken up until it begins."""
        return self.named(f"wake-up:{family}")

    def posted(self, run: str, attempt: int) -> str:
        """Return the key of the post note of an attempt: set before its trigger is sent; expires."""
        return f"{self.posted_prefix}{run}:{attempt}"

    @property
    def posted_prefix(self) -> str:
        """The prefix of the keys of `posted`."""
        return self.named("posted:")

    def answering(self, run: str, attempt: int) -> str:
        """Return the key of a hash: how long Jenkins has answered looks for an attempt whose trigger got no answer.

        It expires.
        """
        return self.named(f"answering:{run}:{attempt}")

    def missing(self, run: str, attempt: int) -> str:
        """Return the key of a string: since when no look has found the build of an attempt; expires."""
        return self.named(f"missing:{run}:{attempt}")

    def given(self, slot: str) -> str:
        """Return the key of a note that something was sent that cannot be looked up later (a reaction, a message to a
        channel); expires."""
        return self.named(f"given:{slot}")

    def wrote(self, slot: str) -> str:
        """Return the key of a hash: what was written to GitHub in a slot, and whether the reply is missing; expires."""
        return self.named(f"wrote:{slot}")

    def seen(self, delivery: str) -> str:
        """Return the key of the note that a delivery was stored; expires."""
        return self.named(f"seen:{delivery}")
