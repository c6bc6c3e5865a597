"""Commands for connecting: doctor looks whether Jenkins and GitHub are as they must be, jenkins-jobs prints jobs."""

from __future__ import annotations

import os
from pathlib import Path

import click

from bot.cli.errors import FAILED, Failed
from bot.cli.files import checked_file
from bot.cli.out import dump

config_option = click.option(
    "--config", type=click.Path(path_type=Path), help="The pipeline file; else INTERLOCK_CONFIG, or interlock.yaml."
)


@click.command()
@config_option
@click.option("--json", "as_json", is_flag=True, help="Print the findings as a list, for programs.")
def doctor(config: Path | None, as_json: bool) -> None:
    """Look whether Jenkins and GitHub are as Interlock needs them, and say how to mend what is not.

    It starts nothing and changes nothing. It asks Jenkins and GitHub itself, so call it where Interlock runs, with the
    same environment.
    """
    from bot.cli.diagnosis import as_rows, tell
    from bot.doctor import examine_github, examine_jenkins
    from config import settings
    from config.errors import SettingsError

    configuration = checked_file(_path(config))
    try:
        found = settings.load()
    except SettingsError as error:
        raise Failed(" ".join(error.sentences)) from None
    findings = [*examine_jenkins(configuration, found), *examine_github(configuration, found)]
    if as_json:
        dump(as_rows(findings))
    else:
        urls = {f"controller {name}": controller.url for name, controller in configuration.controllers.items()}
        tell(findings, {**urls, "GitHub": configuration.github.api_url})
    if any(finding.verdict == "bad" for finding in findings):
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
