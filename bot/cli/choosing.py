"""Which run is meant, when a person gives a service, a commit or a pull request instead of its key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.cli import answers
from bot.cli.errors import Misused, Refused

if TYPE_CHECKING:
    from bot.cli.server import Server

#: The statuses in which a run may be retried, and may be cancelled: the server has the last word.
RETRIED = frozenset({"failed"})
CANCELLED = frozenset({"waiting", "starting", "running", "recalled", "failed"})


def the_run(server: Server, query: str, statuses: frozenset[str], wish: str) -> str:
    """The key of the one run that `query` means and that is in one of `statuses`; `wish` is the verb for people.

    Raises Misused if there are several, Refused if there is none, each with the runs there are.
    """
    found = server.get("why", has="runs", q=query)
    live = found["runs"]
    if len(live) == 1 and live[0]["run"] == query:
        return query
    fitting = [tile for tile in live if tile["status"] in statuses]
    if len(fitting) == 1 and not found["more"]:
        return str(fitting[0]["run"])
    if fitting:
        raise Misused(_listed(f"{query} means several runs; say which one to {wish}, by its key:", fitting))
    if live:
        raise Refused(_listed(f"{query} has no run to {wish}:", live))
    gone = [f"{row['run']} ({row['end']}: {row['reason']})" for row in found["ended"][:3]]
    raise Refused(f"{query} has no run on the board any more; the last to end: {'; '.join(gone)}")


def _listed(head: str, tiles: list[dict[str, object]]) -> str:
    return "\n".join([head, *(f"  {answers.live(tile)}" for tile in tiles)])
