"""The HTML that Jenkins answers with. Clients should read the status, hardly ever the text."""

from __future__ import annotations

from html import escape

HTML = [("Content-Type", "text/html;charset=utf-8")]


def page(title: str, *paragraphs: str) -> str:
    """Return a page with escaped text."""
    return markup_page(title, *(f"<p>{escape(text)}</p>" for text in paragraphs))


def markup_page(title: str, *parts: str) -> str:
    """Return a page with parts that are HTML already."""
    inside = "".join(parts)
    return f"<!DOCTYPE html><html><head><title>{escape(title)}</title></head><body>{inside}</body></html>"


def crumb_page() -> str:
    return page("Error 403", "HTTP ERROR 403 No valid crumb was included in the request")


def authentication_page() -> str:
    return (
        "<html><head><meta http-equiv='refresh' content='1;url=/login?from=%2F'/>"
        "<script>window.location.replace('/login?from=%2F');</script></head>"
        "<body>Authentication required</body></html>"
    )


def accessdenied_page(user: str, permission: str) -> str:
    return page("Access Denied", f"{user} is missing the {permission} permission")


def oops_page() -> str:
    """Return the page of an uncaught exception, as Jenkins shows it, but without the trace."""
    return page("Oops!", "A problem occurred while processing the request.", "Logging ID=0")


def starting_page(restarting: bool) -> str:
    if restarting:
        return page("Restarting Jenkins", "Please wait while Jenkins is restarting")
    return page("Starting Jenkins", "Please wait while Jenkins is getting ready to work")
