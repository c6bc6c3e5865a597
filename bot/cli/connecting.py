"""The commands for connecting to Jenkins: doctor looks whether it is as it must be, jenkins-jobs prints it as code."""

from __future__ import annotations

import os
from pathlib import Path

import click

from bot.cli.errors import FAILED, Failed
from bot.cli.files import checked_file
from bot.cli.out import say

_MARKS = {"good": "ok     ", "unsure": "unsure ", "bad": "BAD    "}
_COLOURS = {"good": "green", "unsure": "yellow", "bad": "red"}

config_option = click.option(
    "--config", type=click.Path(path_type=Path), help="The pipeline file; else INTERLOCK_CONFIG, or interlock.yaml."
)


@click.command()
@config_option
def doctor(config: Path | None) -> None:
    """Look whether Jenkins and GitHub are as Interlock needs them, and say how to mend what is not.

    It only reads. It asks Jenkins and GitHub itself, so call it where Interlock runs, with the same environment.
    """
    from config import settings
    from config.errors import SettingsError
    from workers.doctor import examine_jenkins
    from workers.doctor_github import examine_github

    configuration = checked_file(_path(config))
    try:
        found = settings.load()
    except SettingsError as error:
        raise Failed(" ".join(error.sentences)) from None
    bad = 0
    for finding in (*examine_jenkins(configuration, found), *examine_github(configuration, found)):
        verdict = str(finding.verdict)
        bad += verdict == "bad"
        say(f"{_MARKS[verdict]}{finding.what}: {finding.found}", fg=_COLOURS[verdict])
        if finding.mend:
            say(f"       → {finding.mend}")
    if bad:
        say(f"{bad} to mend before runs get through.")
        raise click.exceptions.Exit(FAILED)


@click.command()
@click.option(
    "--form",
    type=click.Choice(["job-dsl", "jjb", "jenkinsfile"]),
    default="job-dsl",
    show_default=True,
    help="Job DSL script, Jenkins Job Builder YAML, or the Jenkinsfile of one job.",
)
@click.option("--controller", help="Only the jobs on this controller.")
@click.option("--job", help="Which job's Jenkinsfile.")
@config_option
def jenkins_jobs(form: str, controller: str | None, job: str | None, config: Path | None) -> None:
    """Print the Jenkins jobs of the configured stages as code: parameters, callback and all."""
    from config.jobs.jenkinsfile import jenkinsfile
    from config.jobs.jjb import jjb
    from config.jobs.job_dsl import job_dsl

    configuration = checked_file(_path(config))
    if controller is not None and controller not in configuration.controllers:
        raise Failed(f"there is no controller {controller!r}; there are {', '.join(configuration.controllers)}")
    if form == "jenkinsfile":
        try:
            click.echo(jenkinsfile(configuration, job or ""), nl=False)
        except LookupError as error:
            raise Failed(f"--job: {error.args[0]}") from None
        return
    click.echo(job_dsl(configuration, controller) if form == "job-dsl" else jjb(configuration, controller), nl=False)


def _path(given: Path | None) -> Path:
    return given or Path(os.environ.get("INTERLOCK_CONFIG") or "interlock.yaml")
