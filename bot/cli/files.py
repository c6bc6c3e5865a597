"""The commands for files: example, check, schema, jenkins-jobs. They call no server."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bot.cli.common import FAILED, CommandFailed, count, say, warn

if TYPE_CHECKING:
    from config.configuration import Configuration

config_option = click.option(
    "--config",
    "file",
    type=click.Path(path_type=Path),
    help="The pipeline file, instead of INTERLOCK_CONFIG or interlock.yaml.",
)


@click.command()
def example() -> None:
    """Print a complete pipeline file with comments, to start from."""
    import config

    example_file = Path(config.__file__).with_name("example.yaml")
    click.echo(example_file.read_text(encoding="utf-8"), nl=False)


@click.command(short_help="Check a pipeline file and the environment.")
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("--strict", is_flag=True, help="Fail if the environment lacks something, too.")
def check(file: Path | None, strict: bool) -> None:
    """Check a pipeline file, and say what the environment lacks for it.

    FILE is INTERLOCK_CONFIG, or interlock.yaml, if it is left out.
    """
    from bot.cli.freezes import freeze_lines
    from bot.reporting.access import who_has_which_role
    from bot.reporting.notices import told_of_what

    path = config_path(file)
    configuration = checked_file(path)
    say(f"{path}: no mistakes")
    for pipeline in configuration.pipelines:
        stages = ", ".join(stage.name + (" (locks)" if stage.locks else "") for stage in pipeline.stages)
        mode = configuration.mode(pipeline.name)
        say(f"  {pipeline.name}: {stages}; {count(len(pipeline.services), 'service')}; mode {mode}")
        for line in who_has_which_role(configuration.access(pipeline.name).roles):
            say(f"    {line}")
        for line in (*told_of_what(pipeline.notices), *freeze_lines(configuration, pipeline.name, time.time())):
            say(f"    {line}")
        for webhook in configuration.webhooks_of(pipeline.name):
            facts = count(len(webhook.facts), "kind") + " of facts" if webhook.facts else "every fact"
            say(f"    webhook {webhook.name}: {facts}, as {webhook.format}")
    say(f"What it would have changed: interlock what-if --config {path} --since 30d")
    found = check_environment(configuration)
    if not found.everything:
        say("The environment has everything it needs.")
        return
    say("The environment of this command:")
    for sentence in found.everything:
        say(f"  {sentence}")
    if found.mistaken or (strict and found.missing):
        raise click.exceptions.Exit(FAILED)


@click.command()
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write it to this file.")
def schema(output: Path | None) -> None:
    """Print the JSON Schema of the pipeline file, for editors."""
    from config.model import schema_text

    if output is None:
        click.echo(schema_text(), nl=False)
        return
    try:
        output.write_text(schema_text(), encoding="utf-8")
    except OSError as error:
        raise CommandFailed(f"{output} cannot be written: {error.strerror}") from None
    say(f"done: {output}")


@click.command(short_help="Print the Jenkins jobs of the stages as code.")
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
def jenkins_jobs(form: str, controller: str | None, job: str | None, file: Path | None) -> None:
    """Print the Jenkins jobs of the configured stages as code, with their parameters and their callback."""
    from bot.jenkins.jobs_as_code import jenkinsfile, jjb, job_dsl

    configuration = checked_file(config_path(file))
    if controller is not None and controller not in configuration.controllers:
        raise CommandFailed(f"there is no controller {controller!r}; there are {', '.join(configuration.controllers)}")
    if form == "jenkinsfile":
        try:
            click.echo(jenkinsfile(configuration, job or ""), nl=False)
        except LookupError as error:
            raise CommandFailed(f"--job: {error.args[0]}") from None
        return
    click.echo(job_dsl(configuration, controller) if form == "job-dsl" else jjb(configuration, controller), nl=False)


def config_path(given: Path | None) -> Path:
    """The pipeline file: the given one, else INTERLOCK_CONFIG, else interlock.yaml."""
    return given or Path(os.environ.get("INTERLOCK_CONFIG") or "interlock.yaml")


def checked_file(path: Path) -> Configuration:
    """The configuration that the file describes. Prints every mistake and ends the command if there is one."""
    from config.errors import ConfigurationError
    from config.pipeline_file import load

    try:
        return load(path)
    except ConfigurationError as error:
        for line in str(error).splitlines():
            warn(line)
        if not path.exists():
            warn(f"To begin with an example: interlock example > {path}")
        raise click.exceptions.Exit(FAILED) from None


@dataclass(frozen=True, slots=True)
class EnvironmentFindings:
    """What was found of the environment, in sentences: set and wrong, not set, and merely doubtful."""

    mistaken: tuple[str, ...]
    missing: tuple[str, ...] = ()
    doubtful: tuple[str, ...] = ()

    @property
    def everything(self) -> tuple[str, ...]:
        """The worst first."""
        return (*self.mistaken, *self.missing, *self.doubtful)


def check_environment(configuration: Configuration) -> EnvironmentFindings:
    """What is wrong with the environment for this configuration, what it lacks, and what is doubtful."""
    from config import settings
    from config.errors import SettingsError

    doubtful = list(settings.unknown_variables())
    try:
        found = settings.load()
    except SettingsError as error:
        return EnvironmentFindings(error.sentences, (), tuple(doubtful))
    missing = list(settings.missing(configuration, found))
    for need in (found.need_github, found.need_github_webhook_secrets, found.need_jenkins_webhook_secrets):
        try:
            need()
        except SettingsError as error:
            missing += error.sentences
    if not found.api_tokens:
        doubtful.append("INTERLOCK_API_TOKENS is not set: only tokens of `interlock token` act through the API")
    # Where channels have addresses, one without is mistyped: nobody would be told. Else they are set elsewhere.
    mistyped = tuple(settings.channels_without_address(configuration, found)) if found.notify_urls else ()
    return EnvironmentFindings(mistyped, tuple(each for each in missing if each not in mistyped), tuple(doubtful))
