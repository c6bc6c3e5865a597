"""Offers the control verbs over HTTP: a stand-in answers them under /__control__/, a client class calls them.

The client is a subclass of the verbs, with each method replaced by an HTTP call, so both always have
the same methods and the same types.
"""

from __future__ import annotations

import functools
import inspect
import json
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any, TypeVar

from standins.wire.message import BadBodyError, Reply, Request, json_reply

PREFIX = "/__control__/"
_LOOPBACK = ("127.", "::1")


class ControlError(Exception):
    """A control verb that the stand-in refused; the text gives the reason."""


def answer(verbs: object, request: Request) -> Reply:
    """Answer `POST /__control__/<verb>` with `{"result": ...}`; 400 with `{"error": ...}` when refused."""
    if not request.peer.startswith(_LOOPBACK):
        return json_reply({"error": "the control API answers on the loopback interface only"}, 403)
    name = request.raw_path.rpartition("/")[2]
    if name not in _names(type(verbs)):
        known = ", ".join(sorted(_names(type(verbs))))
        return json_reply({"error": f"there is no verb {name!r}; there are: {known}"}, 404)
    try:
        result = getattr(verbs, name)(**request.json())
    except (BadBodyError, ControlError, LookupError, TypeError, ValueError) as error:
        return json_reply({"error": str(error.args[0] if error.args else error), "type": type(error).__name__}, 400)
    return json_reply({"result": result})


V = TypeVar("V", bound=type)


def over_http(cls: V) -> V:
    """Replace every inherited public verb by a call to the stand-in whose `url` the instance has."""
    for name in _names(cls):
        if name not in vars(cls):
            setattr(cls, name, _calling(name, getattr(cls, name)))
    return cls


def call(url: str, verb: str, arguments: dict[str, Any], seconds: float = 60.0) -> Any:
    """Call one verb of the stand-in at `url`. Raise ControlError with its reason."""
    request = urllib.request.Request(  # noqa: S310  the caller's own loopback stand-in
        url.rstrip("/") + PREFIX + verb, json.dumps(arguments).encode(), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=seconds) as response:  # noqa: S310
            return json.load(response)["result"]
    except urllib.error.HTTPError as error:
        with error:
            body = error.read()
        try:
            reason = json.loads(body)["error"]
        except (ValueError, KeyError):
            reason = f"{error.code} {body[:200]!r}"
        raise ControlError(f"{verb}: {reason}") from error


def _names(cls: type) -> set[str]:
    return {name for name, value in inspect.getmembers(cls, inspect.isfunction) if not name.startswith("_")}


def _calling(name: str, verb: Callable[..., Any]) -> Callable[..., Any]:
    signature = inspect.signature(verb)

    @functools.wraps(verb)
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        arguments = dict(signature.bind(self, *args, **kwargs).arguments)
        arguments.pop("self")
        return call(self.url, name, arguments)

    return method
