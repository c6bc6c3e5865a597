"""The base class of the file's sections, and the kinds of values in them: names, durations, addresses, Jenkins jobs.

Each kind has its own message for invalid values.
"""

from __future__ import annotations

import re
from ipaddress import ip_network
from typing import Annotated, Any, NoReturn
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

from bot.core.access import COMMANDS
from config.errors import Mistake, nearest, one_of, shown

NAME = r"^[a-z0-9][a-z0-9-]{0,62}$"
SERVICE = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"
REPOSITORY = r"^[A-Za-z0-9_.-]{1,100}/[A-Za-z0-9_.-]{1,100}$"
TEAM = r"^[A-Za-z0-9][A-Za-z0-9-]{0,38}/[a-z0-9][a-z0-9_-]{0,99}$"
HEADER = r"^[A-Za-z][A-Za-z0-9-]{0,62}$"
PERSON = r"^(github:)?[A-Za-z0-9][A-Za-z0-9._@-]{0,62}$"
CONTEXT = r"^[A-Za-z0-9][A-Za-z0-9._/ -]{0,62}$"
DURATION = r"^[1-9][0-9]{0,8}[smhd]$"
DURATION_OR_OFF = r"^(off|[1-9][0-9]{0,8}[smhd])$"
SPACING = r"^(0s|[1-9][0-9]{0,8}[smhd])$"
URL = r"^https?://[^\s/?#@]+(/[^\s?#]*)?$"
#: The path is part of every link as it is, so only characters that need no escaping anywhere are allowed.
SITE = r"^https?://[^\s/?#@]+(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*/?$"
#: The first path segments of Interlock's own addresses. If `public_url` began with one of them, a proxy that strips the
#: path could not tell the two apart.
OWN_PATHS = frozenset(
    ["api", "docs", "find", "healthz", "metrics", "p", "readyz", "sign-in", "sign-out", "static", "webhooks"]
)
#: `controller: full/job/name`
JOB = r"^\s*[a-z0-9][a-z0-9-]{0,62}\s*:\s*\S.*$"

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION_WORDS = "a number and a unit (s, m, h or d), as in `90s`, `25m` or `3d`"
# Jenkins: jenkins.model.Jenkins#checkGoodName, without `%`, which occurs in the names of branch jobs (`a%2Fb`).
_UNSAFE_IN_JOB = set("?*\\!@#$^&|<>[]:;")
# git-check-ref-format(1)
_BAD_BRANCH = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|^/|/$|\.$|\.lock$")


class FileSection(BaseModel):
    """A mapping of the file: no unknown keys, immutable."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
        # Defaults are in Python's terms (seconds), so they need no validation.
        validate_default=False,
        field_title_generator=lambda name, _: name.replace("_", " ").capitalize(),
    )


def fields_of(section: type[BaseModel]) -> dict[str, FieldInfo]:
    """Return the fields of a section by their keys in the file; keys that are words of Python have an alias."""
    return {field.alias or name: field for name, field in section.model_fields.items()}


def refuse(what: str, expected: str | None = None, meant: str | None = None) -> NoReturn:
    """Report a mistake through pydantic, which then goes on to look for others."""
    context: dict[str, Any] = {"mistake": Mistake(what, expected, meant)}
    raise PydanticCustomError("mistake", "{mistake}", context)


def text(value: object, expected: str) -> str:
    """Return `value` if it is text; for numbers and truth values, refuse it and suggest quotes."""
    if isinstance(value, str):
        return value
    hint = "; put it in quotes" if isinstance(value, int) else ""
    refuse(f"{shown(value)} is not text", expected + hint)


def duration(value: object) -> float:
    """Return a duration such as `90s`, `25m`, `2h` or `3d` in seconds. A number without a unit is refused."""
    if isinstance(value, int) and not isinstance(value, bool):
        refuse(f"{shown(value)} has no unit", _DURATION_WORDS, f"{value}s" if value > 0 else None)
    if not isinstance(value, str) or not re.fullmatch(DURATION, value):
        refuse(f"{shown(value)} is not a duration", _DURATION_WORDS)
    return float(int(value[:-1]) * _SECONDS[value[-1]])


def spacing(value: object) -> float:
    """Return a duration in seconds; `0s` means none."""
    return 0.0 if value == "0s" else duration(value)


def duration_or_off(value: object) -> float | None:
    """Return a duration in seconds, or None for `off`."""
    return None if value == "off" else duration(value)


def written(seconds: float) -> str:
    """Return a duration in the file's notation, in the largest unit that fits: `2m` for 120.0."""
    unit = next(u for u, size in reversed(_SECONDS.items()) if seconds % size == 0) if seconds else "s"
    return f"{int(seconds) // _SECONDS[unit]}{unit}"


def between(least: str, most: str) -> AfterValidator:
    """Return a check of durations against two bounds in the file's notation, both allowed."""

    def check(value: float | None) -> float | None:
        if value is not None and not spacing(least) <= value <= duration(most):
            refuse("the duration is out of range", f"{least} to {most}")
        return value

    return AfterValidator(check)


def _matching(pattern: str, kind: str, words: str) -> BeforeValidator:
    def check(value: object) -> str:
        name = text(value, words)
        if not re.fullmatch(pattern, name):
            joined = name.strip().replace(" ", "-")
            tries = (joined, joined.lower(), joined.lower().replace("_", "-"))
            better = next((each for each in tries if re.fullmatch(pattern, each)), None)
            refuse(f"{shown(name)} is not {kind}", words, better)
        return name

    return BeforeValidator(check)


def url(value: object) -> str:
    """Return an http or https address without a trailing slash.

    Credentials and queries are refused. Messages do not repeat the address.
    """
    words = "an address such as `https://ci.example.com/jenkins`"
    address = text(value, words)
    if "@" in address:
        refuse("the address holds credentials", f"{words}; secrets come from the environment")
    if not re.fullmatch(URL, address):
        refuse("this is not an address", words)
    try:
        _ = urlsplit(address).port
    except ValueError:
        refuse("this is not an address", words)
    return address.rstrip("/")


def site(value: object) -> str:
    """Return the address of Interlock itself: that of a host, or of a path on one."""
    address = url(value)
    if not re.fullmatch(SITE, address):
        words = "names of letters, digits, `.`, `_`, `~` and `-`, as in `https://ci.example.com/interlock`"
        refuse("the path of the address is not plain", words)
    first = urlsplit(address).path.split("/")[1:2]
    if OWN_PATHS.intersection(first):
        refuse(f"the path of the address begins with {shown(first[0])}, as pages of Interlock do", "another one")
    return address


def controller_name(value: str) -> str:
    """Return a controller's name; one that would clash with the variable of its token is refused."""
    if value.endswith("-file"):
        refuse(
            f"{shown(value)} ends with `-file`",
            "another name: `..._FILE` variables name files that hold secrets",
        )
    return value


def branch(value: object) -> str:
    """Return the short name of a git branch."""
    words = "the name of a branch, such as `main`"
    name = text(value, words)
    if name.startswith("refs/heads/"):
        refuse(f"{shown(name)} is a full ref", words, name.removeprefix("refs/heads/"))
    if not 0 < len(name) <= 255 or name.startswith("-") or _BAD_BRANCH.search(name):
        refuse(f"{shown(name)} is not a branch", words)
    return name


def split_job(value: object) -> dict[str, str] | None:
    """Split `controller: full/job/name` into its two parts; None for anything else."""
    if not isinstance(value, str) or not re.fullmatch(JOB, value):
        return None
    controller, name = value.split(":", 1)
    return {"controller": controller.strip(), "name": name.strip()}


def job_name(value: object) -> str:
    """Return a Jenkins job's full name: names separated by `/`, without the `job/` of addresses."""
    words = "the full name of the job, such as `shop/build`"
    name = text(value, words)
    parts = name.split("/")
    if len(parts) % 2 == 0 and set(parts[::2]) == {"job"}:
        refuse(f"{shown(name)} is a piece of an address", words, "/".join(parts[1::2]))
    if len(name) > 255 or any(not _good_job_part(part) for part in parts):
        refuse(f"{shown(name)} is not the name of a Jenkins job", words)
    return name


def _good_job_part(part: str) -> bool:
    return part.strip() not in ("", ".", "..") and part.isprintable() and not _UNSAFE_IN_JOB & set(part)


def whole(least: int, most: int) -> BeforeValidator:
    """Return a parser of whole numbers between two bounds, both allowed."""
    words = f"a whole number from {least} to {most}"

    def check(value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            refuse(f"{shown(value)} is not a whole number", words)
        if not least <= value <= most:
            refuse(f"{shown(value)} is out of range", words)
        return value

    return BeforeValidator(check)


def capacity(value: object) -> int | None:
    """Return a number of runs from 1 to 1000, or None for `unlimited`."""
    if value == "unlimited":
        return None
    words = "a whole number from 1 to 1000, or `unlimited`"
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 1000:
        return value
    refuse(f"{shown(value)} is not a capacity", words)


def switch(value: object) -> bool:
    """Return `true` or `false`; anything else is refused."""
    if not isinstance(value, bool):
        refuse(f"{shown(value)} does not belong here", "`true` or `false`")
    return value


def commands(value: object) -> tuple[str, ...]:
    """Return the listed commands; `all` and `none` stand for all and none of them."""
    if value in ("all", "none"):
        return tuple(COMMANDS) if value == "all" else ()
    if not isinstance(value, list | tuple) or not value:
        refuse(f"{shown(value)} is not a list of commands", f"`all`, `none`, or a list of {one_of(COMMANDS)}")
    for each in value:
        if not isinstance(each, str) or each not in COMMANDS:
            refuse(f"there is no command {shown(each)}", one_of(COMMANDS), nearest(str(each), COMMANDS))
    return tuple(name for name in COMMANDS if name in value)


def integer(least: int, most: int) -> WithJsonSchema:
    """Return the schema of the values that `whole` accepts, for editors."""
    return WithJsonSchema({"type": "integer", "minimum": least, "maximum": most})


def network(value: object) -> str:
    """Return an address or a network, such as `10.0.0.0/8`.

    The network of all addresses is refused, because it would trust everybody.
    """
    words = "an address or a network, such as `10.0.0.7` or `10.0.0.0/8`"
    written = text(value, words)
    try:
        found = ip_network(written)
    except ValueError:
        refuse(f"{shown(written)} is not an address", words)
    if found.prefixlen == 0:
        refuse(f"{shown(written)} is the network of all addresses", "the addresses of the proxy alone")
    return written


def _text_schema(pattern: str, *examples: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": pattern, "examples": list(examples)})


_NAME_WORDS = "lower-case letters, digits and `-`, at most 63, as in `pre-production`"

Duration = Annotated[float, BeforeValidator(duration), _text_schema(DURATION, "90s", "25m", "3d")]
DurationOrOff = Annotated[float | None, BeforeValidator(duration_or_off), _text_schema(DURATION_OR_OFF, "15m", "off")]
Spacing = Annotated[float, BeforeValidator(spacing), _text_schema(SPACING, "1s", "0s")]
Name = Annotated[str, _matching(NAME, "a name", _NAME_WORDS), _text_schema(NAME, "pre-production")]
ControllerName = Annotated[
    str, AfterValidator(controller_name), _matching(NAME, "a name", _NAME_WORDS), _text_schema(NAME, "build")
]
ServiceName = Annotated[
    str,
    _matching(SERVICE, "a name", "letters, digits, `.`, `_` and `-`, at most 63, as in `S1`"),
    _text_schema(SERVICE, "S1"),
]
Repository = Annotated[
    str,
    _matching(REPOSITORY, "a repository", "`owner/name`, as in `shop/s1`"),
    _text_schema(REPOSITORY, "shop/s1"),
]
TeamName = Annotated[
    str,
    _matching(TEAM, "a team", "`organization/team`, the team as in its address, as in `shop/release-managers`"),
    _text_schema(TEAM, "shop/release-managers"),
]
PersonName = Annotated[
    str,
    _matching(PERSON, "a name", "the name of a token or of a person, or `github:` and a login, as in `github:kim`"),
    _text_schema(PERSON, "alex", "github:kim"),
]
HeaderName = Annotated[
    str,
    _matching(HEADER, "the name of a header", "letters, digits and `-`, as in `X-Forwarded-User`"),
    _text_schema(HEADER, "X-Forwarded-User"),
]
NetworkText = Annotated[str, BeforeValidator(network), WithJsonSchema({"type": "string", "examples": ["10.0.0.0/8"]})]
ContextPrefix = Annotated[
    str,
    _matching(CONTEXT, "a prefix", "letters, digits, `.`, `_`, `-` and `/`, at most 63, as in `interlock`"),
    _text_schema(CONTEXT, "interlock"),
]
Url = Annotated[str, BeforeValidator(url), _text_schema(URL, "https://ci.example.com/jenkins")]
Site = Annotated[str, BeforeValidator(site), _text_schema(SITE, "https://interlock.example.com")]
Branch = Annotated[str, BeforeValidator(branch), WithJsonSchema({"type": "string", "minLength": 1, "maxLength": 255})]
JobName = Annotated[
    str, BeforeValidator(job_name), WithJsonSchema({"type": "string", "minLength": 1, "maxLength": 255})
]
Capacity = Annotated[
    int | None,
    BeforeValidator(capacity),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1, "maximum": 1000}, {"const": "unlimited"}]}),
]
Plain = Annotated[
    str,
    BeforeValidator(lambda value: text(value, "text")),
    Field(min_length=1, max_length=255),
]

Switch = Annotated[bool, BeforeValidator(switch), WithJsonSchema({"type": "boolean"})]
Retries = Annotated[int, whole(0, 10), integer(0, 10)]
Hour = Annotated[int, whole(0, 23), integer(0, 23)]
Kept = Annotated[int, whole(1, 1_000_000), integer(1, 1_000_000)]
Mebibytes = Annotated[int, whole(1, 4096), integer(1, 4096)]
FastCapacity = Annotated[int, whole(1, 1000), integer(1, 1000)]
Commands = Annotated[
    tuple[str, ...],
    BeforeValidator(commands),
    WithJsonSchema(
        {
            "anyOf": [
                {"const": "all"},
                {"const": "none"},
                {"type": "array", "minItems": 1, "items": {"enum": list(COMMANDS)}},
            ]
        }
    ),
]


# -- in the JSON Schema ----------------------------------------------------------------------------------------------


def as_written(node: Any) -> Any:
    """Return pydantic's JSON Schema in the file's own terms.

    Defaults are in the file's notation (`10s`, not 10.0), and null, which the file cannot have, is left out.
    """
    if isinstance(node, list):
        return [as_written(item) for item in node]
    if not isinstance(node, dict):
        return node
    made = {key: as_written(value) for key, value in node.items()}
    choices = made.get("anyOf", ())
    if {"type": "null"} in choices:
        del made["anyOf"]
        made = {**choices[0], **made}
    if "patternProperties" in made:  # a mapping with free names: other names are wrong
        made["additionalProperties"] = False
        made.pop("propertyNames", None)
    if "default" in made:
        made["default"] = _default(made)
        if made["default"] is None or _has_section(made["default"]):  # a section has its own defaults
            del made["default"]
    for name, key in made.get("properties", {}).items():  # pydantic leaves out titles that the section repeats
        key.setdefault("title", name.replace("_", " ").capitalize())
    return made


def _has_section(default: Any) -> bool:
    return isinstance(default, dict) or (isinstance(default, list) and any(map(_has_section, default)))


def _default(key: dict[str, Any]) -> Any:
    value = key["default"]
    if key.get("pattern") in (DURATION, DURATION_OR_OFF, SPACING) and value is not None:
        return written(value)
    if {"const": "all"} in key.get("anyOf", ()):
        return "all"
    return "unlimited" if {"const": "unlimited"} in key.get("anyOf", ()) else value
