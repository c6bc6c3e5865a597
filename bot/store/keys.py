"""The names of everything a pipeline keeps in Redis. One hash tag per pipeline: it may live on a cluster."""

from __future__ import annotations

from dataclasses import dataclass

#: The families of effects: whom they talk to. Each has its own queue in the outbox: one that hangs stops no other.
FAMILIES = ("jenkins", "github", "people")


@dataclass(frozen=True, slots=True)
class Keys:
    """Keys of one pipeline; `prefix` sets several installations on one Redis apart."""

    pipeline: str
    prefix: str = "interlock"

    def named(self, name: str) -> str:
        """The key of this pipeline that is called `name`."""
        return f"{self.prefix}:{{{self.pipeline}}}:{name}"

    @property
    def meta(self) -> str:
        """Hash: version and its epoch, cursor (last inbox entry taken), accepted, taken, due, schema."""
        return self.named("meta")

    @property
    def inbox(self) -> str:
        """Stream of raw deliveries and events, in the order of acceptance."""
        return self.named("inbox")

    @property
    def deliveries(self) -> str:
        """Stream of raw deliveries that were decided, compressed, many in an entry."""
        return self.named("deliveries")

    @property
    def wake_up(self) -> str:
        """Set while a worker has been woken up and has not begun."""
        return self.named("wake-up")

    @property
    def lease(self) -> str:
        """Who takes the turn now."""
        return self.named("lease")

    @property
    def board(self) -> str:
        """Hash of the board's records, `family/key` to JSON."""
        return self.named("board")

    @property
    def changes(self) -> str:
        """Stream of what each version changed, for those who keep a copy of the board."""
        return self.named("changes")

    @property
    def facts(self) -> str:
        """Stream of facts: the audit log and the live feed."""
        return self.named("facts")

    @property
    def stories(self) -> str:
        """Hash of the facts about each run that lives or is in the history, and about the last verifications.

        By run: how many turns had facts about it; by `run#n`: those of the n-th turn, the id and the JSON of each, by
        lines.
        """
        return self.named("stories")

    @property
    def verified(self) -> str:
        """Sorted set: the verifications of which facts are kept in `stories`, by when the last of these was added."""
        return self.named("verified")

    @property
    def outbox(self) -> str:
        """Hash of effects to be done, by slot."""
        return self.named("outbox")

    @property
    def tries(self) -> str:
        """Hash: how often each effect was tried in vain."""
        return self.named("tries")

    @property
    def delays(self) -> str:
        """Hash: why an effect has been in vain so far, by its slot."""
        return self.named("delays")

    @property
    def failing(self) -> str:
        """Hash: since when each effect that may be given up has been in vain."""
        return self.named("failing")

    @property
    def dead_letters(self) -> str:
        """Hash of effects that were given up, with the reason."""
        return self.named("dead-letters")

    @property
    def parked(self) -> str:
        """List of deliveries that could not be digested."""
        return self.named("parked")

    @property
    def ended(self) -> str:
        """Hash of runs that left the board."""
        return self.named("ended")

    @property
    def ended_order(self) -> str:
        """Sorted set: the same runs by when they ended."""
        return self.named("ended-order")

    @property
    def repairs(self) -> str:
        """Hash: how often something was found by polling alone, by kind."""
        return self.named("repairs")

    @property
    def statistics(self) -> str:
        """Hash: the parts of the statistics as JSON, by key; and `cursor`, the last fact that they contain."""
        return self.named("statistics")

    @property
    def lock_reports(self) -> str:
        """Hash: the reports of locks that have opened, as JSON, by the key of the lock."""
        return self.named("lock-reports")

    @property
    def lock_reports_order(self) -> str:
        """Sorted set: the same locks by when they opened."""
        return self.named("lock-reports-order")

    @property
    def recorded_turns(self) -> str:
        """Stream of the last turns as they are recorded (`t`), each with the epoch of its version (`e`)."""
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
        """Hash: how large the recording is, where it ends, and when the last snapshot was taken."""
        return self.named("recording-state")

    def webhook(self, name: str) -> str:
        """Hash: how far an outbound webhook has come in the log of facts."""
        return self.named(f"webhook:{name}")

    def webhook_lease(self, name: str) -> str:
        """Who delivers to an outbound webhook now."""
        return self.named(f"webhook-lease:{name}")

    @property
    def redeliveries(self) -> str:
        """Hash: what outbound webhooks are to be told once more, by the slot of the dead letter that it was."""
        return self.named("redeliveries")

    @property
    def heads(self) -> str:
        """Hash: what GitHub last said of the head of each service's main branch."""
        return self.named("heads")

    @property
    def restarted(self) -> str:
        """Set for a moment when a Jenkins was seen to have restarted."""
        return self.named("restarted")

    def due(self, family: str) -> str:
        """Sorted set: slots of one family by when they are due (milliseconds)."""
        return self.named(f"due:{family}")

    def claimed(self, family: str) -> str:
        """Sorted set: slots that a performer has taken, by until when (milliseconds)."""
        return self.named(f"claimed:{family}")

    def performer_wake_up(self, family: str) -> str:
        """Set while a performer of a family has been woken up and has not begun."""
        return self.named(f"wake-up:{family}")

    def posted(self, run: str, attempt: int) -> str:
        """Set when the trigger of an attempt goes out; expires."""
        return f"{self.posted_prefix}{run}:{attempt}"

    @property
    def posted_prefix(self) -> str:
        """How the keys of `posted` begin."""
        return self.named("posted:")

    def answering(self, run: str, attempt: int) -> str:
        """Hash: for how long Jenkins has answered looks for an attempt whose trigger got no answer; expires."""
        return self.named(f"answering:{run}:{attempt}")

    def missing(self, run: str, attempt: int) -> str:
        """Since when each look at an attempt's build has been in vain; expires."""
        return self.named(f"missing:{run}:{attempt}")

    def given(self, slot: str) -> str:
        """Set when something was sent that cannot be looked for (a reaction, a message to a channel); expires."""
        return self.named(f"given:{slot}")

    def wrote(self, slot: str) -> str:
        """Hash: what was written to GitHub in a slot, and whether the reply is missing; expires."""
        return self.named(f"wrote:{slot}")

    def seen(self, delivery: str) -> str:
        """Set for a delivery that was kept; expires."""
        return self.named(f"seen:{delivery}")
