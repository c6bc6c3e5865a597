"""What the product depends on: nothing under a licence that nobody has looked at; an audit that was none says so."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from demo.dependencies import NOT_AUDITED, PAGE, VULNERABLE, Package, audited, licence, packages, page

ROOT = Path(__file__).parents[1]


def test_every_licence_is_one_that_allows_what_ours_does() -> None:
    found = list(packages())
    assert len(found) > 50
    assert [each for each in found if not each.is_allowed] == []


def test_the_page_of_licences_is_that_of_the_lock() -> None:
    assert PAGE.read_text("utf-8") == page(), "run `make licences`"


@pytest.mark.parametrize(
    ("expression", "is_allowed"),
    [
        ("MIT", True),
        ("Apache-2.0 AND BSD-2-Clause", True),
        ("GPL-3.0-only OR MIT", True),
        ("MIT AND GPL-3.0-only", False),
        ("AGPL-3.0-only", False),
    ],
)
def test_a_licence_is_allowed_as_a_whole_or_by_choice(expression: str, is_allowed: bool) -> None:
    assert Package("some", "1", expression).is_allowed is is_allowed


def test_a_package_that_says_nothing_is_refused() -> None:
    with pytest.raises(LookupError, match="not installed here"):
        licence("interlock-of-somebody-else")


def test_an_audit_finds_what_is_known_and_does_not_take_silence_for_safety() -> None:
    known = {"id": "PYSEC-1", "aliases": ["CVE-1"], "fix_versions": ["3.1.6"]}
    answers = [
        {"name": "jinja2", "version": "3.1.2", "vulns": [known]},
        {"name": "click", "version": "8.5.1", "vulns": []},
        {"name": "six", "skip_reason": "not found"},
    ]
    found, skipped = audited(json.dumps({"dependencies": answers}))
    assert found == ["jinja2 3.1.2: PYSEC-1 (fixed in: 3.1.6)"]
    assert skipped == ["six"]


@pytest.mark.parametrize(
    ("ends_with", "required", "fails"),
    [(0, "", False), (VULNERABLE, "", True), (NOT_AUDITED, "", False), (NOT_AUDITED, "required", True)],
)
def test_a_build_machine_fails_for_a_vulnerability_and_where_an_audit_is_required(
    tmp_path: Path, ends_with: int, required: str, fails: bool
) -> None:
    """The lines of `.ci/run` about it, with an audit that ends so."""
    script = (ROOT / ".ci" / "run").read_text("utf-8")
    begin, end = 'wait "$auditor"', "status=$audit; fi\n"
    lines = script[script.index(begin) : script.index(end)] + end
    code = (
        f"set -euo pipefail\nstatus=0 audit=0 audited=/dev/null\n(exit {ends_with}) & auditor=$!\n{lines}exit $status\n"
    )
    env = {"PATH": os.environ["PATH"], "AUDIT": required}
    assert bool(subprocess.run(["bash", "-c", code], env=env, cwd=tmp_path, check=False).returncode) is fails
