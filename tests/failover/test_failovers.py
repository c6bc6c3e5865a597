"""Repeated fail-overs lose acknowledged writes of the store, but no merge is lost, doubled or left behind.

`FAILOVERS` chooses how many, `FAILOVER_SERVERS` among how many servers; the numbers are in the summary at the end.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from bot.web.shared import WakeUpSender
from chaos.sentinels import until
from tests.failover.flow import PATIENCE, PER_FAILOVER, Flow, Outcome
from tests.failover.rabbit import Rabbit
from tests.failover.setups import ClusterAndRabbit, Sentinels

FAILOVERS = int(os.environ.get("FAILOVERS", "2"))
SERVERS = int(os.environ.get("FAILOVER_SERVERS", "2"))


pytestmark = [pytest.mark.slow, pytest.mark.timeout(PATIENCE + 20 * PER_FAILOVER * FAILOVERS + 240)]


def test_no_merge_is_lost_doubled_or_stuck_by_failovers(tmp_path: Path, record_property: pytest.RecordProperty) -> None:
    outcome = Flow(tmp_path, FAILOVERS, Sentinels(tmp_path / "sentinels", SERVERS)).run()
    assert_well(outcome, record_property)


@pytest.fixture(scope="module")
def rabbit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rabbit]:
    with Rabbit(tmp_path_factory.mktemp("rabbit")) as found:
        found.until_up()
        yield found


def test_a_rabbitmq_that_hangs_holds_up_no_delivery_and_is_found_again(rabbit: Rabbit) -> None:
    wake_up = WakeUpSender(rabbit.url, pause=0.0)
    wake_up("hangs")
    assert rabbit.take() == "hangs"
    rabbit.signal(signal.SIGSTOP)
    with capture_logs() as said:
        wake_up("hangs")
    assert [each["event"] for each in said] == ["wake-up-failed"]
    rabbit.signal(signal.SIGCONT)

    def found_again() -> bool:
        wake_up("again")
        return rabbit.take() == "again"

    until(found_again, "a wake-up arrives", 60)


def test_a_wake_up_goes_to_rabbitmq_over_tls(rabbit: Rabbit) -> None:
    WakeUpSender(rabbit.tls_url)("secretly")
    until(lambda: rabbit.take() == "secretly", "it arrives", 60)  # behind those of another test
    assert rabbit.answers(rabbit.tls_url)
    assert not rabbit.answers(rabbit.tls_url.partition("?")[0])  # of an authority that nobody knows


def test_nor_on_a_cluster_with_rabbitmq_and_two_beats(
    tmp_path: Path, rabbit: Rabbit, record_property: pytest.RecordProperty
) -> None:
    outcome = Flow(tmp_path, FAILOVERS, ClusterAndRabbit(tmp_path / "engines", rabbit)).run()
    assert_well(outcome, record_property)


def assert_well(outcome: Outcome, record_property: pytest.RecordProperty) -> None:
    record_property(f"numbers: {FAILOVERS} fail-overs", outcome.table())
    assert not any(outcome.faults.values()), {name: found for name, found in outcome.faults.items() if found}
    assert sum(outcome.rolled_back) > 0, "nothing was lost, so nothing was shown"
