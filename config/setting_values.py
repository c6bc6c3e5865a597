"""Parses the text of environment variables: lists of secrets, `who:token` pairs, `name=address` pairs, `host:port`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from bot.store.address import Address, AddressError, RabbitAddress, parse_broker
from bot.store.address import parse as parse_address
from config import values as v
from config.errors import nearest, one_of, shown
from config.placeholders import is_secret_address

_WHO = r"[A-Za-z0-9][A-Za-z0-9._@-]{0,62}"
#: The minimum length of a secret made for Interlock, and its minimum number of different characters.
LEAST_OF_OURS, DIFFERENT = 16, 5
#: The minimum length of a secret made by GitHub or Jenkins (theirs have 34 and more), or of a password in its place.
LEAST_FROM_ELSEWHERE = 4
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
FORMATS = ("json", "text")
Network = IPv4Network | IPv6Network


class InvalidValueError(Exception):
    """Raised when the text of a variable is not valid.

    The message continues a sentence that begins with the variable's name.
    """


def parse(setting: str, text: str) -> Any:
    """Return the value of `setting` that `text` stands for.

    Raises InvalidValueError, whose message holds no secret.
    """
    parser = _PARSERS.get(setting)
    return text if parser is None else parser(text)


def secret(text: str) -> str:
    """Return a secret that is one line of printable characters."""
    if not text.isprintable():
        raise InvalidValueError("holds a line break or another character that no secret has")
    return text


def _secret_parser(least: int, different: int, whose: str) -> Callable[[str], str]:
    """Return a parser that rejects secrets that are easy to guess; `whose`: where to get a better one."""

    def check(text: str) -> str:
        found = secret(text.strip())
        if len(found) < least or len(set(found)) < different:
            raise InvalidValueError(
                f"holds a secret that is easy to guess; expected at least {least} characters, {different} of them "
                f"different, {whose}"
            )
        return found

    return check


_own_secret = _secret_parser(LEAST_OF_OURS, DIFFERENT, "for example from `openssl rand -hex 32`")
_foreign_secret = _secret_parser(LEAST_FROM_ELSEWHERE, 2, "as Jenkins or GitHub gives them")


def _app_id(text: str) -> str:
    found = text.strip()
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", found):
        raise InvalidValueError("is not the id of a GitHub App; expected a number such as `123456`, or its client id")
    return found


def _private_key(text: str) -> str:
    """Return the PEM text of a key; in a variable its lines may be joined by `\\n`."""
    pem = text.replace("\\n", "\n").strip() + "\n"
    try:
        key = load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, RSAPrivateKey):
        raise InvalidValueError("holds no RSA private key in PEM form; expected the file that GitHub made for the App")
    return pem


def _one_or_two_secrets(text: str) -> tuple[str, ...]:
    if any(not part.strip() for part in text.split(",")):
        raise InvalidValueError(
            "has nothing before or after a comma; expected one secret, or two with a comma between them"
        )
    found = tuple(_own_secret(part) for part in _parts(text, r"[,\n]"))
    if len(found) not in (1, 2):
        raise InvalidValueError(f"holds {len(found)} secrets; expected one, or two while they are being changed")
    return found


#: The characters that may stand unescaped in the path of an address and before its `@`, except `$` (RFC 3986: `pchar`,
#: `userinfo`).
_SENDABLE = re.compile(r"[A-Za-z0-9._~!&'()*+;=:-]*")


def _callback_secrets(text: str) -> tuple[str, ...]:
    """Return secrets that are part of an address, which Jenkins' notification plugin sends as it is written.

    The plugin reads `$` as a variable and then sends nothing at all. It does not decode a percent-encoded password in
    an address (seen with its release 1.19), so an encoded secret would not match.
    """
    found = _one_or_two_secrets(text)
    for each in found:
        if not _SENDABLE.fullmatch(each):
            raise InvalidValueError(
                "holds a character that Jenkins' notification plugin cannot send in an address, such as `$`, `/`, `@`, "
                "`%` or a blank; expected letters, digits, `-`, `_` and the like, as `openssl rand -hex 32` makes them"
            )
    return found


def _api_tokens(text: str) -> dict[str, str]:
    tokens = _pairs(text, r"[,\n]", ":", _WHO, "`who:token`")
    for token in tokens.values():
        _own_secret(token)
    if len(set(tokens.values())) != len(tokens):
        raise InvalidValueError("gives the same token to two people; expected one of their own for each")
    return tokens


def _notify_urls(text: str) -> dict[str, str]:
    addresses = _pairs(text, r"\s", "=", v.NAME.strip("^$"), "`channel=address`")
    for name, address in addresses.items():
        if not re.match(r"[A-Za-z][A-Za-z0-9+.-]*://.", address):
            raise InvalidValueError(f"holds no address for `{name}`; expected one such as `slack://...`")
        if is_secret_address(address):
            raise InvalidValueError(f"holds a placeholder for `{name}`; expected its real address")
    return addresses


def _pairs(text: str, separator: str, joint: str, name: str, form: str) -> dict[str, str]:
    """Return the `name<joint>value` entries.

    A message identifies a wrong entry by its number and does not quote it, because it may be a bare secret.
    """
    found: dict[str, str] = {}
    for number, part in enumerate(_parts(text, separator), 1):
        left, middle, right = (piece.strip() for piece in part.partition(joint))
        if not middle or not right or not re.fullmatch(name, left):
            raise InvalidValueError(f"has an entry, number {number}, that is not {form}")
        if left in found:
            raise InvalidValueError(f"names `{left}` twice")
        found[left] = secret(right)
    if not found:
        raise InvalidValueError(f"holds nothing; expected {form}")
    return found


def _parts(text: str, separator: str) -> list[str]:
    return [part.strip() for part in re.split(separator, text) if part.strip()]


def _address(parser: Callable[[str], Address | RabbitAddress]) -> Callable[[str], str]:
    """Return a parser for an address that `parser` accepts and whose files exist."""

    def check(text: str) -> str:
        try:
            found = parser(text)
        except AddressError as error:
            raise InvalidValueError(str(error)) from error
        for option, path in found.files.items():
            if not Path(path).is_file():
                raise InvalidValueError(f"names a file in `{option}` that is not there")
        return text

    return check


def carries_messages(url: str) -> bool:
    """Return whether Celery can use the Redis at this valid address as its broker; it does not support clusters."""
    return not parse_address(url).cluster


def _word(words: tuple[str, ...]) -> Callable[[str], str]:
    def check(text: str) -> str:
        found = {word.casefold(): word for word in words}.get(text.strip().casefold())
        if found is None:
            meant = nearest(text, words)
            raise InvalidValueError(
                f"is not known; expected {one_of(words)}" + (f"; did you mean `{meant}`?" if meant else "")
            )
        return found

    return check


def _bind(text: str) -> str:
    host, _, port = text.strip().rpartition(":")
    if not re.fullmatch(r"\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+", host) or not re.fullmatch(r"[0-9]{1,5}", port):
        raise InvalidValueError("is not `host:port`; expected an address such as `127.0.0.1:8080`")
    if int(port) > 65535:
        raise InvalidValueError("has a port that is too large; expected at most 65535")
    return f"{host}:{int(port)}"


def _networks(text: str) -> tuple[Network, ...]:
    found = []
    for part in _parts(text, r"[,\s]"):
        try:
            found.append(ip_network(part))
        except ValueError:
            raise InvalidValueError(
                f"has an entry, {shown(part)}, that is not an address; expected addresses or networks such as "
                "`10.0.0.7` or `10.0.0.0/8`"
            ) from None
    return tuple(found)


_PARSERS: Mapping[str, Callable[[str], Any]] = {
    "redis_url": _address(parse_address),
    "broker_url": _address(parse_broker),
    "github_token": _foreign_secret,
    "github_app_id": _app_id,
    "github_app_private_key": _private_key,
    "github_webhook_secrets": _one_or_two_secrets,
    "jenkins_webhook_secret": _callback_secrets,
    "jenkins_tokens": _foreign_secret,
    "api_tokens": _api_tokens,
    "session_secrets": _one_or_two_secrets,
    "github_oauth_client_id": _app_id,
    "github_oauth_client_secret": _foreign_secret,
    "notify_urls": _notify_urls,
    "webhook_secrets": _own_secret,
    "log_level": _word(LEVELS),
    "log_format": _word(FORMATS),
    "bind": _bind,
    "worker_metrics": _bind,
    "trusted_proxies": _networks,
}
