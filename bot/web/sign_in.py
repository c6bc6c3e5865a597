"""Signing in and out on the page: with an API token in a form, or through GitHub."""

from __future__ import annotations

import re
from typing import Any, cast
from urllib.parse import urlsplit

import structlog
from authlib.integrations.base_client import OAuthError
from authlib.integrations.flask_client import OAuth
from flask import Blueprint, Flask, current_app, render_template, request, session
from requests.exceptions import RequestException
from werkzeug.wrappers import Response as AnyResponse

from bot.store.tokens import digest_of
from bot.web import bodies, sessions
from bot.web.identity import current_user, person_of
from bot.web.page import as_page
from bot.web.problems import Problem
from bot.web.shared import go_to, runtime
from config.configuration import GitHubSettings
from config.settings import Settings

signing = Blueprint("signing", __name__)
as_page(signing)
log = structlog.get_logger()

#: In seconds: how long GitHub may take to answer while a person waits for the sign-in.
TIMEOUT = 10.0
_LOGIN = re.compile(r"[A-Za-z0-9_-]{1,100}")
_NEXT = "next"


def install(app: Flask, settings: Settings, where: GitHubSettings) -> None:
    """Add the pages to `app`, and GitHub as an OAuth provider if the environment has a client for it."""
    oauth = OAuth(app)
    if settings.github_oauth_client_id is not None and settings.github_oauth_client_secret is not None:
        oauth.register(
            "github",
            client_id=settings.github_oauth_client_id,
            client_secret=settings.github_oauth_client_secret.get_secret_value(),
            # GitHub docs: authorizing OAuth apps. Without a scope the token reads only public information: the login.
            authorize_url=f"{where.web_url}/login/oauth/authorize",
            access_token_url=f"{where.web_url}/login/oauth/access_token",
            api_base_url=f"{where.api_url}/",
            client_kwargs={
                "scope": "",
                "token_endpoint_auth_method": "client_secret_post",
                "code_challenge_method": "S256",
                "default_timeout": TIMEOUT,
            },
        )
    app.extensions["interlock-oauth"] = oauth
    app.register_blueprint(signing)


@signing.get("/sign-in")
def show_sign_in() -> AnyResponse | str:
    """Show the ways to sign in; redirect users who are signed in."""
    ways = runtime().configuration.web.sign_in
    if not ways.is_possible:
        raise Problem(404, "signing in is not enabled here: the pipeline file has no `web: sign_in`")
    after = safe_next(request.args.get(_NEXT, "/"))
    if current_user() is not None:
        return go_to(after)
    return render_template("sign_in.html", ways=ways, after=after, wrong="")


@signing.post("/sign-in/token")
def sign_in_with_token() -> AnyResponse | tuple[str, int]:
    """Sign in with an API token."""
    ways = runtime().configuration.web.sign_in
    if not ways.token:
        raise Problem(404, "signing in with a token is not enabled here")
    sent = bodies.form()
    token, after = sent.get("token", "").strip(), safe_next(sent.get(_NEXT, "/"))
    person = person_of(token) if token else None
    if person is None:
        log.warning("sign-in-refused", way="token")
        return render_template("sign_in.html", ways=ways, after=after, wrong="This token is not known."), 403
    sessions.begin({"way": "token", "digest": digest_of(token)})
    log.info("signed-in", by=person.name, way="token")
    return go_to(after, 303)


@signing.get("/sign-in/github")
def go_to_github() -> AnyResponse:
    """Send the browser to GitHub, which returns it with a code for the state and the PKCE verifier in the cookie."""
    client = _github()
    session[_NEXT] = safe_next(request.args.get(_NEXT, "/"))
    session.permanent = True
    back = f"{runtime().configuration.web.public_url}/sign-in/github/callback"
    return cast(AnyResponse, client.authorize_redirect(back))


@signing.get("/sign-in/github/callback")
def come_from_github() -> AnyResponse:
    """Exchange the code for a token, ask GitHub for its owner, and forget the token."""
    client = _github()
    try:
        token = client.authorize_access_token()
        answer = client.get("user", token=token)
        answer.raise_for_status()
        user = answer.json()
    except (OAuthError, RequestException, ValueError) as error:
        log.warning("sign-in-refused", way="github", error=type(error).__name__)
        raise Problem(403, "GitHub did not sign you in: try again") from error
    login = user.get("login") if isinstance(user, dict) and user.get("type") == "User" else None
    if not isinstance(login, str) or not _LOGIN.fullmatch(login):
        raise Problem(403, "GitHub did not say who you are")
    after = safe_next(session.get(_NEXT, "/"))
    sessions.begin({"way": "github", "login": login})
    log.info("signed-in", by=f"github:{login}", way="github")
    return go_to(after)


@signing.post("/sign-out")
def sign_out() -> AnyResponse:
    """Sign out. A person whom the proxy signs in is signed in again by the next request."""
    sessions.end()
    return go_to("/", 303)


def safe_next(wanted: str) -> str:
    """Return `wanted` if it is an address of this site, else the first page.

    A link must not lead elsewhere through our sign-in. Browsers take `\\` for `/`, and drop tabs and line breaks
    (WHATWG URL Standard).
    """
    parts = urlsplit(wanted) if wanted.isprintable() and "\\" not in wanted else None
    is_ours = parts is not None and not parts.scheme and not parts.netloc and re.match(r"/(?!/)", wanted) is not None
    return wanted if is_ours and not wanted.startswith("/sign-") else "/"


def _github() -> Any:
    client = current_app.extensions["interlock-oauth"].create_client("github")
    if client is None or not runtime().configuration.web.sign_in.github:
        raise Problem(404, "signing in through GitHub is not enabled here")
    return client
