"""`python -m standins --config world.json`: several Jenkins controllers and one GitHub in one process.

The file: {"jenkins": {"build": {"settings": {...}, "jobs": [...], "port": 0}, ...}, "github": {"repos": [...]}}.
Prints one JSON line with the URLs when ready; stops on SIGTERM or SIGINT.
"""

from __future__ import annotations

import argparse
import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from standins.github import GitHubStandIn
from standins.jenkins import JenkinsStandIn
from standins.running import announce, until_stopped


def main() -> None:
    parser = argparse.ArgumentParser(prog="standins", description=__doc__)
    parser.add_argument("--config", type=Path, help="a JSON file; without it: one empty Jenkins, one empty GitHub")
    arguments = parser.parse_args()
    config: dict[str, Any] = {"jenkins": {"build": {}}, "github": {}}
    if arguments.config is not None:
        config = json.loads(arguments.config.read_text())
    with ExitStack() as running:
        controllers = {name: JenkinsStandIn(**one) for name, one in config.get("jenkins", {}).items()}
        urls: dict[str, Any] = {"jenkins": {n: running.enter_context(one).url for n, one in controllers.items()}}
        if "github" in config:
            urls["github"] = running.enter_context(GitHubStandIn(**config["github"])).url
        announce(urls)
        until_stopped()


if __name__ == "__main__":
    main()
