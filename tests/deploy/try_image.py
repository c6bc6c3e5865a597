"""The image, built and run where no container daemon is: `make image` (as root; what is measured is printed).

buildah builds `deploy/Containerfile` on a Debian root that debootstrap makes, twice, and compares the layers. podman
runs web, worker and beat with what `deploy/compose.yaml` says of them, and they play the four pictures of the demo.
Debian: apt install --no-install-recommends buildah podman crun debootstrap.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import click
import requests
import yaml
from rich.console import Console

from bot.store.connection import connect
from demo.processes import ProcessWorld
from demo.story import Story
from demo.town import PIPELINE, Town
from launch import Embedded

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = ROOT / "deploy" / "compose.yaml"
#: The Debian whose Python is that of the Containerfile, and what the official image of Python has besides.
DEBIAN, WITH = "trixie", "python3-venv,python-is-python3,ca-certificates"
BASE, IMAGE = "localhost/debian-python", "localhost/interlock"
PROGRAMS = ("buildah", "podman", "crun", "debootstrap")
#: The time that every file of the image has, and that programs which ask for one are told (reproducible-builds.org).
EPOCH = "1764460800"
#: Where the image listens, on all addresses, and where its health check asks.
BIND = "127.0.0.1:8080"
#: Above every time-out of a process that stops, in seconds: what takes as long was killed.
KILLED_AFTER = 20
UNIFIED = Path("/sys/fs/cgroup/unified")


class Machine:
    """buildah and podman with a storage of their own below `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        place = ["--root", str(folder / "storage"), "--runroot", str(folder / "run"), "--storage-driver", "vfs"]
        self._place = place
        # crun refuses a machine that has both kinds of control groups: it is shown the old kind alone.
        hides = f'[ ! -e {UNIFIED} ] || umount -l {UNIFIED}; exec "$@"'
        self._podman = ["unshare", "--mount", "sh", "-c", hides, "sh", "podman", *place, "--cgroup-manager", "cgroupfs"]

    def buildah(self, *words: str) -> str:
        return run("buildah", *self._place, *words)

    def podman(self, *words: str, check: bool = True) -> str:
        return run(*self._podman, *words, check=check)

    def base(self) -> None:
        """The Debian root as an image, made once."""
        if BASE in self.buildah("images", "--format", "{{.Name}}").split():
            return
        root = self.folder / "debian"
        shutil.rmtree(root, ignore_errors=True)
        run("debootstrap", "--variant=minbase", f"--include={WITH}", DEBIAN, str(root))
        for heavy in ("var/cache/apt/archives", "var/lib/apt/lists"):
            shutil.rmtree(root / heavy)
        archive = self.folder / "debian.tar"
        run("tar", "-C", str(root), "-cf", str(archive), ".")
        made = self.buildah("from", "scratch")
        self.buildah("add", "--quiet", made, str(archive), "/")
        self.buildah("commit", "--quiet", "--rm", made, BASE)
        archive.unlink()
        shutil.rmtree(root)

    def build(self, tag: str) -> list[str]:
        """Build the image; the hashes of its layers."""
        trusted = os.environ.get("PIP_CERT", "/etc/ssl/certs/ca-certificates.crt")  # of a company's own proxy, say
        (self.folder / "pip.conf").write_text("[global]\ncert = /etc/ssl/certs/ca-certificates.crt\n")
        self.buildah(
            "bud", "--quiet", "--isolation", "chroot", "--network", "host", "--no-cache", "--layers=false",
            "--format", "docker", "--pull-never", "--timestamp", EPOCH, "--build-arg", f"SOURCE_DATE_EPOCH={EPOCH}",
            "--build-arg", f"PYTHON={BASE}", "--volume", f"{trusted}:/etc/ssl/certs/ca-certificates.crt:ro",
            "--volume", f"{self.folder}/pip.conf:/etc/pip.conf:ro",
            "--file", str(ROOT / "deploy" / "Containerfile"), "--tag", tag, str(ROOT),
        )  # fmt: skip
        shown = json.loads(self.buildah("inspect", "--type", "image", tag))
        layers: list[str] = shown["Docker"]["rootfs"]["diff_ids"]
        return layers

    @contextmanager
    def service(self, name: str, env: Path, file: Path) -> Iterator[None]:
        """A service of the compose file as it says, but in the network of this machine."""
        shape = yaml.safe_load(COMPOSE.read_text("utf-8"))["services"][name]
        files = str(resource.getrlimit(resource.RLIMIT_NOFILE)[1])
        words = ["run", "--detach", "--name", name, "--network", "host", "--cgroups", "disabled"]
        words += ["--ulimit", f"nofile={files}:{files}", "--ulimit", "nproc=8192:8192"]
        words += ["--env-file", str(env), "--volume", f"{file}:/etc/interlock/interlock.yaml:ro"]
        words += ["--read-only", "--read-only-tmpfs=false"] if shape["read_only"] else []
        words += [f"--tmpfs={path}" for path in shape["tmpfs"]]
        words += [f"--cap-drop={each}" for each in shape["cap_drop"]]
        words += [f"--security-opt={each.replace(':true', '')}" for each in shape["security_opt"]]
        self.podman(*words, IMAGE, *shape.get("command", ()))
        try:
            yield
        finally:
            self.podman("rm", "--force", "--time", "1", name, check=False)

    def stop(self, name: str) -> tuple[float, int]:
        """Send SIGTERM; after how many seconds it has ended, and with which code."""
        began = time.monotonic()
        self.podman("stop", "--time", str(KILLED_AFTER), name)
        took = time.monotonic() - began
        return took, int(self.podman("inspect", "--format", "{{.State.ExitCode}}", name))

    def facts(self, name: str) -> dict[str, Any]:
        """What the kernel says of the processes of a container."""
        first = int(self.podman("inspect", "--format", "{{.State.Pid}}", name))
        status = dict(
            line.split(":\t", 1) for line in Path(f"/proc/{first}/status").read_text().splitlines() if ":\t" in line
        )
        inside = self.podman("exec", name, "du", "-sk", "/tmp", "/dev/shm")
        return {
            "user": status["Uid"].split()[0],
            "capabilities": int(status["CapEff"], 16),
            "no new privileges": status["NoNewPrivs"] == "1",
            "MiB": round(sum(map(_proportional, _family(first))) / 1024),
            "KiB written": {row.split("\t")[1]: int(row.split("\t")[0]) for row in inside.splitlines()},
        }

    def may_write(self, name: str, path: str) -> bool:
        return self.podman("exec", name, "sh", "-c", f"touch {path} 2>/dev/null && echo yes; true") == "yes"


def run(*words: str, check: bool = True) -> str:
    done = subprocess.run(words, capture_output=True, text=True, timeout=1_800, check=False)
    if check and done.returncode:
        raise click.ClickException(f"{' '.join(words)}\n{done.stdout}{done.stderr}")
    return done.stdout.strip()


def _family(pid: int) -> list[int]:
    """A process and all that came of it."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(each for child in children for each in _family(int(child)))]


def _proportional(pid: int) -> int:
    """The memory of a process in KiB; what it shares counts in part (proc(5): smaps_rollup)."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


@click.command()
@click.option("--folder", type=click.Path(path_type=Path), default=Path("/var/tmp/interlock-image"), show_default=True)
def main(folder: Path) -> None:
    """Build the image twice, and run it as the compose file does."""
    missing = [each for each in PROGRAMS if shutil.which(each) is None]
    if missing or os.geteuid() != 0:
        raise click.ClickException(
            f"this takes root and {', '.join(PROGRAMS)}; missing: {', '.join(missing) or 'root'}"
        )
    folder.mkdir(parents=True, exist_ok=True)
    machine, wrong = Machine(folder), []
    _timed("the Debian root", machine.base)
    first = _timed("the image", lambda: machine.build(IMAGE))
    second = _timed("the image again", lambda: machine.build(f"{IMAGE}-again"))
    click.echo(
        f"layers: {' '.join(each.removeprefix('sha256:')[:12] for each in first)}, the same again: {first == second}"
    )
    if first != second:
        wrong.append("built twice, the layers differ")
    with tempfile.TemporaryDirectory(prefix="interlock-image-") as place:
        wrong += play(machine, Path(place))
    for each in wrong:
        click.echo(f"WRONG: {each}")
    sys.exit(1 if wrong else 0)


def play(machine: Machine, place: Path) -> list[str]:
    """The four pictures, with the processes in containers; the differences from the expected end."""
    wrong: list[str] = []
    with ExitStack() as stack:
        town = stack.enter_context(Town(place, bind=BIND))
        place.chmod(0o755)  # as in the container nobody of this machine reads it
        store = stack.enter_context(Embedded(place / "store"))
        named = {k: v for k, v in town.env.items() if k.startswith("INTERLOCK_")}
        for ours in ("INTERLOCK_CONFIG", "INTERLOCK_DATA_DIR", "INTERLOCK_BIND"):
            named.pop(ours)  # the image has its own
        env = place / "interlock.env"
        env.write_text("".join(f"{k}={v}\n" for k, v in {**named, "INTERLOCK_REDIS_URL": store.url}.items()))
        began = time.monotonic()
        for name in ("web", "worker", "beat"):
            stack.enter_context(machine.service(name, env, place / "interlock.yaml"))
        redis = connect(store.url)
        stack.callback(redis.close)
        world = ProcessWorld(town, redis, patience=120.0)
        world.start()
        click.echo(f"web, worker and beat work {time.monotonic() - began:.1f} s after the first `podman run`")
        began = time.monotonic()
        Story(world, Console(quiet=True)).play()
        world.let_go()
        world.wait_until("all runs have ended", lambda: not world.live())
        click.echo(f"the four pictures came about, and every run has ended, in {time.monotonic() - began:.1f} s")
        wrong += _inside(machine, f"http://{town.bind}")
    return wrong


def _inside(machine: Machine, url: str) -> list[str]:
    wrong = []
    machine.podman("healthcheck", "run", "web")
    click.echo(
        f"the health check of the image is content; /readyz: {requests.get(f'{url}/readyz', timeout=10).status_code}"
    )
    for name in ("web", "worker", "beat"):
        facts = machine.facts(name)
        click.echo(f"{name}: {', '.join(f'{key}: {value}' for key, value in facts.items())}")
        if (facts["user"], facts["capabilities"], facts["no new privileges"]) != ("10001", 0, True):
            wrong.append(f"{name} may do too much")
        if any(machine.may_write(name, path) for path in ("/x", "/opt/interlock/x", "/etc/interlock/x", "/var/tmp/x")):
            wrong.append(f"{name} writes where it must not")
    with requests.get(f"{url}/p/{PIPELINE}/live", stream=True, timeout=10) as live:
        live.raw.read(1)
        for name in ("beat", "worker", "web"):
            took, code = machine.stop(name)
            click.echo(f"{name} has ended {took:.1f} s after SIGTERM with {code}")
            if took >= 10 or code != 0:
                wrong.append(f"{name} did not stop as it must:\n{machine.podman('logs', '--tail', '20', name)}")
    return wrong


def _timed(what: str, do: Any) -> Any:
    began = time.monotonic()
    found = do()
    click.echo(f"{what}: {time.monotonic() - began:.0f} s")
    return found


if __name__ == "__main__":
    main()
