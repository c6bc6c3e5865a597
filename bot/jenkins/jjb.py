"""The jobs as Jenkins Job Builder YAML (jenkins-job-builder: modules `project_pipeline`, `notifications`)."""

from __future__ import annotations

from typing import Any

import yaml

from bot.jenkins.jenkinsfile import script
from bot.jenkins.job_plan import CALLBACK_RETRIES, CALLBACK_TIMEOUT_MS, JobPlan, callback_url, credential, plans
from config.configuration import Configuration


def jjb(configuration: Configuration, controller: str | None = None) -> str:
    """One YAML document: the folders first, then the jobs."""
    chosen = list(plans(configuration, controller))
    folders = dict.fromkeys(folder for plan in chosen for folder in plan.folders)
    items = [{"job": {"name": folder, "project-type": "folder"}} for folder in folders]
    items += [{"job": _job(plan)} for plan in chosen]
    head = "".join(
        f"# On {name}: a credential of kind secret text, id interlock-callback-{name}, holding\n"
        f"#   {callback_url(configuration, name)}\n"
        for name in dict.fromkeys(plan.controller for plan in chosen)
    )
    return head + yaml.safe_dump(items, sort_keys=False, allow_unicode=True, width=110)


def _job(plan: JobPlan) -> dict[str, Any]:
    return {
        "name": plan.name,
        "description": plan.purpose,
        "project-type": "pipeline",
        "sandbox": True,
        "concurrent": plan.concurrent,
        "parameters": [{"string": {"name": n, "description": what, "default": ""}} for n, what in plan.parameters],
        "notifications": [
            {
                "http": {
                    "url": credential(plan),
                    "url-type": "SECRET",
                    "format": "JSON",
                    "event": "all",
                    "timeout": CALLBACK_TIMEOUT_MS,
                    "retries": CALLBACK_RETRIES,
                }
            }
        ],
        "dsl": _braces_doubled(script(plan)),
    }


def _braces_doubled(text: str) -> str:
    """Jenkins Job Builder expands `{name}` in every text of a job; doubled braces come out as single ones."""
    return text.replace("{", "{{").replace("}", "}}")
