"""What the keys of the pipeline file say about each other: names that must exist, or must occur once.

Works on the file as it was read, not on the validated model, so that a mistake elsewhere hides none of these.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from config import values as v
from config.errors import Mistake, Path, nearest, one_of, shown

Found = Iterator[tuple[Path, Mistake]]
Entry = dict[str, Any]
Entries = list[tuple[Path, Entry]]


def check(data: Any, line_of: Callable[[Path], int]) -> Found:
    """Every broken reference and every name used twice, with its path; `line_of` gives the line of a path."""
    root = data if isinstance(data, dict) else {}
    pipelines = _entries(root, "pipelines", ())
    controllers = root.get("controllers")
    jobs = [job for path, pipeline in pipelines for job in _jobs(path, pipeline)]
    for path, pipeline in pipelines:
        yield from _lane(path, pipeline)
        yield from _verify(path, pipeline)
    if isinstance(controllers, dict):
        yield from _known_controllers(jobs, list(controllers))
    for path, mistake, earlier in _twice(root, pipelines, jobs):
        what = f"{mistake.what} (first in line {line_of(earlier)})"
        yield path, Mistake(what, mistake.expected)


def _lane(path: Path, pipeline: Entry) -> Found:
    """The fast lane of a pipeline needs a stage that locks, and rejoins before or at the first of them."""
    stages = _entries(pipeline, "stages", path)
    names = [_text(stage, "name") for _, stage in stages]
    locking = [name for name, (_, stage) in zip(names, stages, strict=True) if _locks(stage)]
    lane = pipeline.get("fast_lane")
    if stages and not locking:
        asked: list[Path] = [(*path, "fast_lane")] if lane is not None else []
        asked += [(*stage_path, "fast") for stage_path, stage in stages if "fast" in stage]
        if asked:
            yield asked[0], Mistake("a fast lane without a stage that locks", "`on_failure: lock` at a stage")
    if isinstance(lane, dict) and (rejoins := _text(lane, "rejoins")):
        yield from _rejoins((*path, "fast_lane", "rejoins"), rejoins, names, locking)


def _verify(path: Path, pipeline: Entry) -> Found:
    """`verify` beside a stage of that name would have both set one commit status."""
    if "verify" not in pipeline:
        return
    for stage_path, stage in _entries(pipeline, "stages", path):
        if _text(stage, "name") == "verify":
            what = "a stage called `verify` beside the `verify` of pull requests: both would set one commit status"
            yield (*stage_path, "name"), Mistake(what, "another name")


def _rejoins(where: Path, rejoins: str, names: list[str], locking: list[str]) -> Found:
    if rejoins not in names:
        what = f"there is no stage {shown(rejoins)} in this pipeline"
        yield where, Mistake(what, one_of(filter(None, names)), nearest(rejoins, names))
    elif locking and names.index(rejoins) > names.index(locking[0]):
        what = f"{shown(rejoins)} comes after `{locking[0]}`, which locks: a fix would skip that stage"
        yield where, Mistake(what, f"`{locking[0]}` or a stage before it")


def _locks(stage: Entry) -> bool:
    outcomes = stage.get("outcomes")
    return stage.get("on_failure") == "lock" or (isinstance(outcomes, dict) and "lock" in outcomes.values())


def _known_controllers(jobs: Entries, names: list[str]) -> Found:
    known = set(names)
    for path, job in jobs:
        name = _text(job, "controller")
        if name and name not in known:
            yield path, Mistake(f"there is no controller {shown(name)}", one_of(names), nearest(name, names))


def _twice(root: Entry, pipelines: Entries, jobs: Entries) -> Iterator[tuple[Path, Mistake, Path]]:
    """Whatever must occur once and does not: its path, the mistake, and the path of the first."""
    own = "a name of its own"
    yield from _unique(pipelines, "name", "pipeline", own, lambda e: _text(e, "name"))
    services: Entries = []
    for path, pipeline in pipelines:
        mine = _entries(pipeline, "services", path)
        services += mine
        stages = _entries(pipeline, "stages", path)
        yield from _unique(stages, "name", "stage", own, lambda e: _text(e, "name"))
        yield from _unique(mine, "name", "service", own, lambda e: _text(e, "name").casefold())
    # One Jenkins under two names would hide that two stages share a job.
    controllers = _mappings(root.get("controllers"), ("controllers",))
    yield from _unique(controllers, "url", "address", "one name per Jenkins", _address_key)
    yield from _unique(jobs, None, "Jenkins job", "a job of its own for each stage, fast lane and `verify`", _job_key)
    words = "each branch of a repository to be one service"
    yield from _unique(services, "repository", "repository", words, _branch_key)


def _unique(
    entries: Entries, at: str | None, kind: str, expected: str, key: Callable[[Entry], str]
) -> Iterator[tuple[Path, Mistake, Path]]:
    """Each entry whose `key` an earlier one has; what has no key is another check's business."""
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
    return _text(controller, "url").rstrip("/").lower()


def _job_key(job: Entry) -> str:
    """Jenkins finds items without regard to case (Jenkins: hudson.util.CaseInsensitiveComparator)."""
    controller, name = _text(job, "controller"), _text(job, "name")
    return f"{controller}: {name.lower()}" if controller and name else ""


def _branch_key(service: Entry) -> str:
    """GitHub finds repositories without regard to case; git keeps branches apart by it."""
    repository, branch = _text(service, "repository"), service.get("branch", "main")
    return f"{repository.lower()} {branch}" if repository and isinstance(branch, str) else ""


def _jobs(path: Path, pipeline: Entry) -> Entries:
    """Every job of a pipeline that can be read, taken apart; the path is that of the job."""
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
    """The jobs among these that can be read, taken apart."""
    jobs = ((path, raw if isinstance(raw, dict) else v.split_job(raw)) for path, raw in places)
    return [(path, job) for path, job in jobs if job is not None]


def _entries(parent: Entry, key: str, path: Path) -> Entries:
    """The mappings in the list under `key`, with their paths; anything else there is skipped."""
    return _mappings(parent.get(key), (*path, key))


def _mappings(items: Any, path: Path) -> Entries:
    pairs = enumerate(items) if isinstance(items, list) else items.items() if isinstance(items, dict) else ()
    return [((*path, step), item) for step, item in pairs if isinstance(item, dict)]


def _text(entry: Entry, key: str) -> str:
    value = entry.get(key)
    return value if isinstance(value, str) else ""
