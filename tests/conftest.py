"""Profiles of the searching tests, by HYPOTHESIS_PROFILE: `quick` by default, `fast` for `make test-fast`, `ci`.

And the numbers that a test has recorded (`record_property("numbers: ...", text)`): shown at the end, passed or not.
"""

import os

import pytest
from hypothesis import settings
from xdist.remote import Producer
from xdist.scheduler import Scheduling

from tests.schedule import WaitingFirst, number_of_workers

settings.register_profile("fast", deadline=None, max_examples=20)
settings.register_profile("quick", deadline=None, max_examples=100)
settings.register_profile("ci", deadline=None, max_examples=1_000, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--snapshots", action="store_true", help="Write the snapshots of texts anew (tests/reporting).")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    return number_of_workers()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduling | None:
    """`--dist loadfile` takes the files in an order of our own; every other choice is as in xdist."""
    return WaitingFirst(config, log) if config.getoption("dist") == "loadfile" else None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [report for found in terminalreporter.stats.values() for report in found]
    for report in reports:
        for name, value in getattr(report, "user_properties", ()) if getattr(report, "when", "") == "call" else ():
            if name.startswith("numbers: "):
                terminalreporter.section(name.removeprefix("numbers: "))
                terminalreporter.write_line(value)
