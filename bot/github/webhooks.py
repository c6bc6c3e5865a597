"""Convert GitHub's webhooks to events: pushes, pull requests, merge groups, and commands in comments and by buttons.

It reads payloads only; the signature is checked before (`bot.web`).
Sources: GitHub docs, webhook events and payloads: `push`, `pull_request`, `issue_comment`, `check_run`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, TypeGuard

from bot.core.model.events import (
    Command,
    CommandSaid,
    DefaultBranchChanged,
    Event,
    GroupFormed,
    Merged,
    PullClosed,
    PullLabelled,
    PullMoved,
)
from bot.core.model.freezes import PullLabels
from bot.payloads import at, flag, is_sha, line, moment, number, text

_BRANCH = "refs/heads/"

#: After these actions a pull request is open, perhaps with another head or draft state (GitHub docs: `pull_request`).
_MOVES = frozenset({"opened", "reopened", "synchronize", "ready_for_review", "converted_to_draft"})

#: After these actions it has other labels (GitHub docs: `pull_request`).
_LABELS = frozenset({"labeled", "unlabeled"})

#: The most labels of a pull request that are kept (GitHub allows 100), and the most characters of a name (GitHub: 50).
LABELS, LABEL = 20, 50

#: The most characters of a title that are kept: enough to recognize it.
TITLE = 120

#: The most characters of a branch name that are kept.
BRANCH = 100

#: The most commits of a push that are kept: the last ones.
COMMITS = 51
#: The most authors of a push that are kept.
AUTHORS = 10
#: The login of a person. Those of apps end in `[bot]`; a mention of them notifies nobody.
_LOGIN = re.compile(r"[A-Za-z0-9_-]{1,100}\Z")


@dataclass(frozen=True, slots=True)
class TargetBranch:
    """A branch that a delivery is about. The configuration says to which service it belongs."""

    repository: str
    branch: str
    #: The branch has not moved: the delivery matters only to pipelines that verify pull requests to it.
    verified: bool = False
    #: The delivery says where the head of an open pull request is: it matters to pipelines with lock notices as well.
    open: bool = False
    #: A pull request no longer goes to this branch.
    left: bool = False


def target_branches(event: str, payload: dict[str, Any]) -> list[TargetBranch]:
    """Return every branch that a delivery is about: two if a pull request was changed from one to another."""
    found = (target_branch(event, payload), _left(payload) if event == "pull_request" else None)
    return [one for one in found if one is not None]


def target_branch(event: str, payload: dict[str, Any]) -> TargetBranch | None:
    """Return the branch that moved, or to which a pull request goes; None for other deliveries."""
    if event == "push":
        ref = text(payload, "ref")
        repository = text(payload, "repository", "full_name")
        moved = ref.startswith(_BRANCH) and not flag(payload, "deleted") and is_sha(text(payload, "after"))
        return TargetBranch(repository, ref.removeprefix(_BRANCH)) if moved and repository else None
    if event == "repository" and text(payload, "action") == "edited":
        repository, before = text(payload, "repository", "full_name"), _former_default(payload)
        changed = before and line(text(payload, "repository", "default_branch"), BRANCH)
        return TargetBranch(repository, before) if repository and changed else None
    if event == "merge_group" and text(payload, "action") == "checks_requested":
        base, repository = text(payload, "merge_group", "base_ref"), text(payload, "repository", "full_name")
        tested = base.startswith(_BRANCH) and is_sha(text(payload, "merge_group", "head_sha"))
        return TargetBranch(repository, base.removeprefix(_BRANCH), verified=True) if tested and repository else None
    return _target_of_pull(payload) if event == "pull_request" else None


def _target_of_pull(payload: dict[str, Any]) -> TargetBranch | None:
    base = text(payload, "pull_request", "base", "ref")
    repository = text(payload, "repository", "full_name")
    if not base or not repository:
        return None
    if _is_merge(payload) or _is_labelled_merge(payload):
        return TargetBranch(repository, base)
    is_open = text(payload, "action") != "closed"
    return TargetBranch(repository, base, verified=True, open=is_open) if _is_pull(payload) else None


def _left(payload: dict[str, Any]) -> TargetBranch | None:
    """Return the branch to which a pull request went before its base was changed."""
    repository = text(payload, "repository", "full_name")
    turned = repository and _is_pull(payload) and _is_turned(payload)
    return TargetBranch(repository, _former_base(payload), verified=True, left=True) if turned else None


def _is_turned(payload: dict[str, Any]) -> bool:
    """Return whether the base of a pull request was changed (GitHub docs: `pull_request`, `edited`)."""
    before = _former_base(payload)
    return text(payload, "action") == "edited" and before not in ("", text(payload, "pull_request", "base", "ref"))


def _former_base(payload: dict[str, Any]) -> str:
    return text(payload, "changes", "base", "ref", "from")


def _is_merge(payload: dict[str, Any]) -> bool:
    closed = text(payload, "action") == "closed" and flag(payload, "pull_request", "merged")
    return closed and is_sha(text(payload, "pull_request", "merge_commit_sha"))


def _is_labelled_merge(payload: dict[str, Any]) -> bool:
    """Return whether the labels of a merged pull request have changed; those of an open one come with its merge."""
    changed = text(payload, "action") in _LABELS and flag(payload, "pull_request", "merged")
    return changed and (number(payload, "pull_request", "number") or 0) > 0


def _is_pull(payload: dict[str, Any]) -> bool:
    """Return whether the delivery says where the head of a pull request is now."""
    moved = text(payload, "action") in _MOVES | {"closed"} or _is_turned(payload)
    numbered = (number(payload, "pull_request", "number") or 0) > 0
    return moved and numbered and is_sha(text(payload, "pull_request", "head", "sha"))


def _former_default(payload: dict[str, Any]) -> str:
    """Return the name of the default branch before it was renamed or replaced."""
    return text(payload, "changes", "default_branch", "from")


def events(event: str, payload: dict[str, Any], service: str, *, left: bool = False) -> list[Event]:
    """Convert a delivery about main of `service` to events; `left`: its pull request no longer goes there."""
    if left:
        pull = payload["pull_request"]
        changed = moment(text(pull, "updated_at"))
        return [PullClosed(service, pull["number"], pull["head"]["sha"], changed, elsewhere=True)]
    if event == "push":
        return [_push(payload, service)]
    if event == "merge_group":
        return [GroupFormed(service, text(payload, "merge_group", "head_sha"))]
    if event == "repository":
        now = line(text(payload, "repository", "default_branch"), BRANCH)
        return [DefaultBranchChanged(service, _former_default(payload), now)]
    if _is_labelled_merge(payload):
        return [PullLabelled(service, labels_of(payload["pull_request"]))]
    merged: list[Event] = [_merge(payload, service)] if _is_merge(payload) else []
    return merged + ([_pull(payload, service)] if _is_pull(payload) else [])


def _merge(payload: dict[str, Any], service: str) -> Merged:
    return Merged(
        service,
        text(payload, "pull_request", "merge_commit_sha"),
        pull=number(payload, "pull_request", "number"),
        title=line(text(payload, "pull_request", "title"), TITLE),
        author=text(payload, "pull_request", "user", "login")[:TITLE],
        labels=_labels_if_any(payload["pull_request"]),
    )


def _labels_if_any(pull: dict[str, Any]) -> PullLabels | None:
    found = labels_of(pull)
    return found if found.names else None


def labels_of(pull: dict[str, Any]) -> PullLabels:
    """Return the labels of a pull request, with the time of its last change."""
    rows = at(pull, "labels")
    names = [line(text(row, "name"), LABEL) for row in rows[:LABELS]] if isinstance(rows, list) else []
    changed = moment(text(pull, "updated_at"))
    return PullLabels(number(pull, "number") or 0, tuple(name for name in names if name), changed or 0.0)


def _pull(payload: dict[str, Any], service: str) -> PullMoved | PullClosed:
    """Return the event about the head of a pull request; it contains only numbers and shas."""
    pull = payload["pull_request"]
    action, at = text(payload, "action"), moment(text(pull, "updated_at"))
    if action == "closed":
        return PullClosed(service, pull["number"], pull["head"]["sha"], at)
    before = text(payload, "before") if action == "synchronize" else ""
    return PullMoved(
        service,
        pull["number"],
        pull["head"]["sha"],
        before=before if is_sha(before) else None,
        at=at,
        draft=action == "converted_to_draft" or (action != "ready_for_review" and flag(pull, "draft")),
        fork=_is_fork(pull),
    )


def _is_fork(pull: dict[str, Any]) -> bool:
    """Return whether the commits come from another repository, or from one that was deleted."""
    head, base = number(pull, "head", "repo", "id"), number(pull, "base", "repo", "id")
    return head is None or head != base


def _push(payload: dict[str, Any], service: str) -> Merged:
    before, after = text(payload, "before"), text(payload, "after")
    pushed_at = number(payload, "repository", "pushed_at")
    return Merged(
        service,
        after,
        before=before if is_sha(before) else None,
        forced=flag(payload, "forced"),
        push_id=f"{before}..{after}@{pushed_at or ''}",
        title=line(text(payload, "head_commit", "message").split("\n", 1)[0], TITLE),
        author=(text(payload, "head_commit", "author", "username") or text(payload, "pusher", "name"))[:TITLE],
        commits=_other_commits(payload, after),
        authors=_authors(payload),
    )


def _authors(payload: dict[str, Any]) -> tuple[str, ...]:
    """Return the authors of the commits of a push, those of the last commits first (GitHub docs: `author.username`)."""
    rows = at(payload, "commits")
    names = [text(row, "author", "username") for row in reversed(rows[-COMMITS:])] if isinstance(rows, list) else []
    return tuple(dict.fromkeys(name for name in names if _LOGIN.match(name)))[:AUTHORS]


def _other_commits(payload: dict[str, Any], after: str) -> tuple[str, ...]:
    """Return the other commits of a push (GitHub docs: `commits` has at most 2,048, oldest first)."""
    rows = at(payload, "commits")
    shas = [text(row, "id") for row in rows[-COMMITS:]] if isinstance(rows, list) else []
    return tuple(sha for sha in shas if is_sha(sha) and sha != after)


# -- commands: lines of comments that begin with `/interlock`, and the buttons of check runs ---------------------------
# Anybody may write comments, so they are untrusted input. A line counts if GitHub shows it as plain text: not in fenced
# code, not in a quote, not in an HTML comment (CommonMark: fenced code blocks, block quotes, HTML blocks).

#: The verbs of commands; the rules handle each of them.
VERBS = (
    *("status", "why", "lock", "unlock", "fast-lane", "retry", "cancel", "move", "let-through", "watch", "verify"),
    "help",
)
#: The most commands of one comment that count, and the most characters of one that are kept.
MOST, LENGTH = 3, 300
#: The beginning of our own comments. A comment of anybody else that begins so is ignored as well.
MARKER = "<!-- interlock "
#: The buttons of our check runs, by their identifier.
BUTTONS = {"retry": Command("retry"), "fast-lane": Command("fast-lane")}
#: The rules decide what Re-run means: it depends on the subject of the check run.
RERUN = Command("rerun")

_COMMAND = re.compile(r"/interlock(?:[ \t]+(.*))?\Z", re.DOTALL)
_NEWLINE = re.compile(r"\r\n|\n|\r")  # and no other character, which only some programs treat as a line break
_FENCE = re.compile(r" {0,3}(`{3,}(?=[^`]*\Z)|~{3,})", re.DOTALL)
_RAW = re.compile(r" {0,3}<(pre|script|style|textarea)(?=[\s>]|\Z)", re.IGNORECASE)
_RAW_END = re.compile(r"</(pre|script|style|textarea)>", re.IGNORECASE)
_QUOTE = re.compile(r" {0,3}>")


def parse(body: str) -> tuple[Command, ...]:
    """Return all commands in a comment, in their order."""
    return tuple(_command(found[1] or "") for row in _plain_lines(body) if (found := _COMMAND.match(row)))


def _command(words: str) -> Command:
    verb, _, rest = line(words, LENGTH).partition(" ")
    verb = verb.casefold() or "help"
    if verb in VERBS:
        return Command(verb, rest)
    close = get_close_matches(verb[:40], VERBS, 1, 0.6)
    return Command("", meant=close[0] if close else "")


def _plain_lines(body: str) -> Iterator[str]:
    """Yield the lines of a comment that are neither code, nor quoted, nor hidden; in doubt a line is left out."""
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
            # A line that follows a quote without an empty line in between is shown as part of it.
            quoted = bool(_QUOTE.match(row)) or (quoted and bool(row.strip()))
            if not quoted:
                yield row


_COMMENT_END = re.compile("-->")


def _closes(row: str, fence: str) -> bool:
    """Return whether a line closes the fence: at least as many of the same character, and nothing else."""
    sign = row.strip(" \t")
    return len(row) - len(row.lstrip(" ")) <= 3 and len(sign) >= len(fence) and set(sign) == {fence[0]}


def read_commands(event: str, payload: dict[str, Any], body: bytes) -> CommandSaid | None:
    """Return the commands in a delivery, or None. `body`: the raw delivery that GitHub signed."""
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
    """Return the command of a pressed button. Its key is a hash of the whole signed body, because GitHub gives a press
    no id and does not sign the delivery id: anybody who has seen a delivery could send it again under another id.

    A second press therefore counts as the first one if nothing at all has changed at GitHub in between; a comment
    always counts.
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
    """Return whether this can be an id of GitHub. It is checked because it becomes part of an address."""
    return found is not None and 0 < found < 2**63


def _person(payload: dict[str, Any]) -> str | None:
    """Return the login of the person who caused the delivery; None for a bot or anything else that is not a person."""
    return _user({"user": at(payload, "sender")})


def _user(value: Any) -> str | None:
    login = text(value, "user", "login")
    return login if text(value, "user", "type") == "User" and _LOGIN.match(login) else None
