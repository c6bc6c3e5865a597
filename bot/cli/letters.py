"""The commands `dead-letters` and `parked`: what was given up, or could not be digested; another try, or its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bot.cli.errors import Failed, Misused, Refused
from bot.cli.options import as_json, asks_server
from bot.cli.out import dump, say, warn

if TYPE_CHECKING:
    from bot.cli.server import Answer, Server

ACTIONS = click.Choice(["retry", "drop"])
DONE = {"retry": "is given another try", "drop": "is dropped"}

every = click.option("--all", "everything", is_flag=True, help="With retry or drop: every one there is.")
why = click.option(
    "-r", "--reason", default="the cause is mended", show_default=True, help="With retry or drop: why; kept."
)


@click.command(name="dead-letters", short_help="List what was given up; give it another try, or drop it.")
@click.argument("action", type=ACTIONS, required=False)
@click.argument("slots", nargs=-1, metavar="[SLOT]...")
@every
@why
@as_json
@asks_server
def dead_letters(
    server: Server, action: str | None, slots: tuple[str, ...], everything: bool, reason: str, as_json: bool
) -> None:
    """List what was to be done outside and was given up; `retry` gives it another try, `drop` forgets it.

    SLOT is the first line of an entry, as it is listed; or --all.
    """
    letters = _listed(server, "dead-letters", "dead_letters", action, slots, everything, as_json)
    if action is None:
        _list_letters(letters, as_json)
    else:
        _act(server, "dead-letters", action, "slot", slots or tuple(str(each["slot"]) for each in letters), reason)


@click.command(short_help="List deliveries that could not be digested; try again, or drop them.")
@click.argument("action", type=ACTIONS, required=False)
@click.argument("entries", nargs=-1, metavar="[ENTRY]...")
@every
@why
@as_json
@asks_server
def parked(
    server: Server, action: str | None, entries: tuple[str, ...], everything: bool, reason: str, as_json: bool
) -> None:
    """List deliveries that could not be digested; `retry` decides them once more, `drop` forgets them.

    ENTRY is the first word of a delivery, as it is listed; or --all. A newer version may digest what an older one
    could not.
    """
    rows = _listed(server, "parked", "parked", action, entries, everything, as_json)
    if action is None:
        _list_parked(rows, as_json)
    else:
        _act(server, "parked", action, "entry", entries or tuple(str(each["entry"]) for each in rows), reason)


def _listed(
    server: Server, path: str, has: str, action: str | None, names: tuple[str, ...], everything: bool, as_json: bool
) -> list[Answer]:
    """All that there is where that is needed: to be listed, or for --all."""
    if action is None and everything:
        raise Misused(f"--all goes with retry or drop: `interlock {path} retry --all`")
    if action is not None and bool(names) == everything:
        raise Misused(f"say which to {action}: one or more as `interlock {path}` lists them, or --all")
    if action is not None and as_json:
        raise Misused(f"--json and {action} do not go together")
    if names:
        return []
    found: list[Answer] = server.get(path, has=has)[has]
    return found


def _list_letters(letters: list[Answer], as_json: bool) -> None:
    from bot.cli.texts import moment

    if as_json:
        dump(letters)
        return
    for letter in letters:
        about = f", for {letter['run']}" if letter["run"] else ""
        say(str(letter["slot"]), bold=True)
        say(f"  {letter['kind']}{about}: given up {moment(letter['at'])} after {_tries(letter['tries'])}")
        say(f"  {letter['error']}")
    if not letters:
        say("There are no dead letters: everything that was decided has been done, or is being tried.")


def _list_parked(rows: list[Answer], as_json: bool) -> None:
    from bot.cli.texts import moment

    if as_json:
        dump(rows)
        return
    for row in rows:
        say(f"{row['entry']}  {row['name']} of {row['source']}, accepted {moment(row['at'])}", bold=True)
        say(f"  {row['error']}")
    if not rows:
        say("There are no parked deliveries: everything that came in could be decided.")


def _tries(number: int) -> str:
    return "one try" if number == 1 else f"{number} tries"


def _act(server: Server, path: str, action: str, key: str, names: tuple[str, ...], reason: str) -> None:
    """Do it for each; one that is refused does not keep the others back."""
    refused = 0
    for name in names:
        try:
            server.post(path, action, body={key: name, "reason": reason}, has="state")
        except Refused as error:
            refused += 1
            warn(f"refused: {error.message}")
        else:
            say(f"done: {name} {DONE[action]}")
    if not names:
        say(f"done: there are no {path.replace('-', ' ') if path != 'parked' else 'parked deliveries'}")
    if refused:
        raise Failed(f"{refused} of {len(names)} were refused")
