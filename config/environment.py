"""Reads INTERLOCK_ variables, a secret also from the file that `<NAME>_FILE` names; never repeats a value."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import PydanticBaseSettingsSource

PREFIX = "INTERLOCK_"
TOKEN_PREFIX = "INTERLOCK_JENKINS_TOKEN_"  # noqa: S105  the beginning of a name
_FILE = "_FILE"

#: A secret file larger than this is some other file.
MOST_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Given:
    """What the environment says for one setting: the variable to name in a message, and its text or its mistake."""

    variable: str
    text: str = field(default="", repr=False)
    mistake: str = ""


class Environment(PydanticBaseSettingsSource):
    """Settings from the environment; names are as written, in upper case."""

    #: The settings that hold a secret.
    secrets: frozenset[str] = frozenset()

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """What the environment says for `field_name`, or None; part of pydantic-settings' interface."""
        if field_name == "jenkins_tokens":
            return _jenkins_tokens() or None, field_name, False
        return given(PREFIX + field_name.upper(), secret=field_name in self.secrets), field_name, False

    def __call__(self) -> dict[str, Any]:
        """Everything the environment says."""
        values = {n: self.get_field_value(f, n)[0] for n, f in self.settings_cls.model_fields.items()}
        return {name: value for name, value in values.items() if value is not None}


def given(variable: str, *, secret: bool) -> Given | None:
    """The text of `variable`, or for a secret of the file that `<variable>_FILE` names; None if not set."""
    text = os.environ.get(variable)
    if secret and variable + _FILE in os.environ:
        if text is not None:
            return Given(variable, mistake=f"and {variable}{_FILE} are both set; expected one of them")
        return _from_file(variable + _FILE)
    if text is None:
        return None
    if not text.strip():
        return Given(variable, mistake="is empty; expected a value, or the variable not set")
    return Given(variable, text)


def _from_file(variable: str) -> Given:
    """The text of a secret file without the line break at its end. The path is not repeated: it may be the secret."""
    try:
        with Path(os.environ[variable]).open("rb") as stream:
            raw = stream.read(MOST_BYTES + 1)
        text = raw.decode()
    except OSError as error:
        return Given(variable, mistake=f"names a file that cannot be read ({error.strerror})")
    except ValueError:  # not UTF-8, or a path with a null character
        return Given(variable, mistake="names a file that is not UTF-8 text")
    if len(raw) > MOST_BYTES:
        return Given(variable, mistake=f"names a file of more than {MOST_BYTES // 1024} KiB")
    if not text.strip():
        return Given(variable, mistake="names an empty file")
    return Given(variable, text.rstrip("\r\n"))


def _jenkins_tokens() -> dict[str, Given]:
    """What is set for each controller, by its name as variables have it: `PRE_CDP` for `pre-cdp`."""
    names = {n.removesuffix(_FILE) for n in os.environ if n.startswith(TOKEN_PREFIX)}
    found = {name: given(name, secret=True) for name in sorted(names) if name != TOKEN_PREFIX}
    return {name.removeprefix(TOKEN_PREFIX): value for name, value in found.items() if value is not None}
