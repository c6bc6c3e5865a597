"""What the descriptions come from is what was pinned; where it cannot be had a test skips, and in CI it fails."""

from __future__ import annotations

import base64
import hashlib
import io
import shutil
import tarfile
from pathlib import Path

import pytest

from tests.github import packages
from tests.github.packages import Package


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """A package as npm hands it over."""
    made = tmp_path / "x.tgz"
    with tarfile.open(made, "w:gz") as opened:
        member = tarfile.TarInfo("package/index.json")
        member.size = 2
        opened.addfile(member, io.BytesIO(b"[]"))
    return made


@pytest.fixture(autouse=True)
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "CACHE", tmp_path)


def package(sha512: str) -> Package:
    return Package("@interlock/none", "1.0.0", sha512, "package/index.json")


def test_the_pinned_archive_is_unpacked_once(archive: Path) -> None:
    pinned = package(base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode())
    packages._unpack(pinned, archive)
    assert packages.content(pinned) == []


def test_another_archive_than_the_pinned_one_fails_and_is_not_kept(archive: Path) -> None:
    with pytest.raises(AssertionError, match="not what was pinned"):
        packages._unpack(package("something else"), archive)
    assert not package("something else").cached.exists()


@pytest.mark.parametrize(("ci", "outcome"), [("", pytest.skip.Exception), ("true", pytest.fail.Exception)])
def test_without_npm_a_test_skips_and_in_ci_it_fails(
    monkeypatch: pytest.MonkeyPatch, ci: str, outcome: type[BaseException]
) -> None:
    monkeypatch.setenv("CI", ci)
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(outcome, match="npm, which fetches it, is not installed"):
        packages.content(package(f"without npm {ci}"))


@pytest.mark.slow
def test_a_package_that_npm_cannot_fetch_is_said_with_npms_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("npm_config_offline", "true")
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed")
    with pytest.raises(pytest.skip.Exception, match=r"npm could not fetch @interlock/none@1\.0\.0"):
        packages.content(package("unknown"))
