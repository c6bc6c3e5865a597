"""The commands for operators: dead-letters, parked, notify, doctor."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bot.cli.common import (
    FAILED,
    CommandFailed,
    RequestRefused,
    WrongUsage,
    as_json,
    calls_api,
    date_and_time,
    print_json,
    say,
    warn,
)
from bot.cli.files import checked_file, config_option, config_path

if TYPE_CHECKING:
    from bot.cli.client import Answer, ApiClient
    from bot.doctor import DoctorFinding
    from bot.outbound.posts import PostResult
    from config.configuration import Configuration
    from config.settings import Settings

ACTIONS = click.Choice(["retry", "drop"])
DONE = {"retry": "will be retried", "drop": "is dropped"}

every = click.option("--all", "everything", is_flag=True, help="With retry or drop: every entry.")
why = click.option(
    "-r", "--reason", default="the cause is mended", show_default=True, help="With retry or drop: why; kept."
)


# -- dead letters and parked deliveries --------------------------------------------------------------------------


@click.command(name="dead-letters", short_help="List actions that were given up; retry or drop them.")
@click.argument("action", type=ACTIONS, required=False)
@click.argument("slots", nargs=-1, metavar="[SLOT]...")
@every
@why
@as_json
@calls_api
def dead_letters(
    api: ApiClient, action: str | None, slots: tuple[str, ...], everything: bool, reason: str, as_json: bool
) -> None:
    """List the actions on Jenkins, GitHub or people that Interlock gave up; `retry` or `drop` them.

    SLOT is the first line of an entry, as the list shows it; or --all.
    """
    entries = _entries(api, "dead-letters", "dead_letters", action, slots, everything, as_json)
    if action is not None:
        _act(api, "dead-letters", action, "slot", slots or tuple(str(each["slot"]) for each in entries), reason)
    elif as_json:
        print_json(entries)
    else:
        _print_dead_letters(entries)


@click.command(short_help="List deliveries that failed; retry or drop them.")
@click.argument("action", type=ACTIONS, required=False)
@click.argument("entries", nargs=-1, metavar="[ENTRY]...")
@every
@why
@as_json
@calls_api
def parked(
    api: ApiClient, action: str | None, entries: tuple[str, ...], everything: bool, reason: str, as_json: bool
) -> None:
    """List deliveries that Interlock could not decode or decide; `retry` or `drop` them.

    ENTRY is the first word of a delivery, as the list shows it; or --all. A newer version of Interlock may be able to
    decide what an older one could not.
    """
    rows = _entries(api, "parked", "parked", action, entries, everything, as_json)
    if action is not None:
        _act(api, "parked", action, "entry", entries or tuple(str(each["entry"]) for each in rows), reason)
    elif as_json:
        print_json(rows)
    else:
        _print_parked(rows)


def _entries(
    api: ApiClient, path: str, has: str, action: str | None, names: tuple[str, ...], everything: bool, as_json: bool
) -> list[Answer]:
    """Return all entries if they are needed: for the list, or for --all. Raises WrongUsage."""
    if action is None and everything:
        raise WrongUsage(f"--all goes with retry or drop: `interlock {path} retry --all`")
    if action is not None and bool(names) == everything:
        raise WrongUsage(f"name what to {action}: one or more as `interlock {path}` lists them, or --all")
    if action is not None and as_json:
        raise WrongUsage(f"--json and {action} do not go together")
    if names:
        return []
    found: list[Answer] = api.get(path, has=has)[has]
    return found


def _print_dead_letters(entries: list[Answer]) -> None:
    for entry in entries:
        about = f", for {entry['run']}" if entry["run"] else ""
        attempts = "one attempt" if entry["tries"] == 1 else f"{entry['tries']} attempts"
        say(str(entry["slot"]), bold=True)
        say(f"  {entry['kind']}{about}: given up {date_and_time(entry['at'])} after {attempts}")
        say(f"  {entry['error']}")
    if not entries:
        say("There are no dead letters: every action is done or being retried.")


def _print_parked(rows: list[Answer]) -> None:
    for row in rows:
        say(f"{row['entry']}  {row['name']} of {row['source']}, accepted {date_and_time(row['at'])}", bold=True)
        say(f"  {row['error']}")
    if not rows:
        say("There are no parked deliveries: every delivery has been decided.")


def _act(api: ApiClient, path: str, action: str, key: str, names: tuple[str, ...], reason: str) -> None:
    """Retry or drop each entry; the refusal of one does not stop the others.

    Raises CommandFailed at the end if any was refused.
    """
    refused = 0
    for name in names:
        try:
            api.post(path, action, body={key: name, "reason": reason}, has="state")
        except RequestRefused as error:
            refused += 1
            warn(f"refused: {error.message}")
        else:
            say(f"done: {name} {DONE[action]}")
    if not names:
        say(f"done: there are no {path.replace('-', ' ') if path != 'parked' else 'parked deliveries'}")
    if refused:
        raise CommandFailed(f"{refused} of {len(names)} were refused")


# -- notify ------------------------------------------------------------------------------------------------------


@click.group(short_help="Test the channels and webhooks.")
def notify() -> None:
    """Test the channels and the outbound webhooks of the pipeline file."""


@notify.command(name="test", short_help="Send a test to channels and webhooks.")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@config_option
def send_test(names: tuple[str, ...], file: Path | None) -> None:
    """Send a test to each channel or outbound webhook called NAME, and print the results.

    The message says that it is a test. Run it where Interlock runs, with the same environment: it sends from here.
    """
    from config import settings
    from config.errors import SettingsError

    configuration = checked_file(config_path(file))
    try:
        found = settings.load()
    except SettingsError as error:
        raise CommandFailed(" ".join(error.sentences)) from None
    known = [*dict(configuration.notify.channels), *(webhook.name for webhook in configuration.webhooks)]
    for name in names:
        if name not in known:
            raise CommandFailed(f"there is no channel or webhook {name!r}; there are {', '.join(known) or 'none'}")
    results = [result for name in names for result in _tests(configuration, found, name)]
    for what, result in results:
        taken = f"HTTP {result.status}" if result.status is not None else "taken"
        say(f"{'BAD' if result.error else 'ok':<4} {what}: {result.error or taken}, after {result.seconds:.2f} s")
    if any(result.error for _, result in results):
        raise click.exceptions.Exit(FAILED)


def _tests(configuration: Configuration, settings: Settings, name: str) -> Iterator[tuple[str, PostResult]]:
    """Send a test to the channel and to the webhook of that name, and yield the results."""
    from bot.outbound.posts import PostResult, post_test
    from config.errors import SettingsError

    if name in dict(configuration.notify.channels):
        yield f"channel {name}", _test_channel(configuration, settings, name)
    for webhook in configuration.webhooks:
        if webhook.name != name:
            continue
        try:
            secret = settings.webhook_secret(name).get_secret_value()
        except SettingsError as error:
            yield f"webhook {name}", PostResult(None, str(error), 0.0)
        else:
            yield f"webhook {name}", post_test(configuration, webhook, secret)


def _test_channel(configuration: Configuration, settings: Settings, name: str) -> PostResult:
    from bot.health import channels
    from bot.outbound.posts import PostResult

    address = settings.notify_urls.get(name)
    expected = f"`{name}=...` in INTERLOCK_NOTIFY_URLS, an address as https://github.com/caronc/apprise/wiki has them"
    if address is None:
        return PostResult(None, f"it has no address; expected {expected}", 0.0)
    if not channels.is_usable(address.get_secret_value()):
        return PostResult(None, f"its address is of no known service; expected {expected}", 0.0)
    text = "Nothing has happened, and you need not do anything: this message tests the channel.\n\n"
    text += f"{configuration.web.public_url}\n"
    began = time.monotonic()
    subject = f"Test of Interlock: channel {name}"
    why = channels.send(address.get_secret_value(), subject, text, key=f"test/{uuid.uuid4().hex}", topic="test")
    mend = " (check its address in INTERLOCK_NOTIFY_URLS)"
    return PostResult(None, f"{why}{mend}" if why else "", time.monotonic() - began)


# -- doctor ------------------------------------------------------------------------------------------------------

#: In the order of printing: verdict, mark, colour.
_VERDICTS = (("bad", "BAD", "red"), ("unsure", "unsure", "yellow"), ("good", "ok", "green"))
#: The most jobs with the same finding that are named, and the most good ones that have a line each.
_NAMED, _LINES = 4, 10


@click.command(short_help="Check the set-up of Jenkins and GitHub.")
@config_option
@click.option("--json", "as_json", is_flag=True, help="Print the findings as a list, for programs.")
def doctor(file: Path | None, as_json: bool) -> None:
    """Check whether Jenkins and GitHub are set up as Interlock needs them, and print how to mend each problem.

    It starts nothing and changes nothing. It calls Jenkins and GitHub itself, so run it where Interlock runs, with the
    same environment.
    """
    from bot.github.doctor import examine_github
    from bot.jenkins.doctor.examination import examine_jenkins
    from config import settings
    from config.errors import SettingsError

    configuration = checked_file(config_path(file))
    try:
        found = settings.load()
    except SettingsError as error:
        raise CommandFailed(" ".join(error.sentences)) from None
    findings = [*examine_jenkins(configuration, found), *examine_github(configuration, found)]
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        urls = {f"controller {name}": controller.url for name, controller in configuration.controllers.items()}
        _print_findings(findings, {**urls, "GitHub": configuration.github.api_url})
    if any(finding.verdict == "bad" for finding in findings):
        raise click.exceptions.Exit(FAILED)


def _print_findings(findings: Sequence[DoctorFinding], urls: Mapping[str, str]) -> None:
    """Print the findings by system, the bad ones first; `urls` has the address of each system."""
    for system in dict.fromkeys(finding.system for finding in findings):
        say(f"{system}  {urls.get(system, '')}".rstrip(), bold=True)
        for verdict, mark, colour in _VERDICTS:
            mine = [f for f in findings if f.system == system and f.verdict == verdict]
            for subject, finding in _grouped(mine):
                say(f"  {mark:<7} {': '.join(filter(None, (subject, finding.found)))}", fg=colour)
                if finding.mend:
                    say(f"          → {finding.mend}")
    say(_summary([str(finding.verdict) for finding in findings]))


def _grouped(findings: Sequence[DoctorFinding]) -> Iterator[tuple[str, DoctorFinding]]:
    """Yield each finding with its subject in words: those about the system first, equal ones once."""
    for finding in findings:
        if finding.subject is None:
            yield "", finding
    alike: dict[tuple[str, str], list[DoctorFinding]] = {}
    for finding in findings:
        if finding.subject is not None:
            alike.setdefault((finding.found, finding.mend), []).append(finding)
    for group in alike.values():
        if group[0].verdict == "good" and len(group) <= _LINES:
            yield from ((_subject(finding), finding) for finding in group)
        else:
            yield _subjects(group), group[0]


def _subjects(group: Sequence[DoctorFinding]) -> str:
    if len(group) == 1:
        return _subject(group[0])
    kind = str(group[0].subject).partition(" ")[0]
    kinds = "repositories" if kind == "repository" else f"{kind}s"
    if group[0].verdict == "good":
        return f"{len(group)} {kinds}"
    names = ", ".join(_subject(finding).partition(" ")[2] for finding in group[:_NAMED])
    more = f" and {len(group) - _NAMED} more" if len(group) > _NAMED else ""
    return f"{kinds} {names}{more}"


def _subject(finding: DoctorFinding) -> str:
    return f"{finding.subject} ({finding.stage})" if finding.stage is not None else str(finding.subject)


def _summary(verdicts: Sequence[str]) -> str:
    bad, unsure = verdicts.count("bad"), verdicts.count("unsure")
    look = f"{unsure} to look at." if unsure else ""
    if bad:
        return f"{bad} to mend before runs get through. {look}".rstrip()
    return f"Runs get through. {look}" if look else "All is well."
