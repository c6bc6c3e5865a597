"""Judge the health: from observations to `ok`, `degraded` or `down`, with a finding for each cause. Pure.

Also converts the judgement to plain values for programs and to sentences for people.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from bot.health.observations import RATE_LIMIT, ContactSeen, Observations, PipelineSeen, StoreSeen

#: The share of `maxmemory` from which on there is a warning, before nothing can be stored any more.
NEARLY_FULL = 0.9
#: An error older than this, in seconds, is ignored: there was no request since then, so the contact is not used.
MOOT = 3_600.0
#: A process without a heartbeat for this long, in seconds, is not reported while others of its kind work: it was
#: removed on purpose.
GONE = 3_600.0
#: A webhook that takes facts may be this many times `Limits.silence` behind.
BEHIND = 5
#: The most failing actions that a finding lists.
DETAILS = 5


class HealthStatus(StrEnum):
    """The state of Interlock. `down`: nothing can be decided or stored. `degraded`: something else does not work."""

    OK = "ok"
    DEGRADED = "degraded"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Detail:
    """One of several subjects of a finding, and since when (seconds since the epoch)."""

    what: str
    since: float


@dataclass(frozen=True, slots=True)
class Finding:
    """One cause: what is wrong, since when (seconds since the epoch; None: not known), and what to do.

    `cause` is its name for programs. `what` and `mend` are sentences without a full stop; `good_at` is the last time
    without the problem, if that is known separately from `since`. `pipeline`: the one that it concerns; empty: all of
    them. `holds_up`: whether runs may be delayed by it.
    """

    cause: str
    status: HealthStatus
    what: str
    since: float | None
    mend: str
    good_at: float | None = None
    details: tuple[Detail, ...] = ()
    pipeline: str = ""
    holds_up: bool = True


@dataclass(frozen=True, slots=True)
class Health:
    """The judgement: all findings, worst first."""

    findings: tuple[Finding, ...] = ()

    @property
    def status(self) -> HealthStatus:
        """The worst status of the findings; `ok` if there is none."""
        return self.findings[0].status if self.findings else HealthStatus.OK

    def of(self, pipeline: str) -> Health:
        """Return the judgement for one pipeline: its own findings, and those that concern all."""
        return Health(tuple(each for each in self.findings if each.pipeline in ("", pipeline)))


@dataclass(frozen=True, slots=True)
class Limits:
    """The times after which something counts as wrong, in seconds."""

    #: A process without a heartbeat for this long is gone; beat sends them at the pace of its clock.
    heartbeat: float = 15.0
    beat: float = 30.0
    #: The longest acceptable wait of a delivery for its decision.
    undecided: float = 30.0
    #: A contact with errors and no good answer for this long is out of reach.
    silence: float = 60.0
    #: The same for a contact that answers but refuses requests, by kind of contact.
    refusing: Mapping[str, float] = field(default_factory=dict)


def judge(seen: Observations, limits: Limits, now: float) -> Health:
    """Judge the observations at `now`, in seconds since the epoch by the clock of the store."""
    findings = list(_store(seen.store))
    if not seen.blind:
        findings += _processes(seen, limits, now)
        findings += _silent(seen, limits, now)
        findings += _configured(seen)
        findings += [found for each in seen.pipelines for found in _deciding(each, seen, limits, now)]
        findings += [found for each in seen.contacts for found in _contact(each, limits, now)]
        findings += [found for each in seen.pipelines for found in _problems(each, limits, now)]
        findings += [found for each in seen.pipelines for found in _webhooks(each, seen, limits, now)]
    return Health((*_of_status(findings, HealthStatus.DOWN), *_of_status(findings, HealthStatus.DEGRADED)))


def _of_status(findings: list[Finding], status: HealthStatus) -> list[Finding]:
    return [each for each in findings if each.status is status]


def _store(store: StoreSeen) -> Iterator[Finding]:
    if store.unreachable:
        what = f"the store (Redis) cannot be reached: {store.unreachable}"
        mend = (
            "start Redis, or correct INTERLOCK_REDIS_URL; Interlock refuses webhooks meanwhile, and "
            "polling finds their changes later"
        )
        yield Finding("store", HealthStatus.DOWN, what, store.wrote_at, mend)
    elif store.refused:
        what = f"the store (Redis) refuses writes: {store.refused}"
        yield Finding("store", HealthStatus.DOWN, what, store.wrote_at, _writable(store.refused))
    elif not store.log_written:
        what = "the store (Redis) cannot write its append-only file"
        yield Finding(
            "store", HealthStatus.DEGRADED, what, store.wrote_at, "look for a full or broken disk where it runs"
        )
    if store.most_bytes and store.policy != "noeviction":
        what = f"the store (Redis) deletes state when it is full (maxmemory-policy {store.policy})"
        mend = "set its maxmemory-policy to noeviction"
        yield Finding("store-policy", HealthStatus.DEGRADED, what, None, mend, holds_up=False)
    if not store.refused and store.most_bytes and store.used_bytes >= NEARLY_FULL * store.most_bytes:
        what = f"the store (Redis) has used {store.used_bytes / store.most_bytes:.0%} of its maxmemory"
        mend = "raise its maxmemory, or keep less of the past (`keep:` in the pipeline file)"
        yield Finding("store-memory", HealthStatus.DEGRADED, what, None, mend, holds_up=False)


def _writable(refused: str) -> str:
    match refused.partition(" ")[0]:
        case "OOM":
            return (
                "raise its maxmemory, or free memory there; Interlock refuses webhooks "
                "meanwhile, and polling finds their changes later"
            )
        case "MISCONF":
            return "look for a full or broken disk where it writes; its log names the file"
        case "READONLY":
            return "it is a replica: give the address of the primary in INTERLOCK_REDIS_URL"
        case _:
            return "read the log of Redis; Interlock refuses webhooks meanwhile, and polling finds their changes later"


def _processes(seen: Observations, limits: Limits, now: float) -> Iterator[Finding]:
    if not _is_alive(seen, "worker", limits.heartbeat, now):
        waiting = sum(each.undecided + each.due for each in seen.pipelines)
        waits = (
            f", and {_count(waiting, 'delivery or action waits', 'deliveries and actions wait')} for one"
            if waiting
            else ""
        )
        mend = "start the worker, or read its log; Interlock stores deliveries and decides them later"
        status = HealthStatus.DOWN if waiting else HealthStatus.DEGRADED
        yield Finding("worker", status, f"no worker is running{waits}", seen.heard("worker"), mend)
    if not _is_alive(seen, "beat", limits.beat, now) and not any(_refuses(each, limits, now) for each in seen.contacts):
        what = "beat is not running: time limits do not end, locks do not open by the clock, and nothing is polled"
        mend = "start beat, or read its log; webhooks and callbacks move runs meanwhile"
        yield Finding("beat", HealthStatus.DEGRADED, what, seen.heard("beat"), mend)
    if not _is_alive(seen, "web", limits.heartbeat, now):
        what = "no web process is running: webhooks, the page and the API get no answer"
        mend = "start the web process, or read its log; polling finds the changes of lost webhooks"
        yield Finding("web", HealthStatus.DEGRADED, what, seen.heard("web"), mend)


def _silent(seen: Observations, limits: Limits, now: float) -> Iterator[Finding]:
    """Report processes that hang or are cut off, while another one of the same kind works."""
    for kind, one, several in (("worker", "worker", "workers"), ("web", "web process", "web processes")):
        if not _is_alive(seen, kind, limits.heartbeat, now):
            continue
        silent = [
            each for each in seen.processes if each.kind == kind and limits.heartbeat < now - each.heard_at < GONE
        ]
        if silent:
            names = ", ".join(sorted(each.name for each in silent))
            what = f"{_count(len(silent), one, several)} silent: {names}"
            mend = "check whether it hangs or its machine is cut off, and restart it; the others do its work meanwhile"
            since = min(each.heard_at for each in silent)
            yield Finding(f"{kind}-silent", HealthStatus.DEGRADED, what, since, mend, holds_up=False)


def _is_alive(seen: Observations, kind: str, limit: float, now: float) -> bool:
    heard = seen.heard(kind)
    return heard is not None and now - heard <= limit


def _refuses(contact: ContactSeen, limits: Limits, now: float) -> bool:
    """Return whether this is the broker and beat, which runs, has recently noted that it takes no messages."""
    return contact.kind == "broker" and contact.failing and now - (contact.error_at or 0.0) <= limits.beat


def _configured(seen: Observations) -> Iterator[Finding]:
    """Report processes that do not use the configuration in force, or not that of their own pipeline file."""
    for problem in dict.fromkeys(each.problem for each in seen.configured):
        names = ", ".join(each.process for each in seen.configured if each.problem == problem)
        what = f"{names}: {problem or 'it does not use the configuration in force'}"
        mend = "correct its pipeline file, or give it the one that must be in force; then `interlock reload`; "
        mend += "until then it uses the last checked configuration"
        yield Finding("configuration", HealthStatus.DEGRADED, what, None, mend, holds_up=False)


def _deciding(pipeline: PipelineSeen, seen: Observations, limits: Limits, now: float) -> Iterator[Finding]:
    """Report deliveries that wait too long although a worker runs, and state of another schema."""
    name, oldest = pipeline.name, pipeline.oldest_at
    if pipeline.other_schema:
        what, _, mend = pipeline.other_schema.rpartition(": ")
        yield Finding("schema", HealthStatus.DOWN, what, None, mend, pipeline=name)
        return
    if oldest is None or now - oldest <= limits.undecided or not _is_alive(seen, "worker", limits.heartbeat, now):
        return
    waits = _count(pipeline.undecided, "delivery waits", "deliveries wait")
    if pipeline.decided_at is None or now - pipeline.decided_at > limits.undecided:
        what = f"a worker runs but decides nothing in {name}: {waits}"
        mend = "look for errors in the worker's log, then restart it"
        yield Finding("undecided", HealthStatus.DOWN, what, oldest, mend, pipeline=name)
    else:
        what = f"{waits} in {name} to be decided, longer than usual"
        mend = "wait; if their number grows, start another worker"
        yield Finding("undecided", HealthStatus.DEGRADED, what, oldest, mend, pipeline=name)


def _contact(contact: ContactSeen, limits: Limits, now: float) -> Iterator[Finding]:
    """Report a contact that no longer gives a good answer."""
    if contact.error_at is None or contact.since is None or not contact.failing:
        return
    limit = limits.beat if contact.kind == "broker" else limits.silence
    if contact.forbidden:
        limit = max(limit, limits.refusing.get(contact.kind, 0.0))
    if now - contact.since < limit or now - contact.error_at > MOOT:
        return
    if contact.kind == "callbacks":
        yield _refused_callbacks(contact)
        return
    if contact.kind == "broker":
        what = f"the broker accepts no messages: {contact.error}"
        mend = "start it, or correct INTERLOCK_BROKER_URL; Interlock stores deliveries and decides them later"
        yield Finding("broker", HealthStatus.DEGRADED, what, contact.since, mend, contact.good_at)
        return
    who, mend = _name_and_remedy(contact)
    cause = f"{contact.kind}/{contact.name}"
    what = f"{who} gives no good answer: {contact.error}"
    holds_up = contact.kind != "channel"
    yield Finding(cause, HealthStatus.DEGRADED, what, contact.since, mend, contact.good_at, holds_up=holds_up)


def _refused_callbacks(contact: ContactSeen) -> Finding:
    """Report that callbacks of a Jenkins have a wrong secret, and none has the right one."""
    what = f"Interlock refuses callbacks of Jenkins {contact.name} ({contact.errors:,} since the last good one): "
    what += contact.error
    mend = "check that the address or credential in its Notification plugin contains INTERLOCK_JENKINS_WEBHOOK_SECRET "
    mend += "(`interlock doctor` shows the mistake); Interlock polls its builds meanwhile"
    cause = f"callbacks/{contact.name}"
    return Finding(cause, HealthStatus.DEGRADED, what, contact.since, mend, contact.good_at, holds_up=False)


def _name_and_remedy(contact: ContactSeen) -> tuple[str, str]:
    """Return the name of a contact for people, and what to do about it."""
    match contact.kind:
        case "jenkins":
            token = f"INTERLOCK_JENKINS_TOKEN_{contact.name.upper().replace('-', '_')}"
            mend = f"check that it runs, and that its user and {token} are right (`interlock doctor`)"
            return f"Jenkins {contact.name}", f"{mend}; then everything that waits for it continues"
        case "github" if contact.error.endswith(RATE_LIMIT):
            mend = "wait: Interlock asks again after the time that GitHub named, and loses nothing. "
            mend += "If it happens again, use a GitHub App, or give the other users of this token one of their own"
            return f"GitHub (as {contact.name})", mend
        case "github":
            mend = "check that Interlock reaches it, and that it accepts Interlock's App or token (`interlock doctor`)"
            return f"GitHub (as {contact.name})", f"{mend}; Interlock retries each report for a day"
        case _:
            mend = "check its address in INTERLOCK_NOTIFY_URLS, and that it accepts messages"
            return f"channel {contact.name}", f"{mend}; Interlock retries each message for six hours"


def _problems(pipeline: PipelineSeen, limits: Limits, now: float) -> Iterator[Finding]:
    """Report lost state, failing actions, dead letters and parked deliveries of a pipeline."""
    if pipeline.closed:
        stages = ", ".join(pipeline.closed)
        lost = f"the state of {pipeline.name} was lost ({pipeline.lost_why})"
        what = f"{lost}: these stages are locked until a person has looked: {stages}"
        if pipeline.found:
            what += f"; confirm or open these locks, read from banners: {'; '.join(pipeline.found)}"
        mend = "look in Jenkins what is rolled out, then `interlock unlock STAGE --reason ...`"
        yield Finding("state-lost", HealthStatus.DEGRADED, what, pipeline.lost_at, mend, pipeline=pipeline.name)
    name, failing = pipeline.name, [each for each in pipeline.retried if now - each.since >= limits.silence]
    if failing:
        most = max(each.tries for each in failing)
        what = _count(len(failing), f"action of {name} is failing", f"actions of {name} are failing")
        what += f" and being retried ({_count(most, 'attempt', 'attempts')}{' at most' if len(failing) > 1 else ''})"
        details = tuple(
            Detail(f"{r.what}: {r.why} ({_count(r.tries, 'attempt', 'attempts')})", r.since) for r in failing
        )
        since = min(each.since for each in failing)
        mend = "mend the cause named with each; Interlock keeps trying"
        yield Finding("retries", HealthStatus.DEGRADED, what, since, mend, details=details[:DETAILS], pipeline=name)
    if pipeline.dead_letters.count:
        letters = pipeline.dead_letters
        what = f"Interlock gave up {_count(letters.count, 'action', 'actions')} of {name}"
        what += f" (dead letters); the last one: {letters.why}" if letters.why else " (dead letters)"
        mend = "mend the cause, then `interlock dead-letters retry --all`; `interlock dead-letters` lists them"
        yield Finding("dead-letters", HealthStatus.DEGRADED, what, letters.at, mend, pipeline=name, holds_up=False)
    if pipeline.parked.count:
        parked = pipeline.parked
        what = (
            f"Interlock has parked {_count(parked.count, 'delivery', 'deliveries')} of {name} that it could not decide"
        )
        what += f"; the last one: {parked.why}"
        mend = "`interlock parked` lists them; a newer version may decide them (`retry`); otherwise `drop` them"
        yield Finding("parked", HealthStatus.DEGRADED, what, parked.at, mend, pipeline=name)


def _webhooks(pipeline: PipelineSeen, seen: Observations, limits: Limits, now: float) -> Iterator[Finding]:
    """Report outbound webhooks that take nothing, or that are far behind."""
    name = pipeline.name
    for webhook in pipeline.webhooks:
        cause, failing = f"webhook/{webhook.name}", webhook.failing_since
        if failing is not None and now - failing >= limits.silence:
            what = f"webhook {webhook.name} does not accept the facts of {name}: {webhook.error}"
            mend = f"mend its receiver, or the cause above (`interlock notify test {webhook.name}` sends a test); "
            mend += "Interlock retries each fact for six hours"
            yield Finding(cause, HealthStatus.DEGRADED, what, failing, mend, pipeline=name, holds_up=False)
        elif (
            failing is None and webhook.behind >= BEHIND * limits.silence and _is_alive(seen, "beat", limits.beat, now)
        ):
            what = f"webhook {webhook.name} is {webhook.behind:,.0f} s behind in {name}"
            mend = "make its receiver answer sooner, or send it fewer kinds of facts (`facts` in the pipeline file)"
            yield Finding(cause, HealthStatus.DEGRADED, what, now - webhook.behind, mend, pipeline=name, holds_up=False)


def _count(number: int, one: str, several: str) -> str:
    return f"{number:,} {one if number == 1 else several}"


def shape(health: Health) -> dict[str, Any]:
    """Return the judgement as plain values, for the API, the page and the CLI."""
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
    """Return one line about the judgement, such as `Interlock is degraded: beat is not running...`."""
    if not health.findings:
        return "Interlock works again"
    more = len(health.findings) - 1
    rest = f" (and {more} more)" if more else ""
    return f"Interlock is {health.status}: {health.findings[0].what}{rest}"


def sentences(health: Health, moment: Callable[[float], str] | None = None) -> list[str]:
    """Return each finding in full: what is wrong, since when, and what to do. `moment` formats a time."""
    return [sentence(_finding(each), moment or utc) for each in health.findings]


def sentence(shown: dict[str, Any], moment: Callable[[float], str]) -> str:
    """Return a finding, given as plain values, as sentences; `moment` formats a time."""
    since = f", since {moment(shown['since'])}" if shown["since"] is not None else ""
    good = f" (last good answer {moment(shown['good_at'])})" if shown["good_at"] is not None else ""
    return f"{_capital(shown['what'])}{since}{good}. {_capital(shown['mend'])}."


def utc(at: float) -> str:
    """Format a time (seconds since the epoch) in UTC, for use where no time zone is known."""
    return datetime.fromtimestamp(at, tz=UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
