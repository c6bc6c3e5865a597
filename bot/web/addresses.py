"""Where the application is: below the path of `web: public_url`, its root.

Inside the application every address begins at the root: those of the views, `next` and `back`, the links of the board
and of the API. The root is put before them at the edge: by `{{ root }}` in each template, and by `go_to`. It is taken
off again by `mounted`, before anything else sees a request.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from flask import redirect
from werkzeug.wrappers import Response as AnyResponse

from bot.web.shared import runtime

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


def without_root(path: str, root: str) -> str:
    """The path of a request inside the application.

    A proxy may have taken the root off already, and whoever asks a process directly (health checks, a Jenkins in the
    same network) needs none: such a path stays as it is.
    """
    if root and (path == root or path.startswith(f"{root}/")):
        return path.removeprefix(root) or "/"
    return path


def mounted(application: WSGIApplication, root: str) -> WSGIApplication:
    """The application as it answers below `root` (PEP 3333: SCRIPT_NAME), and without it as well."""
    if not root:
        return application

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        environ["PATH_INFO"] = without_root(environ.get("PATH_INFO", ""), root)
        environ["SCRIPT_NAME"] = root
        return application(environ, start_response)

    return answer


def go_to(address: str, code: int = 302) -> AnyResponse:
    """Send the browser to an address inside the application."""
    return redirect(runtime().configuration.web.root + address, code)
