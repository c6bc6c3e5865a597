"""`python -m demo`: plays the four pictures on the embedded stack and checks each of them."""

from __future__ import annotations

import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

import click
from rich.console import Console

from bot.store.connection import connect
from demo.processes import ProcessWorld
from demo.story import Story
from demo.teller import Teller
from demo.town import Town
from demo.verbs import Spoiled
from launch import LaunchError, Stack

ROOT = Path(__file__).resolve().parent.parent


@click.command()
@click.option("--keep", is_flag=True, help="Keep it running at the end, with the page open, until Ctrl-C.")
@click.option("--pace", default=2.0, show_default=True, help="Pause between the steps, in seconds.")
@click.option("--bind", default=None, help="Where the page is served; by default on a free port of 127.0.0.1.")
def demo(keep: bool, pace: float, bind: str | None) -> None:
    """Play the four pictures: a stage locks, the fix overtakes, the lock opens, the next one passes."""
    console = Console(soft_wrap=False)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # like Ctrl-C: stop everything and clean up
    folder = Path(tempfile.mkdtemp(prefix="interlock-demo-"))
    try:
        _play(console, folder, keep=keep, pace=pace, bind=bind)
    except (Spoiled, LaunchError) as error:
        console.print(f"\nThe demo failed: {error}", style="bold red", markup=False)
        console.print(f"What the processes said is in {folder}", markup=False)
        sys.exit(1)
    except KeyboardInterrupt:
        shutil.rmtree(folder, ignore_errors=True)
        sys.exit(130)
    shutil.rmtree(folder, ignore_errors=True)


def _play(console: Console, folder: Path, *, keep: bool, pace: float, bind: str | None) -> None:
    began = time.monotonic()
    with Town(folder, bind) as town, Stack(ROOT, data_dir=folder, env=town.env) as stack:
        console.print(f"Interlock runs: web, worker, beat and Redis. The live page: [link]{stack.web_url}[/link]\n")
        world = ProcessWorld(town, connect(stack.url), pace=pace)
        with Teller(console, world.records, world.names) as teller:
            Story(world, console).play()
            teller.catch_up()
        seconds = time.monotonic() - began
        console.print(f"\nIt ended in picture 4, as it must, after {seconds:.0f} seconds.", style="bold green")
        if keep:
            _stay(console, stack.web_url, world)


def _stay(console: Console, url: str, world: ProcessWorld) -> None:
    token = world.town.token
    console.print(f"The page stays open at {url} until Ctrl-C. What was held runs through now.")
    console.print(f"Sign in there with the API token {token} to act.", highlight=False)
    console.print("To look and to act from another terminal:", highlight=False)
    console.print(f"  export INTERLOCK_URL={url} INTERLOCK_TOKEN={token}", highlight=False, soft_wrap=True)
    console.print("  .venv/bin/interlock status", highlight=False)
    world.let_go()
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        console.print("Stopping.")


if __name__ == "__main__":
    demo()
