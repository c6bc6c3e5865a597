"""The documentation as pages, so that what a rule says is one click away, also offline and from an installed wheel.

`docs` beside this file is a link to the documentation of the repository; in a wheel it is a copy.
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

from flask import render_template
from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

from bot.web.page import page
from bot.web.problems import unknown

FOLDER = Path(__file__).with_name("docs")
#: How a rule begins on its page: `- **F8 Clean-up.** When a fast run ...`.
_RULE = re.compile(r"\*\*([FLW]\d+) ")
#: What may be wider than the page is reached by the keyboard. In the text itself each `<` is escaped.
_SCROLLED = {
    "<pre>": '<pre tabindex="0" role="group" aria-label="Text as it is typed or drawn">',
    "<table>": '<div class="scrolls" tabindex="0" role="group" aria-label="Table"><table>',
    "</table>": "</table></div>",
}
#: What only GitHub shows of a page: pictures, which are not installed, and comments.
_NOT_HERE = re.compile(r"<picture>.*?</picture>\n|<!--.*?-->\n", re.DOTALL)
_PAGE = re.compile(r"([\w-]+)\.md(#.*)?\Z")


@page.get("/docs")
def list_docs() -> str:
    """The pages there are."""
    return render_template("docs.html", title="Documentation", html=None, names=_names())


@page.get("/docs/<topic>")
def show_docs(topic: str) -> str:
    """One page; each of its rules can be linked to, such as `/docs/fast-lane#F8`."""
    if topic not in _names():
        raise unknown("page", topic, _names())
    title, html = rendered(topic)
    return render_template("docs.html", title=title, html=Markup(html), names=_names())  # noqa: S704  our own text


@lru_cache(maxsize=1)
def _names() -> tuple[str, ...]:
    return tuple(sorted(path.stem for path in FOLDER.glob("*.md")))


@lru_cache(maxsize=32)
def rendered(name: str) -> tuple[str, str]:
    """Title and HTML of a page. HTML in its source is text: nothing on it can be more than a page."""
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = markdown.parse(_NOT_HERE.sub("", (FOLDER / f"{name}.md").read_text("utf-8")))
    title = name
    for number, token in enumerate(tokens):
        inside = tokens[number + 1].content if number + 1 < len(tokens) else ""
        if token.type == "heading_open":
            title = inside if token.tag == "h1" else title
            token.attrSet("id", _anchor(inside))
        elif token.type == "list_item_open" and number + 2 < len(tokens):
            rule = _RULE.match(tokens[number + 2].content)
            if rule:
                token.attrSet("id", rule[1])
        elif token.type in ("th_open", "td_open") and token.attrs.pop("style", ""):
            token.attrSet("class", "number")  # a style in the page is what our own policy forbids
        for child in token.children or ():
            _lead_here(child)
            if child.type == "image":  # pictures are in the repository alone: what they show is said instead
                child.type, child.content = "text", f"({child.content})"
    html = str(markdown.renderer.render(tokens, markdown.options, {}))
    for plain, reachable in _SCROLLED.items():
        html = html.replace(plain, reachable)
    return title, html


def _anchor(heading: str) -> str:
    """The id of a heading, as GitHub makes it."""
    return re.sub(r"[^\w -]", "", heading.casefold()).replace(" ", "-")


def _lead_here(token: Token) -> None:
    """Let a link to another page of the documentation lead to it here, and one to another file nowhere."""
    address = str(token.attrGet("href") or "")
    found = _PAGE.fullmatch(address.removeprefix("../docs/"))
    if found and found[1] in _names():
        token.attrSet("href", f"{found[1]}{found[2] or ''}")
    elif address and not address.startswith(("#", "https:", "http:")):
        del token.attrs["href"]  # such as the example of a pipeline file: it is in the repository alone
