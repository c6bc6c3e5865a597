"""The threads of beat that tell outbound webhooks of facts: one for each webhook and pipeline.

They follow the log of facts in a process that takes no turn and performs no effect: whoever answers slowly, or not at
all, delays neither, and what posting costs is not taken from them. Where two processes run them, one at a time tells a
webhook.
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
#: How long the end of a process waits for a thread to give its webhook back, in seconds.
END = 1.0


class ConfiguredWebhooks:
    """Those of one configuration at a time, each with its threads."""

    def __init__(self) -> None:
        self._ended = threading.Event()
        self._threads: list[threading.Thread] = []
        atexit.register(self.end)

    def begin(self, runtime: Runtime) -> None:
        """Tell the webhooks of this runtime of facts from now on, and no others; what they were told is stored."""
        self.end()
        self._ended = threading.Event()
        self._threads = _started(runtime, self._ended)

    def end(self) -> None:
        """So that another process goes on at once. Who is just posting is not waited for long."""
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
    """Let a follower work, whatever happens to it."""
    while not ended.is_set():
        try:
            follower.follow(ended)
        except (RedisError, OtherSchema) as error:  # what it was about is in the log of facts still
            log.warning("webhooks-wait", error=type(error).__name__)
        except Exception:  # the thread must live: a mistake of ours must not silence a webhook for ever
            log.exception("webhook-broken", thread=threading.current_thread().name)
        ended.wait(PAUSE)
