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


def start(runtime: Runtime) -> None:
    """Tell the configured webhooks of facts from now on, until the process ends."""
    ended = threading.Event()
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
    if threads:
        atexit.register(_end, ended, threads)


def _end(ended: threading.Event, threads: list[threading.Thread]) -> None:
    """So that another process goes on at once. Who is just posting is not waited for long."""
    ended.set()
    for thread in threads:
        thread.join(END / len(threads))


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
