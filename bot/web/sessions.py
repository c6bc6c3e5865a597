"""The session cookie of a signed-in person, and the token that every form carries.

The cookie is Flask's own: signed, not encrypted, so it holds nothing secret. It says who signed in and how; the
person's rights are checked again for each request. It ends a fixed time after the sign-in, however often it is used.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from base64 import b64decode, urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from datetime import timedelta
from typing import cast

from flask import Flask, Request, current_app, flash, g, request, session
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface
from itsdangerous import BadSignature
from werkzeug.http import parse_cookie

from bot.web import bodies
from bot.web.problems import Problem
from config.configuration import WebSettings
from config.settings import Settings

#: The field with the form's token, or, in a script's request, the header.
FIELD, HEADER = "csrf_token", "X-CSRF-Token"
#: The longest message for the next page, in characters, because it is stored in the cookie.
LONGEST_TOLD = 600
_CSRF, _ENDS = "csrf", "ends"
#: The size of the token in bytes, and the name under which the present request keeps it masked.
_BYTES, _MASKED = 32, "interlock_csrf"


class SignedSession(SecureCookieSessionInterface):
    """Flask's cookies, signed with HMAC-SHA256."""

    digest_method = staticmethod(hashlib.sha256)

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """Return the session of a request.

        A request without a cookie, such as most of programs, needs no signer, which would take 60 µs.
        """
        if app.secret_key and app.config["SESSION_COOKIE_NAME"] not in request.cookies:
            return self.session_class()
        return super().open_session(app, request)


def install(app: Flask, settings: Settings, web: WebSettings) -> None:
    """Set up the cookies of `app`. Without a secret there are no cookies, and nobody can sign in."""
    https = web.public_url.startswith("https://")
    secrets_given: list[str | None] = [secret.get_secret_value() for secret in settings.session_secrets]
    first, *others = secrets_given or [None]
    app.session_interface = SignedSession()
    app.config.update(
        SECRET_KEY=first,
        SECRET_KEY_FALLBACKS=others or None,
        SESSION_COOKIE_NAME=_cookie_name(web),
        SESSION_COOKIE_PATH=web.root or "/",
        SESSION_COOKIE_SECURE=https,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_REFRESH_EACH_REQUEST=False,
        PERMANENT_SESSION_LIFETIME=timedelta(seconds=web.sign_in.session),
    )


def _cookie_name(web: WebSettings) -> str:
    """Return the cookie's name, whose prefix tells the browser its origin (RFC 6265bis).

    `__Host-` allows only this host, over https, and covers the whole host. Below a path the cookie is limited to that
    path, so that other applications on the host do not get it, and another Interlock there has its own.
    """
    if not web.public_url.startswith("https://"):
        return "interlock"
    return "__Secure-interlock" if web.root else "__Host-interlock"


def begin(content: dict[str, str]) -> None:
    """Sign a person in. All previous content of the cookie, including the forms' token, is forgotten."""
    session.clear()
    session.permanent = True
    session.update(content)
    session[_ENDS] = time.time() + current_app.permanent_session_lifetime.total_seconds()


def content() -> Mapping[str, str]:
    """Return the content given to `begin` until the session ends; then an empty mapping.

    Each change signs the cookie again, so the signature alone does not tell when the person signed in.
    """
    return session if session.get(_ENDS, 0.0) > time.time() else {}


def tell(kind: str, text: str) -> None:
    """Show a message on the next page, once; `kind` is its style. Without cookies it is dropped."""
    if current_app.secret_key:
        flash(text[:LONGEST_TOLD], kind)


def end() -> None:
    """Sign out."""
    session.clear()


def csrf_token() -> str:
    """Return the token that a form of the present page must carry; only our pages can know it.

    It is masked, differently for each answer. So an attacker who sees the length of compressed answers, and puts
    guesses into an address that the page repeats, learns nothing about the next one (BREACH, CVE-2013-3587). It is
    empty without cookies, because senders are then identified by an API token and need no form token.
    """
    if not current_app.secret_key:
        return ""
    if _CSRF not in session:
        session[_CSRF] = secrets.token_urlsafe(_BYTES)
        session.permanent = True
    if _MASKED not in g:
        setattr(g, _MASKED, _mask(session[_CSRF]))
    return cast(str, getattr(g, _MASKED))


def unmasked(page: bytes) -> bytes:
    """Return an answered page with the form token unmasked, so that equal pages compare equal."""
    masked = g.get(_MASKED)
    return page if masked is None else page.replace(masked.encode(), session.get(_CSRF, "").encode())


def check_csrf() -> None:
    """Return if one of our pages sent the present request. Raises Problem (403)."""
    kept = session.get(_CSRF, "")
    given = unmask(request.headers.get(HEADER) or bodies.form().get(FIELD, ""))
    if not kept or not hmac.compare_digest(kept.encode(), given.encode()):
        raise Problem(403, "this form is not one of a page that you have open: load the page again, then send it")


def _mask(token: str) -> str:
    """Return a random mask and the token under it."""
    mask = secrets.token_bytes(_BYTES)
    hidden = bytes(a ^ b for a, b in zip(mask, _decoded(token), strict=True))
    return urlsafe_b64encode(mask + hidden).decode()


def unmask(text: str) -> str:
    """Return the token that `text` hides; empty if `text` is malformed."""
    try:
        both = b64decode(text.encode(), altchars=b"-_", validate=True)
    except ValueError:  # includes binascii.Error and UnicodeEncodeError
        return ""
    if len(both) != 2 * _BYTES:
        return ""
    plain = bytes(a ^ b for a, b in zip(both[:_BYTES], both[_BYTES:], strict=True))
    return urlsafe_b64encode(plain).rstrip(b"=").decode()


def _decoded(token: str) -> bytes:
    """Return the bytes of a token made by `secrets.token_urlsafe`."""
    return urlsafe_b64decode(token + "=" * (-len(token) % 4))


def has_signed_cookie(app: Flask, cookies: str) -> bool:
    """Return whether a Cookie header holds a cookie that we have signed and that has not ended."""
    signer = app.session_interface.get_signing_serializer(app)  # type: ignore[attr-defined]
    given = parse_cookie(cookies).get(app.config["SESSION_COOKIE_NAME"])
    if signer is None or not given:
        return False
    try:
        signer.loads(given, max_age=int(app.permanent_session_lifetime.total_seconds()))
    except BadSignature:
        return False
    return True
