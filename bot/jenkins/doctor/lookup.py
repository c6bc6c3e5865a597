"""Where on its path a job cannot be found, and what is there instead."""

from __future__ import annotations

from difflib import get_close_matches

from bot.doctor.finding import About, Finding
from bot.effect_outcomes import RetryLater
from bot.jenkins.client import JenkinsClient, NotAllowed, NotThere, job_path

#: How many names a folder is asked for, and how many are told.
_ASKED, _TOLD = 1_000, 5
_TREE = f"jobs[name]{{0,{_ASKED}}}"


def missing(client: JenkinsClient, about: About, name: str) -> Finding:
    """Say which part of the path is not there. What may not be read looks the same (Jenkins: `Jenkins#getItem`)."""
    mend = "create it (`interlock jenkins-jobs` prints it), give the user Item/Read on it, or mend its name in the file"
    folder = ""
    try:
        for part in name.split("/"):
            path = f"{job_path(folder)}/api/json" if folder else "api/json"
            inside = client.ask("GET", path, params={"tree": _TREE}).json()
            names = [str(job.get("name", "")) for job in inside.get("jobs") or []]
            if part not in names:
                return about.bad(_sentence(folder, part, names), mend)
            folder = f"{folder}/{part}" if folder else part
    except (NotThere, NotAllowed, RetryLater, ValueError):
        pass  # then nothing nearer can be said
    return about.bad("it is not there, or may not be read", mend)


def _sentence(folder: str, part: str, names: list[str]) -> str:
    where = f"the folder {folder}" if folder else "the top folder"
    near = get_close_matches(part, names, n=_TOLD, cutoff=0.5) or sorted(names)[:_TOLD]
    there = f"; there is {', '.join(near)}" if near else ", which looks empty to us"
    return f"it is not there, or may not be read: {where} has no {part}{there}"
