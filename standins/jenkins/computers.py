"""The built-in node and its executors, where clients look for running builds. Source: hudson/model/{Computer,Executor}.

Pipelines use one-off executors: a client that reads only `executors` (python-jenkins' get_running_builds) misses them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from standins.jenkins.api_json import Bean
from standins.jenkins.beans import constants, plain
from standins.jenkins.exports import View

if TYPE_CHECKING:
    from standins.jenkins.controller import Controller

#: The names of the node in its address; old clients use the old name.
NAMES = ("(built-in)", "(master)")


def all_nodes(c: Controller, view: View) -> Bean:
    busy = sum(len(job.running) for job in c.jobs.values() if job.kind == "freestyle")
    values = {
        "busyExecutors": busy,
        "computer": [built_in(c, view)],
        "displayName": "Nodes",
        "totalExecutors": c.settings.executors,
    }
    return _inline(Bean("hudson.model.ComputerSet", constants(values), None), "computer")


def built_in(c: Controller, view: View) -> Bean:
    running = [build for job in c.jobs.values() for build in job.running.values()]
    heavy = [view.build(build) for build in running if build.job.kind == "freestyle"]
    light = [view.build(build) for build in running if build.job.kind == "pipeline"]
    values = {
        "actions": [],
        "assignedLabels": [plain(None, 2, name="built-in")],
        "description": "the Jenkins controller's built-in node",
        "displayName": "Built-In Node",
        "executors": [_executor(at, one) for at, one in enumerate([*heavy, None])],
        "icon": "symbol-computer",
        "idle": not running,
        "numExecutors": c.settings.executors,
        "offline": False,
        "offlineCause": None,
        "offlineCauseReason": "",
        "oneOffExecutors": [_executor(-1, one) for one in light],
        "temporarilyOffline": False,
    }
    return Bean("hudson.model.Hudson$MasterComputer", constants(values), None)


def _executor(number: int, executable: Bean | None) -> Bean:
    values = {"currentExecutable": executable, "idle": executable is None, "number": number, "progress": -1}
    return Bean(None, constants(values), None)


def _inline(bean: Bean, name: str) -> Bean:
    """Show the nested properties of that property at this level."""
    return bean._replace(table={**bean.table, name: bean.table[name]._replace(inline=True)})
