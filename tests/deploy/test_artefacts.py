"""What `deploy/` has for containers, systemd and Kubernetes: the commands of the Procfile, with no right too many."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import tomllib
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from tests.deploy.try_units import commands

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
UNITS = {
    "web": "interlock-web.service",
    "worker": "interlock-worker@.service",
    "beat": "interlock-beat.service",
}
#: What differs from machine to machine: where it writes, and how many threads.
HERE = {"--schedule": None, "--worker-tmp-dir": None, "--concurrency": "24"}


def command(text: str) -> list[str]:
    """A command without the places that differ."""
    words = shlex.split(text.replace("${INTERLOCK_WORKER_THREADS:-24}", "24"))
    words[0] = words[0].removeprefix("/opt/interlock/bin/")
    kept: list[str] = []
    skip = False
    for word in words:
        if not skip and word not in ("--schedule", "--worker-tmp-dir"):
            kept.append(word)
        skip = not skip and word in ("--schedule", "--worker-tmp-dir")
    return kept


def procfile() -> dict[str, list[str]]:
    lines = (ROOT / "Procfile").read_text("utf-8").splitlines()
    return {name: command(text) for name, _, text in (line.partition(": ") for line in lines)}


def pins(path: Path) -> dict[str, str]:
    return dict(re.findall(r"^([A-Za-z0-9_.-]+)(?:\[[^]]*\])?==([^ ;\\]+)", path.read_text("utf-8"), re.M))


def unit(name: str) -> str:
    return (DEPLOY / "systemd" / UNITS[name]).read_text("utf-8")


def manifests() -> list[dict[str, Any]]:
    files = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
    return [each for path in files for each in yaml.safe_load_all(path.read_text("utf-8")) if each]


def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))
    return loaded


@pytest.mark.parametrize("name", UNITS)
def test_each_way_runs_the_commands_of_the_procfile(name: str) -> None:
    wanted = procfile()[name]
    started = re.search(r"^ExecStart=(.*)$", unit(name), re.M)
    assert started is not None
    assert command(started[1]) == wanted
    image = re.findall(r"^CMD (\[.*\])$", (DEPLOY / "Containerfile").read_text("utf-8"), re.M)[-1]
    web = yaml.safe_load(image)
    in_compose = compose()["services"][name].get("command", web)
    assert command(shlex.join(in_compose)) == wanted
    (pod,) = [
        each
        for each in manifests()
        if "template" in each.get("spec", {}) and each["metadata"]["name"] == f"interlock-{name}"
    ]
    (container,) = pod["spec"]["template"]["spec"]["containers"]
    assert command(shlex.join(container.get("command", web))) == wanted


def test_the_lock_of_the_product_has_the_versions_that_are_tested_and_no_tool() -> None:
    product, whole = pins(DEPLOY / "requirements.lock"), pins(ROOT / "requirements.lock")
    assert product.items() <= whole.items(), "run `make lock`"
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    named = {re.split(r"[\[<>=~!; ]", each)[0].lower() for each in wanted["dependencies"]}
    assert named <= {name.lower() for name in product}
    assert not {"pytest", "mypy", "ruff", "playwright", "hypothesis", "responses"} & set(product)


@pytest.mark.parametrize("name", ["processes", "service", "disruption", "network"])
def test_the_manifests_are_valid_for_kubernetes(name: str) -> None:
    text = (DEPLOY / "kubernetes" / f"{name}.yaml").read_text("utf-8")
    for each in yaml.safe_load_all(text):
        if each:
            kubernetes_validate.validate(each, "1.30", strict=True)


def test_no_container_may_more_than_it_needs() -> None:
    pods = [each["spec"]["template"]["spec"] for each in manifests() if "template" in each.get("spec", {})]
    assert len(pods) == 3
    for pod in pods:
        (container,) = pod["containers"]
        rights = container["securityContext"]
        assert (rights["readOnlyRootFilesystem"], rights["allowPrivilegeEscalation"]) == (True, False)
        assert (rights["capabilities"], pod["securityContext"]["runAsNonRoot"]) == ({"drop": ["ALL"]}, True)
        assert (pod["automountServiceAccountToken"], pod["enableServiceLinks"]) == (False, False)
    for name, service in compose()["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name


def test_nobody_else_is_given_the_address_of_the_proxy() -> None:
    """Docker gives the lowest free one to whoever starts first, which is the store."""
    proxy = ip_address(compose()["services"]["proxy"]["networks"]["inside"]["ipv4_address"])
    (network,) = compose()["networks"]["inside"]["ipam"]["config"]
    assert proxy in ip_network(network["subnet"])
    assert proxy not in ip_network(network["ip_range"])
    assert compose()["services"]["web"]["environment"]["INTERLOCK_TRUSTED_PROXIES"] == str(proxy)


def test_the_kustomization_names_every_manifest() -> None:
    folder = DEPLOY / "kubernetes"
    named = yaml.safe_load((folder / "kustomization.yaml").read_text("utf-8"))["resources"]
    assert sorted(named) == sorted(path.name for path in folder.glob("*.yaml") if path.name != "kustomization.yaml")


def test_the_image_copies_all_that_the_wheel_holds() -> None:
    text = (DEPLOY / "Containerfile").read_text("utf-8")
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]["packages"]["find"]
    copied = set(re.findall(r"^COPY (\w+) \1$", text, re.M))
    assert {name.rstrip("*") for name in packages["include"]} <= copied
    assert "docs" in copied, "the pages of the documentation lie beside the packages, and are part of the wheel"
    assert re.search(r"^USER 10001:10001$", text, re.M)


def test_a_build_of_the_image_sees_what_it_copies_and_nothing_else() -> None:
    """A checkout may hold secrets (interlock.env) and state (.interlock)."""
    copied = re.findall(r"^COPY ((?!--from)[^\n]+) \S+$", (DEPLOY / "Containerfile").read_text("utf-8"), re.M)
    wanted = {name for names in copied for name in names.split()}
    lines = [
        line for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line and not line.startswith("#")
    ]
    assert lines[0] == "*"
    assert {line[1:] for line in lines if line.startswith("!")} == wanted


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed here")
@pytest.mark.parametrize("name", UNITS)
def test_systemd_finds_the_units_well_formed_and_hardened(name: str) -> None:
    path = DEPLOY / "systemd" / UNITS[name].replace("@.", "@1.")
    source = path if path.exists() else DEPLOY / "systemd" / UNITS[name]
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=20", str(source)],
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    checked = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(source)], capture_output=True, text=True, timeout=30, check=False
    )
    wrong = [line for line in checked.stderr.splitlines() if UNITS[name].partition("@")[0].partition(".")[0] in line]
    assert [line for line in wrong if "is not executable" not in line] == []


def test_the_trial_of_the_units_finds_its_commands_in_the_documentation() -> None:
    install, start = commands()
    assert install.splitlines()[-1] == "cp deploy/systemd/* /etc/systemd/system/"
    assert start == "systemctl daemon-reload && systemctl enable --now interlock.target"
