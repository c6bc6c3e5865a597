"""The address of every page of the application, out of its own table of addresses: none can be forgotten."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from flask import Flask

#: Blueprints whose views answer programs, not people.
FOR_PROGRAMS = frozenset({"webhooks", "reading", "acting", "tokens", "machines", "metrics", "badges", "static"})
#: Views of the other blueprints that are no page of their own.
NO_PAGES = frozenset(
    {
        "page.stream_board",
        "page.stream_run",
        "page.show_own_runs",
        "page.show_picture",
        "signing.go_to_github",
        "signing.come_from_github",
        "documentation.show_document",
        "documentation.show_page",  # leads to a page of the documentation
    }
)
#: What stands for the parts of addresses, besides the pipeline: each is something that the board in the test has.
PARTS = {"service": "S1", "run": "S1.1", "name": "lock", "topic": "fast-lane", "key": "pre-production/S1.1"}


def pages(app: Flask, pipeline: str, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """The address of each page by the name of its view. `more`: what stands for other parts of addresses.

    Fails the test, and says what to do, if a part of an address is not known here.
    """
    parts = {"pipeline": pipeline, **PARTS, **(more or {})}
    found = {}
    for rule in app.url_map.iter_rules():
        view = rule.endpoint
        if "GET" not in (rule.methods or ()) or view.partition(".")[0] in FOR_PROGRAMS or view in NO_PAGES:
            continue
        if lacking := rule.arguments - parts.keys():
            pytest.fail(
                f"{view} ({rule.rule}) is not looked at: say in tests/web/addresses.py what stands for {lacking} in "
                "PARTS, or add it to NO_PAGES if it is no page"
            )
        with app.test_request_context():
            found[view] = str(app.url_for(view, **{name: parts[name] for name in rule.arguments}))
    return found
