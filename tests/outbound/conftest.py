"""A real Redis, a receiver, and a pipeline whose facts are committed as turns do it."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from bot.core.model.events import Configured
from bot.core.model.facts import Fact, FactKind
from bot.core.model.messages import Verbatim
from bot.effect_outcomes import WEBHOOKS, RetryPolicy
from bot.outbound.follower import WebhookFollower
from bot.runtime import build
from bot.store.store import Work
from config.configuration import Configuration, Controller, GitHubSettings, OutboundWebhook, WebSettings
from config.settings import Settings
from demo.pipeline import pipeline as pictures
from tests.outbound.receiver import SECRET, Receiver
from tests.redis_server import redis_url

__all__ = ["redis_url"]

#: A delivery that failed is tried again almost at once.
SHORT = RetryPolicy(first=0.02, longest=0.02, longest_asked=0.02)


class Desk:
    """One pipeline with one webhook, and one process that tells it of facts."""

    def __init__(self, redis_url: str, url: str, **webhook: object) -> None:
        self.pipeline = pictures(f"p{uuid.uuid4().hex[:12]}")
        self.webhook = OutboundWebhook("audit", url, **{"timeout": 1.0, **webhook})  # type: ignore[arg-type]
        self.configuration = Configuration(
            (self.pipeline,),
            {"cdp": Controller("cdp", "http://127.0.0.1:1/jenkins", "interlock")},
            github=GitHubSettings(),
            webhooks=(self.webhook,),
            web=WebSettings("https://interlock.shop.test"),
        )
        self.settings = Settings(redis_url=SecretStr(redis_url), webhook_secrets={"AUDIT": SecretStr(SECRET)})
        self.policy = SHORT
        self.start()

    def start(self) -> None:
        """Go on as a new process."""
        self.runtime = replace(build(self.settings, self.configuration), retry_policy=self.policy)
        self.context = self.runtime.pipeline(self.pipeline.name)
        self.follower = WebhookFollower(self.runtime, self.context, self.webhook)

    def give_up_after(self, seconds: float) -> None:
        self.policy = replace(SHORT, give_up={**SHORT.give_up, WEBHOOKS: seconds})
        self.start()

    def commit(self, *facts: Fact) -> list[str]:
        """Commit facts in one turn; returns their names in the log."""
        self.context.inbox.add(Configured(self.pipeline), uuid.uuid4().hex)
        entries = self.context.store.begin("desk")
        self.context.store.commit("desk", entries, Work([], [(entries[0], each) for each in facts], [], [], None))
        return [identity for identity, _ in self.context.records.facts(limit=200).facts[::-1]]

    def tell(self, *texts: str) -> list[str]:
        """Commit one fact for each text."""
        return self.commit(*(Fact(FactKind.RUN_FAILED, Verbatim(text), run="S1.1") for text in texts))

    def deliver(self, seconds: float = 20.0) -> None:
        """Go on until nothing is to be delivered now, whatever has to be tried again."""
        until = time.monotonic() + seconds
        while (pause := self.follower.advance()) is not None:
            assert time.monotonic() < until, "it does not come to an end"
            time.sleep(min(pause, 0.05))

    def state(self) -> object:
        return self.context.webhooks.state("audit")


Open = Callable[..., Desk]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


@pytest.fixture
def open_desk(redis_url: str, receiver: Receiver) -> Iterator[Open]:
    desks: list[Desk] = []

    def opened(url: str = "", **webhook: object) -> Desk:
        desks.append(Desk(redis_url, url or receiver.url, **webhook))
        return desks[-1]

    yield opened
    for desk in desks:
        desk.runtime.redis.close()


@pytest.fixture
def desk(open_desk: Open) -> Desk:
    return open_desk()


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with capture_logs():
        yield
