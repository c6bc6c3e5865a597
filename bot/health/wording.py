"""The judgement as plain values for programs, and as sentences for people."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from bot.health.judgement import Finding, Health


def shape(health: Health) -> dict[str, Any]:
    """The judgement for the API, the page and the CLI."""
    return {"status": str(health.status), "findings": [_finding(each) for each in health.findings]}


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "cause": finding.cause,
        "status": str(finding.status),
        "what": finding.what,
        "since": finding.since,
        "good_at": finding.good_at,
        "mend": finding.mend,
        "details": [{"what": each.what, "since": each.since} for each in finding.details],
        "pipeline": finding.pipeline,
        "holds_up": finding.holds_up,
    }


def headline(health: Health) -> str:
    """`Interlock is degraded: beat is not running...`."""
    if not health.findings:
        return "Interlock works again"
    more = len(health.findings) - 1
    rest = f" (and {more} more)" if more else ""
    return f"Interlock is {health.status}: {health.findings[0].what}{rest}"


def sentences(health: Health, moment: Callable[[float], str] | None = None) -> list[str]:
    """Each finding in full: what, since when, and what to do."""
    return [sentence(_finding(each), moment or utc) for each in health.findings]


def sentence(shown: dict[str, Any], moment: Callable[[float], str]) -> str:
    """One finding in its plain form as a sentence; `moment` writes a time."""
    since = f", since {moment(shown['since'])}" if shown["since"] is not None else ""
    good = f" (last good answer {moment(shown['good_at'])})" if shown["good_at"] is not None else ""
    return f"{_capital(shown['what'])}{since}{good}. {_capital(shown['mend'])}."


def utc(at: float) -> str:
    """A time as it is written where nobody's time zone is known."""
    return datetime.fromtimestamp(at, tz=UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
