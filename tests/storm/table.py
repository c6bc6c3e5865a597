"""The numbers of a storm, as lines for the terminal; and its story, in files."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from bot.store.codec import RecordedFact
from chaos.world import World
from tests.storm.storm import Aftermath
from tests.storm.verdict import Build, Verdict
from tests.texts import text_of


def table(world: World, builds: list[Build], after: Aftermath, verdict: Verdict) -> str:
    """What was done, what went wrong on the way, and what came of it."""
    statuses, requests = Counter[str](), 0
    callbacks = Counter[str]()
    for jenkins in world.jenkins.values():
        statuses.update(jenkins.control.statuses())
        for rule in jenkins.controller.notifier.faults:
            callbacks[rule.kind] += rule.struck
        callbacks["all"] += len({(r["job"], r["number"], r["phase"]) for r in jenkins.control.callbacks()})
    requests = sum(statuses.values())
    facts = verdict.facts
    rows = [
        ("runs", f"{len(after.developers.merged)}, of these {after.developers.fixes} fixes, in {after.seconds:.0f} s"),
        ("ends", _counted(verdict.ends)),
        ("builds", f"{len(builds)}: {_counted(Counter(str(build['result']) for build in builds))}"),
        ("requests to Jenkins", f"{requests}, {requests / len(builds):.1f} per build"),
        ("  reply dropped", _share(statuses["dropped"], requests)),
        ("  answered 503", _share(statuses["503"], requests)),
        ("callbacks", f"{callbacks['all']}"),
        ("  lost", _share(callbacks["drop"], callbacks["all"])),
        ("  repeated", _share(callbacks["duplicate"], callbacks["all"])),
        ("  late", _share(callbacks["delay"], callbacks["all"])),
        ("queue items lost by the crash", str(len(after.lost_items))),
        ("stages locked, unlocked", f"{facts['stage-locked']}, {facts['stage-unlocked']}"),
        ("triggers refused", str(facts["trigger-refused"])),
        ("builds Jenkins made twice", "; ".join(f"{n} {how}" for how, n in verdict.repeated_by_jenkins.items()) or "0"),
        ("late attempts that rolled nothing out", str(verdict.turned_away)),
        *((name, str(len(found))) for name, found in verdict.faults.items()),
        ("left in the outbox", str(after.outbox)),
        ("dead letters, parked deliveries", f"{len(after.dead)}, {len(after.parked)}"),
    ]
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)


def _counted(found: Counter[str]) -> str:
    return ", ".join(f"{number} {name}" for name, number in found.most_common())


def _share(part: int, whole: int) -> str:
    return f"{part} ({part / max(1, whole):.0%})"


def written(folder: Path, told: list[RecordedFact], builds: list[Build]) -> None:
    """The story, for whoever must find out what went wrong: the facts and the builds beside the processes' logs."""
    facts = (f"{t.at:.3f} {t.fact.kind} {t.fact.run or '-'} {t.fact.step or '-'} {text_of(t.fact.why)}\n" for t in told)
    (folder / "facts.txt").write_text("".join(facts), "utf-8")
    (folder / "builds.jsonl").write_text("".join(json.dumps(build) + "\n" for build in builds), "utf-8")
