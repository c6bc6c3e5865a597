"""Control verbs about the GitHub App: registering it, installing it, and pressing its buttons."""

from __future__ import annotations

from standins.github import checks
from standins.github.apps import EVENTS, PERMISSIONS, App, Installation
from standins.github.model import Repo
from standins.github.oauth import OAuthApp
from standins.github.shapes_checks import run_json
from standins.github.verbs_base import Json, VerbBase


class AppVerbs(VerbBase):
    """The acts of people on an App, and its check runs."""

    def register_oauth_app(self, client_id: str, client_secret: str, callback: str) -> None:
        """Register the OAuth app for signing in; GitHub sends browsers back to `callback`."""
        with self._w.lock:
            self._w.oauth = OAuthApp(client_id, client_secret, callback, self._w.oauth.browser)

    def sign_in_browser(self, login: str | None) -> None:
        """Set the account in the next browser; None: the person refuses."""
        with self._w.lock:
            self._w.oauth.browser = login

    def register_app(
        self,
        public_key: str,
        app_id: int = 1,
        slug: str = "interlock",
        owner: str = "acme",
        permissions: dict[str, str] | None = None,
        hook: Json | None = None,
        install: list[str] | None = None,
        ping: bool = False,
    ) -> list[int]:
        """Register the App: from now on its JSON web tokens must be signed with the key of `public_key` (PEM).

        `hook`: {url, secret, events, realistic}. `install`: accounts to install it on, with all their repositories;
        returns the installations' ids. An event `*` stands for all events. `ping`: send the
        hook's ping.
        """
        with self._w.lock:
            made = None if hook is None else self._w.hook(hook)
            granted = dict(PERMISSIONS if permissions is None else {"metadata": "read", **permissions})
            events = () if made is None else EVENTS if "*" in made.events else made.events
            self._w.apps.app = App(app_id, slug, owner, public_key, granted, events, made, self._w.clock.now())
            self._w.apps.installations.clear()
            if made is not None and ping:
                self._w.ping_app(made)
            return [self.install_app(account) for account in install or []]

    def install_app(
        self, account: str, repos: list[str] | None = None, permissions: dict[str, str] | None = None
    ) -> int:
        """Install it on an account, on all repositories or on some; send `installation created`; return the id."""
        with self._w.lock:
            chosen = None if repos is None else {self._w.repo(name).id for name in repos}
            made = self._w.apps.install(account, permissions, chosen, self._w.clock.now())
            self._tell(made, "created", account)
            return made.id

    def uninstall_app(self, installation: int) -> None:
        """Uninstall it and invalidate its tokens; send `installation deleted`."""
        with self._w.lock:
            found = self._installation(installation)
            del self._w.apps.installations[installation]
            gone = [secret for secret, token in self._access.tokens.items() if token.installation is found]
            for secret in gone:
                del self._access.tokens[secret]
            self._tell(found, "deleted", found.account)

    def suspend_app(self, installation: int, on: bool = True) -> None:
        """Suspend it (its tokens are refused) or unsuspend it; send `installation suspend` or `unsuspend`."""
        with self._w.lock:
            found = self._installation(installation)
            if not on:
                found.suspended = None
            self._tell(found, "suspend" if on else "unsuspend", found.account)
            if on:
                found.suspended = self._w.clock.now()

    def change_installation(
        self, installation: int, add: list[str] | None = None, remove: list[str] | None = None
    ) -> None:
        """Add repositories to an installation or remove some; send `installation_repositories`."""
        with self._w.lock:
            found = self._installation(installation)
            reached = self._reached(found)
            added = [self._w.repo(name) for name in add or []]
            removed = [self._w.repo(name) for name in remove or []]
            found.repos = {repo.id for repo in [*reached, *added] if repo not in removed}
            for more, less in ((added, []), ([], removed)):
                if more or less:
                    payload = self._w.payloads.installation_repositories(found, more, less, found.account)
                    self._w.emit_to_app("installation_repositories", found, payload)

    def press_button(self, repo: str, check_run: int, identifier: str, user: str = "dev") -> None:
        """Press a button of a check run as a person; send `check_run requested_action`."""
        with self._w.lock:
            found = self._w.repo(repo)
            run = checks.found_run(found, check_run)
            known = [one["identifier"] for one in run.actions]
            if identifier not in known:
                raise LookupError(f"check run {check_run} has no button {identifier!r}; there are: {known}")
            checks.tell_run(self._w, found, run, "requested_action", user, identifier)

    def rerequest_check(self, repo: str, check_run: int, user: str = "dev") -> None:
        """Press Re-run on a check run; send `check_run rerequested`. The check run does not change."""
        with self._w.lock:
            found = self._w.repo(repo)
            checks.tell_run(self._w, found, checks.found_run(found, check_run), "rerequested", user)

    def rerequest_suite(self, repo: str, sha: str, user: str = "dev") -> None:
        """Press Re-run all; send `check_suite rerequested`."""
        with self._w.lock:
            found = self._w.repo(repo)
            checks.tell_suite(self._w, found, checks.suite_of(self._w, found, sha), "rerequested", user)

    def check_runs(self, repo: str, sha: str | None = None) -> list[Json]:
        """List check runs in the order of their creation, as REST gives them, with their buttons as `actions`."""
        with self._w.lock:
            found, app = self._w.repo(repo), self._w.apps.app
            runs = [run for run in found.check_runs.values() if sha in (None, run.sha)]
            return [run_json(self._w.shapes, app, found, run) | {"actions": run.actions} for run in runs]

    def _installation(self, number: int) -> Installation:
        found = self._w.apps.installations.get(number)
        if found is None:
            raise LookupError(f"there is no installation {number}; there are: {sorted(self._w.apps.installations)}")
        return found

    def _reached(self, one: Installation) -> list[Repo]:
        return [repo for repo in self._w.repos.values() if one.reaches(repo)]

    def _tell(self, one: Installation, action: str, sender: str) -> None:
        payload = self._w.payloads.installation(one, action, self._reached(one), sender)
        self._w.emit_to_app("installation", one, payload)
