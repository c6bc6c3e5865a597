"""The web flow of OAuth apps: `authorize` sends the browser back with a code, `access_token` takes it once.

Source: GitHub docs, "Authorizing OAuth apps": parameters, errors (which are answered 200), PKCE with S256.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from typing import Any
from urllib.parse import urlencode

from standins.github.access import Token
from standins.github.model import RefusedError
from standins.github.oauth import CODE_SECONDS, Code
from standins.github.routing import Answer, Call, Handle


def authorize(call: Call) -> Any:
    """Answer 302 to the app with a code, or with `access_denied`; 404 for an unknown app."""
    query, app = call.request.query, call.world.oauth
    wanted = query.get("redirect_uri", app.callback)
    if not app.client_id or query.get("client_id") != app.client_id:
        raise RefusedError(404, "Not Found")
    if wanted != app.callback:
        raise RefusedError(400, "The redirect_uri is not associated with this application.")
    answer = {"state": query.get("state", "")}
    if app.browser is None:
        answer |= {"error": "access_denied", "error_description": "The user has denied your application access."}
    else:
        code = secrets.token_hex(10)
        until = call.world.clock.now() + CODE_SECONDS
        app.codes[code] = Code(app.browser, wanted, query.get("code_challenge", ""), until)
        answer |= {"code": code}
    call.headers.append(("Location", f"{wanted}?{urlencode(answer)}"))
    return Answer(302)


def access_token(call: Call) -> Any:
    """Return a token that reaches no repository. Errors are answered with 200, as at GitHub."""
    fields, app = call.request.fields, call.world.oauth
    if (fields.get("client_id"), fields.get("client_secret")) != (app.client_id, app.client_secret):
        return _wrong("incorrect_client_credentials")
    code = app.codes.pop(fields.get("code", ""), None)
    if code is None or code.until < call.world.clock.now() or not _verified(code, fields.get("code_verifier", "")):
        return _wrong("bad_verification_code")
    if fields.get("redirect_uri", code.redirect_uri) != code.redirect_uri:
        return _wrong("redirect_uri_mismatch")
    secret = f"gho_{secrets.token_hex(18)}"
    call.access.tokens[secret] = Token(code.login, repos=(), read_only=True)
    return {"access_token": secret, "token_type": "bearer", "scope": ""}


def _verified(code: Code, verifier: str) -> bool:
    if not code.challenge:
        return True
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == code.challenge


def _wrong(error: str) -> dict[str, str]:
    return {
        "error": error,
        "error_description": f"The request failed: {error}.",
        "error_uri": "https://docs.github.com",
    }


ROUTES: dict[str, Handle] = {
    "GET /login/oauth/authorize": authorize,
    "POST /login/oauth/access_token": access_token,
}
