"""Finds all mistakes of the pipeline file: pydantic's errors, empty or contradictory keys, broken references."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice, pairwise
from typing import Any

from bot.core.model.notice_plan import AUTHORS
from bot.core.model.pipeline import LockStatus
from config import freezes
from config import values as v
from config.access import ReadPolicy
from config.errors import MOST_SHOWN, Mistake, Path, nearest, one_of, shown
from config.model import PipelineFile
from config.placeholders import in_file
from config.sections import Found, read_section, section_at
from config.values import written
from config.yaml_nodes import YamlNode

BrokenReferences = Iterator[tuple[Path, Mistake]]
Entry = dict[str, Any]
Entries = list[tuple[Path, Entry]]


def validate(root: YamlNode, *, draft: bool = False) -> tuple[PipelineFile | None, list[Found]]:
    """Return the model, if the file is valid, and the mistakes of every pass: path, whether at the key, mistake.

    With `draft`, placeholders are no mistakes.
    """
    data = root.plain()
    model, found = read_section(PipelineFile, data)
    broken = references(data, lambda at: root.mark_of(at).line)
    found += [(at, False, mistake) for at, mistake in islice(broken, MOST_SHOWN)]
    if not draft:
        found += [(at, False, _placeholder(at, text)) for at, text in islice(in_file(data), MOST_SHOWN)]
    if model is not None:
        found += [*_check_backoff(model), *_check_environments(model), *_check_reading(model), *_check_levels(model)]
        found += freezes.found(pipeline.freezes for pipeline in model.pipelines)
    return model, found


def _placeholder(path: Path, text: str) -> Mistake:
    """Return the mistake of a placeholder; the description of its key tells what is expected."""
    keys = v.fields_of(section_at(PipelineFile, path[:-1]))
    about = (keys[str(path[-1])].description if path and str(path[-1]) in keys else "") or "the real value"
    first = about.split(".")[0]
    return Mistake(f"{shown(text)} is a placeholder of the example", f"{first[:1].lower()}{first[1:]}")


def _check_backoff(model: PipelineFile) -> Iterator[Found]:
    for index, pipeline in enumerate(model.pipelines):
        if pipeline.retry.most < pipeline.retry.first:
            mistake = Mistake("the longest wait is shorter than the first", "`most` to be at least `first`")
            yield ("pipelines", index, "retry", "most"), False, mistake


def _check_reading(model: PipelineFile) -> Iterator[Found]:
    """Yield a mistake if reading requires a sign-in and no way to sign in is configured."""
    ways = model.web.sign_in
    if model.web.read is ReadPolicy.SIGNED_IN and not (ways.token or ways.github or ways.proxy is not None):
        mistake = Mistake("nobody can sign in", "a way to sign in (`sign_in`), or `public`")
        yield ("web", "read"), False, mistake


def _check_environments(model: PipelineFile) -> Iterator[Found]:
    for index, pipeline in enumerate(model.pipelines):
        for number, stage in enumerate(pipeline.stages):
            if stage.name == "lock" and model.github.lock_status is not LockStatus.OFF:
                mistake = Mistake(
                    "`lock` is the status that shows locks", "another name, or `github: lock_status: off`"
                )
                yield ("pipelines", index, "stages", number, "name"), False, mistake
            if stage.production and stage.environment is None:
                mistake = Mistake("a production environment without a name", "`environment` to be set as well")
                yield ("pipelines", index, "stages", number, "production"), False, mistake


# -- references between keys -------------------------------------------------------------------------------------------
# These functions use the file's data and not the validated model, so that a mistake elsewhere does not hide theirs.


def references(data: Any, line_of: Callable[[Path], int]) -> BrokenReferences:
    """Yield every broken reference and every name used twice, with its path; `line_of` gives the line of a path."""
    root = data if isinstance(data, dict) else {}
    pipelines = _entries(root, "pipelines", ())
    controllers = root.get("controllers")
    jobs = [job for path, pipeline in pipelines for job in _jobs(path, pipeline)]
    for path, pipeline in pipelines:
        yield from _check_lane(path, pipeline)
        yield from _check_verify(path, pipeline)
        yield from _check_notify(path, pipeline)
        names = ([_text_of(e, "name") for _, e in _entries(pipeline, kind, path)] for kind in ("stages", "services"))
        yield from freezes.references(_entries(pipeline, "freezes", path), *names)
    if isinstance(controllers, dict):
        yield from _check_controllers(jobs, list(controllers))
    yield from _check_webhook_pipelines(root, [_text_of(pipeline, "name") for _, pipeline in pipelines])
    for path, mistake, earlier in _duplicates(root, pipelines, jobs):
        what = f"{mistake.what} (first in line {line_of(earlier)})"
        yield path, Mistake(what, mistake.expected)


def _check_lane(path: Path, pipeline: Entry) -> BrokenReferences:
    """Check that a fast lane has a stage that locks, and rejoins at or before the first of them."""
    stages = _entries(pipeline, "stages", path)
    names = [_text_of(stage, "name") for _, stage in stages]
    locking = [name for name, (_, stage) in zip(names, stages, strict=True) if _locks(stage)]
    lane = pipeline.get("fast_lane")
    if stages and not locking:
        asked: list[Path] = [(*path, "fast_lane")] if lane is not None else []
        asked += [(*stage_path, "fast") for stage_path, stage in stages if "fast" in stage]
        if asked:
            yield asked[0], Mistake("a fast lane without a stage that locks", "`on_failure: lock` at a stage")
    if isinstance(lane, dict) and (rejoins := _text_of(lane, "rejoins")):
        yield from _check_rejoins((*path, "fast_lane", "rejoins"), rejoins, names, locking)


def _check_verify(path: Path, pipeline: Entry) -> BrokenReferences:
    """Refuse a stage called `verify` beside the key `verify`, because both would set one commit status."""
    if "verify" not in pipeline:
        return
    for stage_path, stage in _entries(pipeline, "stages", path):
        if _text_of(stage, "name") == "verify":
            what = "a stage called `verify` beside the `verify` of pull requests: both would set one commit status"
            yield (*stage_path, "name"), Mistake(what, "another name")


def _check_notify(path: Path, pipeline: Entry) -> BrokenReferences:
    """Check that the notices of a pipeline name its own stages and services, and `authors` only where that is valid."""
    section = pipeline.get("notify")
    if not isinstance(section, dict):
        return
    known = {
        kind: [name for _, each in _entries(pipeline, kind, path) if (name := _text_of(each, "name"))]
        for kind in ("stages", "services")
    }
    levels = _entries(section, "escalation", (*path, "notify"))
    for at, entry in [*_entries(section, "routes", (*path, "notify")), *levels]:
        for kind, names in known.items():
            listed = entry.get(kind)
            for index, name in enumerate(listed if isinstance(listed, list) else ()):
                if isinstance(name, str) and name not in names:
                    what = f"there is no {kind.removesuffix('s')} {shown(name)} in this pipeline"
                    yield (*at, kind, index), Mistake(what, one_of(names), nearest(name, names))
    for key, what in (
        ("reminder", "a lock of a person has no commit and so no authors"),
        ("weekly", "a weekly report has no commit and so no authors"),
    ):
        about = section.get(key)
        if isinstance(about, dict) and isinstance(to := about.get("to"), list) and AUTHORS in to:
            yield (*path, "notify", key, "to", to.index(AUTHORS)), Mistake(what, "channels")


def _check_levels(model: PipelineFile) -> Iterator[Found]:
    """Check that each level of an escalation comes later than the one before."""
    for index, pipeline in enumerate(model.pipelines):
        for number, (earlier, later) in enumerate(pairwise(pipeline.notify.escalation), 1):
            if later.after <= earlier.after:
                mistake = Mistake(
                    "this level is not later than the one before", f"longer than {written(earlier.after)}"
                )
                yield ("pipelines", index, "notify", "escalation", number, "after"), False, mistake


def _check_rejoins(where: Path, rejoins: str, names: list[str], locking: list[str]) -> BrokenReferences:
    if rejoins not in names:
        what = f"there is no stage {shown(rejoins)} in this pipeline"
        yield where, Mistake(what, one_of(filter(None, names)), nearest(rejoins, names))
    elif locking and names.index(rejoins) > names.index(locking[0]):
        what = f"{shown(rejoins)} comes after `{locking[0]}`, which locks: a fix would skip that stage"
        yield where, Mistake(what, f"`{locking[0]}` or a stage before it")


def _locks(stage: Entry) -> bool:
    outcomes = stage.get("outcomes")
    return stage.get("on_failure") == "lock" or (isinstance(outcomes, dict) and "lock" in outcomes.values())


def _check_controllers(jobs: Entries, names: list[str]) -> BrokenReferences:
    known = set(names)
    for path, job in jobs:
        name = _text_of(job, "controller")
        if name and name not in known:
            yield path, Mistake(f"there is no controller {shown(name)}", one_of(names), nearest(name, names))


def _check_webhook_pipelines(root: Entry, names: list[str]) -> BrokenReferences:
    """Yield a mistake for each webhook that names an unknown pipeline."""
    for path, webhook in _entries(root, "webhooks", ()):
        given = webhook.get("pipelines")
        for index, name in enumerate(given if isinstance(given, list) else ()):
            if isinstance(name, str) and name not in names:
                mistake = Mistake(f"there is no pipeline {shown(name)}", one_of(names), nearest(name, names))
                yield (*path, "pipelines", index), mistake


def _duplicates(root: Entry, pipelines: Entries, jobs: Entries) -> Iterator[tuple[Path, Mistake, Path]]:
    """Yield everything that occurs twice and must not: its path, the mistake, and the path of the first."""
    own = "a name of its own"
    yield from _unique(_entries(root, "webhooks", ()), "name", "webhook", own, lambda e: _text_of(e, "name"))
    yield from _unique(pipelines, "name", "pipeline", own, lambda e: _text_of(e, "name"))
    services: Entries = []
    for path, pipeline in pipelines:
        mine = _entries(pipeline, "services", path)
        services += mine
        stages = _entries(pipeline, "stages", path)
        yield from _unique(stages, "name", "stage", own, lambda e: _text_of(e, "name"))
        closed = _entries(pipeline, "freezes", path)
        yield from _unique(closed, "name", "freeze", own, lambda e: _text_of(e, "name"))
        yield from _unique(mine, "name", "service", own, lambda e: _text_of(e, "name").casefold())
    # One Jenkins under two names would hide that two stages share a job.
    controllers = _mappings(root.get("controllers"), ("controllers",))
    yield from _unique(controllers, "url", "address", "one name per Jenkins", _address_key)
    yield from _unique(jobs, None, "Jenkins job", "a job of its own for each stage, fast lane and `verify`", _job_key)
    words = "each branch of a repository to be one service"
    yield from _unique(services, "repository", "repository", words, _branch_key)


def _unique(
    entries: Entries, at: str | None, kind: str, expected: str, key: Callable[[Entry], str]
) -> Iterator[tuple[Path, Mistake, Path]]:
    """Yield each entry whose `key` an earlier one has; entries with an empty key are left to another check."""
    first: dict[str, Path] = {}
    for path, entry in entries:
        name = key(entry)
        place = (*path, at) if at else path
        if name and name in first:
            said = shown(entry[at] if at else name)
            yield place, Mistake(f"{kind} {said} is used twice", expected), first[name]
        elif name:
            first[name] = place


def _address_key(controller: Entry) -> str:
    return _text_of(controller, "url").rstrip("/").lower()


def _job_key(job: Entry) -> str:
    """Return a key without regard to case, as Jenkins finds items (Jenkins: hudson.util.CaseInsensitiveComparator)."""
    controller, name = _text_of(job, "controller"), _text_of(job, "name")
    return f"{controller}: {name.lower()}" if controller and name else ""


def _branch_key(service: Entry) -> str:
    """Return a key of repository and branch: GitHub ignores case in repositories, git does not in branches."""
    repository, branch = _text_of(service, "repository"), service.get("branch", "main")
    return f"{repository.lower()} {branch}" if repository and isinstance(branch, str) else ""


def _jobs(path: Path, pipeline: Entry) -> Entries:
    """Return every readable job of a pipeline as a mapping, with the path of the job."""
    found: Entries = []
    for stage_path, stage in _entries(pipeline, "stages", path):
        fast = stage.get("fast")
        places = [((*stage_path, "job"), stage.get("job"))]
        if isinstance(fast, dict):
            places.append(((*stage_path, "fast", "job"), fast.get("job")))
        found += _readable(places)
    verify = pipeline.get("verify")
    return found + _readable([((*path, "verify", "job"), verify.get("job"))] if isinstance(verify, dict) else [])


def _readable(places: list[tuple[Path, Any]]) -> Entries:
    """Return the readable jobs among these as mappings."""
    jobs = ((path, raw if isinstance(raw, dict) else v.split_job(raw)) for path, raw in places)
    return [(path, job) for path, job in jobs if job is not None]


def _entries(parent: Entry, key: str, path: Path) -> Entries:
    """Return the mappings in the list under `key`, with their paths; anything else there is skipped."""
    return _mappings(parent.get(key), (*path, key))


def _mappings(items: Any, path: Path) -> Entries:
    pairs = enumerate(items) if isinstance(items, list) else items.items() if isinstance(items, dict) else ()
    return [((*path, step), item) for step, item in pairs if isinstance(item, dict)]


def _text_of(entry: Entry, key: str) -> str:
    value = entry.get(key)
    return value if isinstance(value, str) else ""
