"""The units of `deploy/systemd`, run by a real systemd in a container: `make units` (prints what it measures).

Takes a Docker daemon and an image of Debian whose command is systemd, with redis-server, python3-venv and
ca-certificates, such as this one:
    debootstrap --variant=minbase \\
      --include=systemd,systemd-sysv,dbus,redis-server,python3-venv,ca-certificates bookworm root
    tar -C root -c . | docker import --change 'CMD ["/sbin/init"]' - systemd:bookworm
The container shares the network of this machine, whose port 6379 must be free, and follows the commands of
`docs/deploy.md`. The four pictures of the demo are played; then a worker is killed, and the target is stopped.
"""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import click
from rich.console import Console

from bot.store.connection import connect
from demo.processes import ProcessWorld
from demo.story import Story
from demo.town import Town
from demo.verbs import Spoiled
from tests.deploy.docker import PATIENCE, ROOT, ready, run, source_in, wait_until_delivered

CONTAINER = "interlock-units"
UNITS = ("interlock-web", "interlock-worker@1", "interlock-worker@2", "interlock-beat")
#: Where the container sees the folder of the trial.
SHARED = "/shared"


class Machine:
    """A container in which systemd runs."""

    def __call__(self, *words: str, check: bool = True) -> str:
        return run("docker", "exec", CONTAINER, *words, check=check)

    def shown(self, unit: str, name: str) -> str:
        """Return a property of a unit, as `systemctl show` prints it."""
        return self("systemctl", "show", "--value", f"--property={name}", unit)

    def install(self, commands: str) -> None:
        """Run the commands of the documentation in the source."""
        self("bash", "-euc", f"cd {SHARED}/source\n{commands}")


@contextmanager
def booted(image: str, folder: Path) -> Iterator[Machine]:
    """Run a container of the image, and wait until its systemd has started everything."""
    words = ["--privileged", "--cgroupns=host", "--network", "host", "--env", "container=docker"]
    words += ["--tmpfs", "/run", "--tmpfs", "/tmp", "--volume", "/sys/fs/cgroup:/sys/fs/cgroup:rw"]
    run("docker", "run", "--detach", "--name", CONTAINER, *words, "--volume", f"{folder}:{SHARED}", image)
    machine = Machine()
    try:
        ready("systemd runs", lambda: machine("systemctl", "is-system-running", check=False) == "running")
        yield machine
    finally:
        run("docker", "rm", "--force", "--volumes", CONTAINER, check=False)


def commands() -> tuple[str, str]:
    """Return the commands of `docs/deploy.md`: those that install the units, and the one that starts them."""
    text = (ROOT / "docs" / "deploy.md").read_text("utf-8")
    install = re.search(r"^useradd --system.*?(?=^```)", text, re.DOTALL | re.MULTILINE)
    start = re.search(r"`(systemctl [^`]+ interlock\.target)`", text)
    if install is None or start is None:
        raise click.ClickException("docs/deploy.md no longer says how the units are installed and started")
    return install[0], start[1]


def write_files(machine: Machine, town: Town, folder: Path) -> None:
    """Write the two files of an administrator to /etc/interlock."""
    named = {key: value for key, value in town.env.items() if key.startswith("INTERLOCK_")}
    for ours in ("INTERLOCK_CONFIG", "INTERLOCK_DATA_DIR"):  # the units have their own
        named.pop(ours)
    named["INTERLOCK_REDIS_URL"] = "redis://127.0.0.1:6379/0"
    (folder / "interlock.env").write_text("".join(f"{key}={value}\n" for key, value in named.items()), "utf-8")
    shutil.copy2(town.folder / "interlock.yaml", folder)
    install = ["install", "--mode", "0640", "--group", "interlock"]
    machine(*install, f"{SHARED}/interlock.env", f"{SHARED}/interlock.yaml", "/etc/interlock/")


def play(machine: Machine, town: Town) -> list[str]:
    """Play the four pictures, kill a worker, stop everything; return the faults found."""
    wrong: list[str] = []
    with closing(connect("redis://127.0.0.1:6379/0")) as redis:
        world = ProcessWorld(town, redis, patience=PATIENCE)
        world.start()
        began = time.monotonic()
        Story(world, Console(quiet=True)).play()
        click.echo(f"the four pictures came about in {time.monotonic() - began:.1f} s")
        world.let_go()
        world.wait_until("all runs have ended", lambda: not world.live())
        machine("systemctl", "kill", "--signal=SIGKILL", UNITS[1])
        began = time.monotonic()
        world.push("S2", "x")
        wait_until_delivered(world, "S2x")
        click.echo(f"a worker was killed: the next merge was delivered {time.monotonic() - began:.1f} s later")
        ready("systemd has started it again", lambda: machine.shown(UNITS[1], "ActiveState") == "active")
        machine("systemctl", "reload", UNITS[0])
    for unit in UNITS:
        rated = machine("systemd-analyze", "security", "--no-pager", unit).splitlines()[-1]
        restarts, wanted = machine.shown(unit, "NRestarts"), "1" if unit == UNITS[1] else "0"
        click.echo(f"{unit}: {restarts} restarts; {rated.strip('→ ')}")
        if restarts != wanted:
            wrong.append(f"{unit} was started again {restarts} times:\n{_log(machine, unit)}")
    return wrong + stop(machine)


def stop(machine: Machine) -> list[str]:
    """Stop each unit; return those that are slow to stop or end with an error."""
    wrong = []
    for unit in reversed(UNITS):
        began = time.monotonic()
        machine("systemctl", "stop", unit)
        took, result = time.monotonic() - began, machine.shown(unit, "Result")
        click.echo(f"{unit} stopped in {took:.1f} s: {result}")
        if took >= 10 or result != "success":
            wrong.append(f"{unit} did not stop as it must:\n{_log(machine, unit)}")
    return wrong


def _log(machine: Machine, unit: str) -> str:
    return machine("journalctl", "--no-pager", "--lines", "20", "--unit", unit, check=False)


@click.command()
@click.option("--image", default="systemd:bookworm", show_default=True, help="A Debian whose command is systemd.")
@click.option("--folder", type=click.Path(path_type=Path), help="Where the copy of the source goes.")
def main(image: str, folder: Path | None) -> None:
    """Install the units as docs/deploy.md says, and play the four pictures with them."""
    install, start = commands()
    with tempfile.TemporaryDirectory(prefix="interlock-units-", dir=folder) as place, ExitStack() as stack:
        source_in(Path(place))
        machine = stack.enter_context(booted(image, Path(place)))
        began = time.monotonic()
        machine.install(install)
        click.echo(f"installed as docs/deploy.md says: {time.monotonic() - began:.0f} s")
        town = stack.enter_context(Town(Path(place) / "town"))
        write_files(machine, town, Path(place))
        machine("bash", "-euc", start)
        try:
            wrong = play(machine, town)
        except Spoiled as difference:
            wrong = [f"{difference}\n" + "\n".join(_log(machine, unit) for unit in UNITS)]
    for each in wrong:
        click.echo(f"WRONG: {each}")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
