"""The settings: the values of the environment variables, and checks that they suffice for a pipeline file.

`load()` reads the environment once. A secret may also be in the file that `<NAME>_FILE` names. No message contains a
value.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import SecretStr, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from config import setting_values
from config.configuration import Configuration
from config.errors import SettingsError, nearest
from config.model import ReportKind

T = TypeVar("T")

PREFIX = "INTERLOCK_"
#: The prefixes of the secrets that have one variable for each name.
TOKEN_PREFIX = "INTERLOCK_JENKINS_TOKEN_"  # noqa: S105  only a prefix
WEBHOOK_PREFIX = "INTERLOCK_WEBHOOK_SECRET_"
_NAMED = {"jenkins_tokens": TOKEN_PREFIX, "webhook_secrets": WEBHOOK_PREFIX}
_FILE = "_FILE"

#: The largest secret file; a larger file is not a secret file.
MOST_BYTES = 64 * 1024

#: The settings that may also be in a file named by `<NAME>_FILE`.
SECRETS = frozenset(
    {
        "redis_url",
        "broker_url",
        "github_token",
        "github_app_private_key",
        "github_webhook_secrets",
        "jenkins_webhook_secret",
        "jenkins_tokens",
        "api_tokens",
        "session_secrets",
        "github_oauth_client_secret",
        "notify_urls",
        "webhook_secrets",
    }
)
#: Variables that the Procfile and the launcher read before there are settings.
LAUNCH = ("REDIS_BINARY", "REDIS_FSYNC", "WEB_WORKERS", "WORKERS", "WORKER_THREADS")
#: Variables that only the command line reads: the server's address, and a person's own token.
PERSONAL = ("URL", "TOKEN", "TOKEN_FILE")


# -- the settings --------------------------------------------------------------------------------------------------


class Settings(BaseSettings):
    """The environment, checked and immutable. Each field is the variable INTERLOCK_<FIELD>, in upper case."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="forbid", hide_input_in_errors=True, use_attribute_docstrings=True
    )

    redis_url: SecretStr | None = None
    """Address of the Redis that holds the state; a secret, because it may contain a password. None: the embedded
    one."""
    broker_url: SecretStr | None = None
    """Redis or RabbitMQ that carries Celery's messages. None: the same as the state. Read it through `broker`."""
    config: Path = Path("interlock.yaml")
    """The pipeline file."""
    data_dir: Path = Path(".interlock")
    """The folder of the files of the embedded Redis and the processes."""
    github_token: SecretStr | None = None
    """GitHub token for statuses, comments, comparisons and heads; not used if there is an App."""
    github_app_id: str | None = None
    """The GitHub App that Interlock acts as, by its id or client id."""
    github_app_private_key: SecretStr | None = None
    """The private key of that App, in PEM form."""
    github_webhook_secrets: tuple[SecretStr, ...] = ()
    """Secrets that GitHub signs its webhooks with: one, or two while they are being changed."""
    jenkins_webhook_secret: tuple[SecretStr, ...] = ()
    """Secret in the address that Jenkins calls back: one, or two while it is being changed, the new one first."""
    jenkins_tokens: dict[str, SecretStr] = {}
    """API tokens of the Jenkins users, by the controller's part of the variable name. Read them through
    `jenkins_token`."""
    api_tokens: dict[str, SecretStr] = {}
    """The people who may use the API, and their tokens. Read them through `who`."""
    session_secrets: tuple[SecretStr, ...] = ()
    """Secrets that session cookies are signed with: one, or two while it is being changed, the new one first."""
    github_oauth_client_id: str | None = None
    """The client id of the OAuth app, or of the GitHub App, by which people sign in through GitHub."""
    github_oauth_client_secret: SecretStr | None = None
    """The client secret of that app."""
    notify_urls: dict[str, SecretStr] = {}
    """Address of each channel of the pipeline file, in apprise's form."""
    webhook_secrets: dict[str, SecretStr] = {}
    """Secrets that outbound webhooks are signed with, by the webhook's part of the variable name. Read them through
    `webhook_secret`."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """The lowest level of messages that are logged."""
    log_format: Literal["json", "text"] = "json"
    """One JSON object per line for machines, or text for people."""
    bind: str = "127.0.0.1:8080"
    """The address at which the web process listens, `host:port`."""
    worker_metrics: str = ""
    """The address at which a worker answers Prometheus, `host:port`; empty: none."""
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    """Proxies whose X-Forwarded-For is trusted when live pages are counted per address."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the sources: arguments first (for tests), then the environment; no `.env` files, no secret folders."""
        del env_settings, dotenv_settings, file_secret_settings
        return init_settings, EnvironmentSource(settings_cls)

    @field_validator("*", mode="before")
    @classmethod
    def _parse(cls, value: Any, info: ValidationInfo) -> Any:
        setting = str(info.field_name)
        if isinstance(value, EnvironmentValue):
            return _parsed({"": value}, setting)[""]
        if isinstance(value, dict) and value and all(isinstance(each, EnvironmentValue) for each in value.values()):
            return _parsed(value, setting)
        return value

    @model_validator(mode="after")
    def _whole_app(self) -> Settings:
        if (self.github_app_id is None) != (self.github_app_private_key is None):
            there, missing = ("ID", "PRIVATE_KEY") if self.github_app_id else ("PRIVATE_KEY", "ID")
            also = f" (or {PREFIX}GITHUB_APP_{missing}_FILE)" if missing == "PRIVATE_KEY" else ""
            sentence = (
                f"{PREFIX}GITHUB_APP_{missing}{also} is not set, but {PREFIX}GITHUB_APP_{there} is; "
                "expected both for a GitHub App, or neither"
            )
            raise PydanticCustomError("settings", "the environment is wrong", {"sentences": (sentence,)})
        return self

    @model_validator(mode="after")
    def _broker_that_celery_knows(self) -> Settings:
        state = self.redis_url.get_secret_value() if self.redis_url else ""
        if state and self.broker_url is None and not setting_values.carries_messages(state):
            sentence = (
                f"{PREFIX}BROKER_URL is not set, but {PREFIX}REDIS_URL is a Redis Cluster, which Celery cannot use; "
                "expected the address of RabbitMQ (`amqp://`), or of a Redis that is not a cluster"
            )
            raise PydanticCustomError("settings", "the environment is wrong", {"sentences": (sentence,)})
        return self

    @property
    def broker(self) -> SecretStr | None:
        """Return the address of Celery's broker: its own, or that of the state; None with the embedded Redis."""
        return self.broker_url or self.redis_url

    def need_github(self) -> None:
        """Raise SettingsError if neither a GitHub App nor a token is set."""
        if self.github_app_id is None:
            words = (
                "a token that may read contents, write statuses and comment on pull requests, or a GitHub App in its "
                f"place ({PREFIX}GITHUB_APP_ID)"
            )
            _needed(self.github_token, "GITHUB_TOKEN", words)

    def need_github_webhook_secrets(self) -> tuple[SecretStr, ...]:
        """Return the secrets of GitHub's webhooks, at least one. Raises SettingsError if none is set."""
        words = "the secret of the GitHub webhook: without one anybody could send merges to Interlock"
        return _needed(self.github_webhook_secrets or None, "GITHUB_WEBHOOK_SECRETS", words)

    def need_jenkins_webhook_secrets(self) -> tuple[SecretStr, ...]:
        """Return the secrets of Jenkins' callbacks, at least one. Raises SettingsError if none is set."""
        words = "the secret in the address that Jenkins calls back"
        return _needed(self.jenkins_webhook_secret or None, "JENKINS_WEBHOOK_SECRET", words)

    def jenkins_token(self, controller: str) -> SecretStr:
        """Return the API token for `controller` (a name from the pipeline file).

        Raises SettingsError if none is set.
        """
        suffix = _suffix(controller)
        words = f"the API token of the Jenkins user of controller `{controller}`"
        return _needed(self.jenkins_tokens.get(suffix), f"JENKINS_TOKEN_{suffix}", words)

    def webhook_secret(self, name: str) -> SecretStr:
        """Return the secret that the outbound webhook `name` is signed with. Raises SettingsError if none is set."""
        suffix = _suffix(name)
        words = f"the secret that deliveries to webhook `{name}` are signed with (`openssl rand -hex 32`)"
        return _needed(self.webhook_secrets.get(suffix), f"WEBHOOK_SECRET_{suffix}", words)

    def who(self, token: str) -> str | None:
        """Return the owner of this API token, or None. Takes as long for a wrong token as for a right one."""
        asked = token.encode("utf-8", "surrogatepass")
        found: str | None = None
        for who, secret in self.api_tokens.items():
            if hmac.compare_digest(secret.get_secret_value().encode(), asked):
                found = who
        return found


def load() -> Settings:
    """Return the settings of the current environment. Raises SettingsError with a sentence for each mistake."""
    sentences: tuple[str, ...] = ()
    try:
        return Settings()
    except ValidationError as error:
        sentences = tuple(_sentences(error))
    # Raised outside the handler, so that the exception does not carry pydantic's, which holds the values.
    raise SettingsError(sentences)


def _parsed(values: dict[str, EnvironmentValue], setting: str) -> dict[str, Any]:
    """Return the parsed value of each variable. Every mistake is reported."""
    found: dict[str, Any] = {}
    sentences: list[str] = []
    for key, given in values.items():
        try:
            if given.mistake:
                raise setting_values.InvalidValueError(given.mistake)
            found[key] = setting_values.parse(setting, given.text)
        except setting_values.InvalidValueError as error:
            sentences.append(f"{given.variable} {error}")
    if sentences:
        raise PydanticCustomError("settings", "the environment is wrong", {"sentences": tuple(sentences)})
    return found


def _sentences(error: ValidationError) -> Iterator[str]:
    for details in error.errors(include_url=False, include_input=False):
        if details["type"] == "settings":
            yield from details["ctx"]["sentences"]
        else:
            yield f"{PREFIX}{str(details['loc'][0]).upper()}: {details['type'].replace('_', ' ')}"


def _suffix(name: str) -> str:
    """Return a name of the pipeline file in the form used in the name of a variable."""
    return name.upper().replace("-", "_")


def _needed(value: T | None, name: str, words: str) -> T:
    if value is None:
        raise SettingsError([f"{PREFIX}{name} (or {PREFIX}{name}_FILE) is not set; expected {words}"])
    return value


# -- reading the environment ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class EnvironmentValue:
    """The environment's value for one setting: the variable to name in a message, and its text or its mistake."""

    variable: str
    text: str = field(default="", repr=False)
    mistake: str = ""


class EnvironmentSource(PydanticBaseSettingsSource):
    """A source of settings: the environment, with names as written, in upper case."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Return the environment's value for `field_name`, or None; part of pydantic-settings' interface."""
        if field_name in _NAMED:
            return _by_name(_NAMED[field_name]) or None, field_name, False
        return _given(PREFIX + field_name.upper(), secret=field_name in SECRETS), field_name, False

    def __call__(self) -> dict[str, Any]:
        """Return all settings of the environment."""
        values = {n: self.get_field_value(f, n)[0] for n, f in self.settings_cls.model_fields.items()}
        return {name: value for name, value in values.items() if value is not None}


def _given(variable: str, *, secret: bool) -> EnvironmentValue | None:
    """Return the text of `variable`, or for a secret of the file that `<variable>_FILE` names; None if not set."""
    text = os.environ.get(variable)
    if secret and variable + _FILE in os.environ:
        if text is not None:
            return EnvironmentValue(variable, mistake=f"and {variable}{_FILE} are both set; expected one of them")
        return _from_file(variable + _FILE)
    if text is None:
        return None
    if not text.strip():
        return EnvironmentValue(variable, mistake="is empty; expected a value, or the variable not set")
    return EnvironmentValue(variable, text)


def _from_file(variable: str) -> EnvironmentValue:
    """Return the text of a secret file without the line break at its end.

    The path is not repeated in a message, because it may be the secret itself.
    """
    try:
        with Path(os.environ[variable]).open("rb") as stream:
            raw = stream.read(MOST_BYTES + 1)
        text = raw.decode()
    except OSError as error:
        return EnvironmentValue(variable, mistake=f"names a file that cannot be read ({error.strerror})")
    except ValueError:  # not UTF-8, or a path with a null character
        return EnvironmentValue(variable, mistake="names a file that is not UTF-8 text")
    if len(raw) > MOST_BYTES:
        return EnvironmentValue(variable, mistake=f"names a file of more than {MOST_BYTES // 1024} KiB")
    if not text.strip():
        return EnvironmentValue(variable, mistake="names an empty file")
    return EnvironmentValue(variable, text.rstrip("\r\n"))


def _by_name(prefix: str) -> dict[str, EnvironmentValue]:
    """Return the variables with this prefix, by the rest of their names: `PRE_CDP` for `pre-cdp`."""
    names = {n.removesuffix(_FILE) for n in os.environ if n.startswith(prefix)}
    found = {name: _given(name, secret=True) for name in sorted(names) if name != prefix}
    return {name.removeprefix(prefix): value for name, value in found.items() if value is not None}


# -- requirements of the pipeline file that the environment does not meet ----------------------------------------------


def missing(configuration: Configuration, settings: Settings) -> Iterator[str]:
    """Yield a sentence for each thing that the pipeline file needs and the environment lacks."""
    for controller in configuration.controllers.values():
        try:
            settings.jenkins_token(controller.name)
        except SettingsError as error:
            yield from error.sentences
        if controller.ca_bundle is not None and not controller.ca_bundle.is_file():
            yield f"controller `{controller.name}`: there is no file `{controller.ca_bundle}` (ca_bundle)"
    if configuration.github.report is ReportKind.CHECKS and settings.github_app_id is None:
        yield f"`github: report: checks` needs a GitHub App: {PREFIX}GITHUB_APP_ID is not set; or report `statuses`"
    yield from missing_to_sign_in(configuration, settings)
    yield from _missing_for_webhooks(configuration, settings)
    yield from channels_without_address(configuration, settings)


def channels_without_address(configuration: Configuration, settings: Settings) -> Iterator[str]:
    """Yield a sentence for each channel of the pipeline file that `INTERLOCK_NOTIFY_URLS` has no address for."""
    for channel in configuration.channels:
        if channel not in settings.notify_urls:
            meant = nearest(channel, settings.notify_urls)
            hint = f"; is `{meant}` meant for it?" if meant else ""
            yield f"{PREFIX}NOTIFY_URLS has no address for channel `{channel}`; expected `{channel}=...`{hint}"


def _missing_for_webhooks(configuration: Configuration, settings: Settings) -> Iterator[str]:
    for webhook in configuration.webhooks:
        try:
            settings.webhook_secret(webhook.name)
        except SettingsError as error:
            yield from error.sentences
        if webhook.ca_bundle is not None and not webhook.ca_bundle.is_file():
            yield f"webhook `{webhook.name}`: there is no file `{webhook.ca_bundle}` (ca_bundle)"


def missing_to_sign_in(configuration: Configuration, settings: Settings) -> Iterator[str]:
    """Yield a sentence for each missing setting that a sign-in needs."""
    ways = configuration.web.sign_in
    if ways.is_possible and not settings.session_secrets:
        name = f"{PREFIX}SESSION_SECRETS"
        yield f"`web: sign_in` needs a secret for cookies: {name} (or {name}_FILE) is not set"
    if ways.github:
        for name, value in (("ID", settings.github_oauth_client_id), ("SECRET", settings.github_oauth_client_secret)):
            if value is None:
                yield f"`web: sign_in: github` needs an OAuth app: {PREFIX}GITHUB_OAUTH_CLIENT_{name} is not set"


def unknown_variables() -> Iterator[str]:
    """Yield a sentence for each INTERLOCK_ variable that nothing reads, perhaps misspelt."""
    names = [name.upper() for name in Settings.model_fields if name not in _NAMED]
    names += [f"{name.upper()}_FILE" for name in sorted(SECRETS - set(_NAMED))]
    names += (*LAUNCH, *PERSONAL)
    for variable in sorted(os.environ):
        name = variable.removeprefix(PREFIX)
        if name == variable or name in names or variable.startswith(tuple(_NAMED.values())):
            continue
        meant = nearest(name, names)
        yield f"{variable} is not known" + (f"; did you mean `{PREFIX}{meant}`?" if meant else "")
