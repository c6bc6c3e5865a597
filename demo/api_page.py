"""Writes docs/api.md from the API's own document: `make api-docs`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from textwrap import fill
from typing import Any

from flask import Flask
from pydantic import SecretStr

from bot.web import openapi
from bot.web.app import create_app
from config.configuration import Configuration, Controller
from config.settings import Settings
from demo.pipeline import pipeline

PAGE = Path(__file__).parents[1] / "docs" / "api.md"

#: The most values that a table lists in full; `FactKind` has a list of its own below.
MOST = 12

_HEAD = """# The API

Everything that the page shows and does, for programs. This page is made from the document that a running Interlock
serves at `/api/v1/openapi.json` ([OpenAPI 3.1](https://spec.openapis.org/oas/v3.1.0)), by `make api-docs`; a running
Interlock shows it at `/api`.

## Examples

Who may do what is in [access.md](access.md); a token comes from [`interlock token`](cli.md#interlock-token).

```sh
curl "$INTERLOCK_URL/api/v1/pipelines"
curl "$INTERLOCK_URL/api/v1/pipelines/shop/why?q=S1"
curl "$INTERLOCK_URL/api/v1/pipelines/shop/facts?kind=stage-locked&limit=10" -H "Authorization: Bearer $INTERLOCK_TOKEN"
```

What acts takes a reason, and shows what it would lead to if it is a dry run:

```sh
curl "$INTERLOCK_URL/api/v1/pipelines/shop/stages/production/lock" \\
  -H "Authorization: Bearer $INTERLOCK_TOKEN" --json '{"reason": "the database moves", "dry_run": true}'
curl "$INTERLOCK_URL/api/v1/pipelines/shop/stages/production/lock" \\
  -H "Authorization: Bearer $INTERLOCK_TOKEN" -H "Idempotency-Key: move-of-the-database" \\
  --json '{"reason": "the database moves", "until": "2h"}'
```

## What holds for all of it

- A request that acts is stored, and decided by the next turn: 202. `wait=5` waits up to so many seconds for the
  decision; `state` is `waiting`, `done` or `refused`. With an `Idempotency-Key` a request that is sent twice is kept
  once.
- A refusal is a problem (RFC 9457, `application/problem+json`) with `type`, `title`, `status` and `detail`, which says
  what would be right; `meant` is the nearest valid name. Addresses that do not exist and methods that are not taken
  are answered so as well.
- A parameter that an operation does not know is refused. A body is JSON, sent with `Content-Type: application/json`,
  and at most 64 KiB long.
- Lists are pages: `next` is what to ask for to go on, or null.
- Times are seconds since the epoch, durations are seconds.
- A later version may add members to an answer, and kinds of facts: ignore what you do not know. What is there stays.
- The scope beside an operation is the least that a token needs ([access.md](access.md#tokens)); with the cookie of the
  page, what changes something carries `X-CSRF-Token`. Where [reading](access.md#reading) is public, reading takes
  neither.
"""


def page(document: dict[str, Any]) -> str:
    """Return the page as Markdown."""
    return "\n".join([_HEAD, *_refusals(), *_operations(document), "## Shapes\n", *_shapes(document)]).rstrip() + "\n"


def application() -> Flask:
    """Return an application with the pipeline of the pictures; it serves no requests and needs no store."""
    unused = SecretStr("unused")
    settings = Settings(
        redis_url=SecretStr("redis://127.0.0.1:1/0"), github_webhook_secrets=(unused,), jenkins_webhook_secret=(unused,)
    )
    controllers = {name: Controller(name, f"https://{name}.example.com", "interlock") for name in ("build", "cdp")}
    return create_app(settings, Configuration((pipeline("shop"),), controllers), lambda _: None)


def _operations(document: dict[str, Any]) -> Iterator[str]:
    for tag in document["tags"]:
        yield f"## {tag['name']}\n"
        for path, methods in document["paths"].items():
            for method, each in methods.items():
                if tag["name"] in each["tags"]:
                    yield from _operation(method.upper(), path, each)


def _operation(method: str, path: str, each: dict[str, Any]) -> Iterator[str]:
    yield f"### `{method} {path}`\n"
    yield f"{each['summary']}\n"
    if "description" in each:
        for part in each["description"].split("\n\n"):
            yield fill(part, 118, break_long_words=False, break_on_hyphens=False) + "\n"
    scopes = [way["token"][0] for way in each["security"] if "token" in way]
    if scopes:
        yield f"Scope: `{scopes[0]}`.\n"
    if each["parameters"]:
        yield "| parameter | in | value | meaning |\n|---|---|---|---|"
        for one in each["parameters"]:
            name = f"**`{one['name']}`**" if one["required"] else f"`{one['name']}`"
            yield f"| {name} | {one['in']} | {_value(one['schema'])} | {one['description']} |"
        yield ""
    if "requestBody" in each:
        yield f"Body: {_value(_of(each['requestBody']['content']))}\n"
    usual = [status for status, answer in each["responses"].items() if _is_usual(status, answer)]
    yield "| answer | body | meaning |\n|---|---|---|"
    for status, answer in each["responses"].items():
        if status not in usual:
            kinds = {media: _value(content["schema"]) for media, content in answer.get("content", {}).items()}
            body = " or ".join(f"`{media}`" if value == "string" else value for media, value in kinds.items())
            yield f"| {status} | {body} | {_cell(answer['description'])} |"
    yield f"\nAs [everywhere](#refusals): {', '.join(usual)}.\n"


def _is_usual(status: str, answer: dict[str, Any]) -> bool:
    return bool(answer["description"] == openapi.REFUSALS.get(int(status)))


def _refusals() -> Iterator[str]:
    yield "## Refusals\n\n| answer | meaning |\n|---|---|"
    for status, text in openapi.REFUSALS.items():
        yield f"| {status} | {text} |"
    yield ""


def _of(content: dict[str, Any]) -> dict[str, Any]:
    return dict(next(iter(content.values()))["schema"])


def _shapes(document: dict[str, Any]) -> Iterator[str]:
    for name, schema in document["components"]["schemas"].items():
        yield f"### {name}\n"
        if "description" in schema:
            yield fill(" ".join(schema["description"].split()), 118, break_on_hyphens=False) + "\n"
        if "enum" in schema:
            yield fill(" · ".join(f"`{value}`" for value in schema["enum"]), 118, break_on_hyphens=False) + "\n"
            continue
        required = schema.get("required", [])
        yield "| member | value | meaning |\n|---|---|---|"
        for member, value in schema.get("properties", {}).items():
            shown = f"`{member}`" if member in required else f"`{member}` (may be missing)"
            yield f"| {shown} | {_value(value)} | {_cell(value.get('description', ''))} |"
        yield ""


def _value(schema: dict[str, Any]) -> str:
    """Return a schema in few words."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return " or ".join(_value(each) for each in schema[several])
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        shown = [f"`{value}`" for value in schema["enum"]]
        return ", ".join(shown) if len(shown) <= MOST else f"{', '.join(shown[:3])}, … ({len(shown)} values)"
    return _plain(schema)


def _plain(schema: dict[str, Any]) -> str:
    kind = schema.get("type", "anything")
    if kind == "array":
        return f"list of {_value(schema.get('items', {}))}"
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"object of {_value(schema['additionalProperties'])}"
    if "minimum" in schema and "maximum" in schema:
        return f"{kind} from {schema['minimum']} to {schema['maximum']}"
    if "examples" in schema:
        return f"{kind}, such as {', '.join(f'`{each}`' for each in schema['examples'])}"
    return str(kind)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def made() -> str:
    """Return the page for the current code."""
    return page(openapi.document(application(), private=False))


if __name__ == "__main__":
    PAGE.write_text(made(), "utf-8")
