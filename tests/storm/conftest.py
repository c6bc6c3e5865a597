"""The numbers of the storm are shown in the summary, whether it passed or not."""

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, value in getattr(report, "user_properties", ()):
                if name == "storm" and getattr(report, "when", "") == "call":
                    terminalreporter.section("the storm in numbers")
                    terminalreporter.write_line(value)
