"""The commands for files: example, check, schema and jenkins-jobs, which call no server, and reload."""

from __future__ import annotations

import getpass
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bot.cli.common import FAILED, CommandFailed, RequestRefused, count, date_and_time, say, warn

if TYPE_CHECKING:
    from redis import Redis

    from bot.core.model.events import Event
    from bot.core.model.pipeline import Revision
    from bot.reload import ReloadProposal
    from config.configuration import Configuration

DAY = 86_400.0

config_option = click.option(
    "--config",
    "file",
    type=click.Path(path_type=Path),
    help="The pipeline file, instead of INTERLOCK_CONFIG or interlock.yaml.",
)


@click.command()
@click.option("--scenario", is_flag=True, help="Print a scenario for `interlock simulate` instead.")
def example(scenario: bool) -> None:
    """Print a complete pipeline file with comments, to start from."""
    import config

    example_file = Path(config.__file__).with_name("scenario.yaml" if scenario else "example.yaml")
    click.echo(example_file.read_text(encoding="utf-8"), nl=False)


@click.command(short_help="Check a pipeline file and the environment.")
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("--strict", is_flag=True, help="Fail if the environment lacks something, too.")
def check(file: Path | None, strict: bool) -> None:
    """Check a pipeline file, and print what the environment lacks for it.

    Without FILE it checks INTERLOCK_CONFIG, or interlock.yaml.
    """
    from bot.cli.sentences import freeze_lines
    from bot.reporting.notices import told_of_what
    from bot.reporting.refusals import who_has_which_role

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
@click.option("--scenario", is_flag=True, help="That of a scenario for `interlock simulate` instead.")
def schema(output: Path | None, scenario: bool) -> None:
    """Print the JSON Schema of the pipeline file, for editors."""
    from config import model
    from config import scenario as scenarios
    from config.sections import schema_text

    text = schema_text(scenarios.json_schema() if scenario else model.json_schema())
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        output.write_text(text, encoding="utf-8")
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
    """Return the pipeline file: the given one, else INTERLOCK_CONFIG, else interlock.yaml."""
    return given or Path(os.environ.get("INTERLOCK_CONFIG") or "interlock.yaml")


def checked_file(path: Path) -> Configuration:
    """Return the configuration of the file. If it has mistakes, print them all and end the command."""
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


def freezes_by_day(
    configuration: Configuration, pipeline: str, begin: float, until: float
) -> Iterator[tuple[float, Event]]:
    """Yield the plan of a pipeline's freezes for each day, as a worker makes it before the known windows end.

    Times are in seconds since the epoch. Without freezes nothing is yielded.
    """
    from bot.core.model.events import FreezesPlanned

    at = begin
    while configuration.freezes.get(pipeline) and at <= until:
        yield at, FreezesPlanned(configuration.planned_freezes(pipeline, at))
        at += DAY


@dataclass(frozen=True, slots=True)
class EnvironmentFindings:
    """Sentences about the environment: settings that are wrong, that are missing, and that are merely doubtful."""

    mistaken: tuple[str, ...]
    missing: tuple[str, ...] = ()
    doubtful: tuple[str, ...] = ()

    @property
    def everything(self) -> tuple[str, ...]:
        """Return all sentences, the worst first."""
        return (*self.mistaken, *self.missing, *self.doubtful)


def check_environment(configuration: Configuration) -> EnvironmentFindings:
    """Return what is wrong, missing or doubtful in the environment for this configuration."""
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
    # If any channel has an address, one without is probably mistyped and would get no notices, so that is a mistake. If
    # none has, the addresses are probably set elsewhere.
    mistyped = tuple(settings.channels_without_address(configuration, found)) if found.notify_urls else ()
    return EnvironmentFindings(mistyped, tuple(each for each in missing if each not in mistyped), tuple(doubtful))


# -- reload: puts the pipeline file in force while Interlock runs, or prints why not -----------------------------------

#: How long the command waits until all processes use the configuration, and how often it checks, in seconds.
PATIENCE, LOOK = 30.0, 0.2
#: The most changes that are printed.
CHANGES_SHOWN = 100


@click.command(short_help="Put the pipeline file in force without a restart.")
@config_option
@click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing.")
def reload(file: Path | None, dry_run: bool) -> None:
    """Put the pipeline file in force in all processes that run, without a restart.

    It checks the file, shows what differs from the configuration in force, and what that does to live runs. Then all of
    it is put in force, or nothing if there is a mistake. Run it where Interlock runs, with the same environment.
    """
    from bot.reload import ReloadOvertaken, apply, propose

    path = config_path(file)
    configuration = checked_file(path)
    with _store() as redis:
        proposal = propose(redis, configuration, path)
        if proposal.is_in_force:
            say(f"{path} is in force already: nothing differs.")
            return
        _show_changes(proposal, path)
        if proposal.refusals:
            for sentence in proposal.refusals:
                warn(f"refused: {sentence}")
            raise RequestRefused("nothing was changed")
        if dry_run:
            say("Nothing was changed.")
            return
        try:
            revision = apply(redis, proposal, _person_here())
        except ReloadOvertaken:
            raise CommandFailed(
                "somebody put another configuration in force at the same moment: run the command again"
            ) from None
        _await_use(redis, proposal, revision)


def _show_changes(proposal: ReloadProposal, path: Path) -> None:
    """Print the differences and their consequences."""
    from bot.reporting.consequences import clauses
    from bot.reporting.stage_messages import DIGEST_SHOWN, changed

    before, changes = proposal.before, proposal.changes
    if before is None:
        say(f"{path} becomes the first configuration in force.")
        return
    if not changes:
        say(f"{path} replaces a configuration that another version wrote and that this one cannot read.")
        return
    known = f"{before.revision.digest[:DIGEST_SHOWN]}, in force since {date_and_time(before.revision.since)}"
    say(f"{count(len(changes), 'change')} of configuration {known} by {before.by}:")
    for change in changes[:CHANGES_SHOWN]:
        say(f"  {changed(change)}")
    if len(changes) > CHANGES_SHOWN:
        say(f"  and {len(changes) - CHANGES_SHOWN} more")
    say("What happens to live runs:")
    for pipeline, consequences in proposal.consequences.items():
        say(f"  {pipeline}: {'; '.join(clauses(consequences))}")


def _await_use(redis: Redis, proposal: ReloadProposal, revision: Revision) -> None:
    """Wait until all processes use the configuration.

    Raises CommandFailed if some do not in time; it is in force all the same.
    """
    from bot.reload import behind, running
    from bot.reporting.stage_messages import DIGEST_SHOWN

    until = time.monotonic() + PATIENCE
    processes = running(redis)
    while processes and (late := list(behind(redis, proposal.configuration, revision))):
        if time.monotonic() > until:
            for sentence in late:
                warn(sentence)
            raise CommandFailed("it is in force, but some processes do not use it yet; `interlock status` lists them")
        time.sleep(LOOK)
        processes = running(redis)
    which = f"done: configuration {revision.digest[:DIGEST_SHOWN]} is in force"
    use = f"{len(processes)} {'process uses' if len(processes) == 1 else 'processes use'} it"
    say(f"{which}; {use if processes else 'whoever starts will use it'}")


def _person_here() -> str:
    """Return the person at this machine, for the log."""
    try:
        name = os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        name = f"user {os.getuid()}"
    return f"{name} at {socket.gethostname()}"


@contextmanager
def _store() -> Iterator[Redis]:
    """Yield the store of the environment, or the running embedded one. Raises CommandFailed."""
    from pydantic import SecretStr
    from redis.exceptions import RedisError

    from bot.runtime import WATCH_LIMITS, connect_store
    from bot.store.scripts import OtherSchema
    from config import settings
    from config.errors import SettingsError
    from launch import running_url

    try:
        found = settings.load()
        url = found.redis_url.get_secret_value() if found.redis_url else running_url(found.data_dir)
        if url is None:
            raise CommandFailed("Interlock does not run here: a start puts the pipeline file in force")
        redis = connect_store(found.model_copy(update={"redis_url": SecretStr(url)}), WATCH_LIMITS)
    except SettingsError as error:
        raise CommandFailed(" ".join(error.sentences)) from None
    try:
        yield redis
    except RedisError as error:
        raise CommandFailed(f"the store does not answer, or refuses: {type(error).__name__}") from None
    except OtherSchema as error:
        raise CommandFailed(str(error)) from None
    finally:
        redis.close()
