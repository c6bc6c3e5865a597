"""Write the banner of a lock into a job's description, as text or HTML, and read it back after a loss of state.

The owner's own text stays unchanged below the banner.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from html import escape, unescape
from typing import Any

from bot.core.model.effects import Banner
from bot.core.model.messages import Verbatim
from bot.core.model.stage_messages import ClosedAfterLoss, FoundInBanner
from bot.core.model.stage_state import Lock
from bot.core.model.traces import LockTrace
from bot.effect_outcomes import Done, PermanentFailure
from bot.jenkins.client import JenkinsNotFound, client_for
from bot.payloads import Unreadable, flag, is_sha, line, number, read_object, text
from bot.reporting.messages import words
from bot.reporting.sentences import moment
from bot.runtime import PipelineContext, Runtime
from bot.store.outbox import Claim
from config.configuration import job_path
from config.model import Markup


def show_banner(runtime: Runtime, context: PipelineContext, claim: Claim, effect: Banner) -> Done:
    """Write the banner into the job's description, or remove it; the owner's own text stays unchanged."""
    jenkins = client_for(runtime, effect.job)
    path = f"{job_path(effect.job.name)}/description"
    try:
        found = jenkins.ask("GET", path)
        found.encoding = "utf-8"
        wanted = shown_on(runtime, context, found.text, effect)
        if wanted != found.text:
            jenkins.ask("POST", path, data={"description": wanted}, expect=(204, 200))
    except JenkinsNotFound as error:
        raise PermanentFailure(f"the banner of {effect.stage}: {error}") from error
    return Done()


def shown_on(runtime: Runtime, context: PipelineContext, description: str, effect: Banner) -> str:
    """Return the description that the effect's job must have."""
    controller = runtime.configuration.controllers.get(effect.job.controller)
    markup = controller.markup if controller is not None else Markup.PLAIN
    logs = {lock.key: runtime.log_of(effect.job, lock.build) for lock in effect.locks}
    return with_banner(description, effect, runtime.page_of(context.pipeline.name), markup, logs)


# -- the text of the banner --------------------------------------------------------------------------------------------

_BEGIN = "=== Interlock: this stage is locked ==="

_END = "=== end of Interlock's notice ==="

#: The same as invisible HTML (Jenkins' Safe HTML drops comments when it shows a description, but keeps them in its
#: text).
_HTML_BEGIN = "<!-- Interlock: this stage is locked -->"

_HTML_END = "<!-- end of Interlock's notice -->"

#: Both forms: the markup of the controller may have been changed since the banner was written.
_FORMS = ((_BEGIN, _END), (_HTML_BEGIN, _HTML_END))

_BLOCK = re.compile("|".join(rf"{re.escape(b)}.*?{re.escape(e)}\r?\n?" for b, e in _FORMS), re.DOTALL)

_STYLE = "border-left: 4px solid #c00; padding: 4px 12px; margin-bottom: 8px"


def without_banner(description: str) -> str:
    """Return the owner's own text."""
    return _BLOCK.sub("", description)


def locks_in_banner(description: str) -> list[str]:
    """Return the reasons of the locks in the banner of a description, one line each; empty if there is no banner."""
    found = _BLOCK.search(description)
    if found is None:
        return []
    text = found.group()
    plain = re.findall(r"^LOCKED: (.+)$", text, re.MULTILINE)
    html = [unescape(reason) for reason in re.findall(r"<li><b>(.*?)</b>", text)]
    return plain or html or ["the reason in its banner is unreadable"]


def with_banner(
    description: str, banner: Banner, link: str, markup: Markup = Markup.PLAIN, logs: Mapping[str, str] | None = None
) -> str:
    """Return the description with this banner in place of any other, or without a banner if the stage has no lock.

    `link`: the page of the stage; `logs`: the address of the failed build's log, by the key of the lock.
    """
    own = without_banner(description)
    if not banner.locks:
        return own
    return (_html if markup is Markup.HTML else _plain)(banner, link, logs or {}) + own


def _plain(banner: Banner, link: str, logs: Mapping[str, str]) -> str:
    lines = [_BEGIN]
    for lock in banner.locks:
        lines += [f"LOCKED: {words(lock.reason)}", f"  {_since(lock)}"]
        lines += [f"  log of build #{lock.build}: {log}" for log in (logs.get(lock.key),) if log]
    lines += [f"Now: {words(coming)}" for coming in banner.coming]
    lines += [link, *(f"{_MARK} {mark}" for mark in _marks(banner)), _END, ""]
    return "\n".join(each if each in (_BEGIN, _END) else re.sub("={3,}", "==", each) for each in lines)


def _html(banner: Banner, link: str, logs: Mapping[str, str]) -> str:
    """Return the banner as HTML. Everything is escaped: a reason may quote text of unknown people."""
    rows = [
        f"<li><b>{escape(words(lock.reason))}</b><br>{escape(_since(lock))}{_log(lock, logs.get(lock.key))}</li>"
        for lock in banner.locks
    ]
    rows += [f"<li>Now: {escape(words(coming))}</li>" for coming in banner.coming]
    head = f'<b>{escape(banner.stage)} is locked</b> (<a href="{escape(link)}">Interlock</a>)'
    block = f'<div style="{_STYLE}">{head}<ul>{"".join(rows)}</ul></div>'
    block += "".join(["\n", *(f"<!-- {_MARK} {mark} -->\n" for mark in _marks(banner))])
    return f"{_HTML_BEGIN}{block}{_HTML_END}\n"


def _log(lock: Lock, address: str | None) -> str:
    return f', <a href="{escape(address)}">log of build #{lock.build}</a>' if address else ""


# -- the same for Interlock itself, in case its store is lost ----------------------------------------------------------

#: The beginning of a mark: a line of the text, or a comment in the HTML, that contains one lock as JSON.
_MARK = "interlock-lock"

_MARKS = re.compile(rf"^(?:<!-- )?{_MARK} (\{{.{{1,4000}}\}})(?: -->)?$", re.MULTILINE)

#: The most marks of a banner that are read, and the most characters of a name and a reason in one.
_MOST, _NAME, _REASON = 20, 100, 300

#: Characters that are escaped in a mark, because they could end a comment or the banner.
_ESCAPED = str.maketrans({each: f"\\u{ord(each):04x}" for each in "<>&="})


def _marks(banner: Banner) -> Iterator[str]:
    """Yield a mark for each lock that must be restored after a loss: not for that of a freeze or of a loss itself."""
    for lock in banner.locks:
        if lock.freeze or isinstance(lock.reason, ClosedAfterLoss):
            continue
        reason = lock.reason.reason if isinstance(lock.reason, FoundInBanner) else lock.reason
        mark: dict[str, Any] = {"reason": words(reason)[:_REASON], "by": lock.by, "since": lock.since}
        if lock.position is not None:
            mark |= {"run": lock.run, "service": lock.service, "sha": lock.position.sha, "build": lock.build}
        if lock.until is not None:
            mark["until"] = lock.until
        if lock.let_fixes_in:
            mark["fixes"] = True
        yield json.dumps(mark, separators=(",", ":")).translate(_ESCAPED).replace("--", r"-\u002d")


def marks_in_banner(description: str, stage: str, job: str) -> list[LockTrace]:
    """Return the locks that are marked in a banner. Anybody who may edit the description may have written them."""
    found = _BLOCK.search(description)
    texts = _MARKS.findall(found.group()) if found is not None else []
    return [lock for each in texts[:_MOST] if (lock := _read_mark(each, stage, job)) is not None]


def _read_mark(mark: str, stage: str, job: str) -> LockTrace | None:
    """Decode one mark, with each part bounded; None if it is not valid."""
    try:
        data = read_object(mark.encode())
    except Unreadable:
        return None
    reason, since = line(text(data, "reason"), _REASON), _time(data, "since")
    if not reason or since is None:
        return None
    plain = LockTrace(
        stage,
        Verbatim(reason),
        line(text(data, "by"), _NAME),
        since,
        until=_time(data, "until"),
        let_fixes_in=flag(data, "fixes"),
        banner=job,
    )
    run, service, sha = (line(text(data, name), _NAME) for name in ("run", "service", "sha"))
    if not (run and service and is_sha(sha)):
        return plain
    return replace(plain, run=run, service=service, sha=sha, build=number(data, "build"))


def _time(data: dict[str, Any], name: str) -> float | None:
    found = data.get(name)
    is_time = isinstance(found, int | float) and not isinstance(found, bool) and math.isfinite(found) and found > 0
    return float(found) if is_time and isinstance(found, int | float) else None


def _since(lock: Lock) -> str:
    until = f", until {moment(lock.until)}" if lock.until is not None else ""
    return f"by {lock.by} since {moment(lock.since)}{until}"
