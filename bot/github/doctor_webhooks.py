"""Check the webhooks to us: that of the App, of a repository or of its organization, and their last deliveries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from bot.doctor import DoctorFinding, Subject
from bot.effect_outcomes import RetryLater
from bot.github.transport import GitHubTransport

#: The events that a webhook must send, and the effect of each one missing.
EVENTS = {
    "push": "Interlock finds merges only by polling, minutes later",
    "pull_request": "Interlock finds the pull request of a merge only by asking, and sees no other pull request",
    "issue_comment": "Interlock sees no commands in comments",
    "repository": "Interlock does not notice that the default branch changed",
    "merge_group": "a merge queue that requires the status `verify` never gets it",
}

#: The number of last deliveries that are checked.
LOOKED_AT = 50

_SECRET = "one of INTERLOCK_GITHUB_WEBHOOK_SECRETS"  # noqa: S105  words


def of_app(transport: GitHubTransport, app: dict[str, Any], url: str) -> Iterator[DoctorFinding]:
    """Check the App's own webhook; `transport` must sign as the App."""
    about = Subject.github("webhook of the App")
    answer = transport.ask("GET", "/app/hook/config")
    if answer.status != 200 or not isinstance(answer.data, dict):
        yield about.unsure(
            f"it cannot be read ({answer.status})", f"check in the App's settings that it is active and goes to {url}"
        )
        return
    hook = {"config": answer.data, "events": app.get("events") or [], "active": bool(answer.data.get("url"))}
    yield from _hook(about, hook, url)
    yield from _deliveries(transport, about, "/app/hook")


def of_repositories(transport: GitHubTransport, repositories: list[str], url: str) -> Iterator[DoctorFinding]:
    """Check the webhooks of repositories, or of the organizations that own them."""
    unseen: list[str] = []
    organizations: dict[str, dict[str, Any] | None] = {}
    for name in dict.fromkeys(repositories):
        found, may_see = _find(transport, f"/repos/{name}/hooks", url)
        if found is not None:
            about = Subject.github(f"webhook of {name}")
            yield from _hook(about, found, url)
            yield from _deliveries(transport, about, f"/repos/{name}/hooks/{int(found['id'])}")
            continue
        owner = name.partition("/")[0]
        if owner not in organizations:
            organizations[owner], _ = _find(transport, f"/orgs/{owner}/hooks", url)
            if (shared := organizations[owner]) is not None:
                yield from _hook(Subject.github(f"webhook of {owner}"), shared, url)
                yield from _deliveries(
                    transport, Subject.github(f"webhook of {owner}"), f"/orgs/{owner}/hooks/{int(shared['id'])}"
                )
        if organizations[owner] is None:
            if may_see:
                mend = f"add one to {url} in its settings, unless its organization has one"
                yield Subject.github(f"webhook of {name}").unsure(
                    "none of the repository's webhooks goes to Interlock", mend
                )
            else:
                unseen.append(name)
    if unseen:
        found_words = (
            f"the doctor cannot read those of {', '.join(unseen)} without the permission Webhooks: read (repo hooks)"
        )
        yield Subject.github("webhooks").unsure(
            found_words, f"check at GitHub that one goes to {url}, and that its deliveries succeed"
        )


def _find(transport: GitHubTransport, path: str, url: str) -> tuple[dict[str, Any] | None, bool]:
    """Find the webhook to us among those at `path`; return it, and whether the list may be read at all."""
    answer = transport.ask("GET", f"{path}?per_page=100")
    if answer.status != 200 or not isinstance(answer.data, list):
        return None, False
    ours = [hook for hook in answer.data if _same(str((hook.get("config") or {}).get("url", "")), url)]
    ours += [
        h for h in answer.data if "/webhooks/github" in str((h.get("config") or {}).get("url", "")) and h not in ours
    ]
    return (ours[0] if ours else None), True


def _same(one: str, other: str) -> bool:
    return one.rstrip("/").casefold() == other.rstrip("/").casefold()


def _hook(about: Subject, hook: dict[str, Any], url: str) -> Iterator[DoctorFinding]:
    config, problems = hook.get("config") or {}, []
    address = str(config.get("url") or "")
    if not _same(address, url):
        there = f"it goes to {address}" if address else "it has no address"
        problems.append(
            about.bad(f"{there}; expected {url}", "correct its URL, or `web: public_url` of the pipeline file")
        )
    if not hook.get("active", True):
        problems.append(about.bad("it is not active", "tick Active"))
    if not config.get("secret"):
        problems.append(
            about.bad("it has no secret, so Interlock refuses every delivery (401)", f"set it to {_SECRET}")
        )
    if config.get("content_type") != "json":
        problems.append(about.unsure("its content type is not application/json", "choose application/json"))
    if str(config.get("insecure_ssl", "0")) == "1":
        problems.append(about.unsure("it does not check Interlock's certificate", "enable SSL verification"))
    events = set(hook.get("events") or ())
    for event, without in EVENTS.items():
        if not events & {event, "*"}:
            say = about.bad if event == "push" else about.unsure
            problems.append(say(f"it does not send `{event}`: {without}", f"add the event {event}"))
    yield from problems or [about.good("address, events and secret are set")]


def _deliveries(transport: GitHubTransport, about: Subject, path: str) -> Iterator[DoctorFinding]:
    """Check the last deliveries; one that failed and has been delivered again since counts as delivered."""
    try:
        answer = transport.ask("GET", f"{path}/deliveries?per_page={LOOKED_AT}")
    except RetryLater as error:
        yield about.unsure(f"the doctor could not read its deliveries: {error}")
        return
    if answer.status != 200 or not isinstance(answer.data, list):
        yield about.unsure(
            f"the doctor cannot read its deliveries: GitHub answers {answer.status}", "look at them in its settings"
        )
        return
    last: dict[str, dict[str, Any]] = {}
    for row in answer.data:  # newest first
        last.setdefault(str(row.get("guid")), row)
    failed = [row for row in last.values() if not 200 <= int(row.get("status_code") or 0) < 300]
    if not last:
        yield about.unsure(
            "it has delivered nothing in the last days", "merge something, or send a ping from its settings"
        )
    elif failed:
        kinds = Counter(f"{row.get('status_code') or ''} {row.get('status') or ''}".strip() for row in failed)
        reasons = ", ".join(f"{kind} ({number})" for kind, number in kinds.most_common(4))
        latest = failed[0].get("delivered_at")
        found = f"{len(failed)} of its last {len(last)} deliveries failed: {reasons}; the last {latest}"
        mend = (
            "after a 401 correct its secret; otherwise check that GitHub reaches the address; then "
            "redeliver them in its settings"
        )
        yield about.unsure(found, mend)
    else:
        yield about.good(f"its last {len(last)} deliveries arrived" if len(last) > 1 else "its last delivery arrived")
