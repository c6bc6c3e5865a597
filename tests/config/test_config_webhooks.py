"""Outbound webhooks in the pipeline file: what is refused, and what comes of an entry."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.core.model.facts import FactKind
from config import pipeline_file
from config.configuration import Configuration
from config.errors import ConfigurationError
from config.notices import WebhookFormat

FILE = """\
controllers: {cdp: {url: https://ci.shop.test, user: bot}}
pipelines:
  - {name: shop, stages: [{name: build, job: "cdp: b"}], services: [{name: S1, repository: shop/s1}]}
webhooks:
"""


def load(folder: Path, *entries: str) -> Configuration:
    file = folder / "interlock.yaml"
    file.write_text(FILE + "".join(f"  - {entry}\n" for entry in entries))
    return pipeline_file.load(file)


def mistakes(folder: Path, *entries: str) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        load(folder, *entries)
    return [str(mistake).partition("interlock.yaml:")[2] for mistake in caught.value.mistakes]


def test_a_webhook_is_told_every_kind_of_every_pipeline_by_default(tmp_path: Path) -> None:
    found = load(tmp_path, "{name: audit, url: https://audit.shop.test/x/}")
    (webhook,) = found.webhooks_of("shop")
    assert (webhook.name, webhook.url) == ("audit", "https://audit.shop.test/x")
    assert all(webhook.wants(kind) for kind in FactKind)
    assert (webhook.format, webhook.timeout, webhook.ca_bundle) == (WebhookFormat.INTERLOCK, 10.0, None)


def test_kinds_pipelines_format_and_authorities_can_be_named(tmp_path: Path) -> None:
    rest = "facts: [stage-unlocked, stage-locked], format: cdevents, pipelines: [shop], timeout: 3s, ca_bundle: a.pem"
    (webhook,) = load(tmp_path, f"{{name: audit, url: https://audit.shop.test, {rest}}}").webhooks
    assert webhook.facts == (FactKind.STAGE_LOCKED, FactKind.STAGE_UNLOCKED)
    assert webhook.format is WebhookFormat.CDEVENTS
    assert (webhook.pipelines, webhook.timeout, webhook.ca_bundle) == (("shop",), 3.0, tmp_path / "a.pem")


@pytest.mark.parametrize(
    ("entry", "mistake"),
    [
        (
            "{name: a, url: http://audit.shop.test}",
            "5:5: webhook `a` has an address without TLS; expected `https://`, or `allow_http: true` (at webhooks.0)",
        ),
        (
            "{name: a, url: https://a.shop.test, facts: [stage-lokced]}",
            "5:48: there is no kind of fact `stage-lokced`",
        ),
        (
            "{name: a, url: https://a.shop.test, pipelines: [shpo]}",
            "5:53: there is no pipeline `shpo`; expected `shop`; did you mean `shop`? (at webhooks.0.pipelines.0)",
        ),
        (
            "{name: a, url: https://a.shop.test, secret: hush}",
            "5:41: unknown key `secret`; expected secrets in the environment, never in this file",
        ),
        ("{name: a, url: 'https://me:hush@a.shop.test'}", "5:20: the address holds credentials"),
        ("{name: a, url: ftp://a.shop.test}", "5:20: this is not an address"),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path: Path, entry: str, mistake: str) -> None:
    (found,) = mistakes(tmp_path, entry)
    assert found.startswith(mistake)


def test_a_name_is_given_once(tmp_path: Path) -> None:
    (found,) = mistakes(tmp_path, "{name: a, url: https://a.shop.test}", "{name: a, url: https://b.shop.test}")
    assert found.startswith("6:12: webhook `a` is used twice (first in line 5)")


@pytest.mark.parametrize("host", ["127.0.0.1:9000", "localhost:9000", "[::1]:9000"])
def test_on_this_machine_plain_http_will_do(tmp_path: Path, host: str) -> None:
    assert load(tmp_path, f"{{name: a, url: 'http://{host}/'}}").webhooks
    assert load(tmp_path, "{name: a, url: http://audit.shop.test, allow_http: true}").webhooks
