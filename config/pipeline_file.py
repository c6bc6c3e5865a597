"""Loads the pipeline file: returns the configuration that it describes, or raises all its mistakes with their lines."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from bot.core.access import Member, MemberKind, Roles
from bot.core.access import Members as RoleMembers
from bot.core.model.notice_plan import EscalationLevel, NoticePlan, ReminderPlan, Route, WeeklyPlan
from bot.core.model.pipeline import FastLane, Job, Outcome, Pipeline, Policy, Service, Stage, Verify
from config import freezes
from config.access import MemberEntry, Members, ReadPolicy
from config.configuration import (
    Configuration,
    Controller,
    GitHubSettings,
    HealthSettings,
    NotificationSettings,
    OutboundWebhook,
    PipelineAccess,
    PollingSettings,
    ProxySettings,
    RetentionSettings,
    SignInSettings,
    WebSettings,
)
from config.errors import ConfigurationError, FileMistake, Mistake
from config.errors import Path as KeyPath
from config.model import JobEntry, NotifyEntry, PipelineEntry, PipelineFile, StageEntry, VerifyEntry, WebEntry
from config.notices import PipelineNotifyEntry, WebhookEntry, Weekday, WeeklyEntry
from config.validation import validate
from config.yaml_nodes import SourcePosition, UnreadableFileError, compose

#: In bytes; about 20,000 lines.
MOST_BYTES = 1 << 20


def load(path: Path, *, draft: bool = False) -> Configuration:
    """Return the configuration of the file. With `draft`, placeholder addresses of the example are allowed.

    Raises ConfigurationError with every mistake in it, or with the one that made it unreadable.
    """
    return parse(read_text(path, "a pipeline file (see config/example.yaml)"), path, draft=draft)


def parse(text: str, path: Path, *, draft: bool = False) -> Configuration:
    """Return the configuration of `text`, with `path` as its file name. Raises ConfigurationError."""
    file = str(path)
    try:
        root, spotted = compose(text)
    except UnreadableFileError as error:
        raise ConfigurationError([file_mistake(file, error.mark, (), error.mistake)]) from None
    mistakes = [file_mistake(file, mark, at, mistake) for mark, at, mistake in spotted]
    model, found = validate(root, draft=draft)
    mistakes += [file_mistake(file, root.mark_of(at, key=key), at, mistake) for at, key, mistake in found]
    if model is None or mistakes:
        raise ConfigurationError(mistakes)
    return replace(_configuration(model, path.parent), text=text)


def example_pipeline() -> Pipeline:
    """Return the pipeline of the commented example, which the four pictures show."""
    text = Path(__file__).with_name("example.yaml").read_text("utf-8")
    model = PipelineFile.model_validate(compose(text)[0].plain())
    return _pipeline(model.pipelines[0], model)


def read_text(path: Path, wanted: str, what: str = "configuration") -> str:
    """Return the text of a file of bounded size; `wanted`: the expected kind of file. Raises ConfigurationError."""
    try:
        with path.open("rb") as stream:
            raw = stream.read(MOST_BYTES + 1)
        if len(raw) > MOST_BYTES:
            mistake = Mistake("the file is too large", f"at most {MOST_BYTES >> 20} MiB")
            raise ConfigurationError([file_mistake(str(path), SourcePosition(), (), mistake)], what)
        return raw.decode("utf-8-sig")
    except OSError as error:
        mistake = Mistake(f"the file cannot be read: {error.strerror}", wanted)
        raise ConfigurationError([file_mistake(str(path), SourcePosition(), (), mistake)], what) from None
    except UnicodeDecodeError as error:
        before = error.object[: error.start]
        mark = SourcePosition(before.count(b"\n") + 1, error.start - before.rfind(b"\n"))
        raise ConfigurationError([file_mistake(str(path), mark, (), Mistake("the text is not UTF-8"))], what) from None


def file_mistake(file: str, mark: SourcePosition, at: KeyPath, mistake: Mistake) -> FileMistake:
    """Return a mistake with its place."""
    return FileMistake(file, mark.line, mark.column, at, mistake)


def _configuration(model: PipelineFile, folder: Path) -> Configuration:
    controllers = {
        name: Controller(
            name,
            entry.url,
            entry.user,
            (folder / entry.ca_bundle) if entry.ca_bundle else None,
            entry.timeout,
            entry.markup,
            entry.late_triggers,
        )
        for name, entry in model.controllers.items()
    }
    meaning = _meaning(model)
    return Configuration(
        pipelines=tuple(_pipeline(entry, model) for entry in model.pipelines),
        controllers=controllers,
        modes={entry.name: entry.mode for entry in model.pipelines},
        accesses={entry.name: PipelineAccess(_roles(entry), entry.commands) for entry in model.pipelines},
        freezes={entry.name: tuple(map(freezes.configured, entry.freezes)) for entry in model.pipelines},
        github=GitHubSettings(**model.github.model_dump()),
        notify=NotificationSettings(tuple(model.notify.channels.items())),
        webhooks=tuple(_webhook(entry, folder) for entry in model.webhooks),
        web=_web(model.web),
        keep=RetentionSettings(**model.keep.model_dump()),
        polling=PollingSettings(**model.polling.model_dump()),
        health=HealthSettings(**model.health.model_dump()),
        digest=hashlib.sha256(json.dumps(meaning, sort_keys=True).encode()).hexdigest(),
        meaning=dict(_leaves(meaning)),
    )


def _pipeline(entry: PipelineEntry, model: PipelineFile) -> Pipeline:
    return Pipeline(
        name=entry.name,
        stages=tuple(_stage(stage) for stage in entry.stages),
        services=tuple(Service(s.name, s.repository, s.branch, s.verify) for s in entry.services),
        fast_lane=FastLane(entry.fast_lane.start, entry.fast_lane.rejoins),
        retry_first=entry.retry.first,
        retry_most=entry.retry.most,
        term_after=entry.abort.term,
        kill_after=entry.abort.kill,
        verify=_verify(entry.verify) if entry.verify is not None else None,
        lock_status=model.github.lock_status,
        notices=_notices(entry.notify, model.notify),
    )


def _webhook(entry: WebhookEntry, folder: Path) -> OutboundWebhook:
    bundle = folder / entry.ca_bundle if entry.ca_bundle else None
    wanted = (entry.facts, entry.format, entry.pipelines or ())
    return OutboundWebhook(entry.name, entry.url, *wanted, entry.timeout, bundle)


def _notices(entry: PipelineNotifyEntry, everywhere: NotifyEntry) -> NoticePlan:
    """Return the notice plan of a pipeline, with the routes of the global channels first."""
    routes = [Route((name,), tuple(map(str, notices))) for name, notices in everywhere.channels.items()]
    routes += [Route(r.to, tuple(map(str, r.of)), r.stages or (), r.services or ()) for r in entry.routes]
    levels = tuple(EscalationLevel(level.after, level.to, level.stages or ()) for level in entry.escalation)
    given = entry.reminder
    reminder = ReminderPlan(given.after, given.every, given.to) if given is not None else None
    return NoticePlan(tuple(routes), levels, reminder, tuple(entry.people.items()), _weekly(entry.weekly))


def _weekly(entry: WeeklyEntry | None) -> WeeklyPlan | None:
    if entry is None:
        return None
    return WeeklyPlan(entry.to, [*Weekday].index(entry.day) + 1, entry.hour, entry.time_zone)


def _web(entry: WebEntry) -> WebSettings:
    given, proxy = entry.sign_in, entry.sign_in.proxy
    networks = tuple(ip_network(address) for address in proxy.addresses) if proxy is not None else ()
    found = None if proxy is None else ProxySettings(proxy.header, networks, proxy.logins)
    sign_in = SignInSettings(given.token, given.github, found, given.session)
    private = sign_in.is_possible if entry.read is None else entry.read is ReadPolicy.SIGNED_IN
    return WebSettings(entry.public_url, private, sign_in, entry.badge is ReadPolicy.PUBLIC)


def _roles(entry: PipelineEntry) -> Roles:
    """Return the members of each role; a role that is not given keeps its default."""
    section = entry.roles
    given = {name: getattr(section, name) for name in type(section).model_fields} if section is not None else {}
    named = {name: _members(members) for name, members in given.items() if members is not None}
    return Roles(**named, developers={s.name: _members(s.developers) for s in entry.services if s.developers})


def _members(entries: Members) -> RoleMembers:
    return tuple(_member(entry) for entry in entries)


def _member(entry: MemberEntry) -> Member:
    if entry.name is not None:
        return Member(MemberKind.NAME, entry.name)
    if entry.team is not None:
        return Member(MemberKind.TEAM, entry.team)
    return Member(MemberKind.PERMISSION, str(entry.permission))


def _stage(entry: StageEntry) -> Stage:
    outcomes = entry.outcomes.model_dump(exclude_none=True)
    return Stage(
        name=entry.name,
        job=_job(entry.job),
        capacity=entry.capacity,
        on_failure=Policy(entry.on_failure),
        outcomes=tuple((Outcome(name), Policy(policy)) for name, policy in outcomes.items()),
        timeout=entry.timeout,
        retries=entry.retries,
        fast_job=_job(entry.fast.job) if entry.fast else None,
        fast_capacity=entry.fast.capacity if entry.fast else 1,
        environment=entry.environment or "",
        production=entry.production,
    )


def _verify(entry: VerifyEntry) -> Verify:
    return Verify(_job(entry.job), entry.capacity, entry.timeout, entry.drafts, entry.forks)


def _job(entry: JobEntry) -> Job:
    return Job(entry.controller, entry.name)


# -- the meaning of a file, to compare it with another one -------------------------------------------------------------


def _meaning(model: PipelineFile) -> dict[str, Any]:
    """Return all that differs from the defaults, with lists sorted where their order has no meaning.

    Because the defaults are left out, a version of Interlock with more keys finds the same meaning in the same file.
    """
    data = model.model_dump(mode="json", exclude_defaults=True)
    data["pipelines"].sort(key=lambda p: p["name"])
    for pipeline in data["pipelines"]:
        pipeline["services"].sort(key=lambda s: s["name"])
    for notices in data.get("notify", {}).get("channels", {}).values():
        notices.sort()
    return data


def _leaves(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Yield each key with its value in words, such as `pipelines.shop.stages.build.capacity` and `2`.

    For stages, their order is yielded too. An entry of a list is identified by its name, or by its position from 0.
    """
    if isinstance(value, dict):
        for name, part in value.items():
            yield from _leaves(part, f"{key}.{name}" if key else name)
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        names = [str(each.get("name", index)) for index, each in enumerate(value)]
        if key.endswith(".stages"):
            yield key, ", ".join(names)
        for name, each in zip(names, value, strict=True):
            yield from _leaves({k: part for k, part in each.items() if k != "name" or len(each) == 1}, f"{key}.{name}")
    else:
        yield key, _in_words(value)


def _in_words(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_in_words, value))
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}s" if isinstance(value, float) else str(value)  # all floats are durations
