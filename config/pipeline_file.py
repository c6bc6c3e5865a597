"""Loads the pipeline file: the configuration it describes, or all of its mistakes, each with its line."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from pydantic import ValidationError

from bot.core.model.pipeline import FastLane, Job, LockStatus, Outcome, Pipeline, Policy, Service, Stage, Verify
from config import references, sentences
from config.configuration import Configuration, Controller, GitHub, Health, Keep, Notify, Polling, Web
from config.errors import MOST_SHOWN, ConfigurationError, Mistake, Problem
from config.errors import Path as KeyPath
from config.model import JobEntry, PipelineEntry, PipelineFile, StageEntry, VerifyEntry
from config.yaml_nodes import Mark, Node, UnreadableError, compose

#: In bytes; some 20,000 lines.
MOST_BYTES = 1 << 20


def load(path: Path) -> Configuration:
    """The configuration that the file describes.

    Raises ConfigurationError with every mistake in it, or with the one that made it unreadable.
    """
    file = str(path)
    text = _read(path)
    try:
        root, spotted = compose(text)
    except UnreadableError as error:
        raise ConfigurationError([_problem(file, error.mark, (), error.mistake)]) from None
    problems = [_problem(file, mark, at, mistake) for mark, at, mistake in spotted]
    model, found = _validate(root)
    problems += [_problem(file, root.mark_of(at, key=key), at, mistake) for at, key, mistake in found]
    if model is None or problems:
        raise ConfigurationError(problems)
    return _configuration(model, path.parent)


def _read(path: Path) -> str:
    """The text of the file, of bounded size."""
    try:
        with path.open("rb") as stream:
            raw = stream.read(MOST_BYTES + 1)
        if len(raw) > MOST_BYTES:
            mistake = Mistake("the file is too large", f"at most {MOST_BYTES >> 20} MiB")
            raise ConfigurationError([_problem(str(path), Mark(), (), mistake)])
        return raw.decode("utf-8-sig")
    except OSError as error:
        mistake = Mistake(f"the file cannot be read: {error.strerror}", "a pipeline file (see config/example.yaml)")
        raise ConfigurationError([_problem(str(path), Mark(), (), mistake)]) from None
    except UnicodeDecodeError as error:
        before = error.object[: error.start]
        mark = Mark(before.count(b"\n") + 1, error.start - before.rfind(b"\n"))
        raise ConfigurationError([_problem(str(path), mark, (), Mistake("the text is not UTF-8"))]) from None


def _validate(root: Node) -> tuple[PipelineFile | None, list[tuple[KeyPath, bool, Mistake]]]:
    """The model if there is one, and the mistakes of every pass: path, whether at the key, what."""
    data = root.plain()
    found = list(islice(sentences.empties(data), MOST_SHOWN))
    empty = {at for at, _, _ in found}
    model: PipelineFile | None = None
    try:
        model = PipelineFile.model_validate(data)
    except ValidationError as error:
        found += [entry for entry in sentences.mistakes(error) if entry[0] not in empty]
    broken = references.check(data, lambda at: root.mark_of(at).line)
    found += [(at, False, mistake) for at, mistake in islice(broken, MOST_SHOWN)]
    return model, found + list(_backoff(model)) + list(_environments(model))


def _backoff(model: PipelineFile | None) -> Iterator[tuple[KeyPath, bool, Mistake]]:
    for index, pipeline in enumerate(model.pipelines if model else ()):
        if pipeline.retry.most < pipeline.retry.first:
            mistake = Mistake("the longest wait is shorter than the first", "`most` to be at least `first`")
            yield ("pipelines", index, "retry", "most"), False, mistake


def _environments(model: PipelineFile | None) -> Iterator[tuple[KeyPath, bool, Mistake]]:
    for index, pipeline in enumerate(model.pipelines if model else ()):
        for number, stage in enumerate(pipeline.stages):
            if stage.name == "lock" and model is not None and model.github.lock_status is not LockStatus.OFF:
                mistake = Mistake(
                    "`lock` is the status that tells of locks", "another name, or `github: lock_status: off`"
                )
                yield ("pipelines", index, "stages", number, "name"), False, mistake
            if stage.production and stage.environment is None:
                mistake = Mistake("a production environment without a name", "`environment` to be set as well")
                yield ("pipelines", index, "stages", number, "production"), False, mistake


def _problem(file: str, mark: Mark, at: KeyPath, mistake: Mistake) -> Problem:
    return Problem(file, mark.line, mark.column, at, mistake)


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
    return Configuration(
        pipelines=tuple(_pipeline(entry, model.github.lock_status) for entry in model.pipelines),
        controllers=controllers,
        modes={entry.name: entry.mode for entry in model.pipelines},
        github=GitHub(**model.github.model_dump()),
        notify=Notify(tuple(model.notify.channels.items())),
        web=Web(**model.web.model_dump()),
        keep=Keep(**model.keep.model_dump()),
        polling=Polling(**model.polling.model_dump()),
        health=Health(**model.health.model_dump()),
        digest=_digest(model),
    )


def _pipeline(entry: PipelineEntry, lock_status: LockStatus) -> Pipeline:
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
        lock_status=lock_status,
    )


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


def _digest(model: PipelineFile) -> str:
    """A hash of the meaning: defaults filled in, keys sorted, and lists sorted whose order says nothing."""
    data = model.model_dump(mode="json")
    data["pipelines"].sort(key=lambda p: p["name"])
    for pipeline in data["pipelines"]:
        pipeline["services"].sort(key=lambda s: s["name"])
    for notices in data["notify"]["channels"].values():
        notices.sort()
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()
