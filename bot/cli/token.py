"""The commands about API tokens: token create, list, revoke. They work on the store itself, and ask no server.

So whoever may read the address of the store is an admin: it holds everything that the roles protect.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from bot.cli.common import CommandFailed, WrongUsage, count, date_and_time, print_json, say, warn

if TYPE_CHECKING:
    from bot.store.tokens import StoredToken, Tokens
    from config.settings import Settings

SCOPES = ("read", "act", "admin")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,62}")
_DAY = 86_400.0


@click.group(name="token", short_help="Make, list and revoke API tokens.")
def tokens() -> None:
    """Make, list and revoke API tokens. Run it where Interlock runs, with the same environment.

    A token of INTERLOCK_API_TOKENS is not listed here: it is removed from there.
    """


@tokens.command(short_help="Make a token; it is shown once.")
@click.argument("name")
@click.option("--scope", type=click.Choice(SCOPES), required=True, help="The most that it may be used for.")
@click.option("--expires", type=click.IntRange(1, 3650), metavar="DAYS", help="It ends after so many days.")
def create(name: str, scope: str, expires: int | None) -> None:
    """Make a token for NAME, who is on record for what is done with it, and print it: it cannot be shown again.

    What NAME may do, the roles in the pipeline file say. `read` is for reading alone, `act` for all but what takes an
    admin, `admin` for everything.
    """
    from bot.core.access import Scope

    if not _NAME.fullmatch(name):
        raise WrongUsage(f"{name!r} is not a name; expected letters, digits, `.`, `_`, `@` and `-`, at most 63")
    now = time.time()
    with _store() as store:
        text, made = store.create(name, Scope(scope), None if expires is None else now + expires * _DAY, now)
    ends = "does not end" if made.expires is None else f"ends {date_and_time(made.expires)}"
    click.echo(text)
    warn(f"Token {made.id} of {name}, scope {scope}, {ends}. Only its hash is kept: this is the one time it is shown.")


@tokens.command(name="list", short_help="List the tokens, without their text.")
@click.option("--json", "as_json", is_flag=True, help="Print them as a list, for programs.")
def list_tokens(as_json: bool) -> None:
    """List the tokens: id, name, scope, when each was made and last used, and when it ends."""
    with _store() as store:
        rows = [(token, store.last_used(token)) for token in store.all()]
    if as_json:
        print_json([_shape(token, used) for token, used in rows])
        return
    for token, used in rows:
        say(f"{token.id}  {token.name}  {token.scope}", bold=True)
        say(f"  made {date_and_time(token.created)}, {_use(used)}, {_end(token)}")
    if not rows:
        say("There are no tokens.")


@tokens.command(short_help="Revoke a token, or all of a name.")
@click.argument("which", metavar="ID|NAME")
def revoke(which: str) -> None:
    """Revoke the token ID, or all tokens of NAME. What is signed in with one of them is signed out."""
    from config.errors import nearest

    with _store() as store:
        known = [word for token in store.all() for word in (token.name, token.id)]
        gone = store.revoke(which)
    if not gone:
        meant = nearest(which, known)
        hint = f"; did you mean {meant}?" if meant else ""
        raise CommandFailed(f"there is no token of this id or name: {which}{hint}")
    say(f"done: {count(len(gone), 'token')} of {gone[0].name} revoked")


def _use(used: float | None) -> str:
    return "never used" if used is None else f"last used {date_and_time(used)}"


def _end(token: StoredToken) -> str:
    if token.expires is None:
        return "does not end"
    return f"{'ended' if token.has_ended(time.time()) else 'ends'} {date_and_time(token.expires)}"


def _shape(token: StoredToken, used: float | None) -> dict[str, object]:
    return {
        "id": token.id,
        "name": token.name,
        "scope": token.scope,
        "created": token.created,
        "expires": token.expires,
        "used": used,
    }


@contextmanager
def _store() -> Iterator[Tokens]:
    """The tokens in the store of the environment, or in the embedded one that runs. Raises CommandFailed."""
    from redis.exceptions import RedisError

    from bot.runtime import WATCH_LIMITS, connect_store
    from bot.store.tokens import Tokens

    redis = connect_store(_settings(), WATCH_LIMITS)
    try:
        yield Tokens(redis)
    except RedisError as error:
        raise CommandFailed(f"the store cannot be reached ({type(error).__name__})") from None
    finally:
        redis.close()


def _settings() -> Settings:
    """The settings with the address of the store. Raises CommandFailed."""
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
            "set INTERLOCK_REDIS_URL or INTERLOCK_DATA_DIR as where it runs"
        )
    return found.model_copy(update={"redis_url": SecretStr(url)})
