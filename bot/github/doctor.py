"""The checks of `interlock doctor` at GitHub: identity, permissions, repositories, limits. They only read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from github import Auth

from bot.core.model.pipeline import Service
from bot.doctor import DoctorFinding, Subject
from bot.effect_outcomes import PermanentFailure, RetryLater
from bot.github import doctor_webhooks, identity
from bot.github.transport import GitHubResponse, GitHubTransport, refusal
from config.configuration import Configuration
from config.settings import Settings

# -- the permissions that Interlock needs ------------------------------------------------------------------------------

_ENOUGH = {"read": ("read", "write", "admin"), "write": ("write", "admin")}


@dataclass(frozen=True, slots=True)
class NeededPermission:
    """A permission by its name in the API, or alternatives of which one is enough, and what fails without it."""

    names: tuple[str, ...]
    level: str
    without: str
    #: Runs pass their stages without it.
    optional: bool = False
    #: Only a GitHub App can have it.
    apps_only: bool = False

    def __str__(self) -> str:
        return f"{' or '.join(self.names)}: {self.level}"

    def met_by(self, permissions: Mapping[str, str]) -> bool:
        """Return whether one of these permissions is enough."""
        return any(permissions.get(name) in _ENOUGH[self.level] for name in self.names)


NEEDS = (
    NeededPermission(("contents",), "read", "Interlock cannot read the head of main and cannot compare commits"),
    NeededPermission(("statuses",), "write", "Interlock cannot set commit statuses"),
    NeededPermission(("pull_requests", "issues"), "write", "Interlock cannot comment on pull requests"),
    NeededPermission(("checks",), "write", "Interlock cannot write check runs", optional=True, apps_only=True),
    NeededPermission(("deployments",), "write", "Interlock cannot write deployments", optional=True),
    NeededPermission(
        ("merge_queues",), "read", "GitHub does not send the event merge_group", optional=True, apps_only=True
    ),
)


#: Needed if a role names a team.
MEMBERS = NeededPermission(("members",), "read", "Interlock refuses the members of a team that has a role")


def lacking_permissions(permissions: Mapping[str, str], *, teams: bool = False) -> Iterator[NeededPermission]:
    """Return the permissions that an App's installation lacks. `teams`: whether a role names a team."""
    return (need for need in (*NEEDS, *([MEMBERS] if teams else [])) if not need.met_by(permissions))


def lacking_scopes(scopes: set[str], *, private: bool) -> list[str]:
    """Return the scopes that a classic token lacks (GitHub docs: scopes for OAuth apps)."""
    if "repo" in scopes:
        return []
    return ["repo"] if private else [scope for scope in ("public_repo", "repo:status") if scope not in scopes]


# -- the checks --------------------------------------------------------------------------------------------------------

#: The doctor warns of a token that ends within this many days, and of an hourly limit with less than this share left.
SOON, LITTLE = 14, 0.2


def examine_github(configuration: Configuration, settings: Settings) -> Iterator[DoctorFinding]:
    """Check our identity, every repository, the permissions, the webhooks and the limits. Changes nothing."""
    if not identity.is_known(settings):
        mend = (
            "create a GitHub App or a token (docs/github.md) and set INTERLOCK_GITHUB_APP_ID or INTERLOCK_GITHUB_TOKEN"
        )
        yield Subject.github().bad("neither a GitHub App nor a token is set", mend)
        return
    kind = _App if identity.is_app(settings) else _Person
    examination = kind(configuration, settings)
    try:
        yield from examination.findings()
    except (RetryLater, PermanentFailure) as error:
        yield Subject.github().bad(f"GitHub stopped answering: {error}", "run the doctor again")
    finally:
        examination.close()


class _Examination:
    """The checks that are the same for a token and for an App."""

    def __init__(self, configuration: Configuration, settings: Settings) -> None:
        self._configuration = configuration
        self._settings = settings
        self._where = configuration.github
        self._hook_url = f"{configuration.web.public_url}/webhooks/github"
        self._transports: list[GitHubTransport] = []
        self._services = [service for pipeline in configuration.pipelines for service in pipeline.services]

    def close(self) -> None:
        for transport in self._transports:
            transport.close()

    def _transport(self, auth: Auth.Auth) -> GitHubTransport:
        self._transports.append(GitHubTransport(self._where, auth))
        return self._transports[-1]

    def _ask_identity(self, transport: GitHubTransport, path: str) -> GitHubResponse | DoctorFinding:
        """Ask for our own identity; return the answer, or a finding if it fails."""
        try:
            answer = transport.ask("GET", path)
        except (RetryLater, PermanentFailure) as error:
            mend = (
                f"check that {self._where.api_url} (github: api_url) is its address and can be "
                "reached from this machine"
            )
            return Subject.github().bad(str(error), mend)
        if answer.status == 401:
            return Subject.github().bad(f"GitHub refuses {self.proof} (401: {answer.message})", self.renew)
        if answer.status != 200 or not isinstance(answer.data, dict):
            said = f"GitHub answers GET {path} with {answer.status}"
            return Subject.github().bad(
                said, f"check that {self._where.api_url} is its API (github: api_url; GHES: https://HOST/api/v3)"
            )
        return answer

    #: The credential that GitHub may refuse, and what to do then.
    proof, renew = "", ""

    def _repository(
        self, transport: GitHubTransport, service: Service
    ) -> tuple[list[DoctorFinding], dict[str, Any] | None]:
        """Check the repository of a service; return the findings, and the repository if it can be read."""
        about = Subject.github(f"repository {service.repository}")
        try:
            answer = transport.ask("GET", f"/repos/{service.repository}")
            if answer.status == 404:
                mend = f"check its name; then give {self.who} access to it"
                return [about.bad(f"it does not exist, or {self.who} may not read it (404)", mend)], None
            if answer.status >= 400:
                raise refusal(answer, "reading it")
            found = list(self._state(transport, about, service, answer.data))
        except (RetryLater, PermanentFailure) as error:
            return [about.bad(str(error), f"give {self.who} Contents: read on it")], None
        return found or [about.good(f"Interlock can read it and its branch `{service.branch}`")], answer.data

    who = "the user"

    def _state(
        self, transport: GitHubTransport, about: Subject, service: Service, data: dict[str, Any]
    ) -> Iterator[DoctorFinding]:
        if data["full_name"].casefold() != service.repository.casefold():
            found = f"its name is now {data['full_name']}"
            yield about.unsure(found, "correct its name in the pipeline file; until then Interlock finds it by its id")
        if data.get("archived"):
            yield about.bad(
                "it is archived, so Interlock cannot set a status",
                "unarchive it, or remove the service from the pipeline file",
            )
        head = transport.ask("GET", f"/repos/{data['full_name']}/git/ref/heads/{quote(service.branch)}")
        if head.status == 404:
            mend = f"correct `branch` of the service; the default branch is `{data['default_branch']}`"
            yield about.bad(f"it has no branch `{service.branch}`, or {self.who} may not read its contents", mend)
        elif head.status >= 400:
            raise refusal(head, f"the head of {service.branch}")
        elif data["default_branch"] != service.branch:
            found = f"its default branch is `{data['default_branch']}`, but Interlock rolls out `{service.branch}`"
            yield about.unsure(found, "change `branch` of the service, unless this is intended")

    def _limit(self, transport: GitHubTransport, about: Subject) -> Iterator[DoctorFinding]:
        answer = transport.ask("GET", "/rate_limit")
        core = answer.data["resources"]["core"] if answer.status == 200 else None
        if core is None:
            yield about.good(
                f"GitHub reports no hourly limit ({answer.status}), as on an Enterprise Server without limits"
            )
            return
        left = f"{core['remaining']} of {core['limit']} requests are left"
        again = datetime.fromtimestamp(core["reset"], UTC).strftime("%H:%M UTC")
        if core["remaining"] < LITTLE * core["limit"]:
            mend = (
                "find out who else uses this identity; poll less often (polling: heads), or use a "
                "GitHub App: its limit is higher"
            )
            yield about.unsure(f"{left} until {again}", mend)
        else:
            yield about.good(f"{left} until {again}")


class _Person(_Examination):
    """The checks for the token of a person or a machine user."""

    proof = "the token"
    renew = "create a new token for that user and put it into INTERLOCK_GITHUB_TOKEN"

    def findings(self) -> Iterator[DoctorFinding]:
        auth = identity.token_auth(self._settings)
        transport = self._transport(auth)
        user = self._ask_identity(transport, "/user")
        if isinstance(user, DoctorFinding):
            yield user
            return
        login = str(user.data.get("login", ""))
        self.who = f"the user {login} (and the token)"
        yield Subject.github().good(f"{self._where.api_url} answers; signed in as {login}, with {_kind(auth.token)}")
        yield from _expiry(user)
        private, repositories = False, []
        for service in self._services:
            found, data = self._repository(transport, service)
            yield from found
            if data is not None:
                private |= bool(data.get("private"))
                repositories.append(data["full_name"])
                if not (data.get("permissions") or {}).get("push", True):
                    mend = f"give {login} write access to it: Interlock sets statuses there"
                    yield Subject.github(f"repository {service.repository}").bad(
                        f"{login} may read it, but not write to it", mend
                    )
        yield from _scopes(user, private=private)
        yield from doctor_webhooks.of_repositories(transport, repositories, self._hook_url)
        yield from self._limit(transport, Subject.github("limit"))


def _kind(token: str) -> str:
    kinds = {"github_pat_": "a fine-grained token", "ghp_": "a classic token", "gho_": "an OAuth token"}
    return next((kind for start, kind in kinds.items() if token.startswith(start)), "a token")


def _expiry(user: GitHubResponse) -> Iterator[DoctorFinding]:
    """Warn if the token ends soon; a header of GitHub says when (GitHub docs: token expiration)."""
    text = user.headers.get("github-authentication-token-expiration", "")
    try:
        ends = datetime.strptime(text.replace(" UTC", " +0000"), "%Y-%m-%d %H:%M:%S %z")
    except ValueError:
        return
    days = (ends - datetime.now(UTC)).days
    if days < SOON:
        yield Subject.github("token").unsure(f"it expires in {max(0, days)} days, on {ends:%d %B %Y}", _Person.renew)


def _scopes(user: GitHubResponse, *, private: bool) -> Iterator[DoctorFinding]:
    text = user.headers.get("x-oauth-scopes")
    if not text:
        needs = ", ".join(str(need) for need in NEEDS if not need.apps_only)
        found = "its permissions are not known: GitHub does not report those of a fine-grained token"
        yield Subject.github("token").unsure(found, f"check at GitHub that it has {needs} (the last one is optional)")
        return
    scopes = {scope.strip() for scope in text.split(",")}
    missing = lacking_scopes(scopes, private=private)
    if missing:
        yield Subject.github("token").bad(
            f"it lacks the scopes {', '.join(missing)} (it has {text})", "add them to the token"
        )
    else:
        yield Subject.github("token").good(f"its scopes are enough: {text}")


class _App(_Examination):
    """The checks for a GitHub App."""

    proof = "the App's key"
    renew = (
        "check that INTERLOCK_GITHUB_APP_ID and the private key belong to one App, and that this "
        "machine's clock is right"
    )
    who = "the App"

    def __init__(self, configuration: Configuration, settings: Settings) -> None:
        super().__init__(configuration, settings)
        self._reached: dict[int, GitHubTransport] = {}
        self._teams = any(access.roles.names_a_team for access in configuration.accesses.values())

    def findings(self) -> Iterator[DoctorFinding]:
        transport = self._transport(identity.app_auth(self._settings))
        app = self._ask_identity(transport, "/app")
        if isinstance(app, DoctorFinding):
            yield app
            return
        yield Subject.github().good(f"{self._where.api_url} answers; signed in as the App {app.data.get('slug')}")
        if self._settings.github_token is not None:
            mend = "remove INTERLOCK_GITHUB_TOKEN from the environment"
            yield Subject.github().unsure("both an App and a token are set: Interlock uses the App", mend)
        for service in self._services:
            yield from self._service(transport, service)
        for number in self._reached:
            yield from self._installation(transport, number, app.data.get("permissions") or {})
        yield from doctor_webhooks.of_app(transport, app.data, self._hook_url)

    def _service(self, transport: GitHubTransport, service: Service) -> Iterator[DoctorFinding]:
        try:
            number = identity.ask_for_installation(transport, service.repository)
        except (RetryLater, PermanentFailure) as error:
            mend = "install the App on it: GitHub, the App's page, Install App, and choose the repository"
            yield Subject.github(f"repository {service.repository}").bad(str(error), mend)
            return
        yield from self._repository(self._of(number), service)[0]

    def _of(self, number: int) -> GitHubTransport:
        if number not in self._reached:
            self._reached[number] = self._transport(identity.installation_auth(self._where, self._settings, number))
        return self._reached[number]

    def _installation(self, transport: GitHubTransport, number: int, wanted: dict[str, str]) -> Iterator[DoctorFinding]:
        answer = transport.ask("GET", f"/app/installations/{number}")
        if answer.status >= 400:
            yield Subject.github(f"installation {number}").unsure(
                f"the doctor cannot read it: GitHub answers {answer.status}"
            )
            return
        account = (answer.data.get("account") or {}).get("login", number)
        about = Subject.github(f"installation on {account}")
        if answer.data.get("suspended_at"):
            yield about.bad("it is suspended", f"unsuspend it in the settings of {account}")
            return
        missing = list(lacking_permissions(answer.data.get("permissions") or {}, teams=self._teams))
        for need in missing:
            if need.met_by(wanted):
                mend = f"an owner of {account} must accept the App's new permissions (GitHub Apps, Review request)"
            else:
                mend = "add it in the App's settings (Permissions & events), then accept it where it is installed"
            say = about.unsure if need.optional else about.bad
            yield say(f"the permission {need} is missing: {need.without}", mend)
        if not missing:
            yield about.good("it has every permission that Interlock needs")
        yield from self._limit(self._of(number), Subject.github(f"limit of the {about.subject}"))
