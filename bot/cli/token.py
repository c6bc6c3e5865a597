"""The commands token create, list and revoke: on the store itself, or with --url through the API.

Access to the address of the store makes a person an admin, because it holds everything that the roles protect. Through
the API the commands need a token of an admin.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

import click

from bot.cli.common import CommandFailed, WrongUsage, count, date_and_time, print_json, say, warn

if TYPE_CHECKING:
    from redis import Redis

    from bot.cli.client import ApiClient
    from config.settings import Settings

Shape = dict[str, Any]
SCOPES = ("read", "act", "admin")
_DAY = 86_400.0

url_option = click.option(
    "--url", help="Ask this Interlock, with your token as an admin, instead of the store of this environment."
)


class TokenSource(Protocol):
    """The place where tokens are kept; its methods are those that the commands below need."""

    def create(self, name: str, scope: str, days: int | None) -> tuple[str, Shape]:
        """Return the text of a new token, and its stored values."""

    def every(self) -> list[Shape]:
        """Return the stored values of every token."""

    def revoke(self, which: str) -> list[Shape]:
        """Revoke tokens by id or name, and return them. Raises CommandFailed if none matches."""


@click.group(name="token", short_help="Make, list and revoke API tokens.")
def tokens() -> None:
    """Make, list and revoke API tokens.

    Run it where Interlock runs, with the same environment; or with --url as an admin. A token of INTERLOCK_API_TOKENS
    is not listed here: it is removed from there.
    """


@tokens.command(short_help="Make a token; it is shown once.")
@click.argument("name")
@click.option("--scope", type=click.Choice(SCOPES), required=True, help="The most that the token allows.")
@click.option("--expires", type=click.IntRange(1, 3650), metavar="DAYS", help="It ends after so many days.")
@url_option
def create(name: str, scope: str, expires: int | None, url: str | None) -> None:
    """Make a token for NAME and print it: it cannot be shown again.

    The log records NAME for what is done with the token. The roles in the pipeline file say what NAME may do. The scope
    `read` is for reading only, `act` for everything but the actions of an admin, `admin` for everything.
    """
    from bot.store.tokens import Tokens

    if not re.fullmatch(Tokens.NAME, name):
        raise WrongUsage(f"{name!r} is not a name; expected letters, digits, `.`, `_`, `@` and `-`, at most 63")
    with _source(url) as source:
        text, made = source.create(name, scope, expires)
    ends = "does not end" if made["expires"] is None else f"ends {date_and_time(made['expires'])}"
    click.echo(text)
    kept = "Interlock keeps only its hash and does not show the token again."
    warn(f"Token {made['id']} of {name}, scope {scope}, {ends}. {kept}")


@tokens.command(name="list", short_help="List the tokens, without their text.")
@click.option("--json", "as_json", is_flag=True, help="Print them as a list, for programs.")
@url_option
def list_tokens(as_json: bool, url: str | None) -> None:
    """List the tokens: id, name, scope, when each was made and last used, and when it ends."""
    with _source(url) as source:
        rows = source.every()
    if as_json:
        print_json(rows)
        return
    for row in rows:
        say(f"{row['id']}  {row['name']}  {row['scope']}", bold=True)
        say(f"  made {date_and_time(row['created'])}, {_use(row['used'])}, {_end(row['expires'])}")
    if not rows:
        say("There are no tokens.")


@tokens.command(short_help="Revoke a token, or all of a name.")
@click.argument("which", metavar="ID|NAME")
@url_option
def revoke(which: str, url: str | None) -> None:
    """Revoke the token ID, or all tokens of NAME. People who signed in with one of them are signed out."""
    with _source(url) as source:
        gone = source.revoke(which)
    say(f"done: {count(len(gone), 'token')} of {gone[0]['name']} revoked")


def _use(used: float | None) -> str:
    return "never used" if used is None else f"last used {date_and_time(used)}"


def _end(expires: float | None) -> str:
    if expires is None:
        return "does not end"
    return f"{'ended' if expires <= time.time() else 'ends'} {date_and_time(expires)}"


# -- the sources of tokens ---------------------------------------------------------------------------------------------


class _InStore:
    """The tokens in the store of this environment."""

    def __init__(self, redis: Redis) -> None:
        from bot.store.tokens import Tokens

        self._tokens = Tokens(redis)

    def create(self, name: str, scope: str, days: int | None) -> tuple[str, Shape]:
        from bot.core.access import Scope

        now = time.time()
        text, made = self._tokens.create(name, Scope(scope), None if days is None else now + days * _DAY, now)
        return text, self._tokens.shape(made)

    def every(self) -> list[Shape]:
        return [self._tokens.shape(token) for token in self._tokens.all()]

    def revoke(self, which: str) -> list[Shape]:
        from config.errors import nearest

        known = [word for token in self._tokens.all() for word in (token.name, token.id)]
        gone = self._tokens.revoke(which)
        if not gone:
            meant = nearest(which, known)
            hint = f"; did you mean {meant}?" if meant else ""
            raise CommandFailed(f"there is no token of the id or name {which!r}{hint}")
        return [self._tokens.shape(token) for token in gone]


class _OfServer:
    """The tokens behind the API of an Interlock."""

    def __init__(self, api: ApiClient) -> None:
        self._api = api

    def create(self, name: str, scope: str, days: int | None) -> tuple[str, Shape]:
        body = {"name": name, "scope": scope, **({} if days is None else {"days": days})}
        made = self._api.ask_as_owner("POST", "tokens", has="text", body=body)
        return str(made["text"]), made["token"]

    def every(self) -> list[Shape]:
        rows: list[Shape] = self._api.ask_as_owner("GET", "tokens", has="tokens")["tokens"]
        return rows

    def revoke(self, which: str) -> list[Shape]:
        gone: list[Shape] = self._api.ask_as_owner("POST", "tokens", "revoke", has="revoked", body={"which": which})[
            "revoked"
        ]
        return gone


@contextmanager
def _source(url: str | None) -> Iterator[TokenSource]:
    """Yield the tokens behind `url`; without one, those in the store of the environment or the running embedded one.

    Raises CommandFailed, or the errors of ApiClient.
    """
    from redis.exceptions import RedisError

    from bot.cli.client import ApiClient
    from bot.runtime import WATCH_LIMITS, connect_store

    if url is not None:
        api = ApiClient(url)
        try:
            yield _OfServer(api)
        finally:
            api.close()
        return
    redis = connect_store(_settings(), WATCH_LIMITS)
    try:
        yield _InStore(redis)
    except RedisError as error:
        raise CommandFailed(f"the store cannot be reached ({type(error).__name__})") from None
    finally:
        redis.close()


def _settings() -> Settings:
    """Return the settings with the address of the store. Raises CommandFailed."""
    from pydantic import SecretStr

    from config import settings
    from config.errors import SettingsError
    from launch.embedded import running_url

    try:
        found = settings.load()
    except SettingsError as error:
        raise CommandFailed(" ".join(error.sentences)) from None
    if found.redis_url is not None:
        return found
    url = running_url(found.data_dir)
    if url is None:
        raise CommandFailed(
            f"INTERLOCK_REDIS_URL is not set, and no Interlock runs on {found.data_dir}: start it (`interlock up`), or "
            "set INTERLOCK_REDIS_URL or INTERLOCK_DATA_DIR as where it runs; or give --url"
        )
    return found.model_copy(update={"redis_url": SecretStr(url)})
