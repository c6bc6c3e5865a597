"""Reads the Procfile: one process per line, `name: command`, with variables of the environment filled in."""

import re
import shlex
from collections.abc import Mapping
from pathlib import Path

from launch.errors import LaunchError

_LINE = re.compile(r"^(?P<name>[A-Za-z0-9_-]+):\s*(?P<command>\S.*)$")
_VARIABLE = re.compile(r"\$(?:\{(?P<braced>\w+)(?::-(?P<default>[^}]*))?\}|(?P<plain>\w+))")


def read_procfile(path: Path, env: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Return the command of every process, in the order of the file.

    No shell is involved: a value from the environment stays one word, whatever it contains.
    Raises LaunchError with the file and line of the first mistake.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as problem:
        raise LaunchError(f"The Procfile cannot be read: {problem}") from problem
    commands: dict[str, tuple[str, ...]] = {}
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        found = _LINE.match(line)
        if found is None:
            raise LaunchError(f"{path}:{number}: expected `name: command`, found {line!r}.")
        if found["name"] in commands:
            raise LaunchError(f"{path}:{number}: {found['name']!r} stands in this file twice.")
        try:
            commands[found["name"]] = expand(found["command"], env)
        except (LaunchError, ValueError) as problem:
            raise LaunchError(f"{path}:{number}: {problem}") from problem
    return commands


def expand(command: str, env: Mapping[str, str]) -> tuple[str, ...]:
    """Split a command as a shell would and fill in `$NAME`, `${NAME}` and `${NAME:-default}`.

    Raises LaunchError for a variable that is not set and has no default.
    """

    def value(found: re.Match[str]) -> str:
        name = found["braced"] or found["plain"]
        given = env.get(name)
        if given or (given is not None and found["default"] is None):
            return given
        if found["default"] is not None:
            return found["default"]
        raise LaunchError(f"the variable {name} is not set.")

    return tuple(_VARIABLE.sub(value, word) for word in shlex.split(command))
