"""Parse the address of a Redis or a RabbitMQ: one grammar for the check of the settings and for the clients.

    redis://[user:password@]host[:port][/db]
    unix://[user:password@]/path/of/the/socket[?db=1]
    redis+sentinel://[user:password@]host[:port],host[:port],.../master[/db][?sentinel_password=...]
    redis+cluster://[user:password@]host[:port],host[:port],...

    amqp://[user:password@]host[:port],host[:port],...[/virtual-host]

`rediss://`, `rediss+sentinel://`, `rediss+cluster://` and `amqps://` are the same over TLS. This module connects to
nothing and imports only the standard library, so that the settings can be checked without a client.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

SCHEMES = ("redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster")
RABBIT_SCHEMES = ("amqp", "amqps")
#: Default ports of a Redis, of a sentinel, and of RabbitMQ without and with TLS.
REDIS_PORT, SENTINEL_PORT, AMQP_PORT, AMQPS_PORT = 6379, 26379, 5672, 5671
_VERIFY = ("required", "none")
#: The options that name a file. redis-py and kombu use the same names (`redis.connection.SSLConnection`).
_FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
_TLS = (*_FILES, "ssl_cert_reqs", "ssl_check_hostname")
_HOST = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(?P<port>[0-9]{1,5}))?")
_MASTER = re.compile(r"[A-Za-z0-9._-]+")


class AddressError(ValueError):
    """A text that is not such an address. The message continues a sentence that begins with the name of the
    variable, and contains no secret."""


@dataclass(frozen=True, slots=True)
class SignIn:
    """The credentials for a server; `repr` omits the password."""

    username: str | None = None
    password: str | None = field(default=None, repr=False)

    def options(self) -> dict[str, str]:
        """Return the credentials as keyword arguments of redis-py."""
        given = {"username": self.username, "password": self.password}
        return {name: value for name, value in given.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Address:
    """The parsed address of a Redis, which listens at one of `hosts` or at a `socket`.

    If `master` is set, the hosts are sentinels; if `cluster` is set, they are some of the servers of a cluster.
    """

    hosts: tuple[tuple[str, int], ...] = ()
    socket: str = ""
    #: The name by which the sentinels know the master and its replicas.
    master: str = ""
    db: int = 0
    sign_in: SignIn = SignIn()
    sentinel_sign_in: SignIn = SignIn()
    #: redis-py's TLS options by name; None: no TLS.
    tls: dict[str, Any] | None = None
    cluster: bool = False

    @property
    def files(self) -> dict[str, str]:
        """The files that TLS needs, by option name."""
        return _files(self.tls)


@dataclass(frozen=True, slots=True)
class RabbitAddress:
    """The parsed address of a RabbitMQ: the servers of one cluster, or a single server."""

    hosts: tuple[tuple[str, int], ...]
    virtual_host: str = "/"
    sign_in: SignIn = SignIn()
    #: The TLS options by redis-py's names; None: no TLS.
    tls: dict[str, Any] | None = None

    @property
    def files(self) -> dict[str, str]:
        """The files that TLS needs, by option name."""
        return _files(self.tls)


def parse_broker(text: str) -> Address | RabbitAddress:
    """Parse the address of Celery's broker. Raises AddressError, whose message says what is wrong."""
    if text.partition("://")[0] in RABBIT_SCHEMES:
        return _parse_rabbit(text)
    found = parse(text)
    if found.cluster:
        raise AddressError(
            "is a Redis Cluster, which Celery cannot use; expected RabbitMQ (`amqp://`), or a Redis that is no cluster"
        )
    return found


def _parse_rabbit(text: str) -> RabbitAddress:
    scheme, parts = _split(text, RABBIT_SCHEMES, "is not the address of RabbitMQ; expected one such as `amqp://host`")
    secure, options = scheme == "amqps", _options(parts)
    _refuse_unknown(options, _TLS if secure else (), scheme)
    sign_in, positions = _sign_in(parts.netloc)
    path = parts.path.removeprefix("/")
    if "/" in path:
        raise AddressError("has a path that is too long; expected one virtual host, with `%2F` for a `/` in its name")
    hosts = _hosts(positions, AMQPS_PORT if secure else AMQP_PORT)
    return RabbitAddress(hosts, unquote(path) or "/", sign_in, _tls(options) if secure else None)


def parse(text: str) -> Address:
    """Parse the address of a Redis. Raises AddressError, whose message says what is wrong."""
    scheme, parts = _split(
        text,
        SCHEMES,
        "is not the address of a Redis; expected one such as `redis://localhost:6379/0`, `unix:///run/redis.sock`, "
        "`redis+sentinel://host1:26379,host2:26379/mymaster` or `redis+cluster://host1:6379,host2:6379`",
    )
    options = _options(parts)
    sentinel, cluster = scheme.endswith("+sentinel"), scheme.endswith("+cluster")
    secure = scheme.startswith("rediss")
    sign_in, positions = _sign_in(parts.netloc)
    own = ("sentinel_username", "sentinel_password") if sentinel else ()
    _refuse_unknown(options, (*(() if cluster else ("db",)), *own, *(_TLS if secure else ())), scheme)
    tls = _tls(options) if secure else None
    if scheme == "unix":
        if positions or parts.path in ("", "/"):
            raise AddressError("names no socket; expected an address such as `unix:///run/redis.sock`")
        return Address(socket=unquote(parts.path), db=_db("", options), sign_in=sign_in)
    path = [unquote(part) for part in parts.path.split("/")[1:] if part]
    master = _master(path) if sentinel else ""
    if cluster and path:
        raise AddressError("has a path; a cluster has no databases, expected nothing behind its hosts")
    if len(path) > 1:
        raise AddressError("has a path that is too long; expected the number of the database at its end")
    hosts = _hosts(positions, SENTINEL_PORT if sentinel else REDIS_PORT)
    if len(hosts) > 1 and not sentinel and not cluster:
        raise AddressError(
            "names several hosts; expected one, `redis+sentinel://` for sentinels, or `redis+cluster://` for a cluster"
        )
    at_sentinels = SignIn(options.get("sentinel_username"), options.get("sentinel_password"))
    return Address(hosts, "", master, _db(path[0] if path else "", options), sign_in, at_sentinels, tls, cluster)


def _split(text: str, schemes: tuple[str, ...], otherwise: str) -> tuple[str, SplitResult]:
    """Split an address into its scheme and its parts. Raises AddressError, with `otherwise` for an unknown scheme."""
    if any(not character.isprintable() or character.isspace() for character in text):
        raise AddressError("holds a blank, a line break or another character that no address has")
    scheme, middle, rest = text.partition("://")
    if not middle or not rest or scheme not in schemes:
        raise AddressError(otherwise)
    try:
        parts = urlsplit(text)
    except ValueError as error:  # brackets that do not match
        raise AddressError("is not an address: its host is not valid") from error
    if parts.fragment or text.endswith("#"):
        raise AddressError("holds a `#`; inside a password write `%23`")
    return scheme, parts


def _files(tls: dict[str, Any] | None) -> dict[str, str]:
    return {name: str(tls[name]) for name in _FILES if tls and name in tls}


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
                f"has the option `{shown}`, which `{scheme}://` does not have; expected "
                + ("one of " + ", ".join(f"`{each}`" for each in valid) if valid else "none")
            )
        if not value:
            raise AddressError(f"gives the option `{shown}` no value")


def _sign_in(netloc: str) -> tuple[SignIn, str]:
    """Split off the credentials and return the hosts as text. Text before the `@` without a colon is a user name, as
    in redis-py."""
    who, at, positions = netloc.rpartition("@")
    if not at:
        return SignIn(), positions
    username, _, password = who.partition(":")
    return SignIn(unquote(username) or None, unquote(password) or None), positions


def _master(path: list[str]) -> str:
    """Remove the name of the master from the path and return it."""
    if not path or not _MASTER.fullmatch(path[0]):
        raise AddressError(
            "does not name the master of the sentinels; expected an address such as "
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
