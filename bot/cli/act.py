"""The commands that act: lock, unlock, retry, cancel, move, watch-lock, fast-lane, pause, resume, observe.

Each sends one request to the API and prints the decision or the reason of a refusal; with `--dry-run`, the
consequences.
"""

from __future__ import annotations

import sys
import time
import uuid
from typing import TYPE_CHECKING, Any

import click

from bot.cli.common import (
    CommandPending,
    RequestRefused,
    WrongUsage,
    calls_api,
    clean,
    clock,
    dry_run,
    parse_until,
    reason,
    say,
    wait,
)
from bot.cli.sentences import fact_sentence, run_sentence

if TYPE_CHECKING:
    from bot.cli.client import Answer, ApiClient

#: The statuses of a run that may be retried, cancelled or moved; the server decides finally.
RETRYABLE = frozenset({"failed"})
CANCELLABLE = frozenset({"waiting", "starting", "running", "recalled", "failed"})
MOVABLE = frozenset({"waiting"})
#: The most facts of one request that are printed.
SHOWN_FACTS = 12


# -- the commands ------------------------------------------------------------------------------------------------


@click.command(short_help="Lock a stage: no run of the main lane enters it.")
@click.argument("stage")
@reason
@click.option("--let-fixes-in", is_flag=True, help="Let runs of the fast lane enter.")
@click.option("--until", metavar="TIME", callback=parse_until, help="Unlock it then: 2h, 16:00, 2026-12-01T18:00.")
@dry_run
@wait
@calls_api
def lock(
    api: ApiClient, stage: str, reason: str, let_fixes_in: bool, until: str | None, dry_run: bool, wait: int
) -> None:
    """Lock STAGE: no run of the main lane enters it until the lock is opened. Its other locks stay."""
    _request(
        api,
        "stages",
        stage,
        "lock",
        wait=wait,
        dry_run=dry_run,
        reason=reason,
        let_fixes_in=let_fixes_in or None,
        until=until,
    )


@click.command(short_help="Open the lock of a stage, or one of several, or all.")
@click.argument("stage")
@reason
@click.option("--lock", "key", metavar="KEY", help="Open this one of several; `interlock status` names them.")
@click.option("--all", "every", is_flag=True, help="Open all of several.")
@dry_run
@wait
@calls_api
def unlock(api: ApiClient, stage: str, reason: str, key: str | None, every: bool, dry_run: bool, wait: int) -> None:
    """Open the lock of STAGE. If a failed run held it, that run ends as a reported failure.

    If the stage has several locks, the command lists them and, at a terminal, asks which one to open. Otherwise choose
    one with --lock, or all with --all.
    """

    def send(key: str | None, every: bool) -> None:
        given = {"reason": reason, "lock": key, "all": every or None}
        _request(api, "stages", stage, "unlock", wait=wait, dry_run=dry_run, **given)

    try:
        send(key, every)
    except RequestRefused as refused:
        locks = refused.problem.get("locks")
        if not locks:
            raise
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise RequestRefused(_several_locks(stage, locks)) from None
        chosen = _choose(stage, locks)
        send(chosen, chosen is None)


@click.command(short_help="Retry a failed build, without a new commit.")
@click.argument("run", metavar="RUN|SERVICE")
@reason
@dry_run
@wait
@calls_api
def retry(api: ApiClient, run: str, reason: str, dry_run: bool, wait: int) -> None:
    """Retry the build of a failed run, without a new commit.

    Instead of the run's key give its service, the beginning of its sha or its pull request, if one failed run matches.
    """
    _request(api, "runs", find_run(api, run, RETRYABLE, "retry"), "retry", wait=wait, dry_run=dry_run, reason=reason)


@click.command(short_help="Cancel a run and abort its build.")
@click.argument("run", metavar="RUN|SERVICE")
@reason
@dry_run
@wait
@calls_api
def cancel(api: ApiClient, run: str, reason: str, dry_run: bool, wait: int) -> None:
    """Cancel a run. Interlock aborts its build if one is running.

    A stage that locks on failure may be locked by that: an aborted build leaves its environment in an unknown state.
    """
    _request(
        api, "runs", find_run(api, run, CANCELLABLE, "cancel"), "cancel", wait=wait, dry_run=dry_run, reason=reason
    )


@click.command(short_help="Put a waiting run at the front of its queue.")
@click.argument("run", metavar="RUN|SERVICE")
@reason
@dry_run
@wait
@calls_api
def move(api: ApiClient, run: str, reason: str, dry_run: bool, wait: int) -> None:
    """Put a waiting run at the front of its queue.

    It passes no lock, no fix, and no older commit of its service that must be rolled out first.
    """
    _request(api, "runs", find_run(api, run, MOVABLE, "move"), "move", wait=wait, dry_run=dry_run, reason=reason)


@click.command(name="watch-lock", short_help="Ask for one notice when a locked stage opens.")
@click.argument("stage")
@dry_run
@wait
@calls_api
def watch_lock(api: ApiClient, stage: str, dry_run: bool, wait: int) -> None:
    """Ask for one notice when the last lock of STAGE has opened.

    You need a channel of your own: `notify: people` of the pipeline.
    """
    _request(api, "stages", stage, "watch", wait=wait, dry_run=dry_run)


@click.command(name="let-through", short_help="Let a run into stages that are frozen.")
@click.argument("run", metavar="RUN|SERVICE")
@reason
@dry_run
@wait
@calls_api
def let_through(api: ApiClient, run: str, reason: str, dry_run: bool, wait: int) -> None:
    """Let a run into stages that are frozen, where the freeze allows that (`except: let_through`).

    This holds until the run ends. Any other lock keeps it out as before.
    """
    found = find_run(api, run, CANCELLABLE, "let through")
    _request(api, "runs", found, "let-through", wait=wait, dry_run=dry_run, reason=reason)


@click.command(name="fast-lane", short_help="Send the head of main on the fast lane, once.")
@click.argument("service")
@reason
@click.option(
    "--stage",
    metavar="STAGE",
    help="Let it enter this stage even if the stage is locked; needed unless SERVICE holds a lock.",
)
@dry_run
@wait
@calls_api
def fast_lane(api: ApiClient, service: str, reason: str, stage: str | None, dry_run: bool, wait: int) -> None:
    """Send the head of SERVICE's main branch on the fast lane, once."""
    _request(api, "services", service, "fast-lane", wait=wait, dry_run=dry_run, reason=reason, stage=stage)


@click.command(short_help="Pause the pipeline: accept every event, trigger nothing.")
@reason
@dry_run
@wait
@calls_api
def pause(api: ApiClient, reason: str, dry_run: bool, wait: int) -> None:
    """Pause the pipeline: Interlock accepts every event and triggers nothing."""
    _request(api, "mode", wait=wait, dry_run=dry_run, reason=reason, mode="pause")


@click.command(short_help="Resume the pipeline: trigger again.")
@reason
@dry_run
@wait
@calls_api
def resume(api: ApiClient, reason: str, dry_run: bool, wait: int) -> None:
    """Resume the pipeline after `pause` or `observe`: Interlock triggers again."""
    _request(api, "mode", wait=wait, dry_run=dry_run, reason=reason, mode="run")


@click.command(short_help="Only observe: decide and show, send nothing outside.")
@reason
@dry_run
@wait
@calls_api
def observe(api: ApiClient, reason: str, dry_run: bool, wait: int) -> None:
    """Only observe: Interlock decides and shows what it decided, and sends nothing to Jenkins or GitHub."""
    _request(api, "mode", wait=wait, dry_run=dry_run, reason=reason, mode="observe")


# -- finding the run ---------------------------------------------------------------------------------------------------


def find_run(api: ApiClient, query: str, statuses: frozenset[str], verb: str) -> str:
    """Return the key of the one run that matches `query` and is in one of `statuses`.

    `query` is a key, a service, the beginning of a sha or a pull request; `verb` is the action for messages. Raises
    WrongUsage if several runs match, RequestRefused if none does; both list the candidates.
    """
    found = api.get("why", has="runs", q=query)
    live = found["runs"]
    if len(live) == 1 and live[0]["run"] == query:
        return query
    matching = [tile for tile in live if tile["status"] in statuses]
    if len(matching) == 1 and not found["more"]:
        return str(matching[0]["run"])
    if matching:
        raise WrongUsage(_with_runs(f"{query} matches several runs; give the key of the one to {verb}:", matching))
    if live:
        raise RequestRefused(_with_runs(f"{query} has no run to {verb}:", live))
    if not found["ended"]:
        raise RequestRefused(f"{query} has no run yet: it is a pull request that is being verified")
    ended = [f"{row['run']} ({row['end']}: {row['reason']})" for row in found["ended"][:3]]
    raise RequestRefused(f"{query} has no run on the board; the last ones ended: {'; '.join(ended)}")


def _with_runs(head: str, tiles: list[dict[str, object]]) -> str:
    return "\n".join([head, *(f"  {run_sentence(tile)}" for tile in tiles)])


# -- choosing the lock -------------------------------------------------------------------------------------------------


def _several_locks(stage: str, locks: list[Answer]) -> str:
    """Return a message that lists the locks and asks for one of them to be named."""
    head = f"{stage} has {len(locks)} locks; open one of them with --lock KEY, or all with --all:"
    return "\n".join([head, *(f"  {row}" for row in _rows(locks))])


def _rows(locks: list[Answer]) -> list[str]:
    """Return one line for each lock: its key, its reason, its owner and its time."""
    now = time.time()
    return [f"{lock['key']}: {lock['reason']} (by {lock['by']}, since {clock(lock['since'], now)})" for lock in locks]


def _choose(stage: str, locks: list[Answer]) -> str | None:
    """Ask at the terminal which lock to open; return its key, or None for all of them."""
    click.echo(clean(f"{stage} has {len(locks)} locks:"), err=True)
    for number, row in enumerate(_rows(locks), 1):
        click.echo(clean(f"  {number}  {row}"), err=True)
    numbers = [str(number) for number in range(1, len(locks) + 1)]
    chosen = click.prompt("Which one is to be opened?", type=click.Choice([*numbers, "all"]), err=True)
    return None if chosen == "all" else str(locks[int(chosen) - 1]["key"])


# -- printing the decision ---------------------------------------------------------------------------------------------


def _request(api: ApiClient, *path: str, wait: float, dry_run: bool, **body: Any) -> None:
    """Send a request and print the decision, or the consequences. Raises RequestRefused, CommandPending.

    CommandPending is raised if the request is not decided after `wait` seconds. Entries of `body` that are None are
    left out.
    """
    given = {name: value for name, value in body.items() if value is not None}
    if dry_run:
        foreseen = api.post(*path, body={**given, "dry_run": True}, has="sentence")
        say(f"dry run: {foreseen['sentence']}")
        return
    deadline = time.monotonic() + wait
    answer = api.post(*path, body=given, has="state", key=uuid.uuid4().hex)
    while answer["state"] == "waiting" and time.monotonic() < deadline:
        time.sleep(0.2)  # the server answers at once while too many requests wait
        seconds = max(0, min(5, int(deadline - time.monotonic())))
        answer = api.get("requests", str(answer["request"]), has="state", wait=seconds)
    _print_decision(answer, wait)


def _print_decision(answer: Answer, wait: float) -> None:
    facts = answer.get("facts") or []
    if answer["state"] == "waiting":
        raise CommandPending(
            f"no worker has decided request {answer.get('request')} within {wait:g} s. It is stored, and the next "
            "worker decides it; `interlock log` shows the decision"
        )
    if answer["state"] == "refused":
        reasons = [str(fact.get("why")) for fact in facts if fact.get("kind") == "request-refused"]
        raise RequestRefused("; ".join(reasons) or "no reason is on record")
    if not facts:
        say("done: nothing had to change")
    for number, fact in enumerate(facts[:SHOWN_FACTS]):
        say(("      " if number else "done: ") + fact_sentence(fact))
    if len(facts) > SHOWN_FACTS:
        say(f"      and {len(facts) - SHOWN_FACTS} more, see `interlock log`")
