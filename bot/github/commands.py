"""Commands in comments on pull requests, and the buttons of check runs: what anybody may write, read with care.

A command is a line that begins with `/interlock`, where GitHub shows it as plain text: not in a fence of code, not in
a quote, not in a comment of HTML. Sources: GitHub docs, webhook events `issue_comment` and `check_run`; CommonMark,
fenced code blocks, block quotes, HTML blocks.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any, TypeGuard

from bot.core.model.events import Command, CommandSaid
from bot.payloads import at, is_sha, line, moment, number, text

#: What may be commanded; the rules have a way for each.
VERBS = (
    *("status", "why", "lock", "unlock", "fast-lane", "retry", "cancel", "move", "let-through", "watch", "verify"),
    "help",
)
#: How many commands of one comment count, and how much of one is kept.
MOST, LENGTH = 3, 300
#: What our own comments begin with: whoever else begins so is not listened to either.
MARKER = "<!-- interlock "
#: The buttons of our check runs, by their identifier.
BUTTONS = {"retry": Command("retry"), "fast-lane": Command("fast-lane")}
#: What Re-run means is for the rules to say: it depends on what the check run is about.
RERUN = Command("rerun")

_COMMAND = re.compile(r"/interlock(?:[ \t]+(.*))?\Z", re.DOTALL)
_NEWLINE = re.compile(r"\r\n|\n|\r")  # and nothing else: what only some programs take for one begins no line
_FENCE = re.compile(r" {0,3}(`{3,}(?=[^`]*\Z)|~{3,})", re.DOTALL)
_RAW = re.compile(r" {0,3}<(pre|script|style|textarea)(?=[\s>]|\Z)", re.IGNORECASE)
_RAW_END = re.compile(r"</(pre|script|style|textarea)>", re.IGNORECASE)
_QUOTE = re.compile(r" {0,3}>")
_LOGIN = re.compile(r"[A-Za-z0-9_-]{1,100}\Z")


def parse(body: str) -> tuple[Command, ...]:
    """The commands in a comment, all of them, in their order."""
    return tuple(_command(found[1] or "") for row in _plain(body) if (found := _COMMAND.match(row)))


def _command(words: str) -> Command:
    verb, _, rest = line(words, LENGTH).partition(" ")
    verb = verb.casefold() or "help"
    if verb in VERBS:
        return Command(verb, rest)
    close = get_close_matches(verb[:40], VERBS, 1, 0.6)
    return Command("", meant=close[0] if close else "")


def _plain(body: str) -> Iterator[str]:
    """The lines of a comment that are neither code, nor quoted, nor hidden; in doubt a line is left out."""
    fence, ends, quoted = "", None, False
    for row in _NEWLINE.split(body):
        if ends is not None:
            ends = None if ends.search(row) else ends
        elif fence:
            fence = "" if _closes(row, fence) else fence
        elif (opening := _FENCE.match(row)) is not None:
            fence, quoted = opening[1], False
        elif _RAW.match(row):
            ends = None if _RAW_END.search(row) else _RAW_END
        elif "<!--" in row and "-->" not in row[row.rindex("<!--") :]:
            ends = _COMMENT_END
        else:
            # What follows a quote without an empty line between is shown as part of it.
            quoted = bool(_QUOTE.match(row)) or (quoted and bool(row.strip()))
            if not quoted:
                yield row


_COMMENT_END = re.compile("-->")


def _closes(row: str, fence: str) -> bool:
    """Whether a line closes the fence: as many of the same sign or more, and nothing else."""
    sign = row.strip(" \t")
    return len(row) - len(row.lstrip(" ")) <= 3 and len(sign) >= len(fence) and set(sign) == {fence[0]}


def read_commands(event: str, payload: dict[str, Any], body: bytes) -> CommandSaid | None:
    """What a delivery commands, or None. `body`: the same, as GitHub signed it."""
    if event == "issue_comment":
        return _comment(payload)
    return _button(payload, body) if event == "check_run" else None


def _comment(payload: dict[str, Any]) -> CommandSaid | None:
    body, pull, comment = text(payload, "comment", "body"), number(payload, "issue", "number"), at(payload, "comment")
    identity, by = number(comment, "id"), _person(payload)
    is_new = text(payload, "action") == "created" and isinstance(at(payload, "issue", "pull_request"), dict)
    if not is_new or body.lstrip().startswith(MARKER) or "/interlock" not in body:
        return None
    if by is None or by != _user(comment) or not _is_id(identity) or not _is_id(pull):
        return None
    commands, when = parse(body), moment(text(comment, "created_at"))
    repository = text(payload, "repository", "full_name")
    if not commands or not repository or when is None:
        return None
    more = max(0, len(commands) - MOST)
    return CommandSaid(f"comment/{identity}", repository, by, commands[:MOST], pull, identity, when, more)


def _button(payload: dict[str, Any], body: bytes) -> CommandSaid | None:
    """A press of a button. It is known by all that GitHub signed of it: GitHub gives a press no id, and the id of the
    delivery is not signed, so whoever has seen a delivery could send it again under another.

    A second press counts as the first if nothing at all has changed on GitHub in between; a comment always counts.
    """
    pressed = BUTTONS.get(text(payload, "requested_action", "identifier"))
    command = {"requested_action": pressed, "rerequested": RERUN}.get(text(payload, "action"))
    by, sha = _person(payload), text(payload, "check_run", "head_sha")
    repository, identity = text(payload, "repository", "full_name"), number(payload, "check_run", "id")
    if command is None or by is None or not is_sha(sha) or not repository or not _is_id(identity):
        return None
    pulls = at(payload, "check_run", "pull_requests")
    pull = number(pulls[0], "number") if isinstance(pulls, list) and pulls else None
    pull = pull if _is_id(pull) else None
    run = line(text(payload, "check_run", "external_id"), LENGTH)
    press = hashlib.sha256(body).hexdigest()[:32]
    return CommandSaid(f"check/{identity}/{press}", repository, by, (command,), pull, sha=sha, run=run)


def _is_id(found: int | None) -> TypeGuard[int]:
    """Whether it is a number that GitHub may have given: it goes into an address."""
    return found is not None and 0 < found < 2**63


def _person(payload: dict[str, Any]) -> str | None:
    """The login of the person who did it; None for bots, and for whatever else is no person."""
    return _user({"user": at(payload, "sender")})


def _user(value: Any) -> str | None:
    login = text(value, "user", "login")
    return login if text(value, "user", "type") == "User" and _LOGIN.match(login) else None
