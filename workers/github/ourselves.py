"""What we have said ourselves: by a hidden marker, which anybody may copy, and by our own login, which nobody has."""

from __future__ import annotations

from functools import lru_cache

from bot.translate.reading import text
from config.configuration import GitHub
from config.settings import Settings
from workers.context import Context
from workers.github import identity
from workers.github.limits import Purpose
from workers.github.refusals import refusal
from workers.github.session import Session
from workers.github.wire import Wire
from workers.perform.outcome import NotNow


def has_said(context: Context, session: Session, path: str, marker: str) -> bool:
    """Whether one of the comments below `path` begins with `marker` and is ours."""
    marked = [one for one in session.pages(path, Purpose.COMMENT) if text(one, "body").startswith(marker)]
    return bool(marked) and any(text(one, "user", "login") == login(context) for one in marked)


def login(context: Context) -> str:
    """Under which login we write. Asked once for each identity. Raises NotNow or Never."""
    return _login(context.configuration.github, _Who(context.settings))


class _Who:
    """Settings as a key: the same identity is the same key."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        token = settings.github_token
        self.key = settings.github_app_id or (token.get_secret_value() if token is not None else None)

    def __hash__(self) -> int:
        return hash(self.key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Who) and self.key == other.key


@lru_cache(maxsize=4)
def _login(where: GitHub, who: _Who) -> str:
    is_app = identity.is_app(who.settings)
    wire = Wire(where, identity.app_auth(who.settings) if is_app else identity.token_auth(who.settings))
    path = "/app" if is_app else "/user"
    try:
        answer = wire.ask("GET", path)
    finally:
        wire.close()
    if answer.status >= 400:
        raise refusal(answer, f"GET {path}")
    found = f"{text(answer.data, 'slug')}[bot]" if is_app else text(answer.data, "login")
    if found in ("", "[bot]"):
        raise NotNow(f"GET {path}: GitHub's answer has no name")
    return found
