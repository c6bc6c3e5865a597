"""`python -m standins.github --port N --config file.json`: one GitHub stand-in; prints {"url": ...} when ready."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from standins.github.server import GitHubStandIn
from standins.running import announce, until_stopped


def main() -> None:
    parser = argparse.ArgumentParser(prog="standins.github", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0: any free port")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--config", type=Path, help="a JSON file with the arguments of GitHubStandIn")
    arguments = parser.parse_args()
    config = json.loads(arguments.config.read_text()) if arguments.config is not None else {}
    with GitHubStandIn(**{"host": arguments.host, "port": arguments.port, **config}) as stand_in:
        announce({"url": stand_in.url})
        until_stopped()


if __name__ == "__main__":
    main()
