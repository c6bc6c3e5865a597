"""Run the threads of beat that post facts to outbound webhooks: one for each webhook and pipeline.

They follow the log of facts in a process that takes no turns and performs no effects, so that a slow receiver delays
neither, nor does the cost of posting. If two processes run such threads, one at a time serves a webhook.
"""

from __future__ import annotations

import atexit
import threading

import structlog
from redis.exceptions import RedisError

from bot.outbound.follower import WebhookFollower
from bot.runtime import Runtime
from bot.store.scripts import OtherSchema

log = structlog.get_logger()

#: The pause after the store could not be reached, in seconds.
PAUSE = 2.0
#: How long the end of a process waits for its threads to release their leases, in seconds.
END = 1.0


class ConfiguredWebhooks:
    """The threads for the webhooks of one configuration at a time."""

    def __init__(self) -> None:
        self._ended = threading.Event()
        self._threads: list[threading.Thread] = []
        atexit.register(self.end)

    def begin(self, runtime: Runtime) -> None:
        """Serve the webhooks of this runtime from now on, and no others; the progress of each is in the store."""
        self.end()
        self._ended = threading.Event()
        self._threads = _started(runtime, self._ended)

    def end(self) -> None:
        """Stop the threads so that another process can continue at once; a post under way is not waited for long."""
        self._ended.set()
        for thread in self._threads:
            thread.join(END / len(self._threads))


def _started(runtime: Runtime, ended: threading.Event) -> list[threading.Thread]:
    threads = []
    for name, context in runtime.pipelines.items():
        for webhook in runtime.configuration.webhooks_of(name):
            follower = WebhookFollower(runtime, context, webhook)
            threads.append(
                threading.Thread(
                    target=follow, args=(follower, ended), name=f"webhook {webhook.name} of {name}", daemon=True
                )
            )
    for thread in threads:
        thread.start()
    return threads


def follow(follower: WebhookFollower, ended: threading.Event) -> None:
    """Run a follower until `ended`, and start it again after any error."""
    while not ended.is_set():
        try:
            follower.follow(ended)
        except (RedisError, OtherSchema) as error:  # the facts are still in the log
            log.warning("webhooks-wait", error=type(error).__name__)
        except Exception:  # a mistake of ours must not stop a webhook for ever
            log.exception("webhook-broken", thread=threading.current_thread().name)
        ended.wait(PAUSE)
