"""Profiles of the searching tests, by HYPOTHESIS_PROFILE: `quick` by default, `fast` for `make test-fast`, `ci`.

And the numbers that a test has recorded (`record_property("numbers: ...", text)`): shown at the end, passed or not.
"""

import gc
import os
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import settings
from xdist.remote import Producer
from xdist.scheduler import Scheduling

from tests.logs import last_lines
from tests.schedule import WaitingFirst, in_one_order, number_of_workers, parts, rotated

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


def pytest_configure(config: pytest.Config) -> None:
    """Each of several workers begins to collect elsewhere: what one has compiled the others find compiled.

    All of them at the same place would compile each file once for each worker, which takes half of the time in which
    they collect on a clean clone.
    """
    worker = getattr(config, "workerinput", None)
    if worker is not None and config.args == config.getini("testpaths"):
        here = parts(Path(__file__).parent)
        first = int(worker["workerid"].removeprefix("gw")) * len(here) // worker["workercount"]
        config.args = [str(part) for part in rotated(here, first)]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """xdist wants one order in all workers."""
    in_one_order(items, Path(__file__).parent)


@pytest.hookimpl(tryfirst=True)
def pytest_collection(session: pytest.Session) -> None:
    """What is collected stays until the end: the collector of garbage need not look through it again and again.

    It would do so some thirty times while the tests are collected, and take a third of that time. The process that
    only hands the tests out collects none, and goes on as it is.
    """
    if hasattr(session.config, "workerinput") or not session.config.getoption("numprocesses", None):
        gc.disable()


def pytest_collection_finish() -> None:
    gc.collect()
    gc.freeze()
    gc.enable()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that fails while processes run is reported with what they printed last."""
    report = yield
    if report.failed:
        report.sections += last_lines()
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [report for found in terminalreporter.stats.values() for report in found]
    for report in reports:
        for name, value in getattr(report, "user_properties", ()) if getattr(report, "when", "") == "call" else ():
            if name.startswith("numbers: "):
                terminalreporter.section(name.removeprefix("numbers: "))
                terminalreporter.write_line(value)
