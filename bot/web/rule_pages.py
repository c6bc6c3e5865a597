"""The documentation as pages, so that every rule is one click away, also offline and in an installed wheel.

`docs` beside this file is a link to the repository's documentation; in a wheel it is a copy.
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

from flask import Response, render_template
from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

from bot.web.page import page
from bot.web.problems import Problem, unknown

FOLDER = Path(__file__).with_name("docs")
#: For how many seconds a browser keeps a picture.
PICTURES_KEPT = 86_400
#: The beginning of a rule on its page: `- **F8 Clean-up.** When a fast run ...`.
_RULE = re.compile(r"\*\*([FLW]\d+) ")
#: Elements that may be wider than the page can be reached by the keyboard. In the text itself each `<` is escaped.
_SCROLLED = {
    "<pre>": '<pre tabindex="0" role="group" aria-label="Text as it is typed or drawn">',
    "<table>": '<div class="scrolls" tabindex="0" role="group" aria-label="Table"><table>',
    "</table>": "</table></div>",
}
#: Comments, which only GitHub hides.
_COMMENT = re.compile(r"<!--.*?-->\n", re.DOTALL)
#: A picture in the source of a page, which has a dark variant; and its form here.
_PICTURE = re.compile(r'<picture>.*?src="(pictures/[\w-]+-light\.webp)" alt="([^"]*)">\s*</picture>', re.DOTALL)
_SHOWN = re.compile(r"pictures/[\w-]+-light\.webp")
_IMAGE = re.compile(r'<img src="(pictures/[\w-]+)-light\.webp" [^>]*>')
_PAGE = re.compile(r"([\w-]+)\.md(#.*)?\Z")


@page.get("/docs")
def list_docs() -> str:
    """List the pages."""
    return render_template("docs.html", title="Documentation", html=None, names=_names())


@page.get("/docs/<topic>")
def show_docs(topic: str) -> str:
    """Show one page; each of its rules can be linked to, such as `/docs/fast-lane#F8`."""
    if topic not in _names():
        raise unknown("page", topic, _names())
    title, html = rendered(topic)
    return render_template("docs.html", title=title, html=Markup(html), names=_names())  # noqa: S704  our own text


@page.get("/docs/pictures/<picture>")
def show_picture(picture: str) -> Response:
    """Return a picture of a page."""
    found = next((path for path in (FOLDER / "pictures").glob("*.webp") if path.name == picture), None)
    if found is None:
        raise Problem(404, "there is no such picture")
    answer = Response(found.read_bytes(), content_type="image/webp")
    answer.cache_control.max_age = PICTURES_KEPT
    return answer


@lru_cache(maxsize=1)
def _names() -> tuple[str, ...]:
    return tuple(sorted(path.stem for path in FOLDER.glob("*.md")))


@lru_cache(maxsize=32)
def rendered(name: str) -> tuple[str, str]:
    """Return title and HTML of a page. HTML in the source is shown as text, so a page cannot contain active content."""
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    source = _COMMENT.sub("", (FOLDER / f"{name}.md").read_text("utf-8"))
    tokens = markdown.parse(_PICTURE.sub(r"![\2](\1)", source))
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
            token.attrSet("class", "number")  # our own policy forbids styles in the page
        for child in token.children or ():
            _lead_here(child)
            if child.type == "image" and not _SHOWN.fullmatch(str(child.attrGet("src"))):
                child.type, child.content = "text", f"({child.content})"
    html = str(markdown.renderer.render(tokens, markdown.options, {}))
    html = _IMAGE.sub(_with_dark_double, html)
    for plain, reachable in _SCROLLED.items():
        html = html.replace(plain, reachable)
    return title, html


def _with_dark_double(image: re.Match[str]) -> str:
    dark = f'<source media="(prefers-color-scheme: dark)" srcset="{image[1]}-dark.webp">'
    return f"<picture>{dark}{image[0]}</picture>"


def _anchor(heading: str) -> str:
    """Return the id of a heading, as GitHub makes it."""
    return re.sub(r"[^\w -]", "", heading.casefold()).replace(" ", "-")


def _lead_here(token: Token) -> None:
    """Point a link to another page of the documentation to that page here, and remove links to other files."""
    address = str(token.attrGet("href") or "")
    found = _PAGE.fullmatch(address.removeprefix("../docs/"))
    if found and found[1] in _names():
        token.attrSet("href", f"{found[1]}{found[2] or ''}")
    elif address and not address.startswith(("#", "https:", "http:")):
        del token.attrs["href"]  # for example of a pipeline file, which is only in the repository
