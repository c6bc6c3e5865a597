"""The API about API tokens: made, listed and revoked by whoever is an admin of every pipeline."""

from __future__ import annotations

import time

import structlog
from flask import Blueprint, Response

from bot.core.access import Action
from bot.store.tokens import Tokens
from bot.web import bodies
from bot.web.api_operation import operation
from bot.web.identity import require_everywhere
from bot.web.problems import unknown
from bot.web.request_shapes import CreatedTokenShape, RevokedShape, TokensShape
from bot.web.shapes import reply
from bot.web.shared import runtime

tokens = Blueprint("tokens", __name__, url_prefix="/api/v1/tokens")
log = structlog.get_logger()

_DAY = 86_400.0


@tokens.get("")
@operation(TokensShape, actions=(Action.TOKENS,))
def list_tokens() -> Response:
    """Every token, without its text."""
    require_everywhere(Action.TOKENS)
    store = Tokens(runtime().redis)
    return reply({"tokens": [store.shape(token) for token in store.all()]})


@tokens.post("")
@operation(CreatedTokenShape, status=201, actions=(Action.TOKENS,), body=bodies.TokenBody)
def create_token() -> Response:
    """Make a token. The answer is the only place that ever has its text."""
    by = require_everywhere(Action.TOKENS).name
    body, now = bodies.read(bodies.TokenBody), time.time()
    store = Tokens(runtime().redis)
    text, made = store.create(body.name, body.scope, body.days and now + body.days * _DAY, now)
    log.info("token-created", token=made.id, name=made.name, scope=str(made.scope), by=by)
    return reply({"text": text, "token": store.shape(made)}, 201)


@tokens.post("/revoke")
@operation(
    RevokedShape,
    actions=(Action.TOKENS,),
    body=bodies.RevokedBody,
    problems={404: "There is no token of this id or name."},
)
def revoke_tokens() -> Response:
    """Revoke the token of an id, or all of a name."""
    by = require_everywhere(Action.TOKENS).name
    which = bodies.read(bodies.RevokedBody).which
    store = Tokens(runtime().redis)
    known = [word for token in store.all() for word in (token.name, token.id)]
    gone = store.revoke(which)
    if not gone:
        raise unknown("token of the id or name", which, known)
    log.info("tokens-revoked", tokens=[token.id for token in gone], name=gone[0].name, by=by)
    return reply({"revoked": [store.shape(token) for token in gone]})
