"""GitHub's own descriptions, and axe, out of the packages that carry them: fetched by npm, pinned, checked, cached.

They lie in pytest's cache folder, which git ignores and `make clean` empties. Without npm, or with the registry out of
reach, a test that needs one skips and says so; where CI is set it fails.
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".pytest_cache" / "d" / "packages"
#: How long npm may take, in seconds: the larger package has 28 MB.
PATIENCE = 100


@dataclass(frozen=True, slots=True)
class Package:
    """One file out of one version of a package. `sha512` is the one that npm's registry states for the archive."""

    name: str
    version: str
    sha512: str
    member: str

    @property
    def cached(self) -> Path:
        return CACHE / f"{self.name.rpartition('/')[2]}-{self.version}-{Path(self.member).name}"


#: REST and webhooks of api.github.com, as OpenAPI 3.0.
DESCRIPTION = Package(
    "@octokit/openapi",
    "23.0.2",
    "pV8M7L9GY23AybNvTmo2nyjmpmnt6+2sRE/tqr0ZLQcPS4lnw7u5eZGNmwRNkBC3D7gZXbFx5AHzLUVRBXGDhg==",
    "package/generated/api.github.com.json",
)
#: Deliveries as they really came, several for nearly every event.
EXAMPLES = Package(
    "@octokit/webhooks-examples",
    "7.6.1",
    "De6U3XB6O3DtCa7bKgCMzTHdeopqqZ6SNivMYJnK65ierKL1AnNIA0tkRYCRS7lwGT792d+Ps1WbfHlso6MynQ==",
    "package/api.github.com/index.json",
)


#: What finds mistakes of accessibility in a page, for the browser tests.
AXE = Package(
    "axe-core",
    "4.14.1",
    "FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ==",
    "package/axe.min.js",
)


@cache
def content(package: Package) -> Any:
    """What the package says, as JSON; skips the test, or fails it in CI, if it cannot be had."""
    return json.loads(file_of(package))


@cache
def file_of(package: Package) -> bytes:
    """The file of the package; skips the test, or fails it in CI, if it cannot be had."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several test processes: one of them fetches
        if not package.cached.exists():
            _fetch(package)
    return package.cached.read_bytes()


def _fetch(package: Package) -> None:
    what = f"{package.name}@{package.version}"
    npm = shutil.which("npm")
    if npm is None:
        _without(f"{what} is needed, and npm, which fetches it, is not installed")
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        command = [str(npm), "pack", "--silent", "--ignore-scripts", "--pack-destination", folder, what]
        try:
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=PATIENCE, check=False)
        except subprocess.TimeoutExpired:
            _without(f"npm did not fetch {what} within {PATIENCE} s")
        archives = list(Path(folder).glob("*.tgz"))
        if done.returncode or len(archives) != 1:
            _without(f"npm could not fetch {what}: {done.stderr.strip()[-500:]}")
        _unpack(package, archives[0])


def _unpack(package: Package, archive: Path) -> None:
    """Take the one file out, if the archive is the one that was pinned. A wrong one fails everywhere."""
    found = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    assert found == package.sha512, f"{package.name}@{package.version} is not what was pinned: its sha512 is {found}"
    with tarfile.open(archive) as opened:
        member = opened.extractfile(package.member)
        assert member is not None
        part = archive.with_suffix(".part")
        part.write_bytes(member.read())
    part.replace(package.cached)


def _without(why: str) -> None:
    (pytest.fail if os.environ.get("CI") else pytest.skip)(why)
