"""The command `dead-letters`: what was to be done outside and was given up, and another try for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bot.cli.errors import Failed, Misused, Refused
from bot.cli.options import as_json, asks_server
from bot.cli.out import dump, say, warn

if TYPE_CHECKING:
    from bot.cli.server import Server


@click.command(name="dead-letters", short_help="List what was given up; give it another try.")
@click.argument("action", type=click.Choice(["retry"]), required=False)
@click.argument("slots", nargs=-1, metavar="[SLOT]...")
@click.option("--all", "everything", is_flag=True, help="With retry: every one there is.")
@click.option("-r", "--reason", default="the cause is mended", show_default=True, help="With retry: why; kept.")
@as_json
@asks_server
def dead_letters(
    server: Server, action: str | None, slots: tuple[str, ...], everything: bool, reason: str, as_json: bool
) -> None:
    """List what was to be done outside and was given up; `retry` gives it another try.

    SLOT is the first line of an entry, as it is listed; or --all.
    """
    if action is None:
        if everything:
            raise Misused("--all goes with retry: `interlock dead-letters retry --all`")
        _list(server, as_json)
        return
    if bool(slots) == everything:
        raise Misused("say which to retry: one or more SLOTs as `interlock dead-letters` lists them, or --all")
    if as_json:
        raise Misused("--json and retry do not go together")
    letters = server.get("dead-letters", has="dead_letters")["dead_letters"] if everything else []
    _retry(server, slots or tuple(str(letter["slot"]) for letter in letters), reason)


def _list(server: Server, as_json: bool) -> None:
    from bot.cli.texts import moment

    letters = server.get("dead-letters", has="dead_letters")["dead_letters"]
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


def _tries(number: int) -> str:
    return "one try" if number == 1 else f"{number} tries"


def _retry(server: Server, slots: tuple[str, ...], reason: str) -> None:
    """Give each another try; one that is refused does not keep the others back."""
    refused = 0
    for slot in slots:
        try:
            server.post("dead-letters", "retry", body={"slot": slot, "reason": reason}, has="state")
        except Refused as error:
            refused += 1
            warn(f"refused: {error.message}")
        else:
            say(f"done: {slot} is given another try")
    if not slots:
        say("done: there are no dead letters")
    if refused:
        raise Failed(f"{refused} of {len(slots)} were refused")
