"""The address of a Redis: the one grammar that the settings check, and that clients and Celery are made from.

    redis://[user:password@]host[:port][/db]
    unix://[user:password@]/path/of/the/socket[?db=1]
    redis+sentinel://[user:password@]host[:port],host[:port],.../master[/db][?sentinel_password=...]

`rediss://` and `rediss+sentinel://` are the same over TLS. Imports nothing but the standard library, so that the
settings can be checked without a Redis client.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

SCHEMES = ("redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel")
#: Ports by default: of a Redis, of a sentinel.
REDIS_PORT, SENTINEL_PORT = 6379, 26379
_VERIFY = ("required", "none")
#: The options that name a file, and what redis-py and kombu call them as well (`redis.connection.SSLConnection`).
_FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
_TLS = (*_FILES, "ssl_cert_reqs", "ssl_check_hostname")
_HOST = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(?P<port>[0-9]{1,5}))?")
_MASTER = re.compile(r"[A-Za-z0-9._-]+")


class AddressError(ValueError):
    """A text is no address of a Redis. The message goes on after the name of the variable, and holds no secret."""


@dataclass(frozen=True, slots=True)
class SignIn:
    """Who we are there; the password is kept out of the printed form."""

    username: str | None = None
    password: str | None = field(default=None, repr=False)

    def options(self) -> dict[str, str]:
        """As redis-py wants it."""
        given = {"username": self.username, "password": self.password}
        return {name: value for name, value in given.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Address:
    """Where a Redis is, taken apart: at one of `hosts` or at a `socket`. With a `master`, the hosts are sentinels."""

    hosts: tuple[tuple[str, int], ...] = ()
    socket: str = ""
    #: What the sentinels call the group of servers that one of them is the master of.
    master: str = ""
    db: int = 0
    sign_in: SignIn = SignIn()
    sentinel_sign_in: SignIn = SignIn()
    #: redis-py's options of TLS by name; None: no TLS.
    tls: dict[str, Any] | None = None

    @property
    def files(self) -> dict[str, str]:
        """The files that TLS needs, by the option that names each."""
        return {name: str(self.tls[name]) for name in _FILES if self.tls and name in self.tls}


def parse(text: str) -> Address:
    """The address that `text` stands for. Raises AddressError with a sentence."""
    if any(not character.isprintable() or character.isspace() for character in text):
        raise AddressError("holds a blank, a line break or another character that no address has")
    scheme, middle, rest = text.partition("://")
    if not middle or not rest or scheme not in SCHEMES:
        raise AddressError(
            "is not the address of a Redis; expected one such as `redis://localhost:6379/0`, "
            "`unix:///run/redis.sock` or `redis+sentinel://host1:26379,host2:26379/mymaster`"
        )
    try:
        parts = urlsplit(text)
    except ValueError as error:  # brackets that do not match
        raise AddressError("is not the address of a Redis: its host is not one") from error
    if parts.fragment or text.endswith("#"):
        raise AddressError("holds a `#`; inside a password write `%23`")
    options = _options(parts)
    sentinel, secure = scheme.endswith("+sentinel"), scheme.startswith("rediss")
    sign_in, positions = _sign_in(parts.netloc)
    own = ("sentinel_username", "sentinel_password") if sentinel else ()
    _refuse_unknown(options, ("db", *own, *(_TLS if secure else ())), scheme)
    tls = _tls(options) if secure else None
    if scheme == "unix":
        if positions or parts.path in ("", "/"):
            raise AddressError("names no socket; expected an address such as `unix:///run/redis.sock`")
        return Address(socket=unquote(parts.path), db=_db("", options), sign_in=sign_in)
    path = [unquote(part) for part in parts.path.split("/")[1:] if part]
    master = _master(path) if sentinel else ""
    if len(path) > 1:
        raise AddressError("has a path that is too long; expected the number of the database at its end")
    hosts = _hosts(positions, SENTINEL_PORT if sentinel else REDIS_PORT)
    if len(hosts) > 1 and not sentinel:
        raise AddressError("names several hosts; expected one, or `redis+sentinel://` for sentinels")
    at_sentinels = SignIn(options.get("sentinel_username"), options.get("sentinel_password"))
    return Address(hosts, "", master, _db(path[0] if path else "", options), sign_in, at_sentinels, tls)


def _options(parts: SplitResult) -> dict[str, str]:
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    found = dict(pairs)
    if len(found) != len(pairs):
        raise AddressError("gives an option twice")
    return found


def _refuse_unknown(options: dict[str, str], valid: tuple[str, ...], scheme: str) -> None:
    for name, value in options.items():
        shown = name if re.fullmatch(r"[a-z_]{1,40}", name) else "…"
        if name not in valid:
            raise AddressError(
                f"has the option `{shown}`, which `{scheme}://` has not; expected one of "
                + ", ".join(f"`{each}`" for each in valid)
            )
        if not value:
            raise AddressError(f"gives the option `{shown}` no value")


def _sign_in(netloc: str) -> tuple[SignIn, str]:
    """Who signs in, and the hosts. Without a colon before the `@` it is a user's name, as redis-py has it."""
    who, at, positions = netloc.rpartition("@")
    if not at:
        return SignIn(), positions
    username, _, password = who.partition(":")
    return SignIn(unquote(username) or None, unquote(password) or None), positions


def _master(path: list[str]) -> str:
    """The name of the master, taken off the path."""
    if not path or not _MASTER.fullmatch(path[0]):
        raise AddressError(
            "does not say what the sentinels call the master; expected an address such as "
            "`redis+sentinel://host1:26379,host2:26379/mymaster`"
        )
    return path.pop(0)


def _hosts(positions: str, port: int) -> tuple[tuple[str, int], ...]:
    found: list[tuple[str, int]] = []
    for number, position in enumerate(positions.split(","), 1):
        match = _HOST.fullmatch(position)
        if match is None or int(match["port"] or port) not in range(1, 65536):
            raise AddressError(f"has a host, number {number}, that is not `host` or `host:port`")
        found.append((match["host"].strip("[]"), int(match["port"] or port)))
    if len(set(found)) != len(found):
        raise AddressError("names a host twice")
    return tuple(found)


def _db(in_path: str, options: dict[str, str]) -> int:
    given = options.get("db", in_path)
    if in_path and "db" in options:
        raise AddressError("gives the number of the database twice, in its path and as an option")
    if given and not re.fullmatch(r"[0-9]{1,4}", given):
        raise AddressError("has a database that is not a number")
    return int(given or 0)


def _tls(options: dict[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {name: options[name] for name in _FILES if name in options}
    verify = options.get("ssl_cert_reqs", "required")
    if verify not in _VERIFY:
        raise AddressError("has an `ssl_cert_reqs` that is not known; expected `required` or `none`")
    check = options.get("ssl_check_hostname", "true" if verify == "required" else "false").lower()
    if check not in ("true", "false"):
        raise AddressError("has an `ssl_check_hostname` that is not `true` or `false`")
    if ("ssl_keyfile" in found) != ("ssl_certfile" in found):
        raise AddressError("names one of `ssl_certfile` and `ssl_keyfile`; expected both or neither")
    return {**found, "ssl_cert_reqs": verify, "ssl_check_hostname": check == "true" and verify == "required"}
