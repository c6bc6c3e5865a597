"""What the environment says: places, secrets, logging. `load()` reads it once; keep what it returns."""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import SecretStr, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from config import secret_texts
from config.environment import PREFIX, Environment, Given
from config.errors import SettingsError

T = TypeVar("T")

#: The settings that `<NAME>_FILE` may hold, too.
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
        "notify_urls",
    }
)


class Settings(BaseSettings):
    """The environment, checked and frozen. Each field is the variable INTERLOCK_<FIELD>, in upper case."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="forbid", hide_input_in_errors=True, use_attribute_docstrings=True
    )

    redis_url: SecretStr | None = None
    """Redis that holds the state; it may carry a password, hence a secret. None: the embedded one."""
    broker_url: SecretStr | None = None
    """Redis that carries Celery's messages. None: the same as the state; ask `broker`."""
    config: Path = Path("interlock.yaml")
    """The pipeline file."""
    data_dir: Path = Path(".interlock")
    """Where the embedded Redis and the processes keep their files."""
    github_token: SecretStr | None = None
    """GitHub token for statuses, comments, comparisons and heads; not used if there is an App."""
    github_app_id: str | None = None
    """The GitHub App that Interlock is, by its id or client id."""
    github_app_private_key: SecretStr | None = None
    """The private key of that App, in PEM form."""
    github_webhook_secrets: tuple[SecretStr, ...] = ()
    """Secrets that GitHub signs its webhooks with: one, or two while they are being changed."""
    jenkins_webhook_secret: tuple[SecretStr, ...] = ()
    """Secret in the address that Jenkins calls back: one, or two while it is being changed, the new one first."""
    jenkins_tokens: dict[str, SecretStr] = {}
    """API tokens of the Jenkins users, by controller as the variables have it; ask `jenkins_token`."""
    api_tokens: dict[str, SecretStr] = {}
    """Who may use the API, and their tokens; ask `who`."""
    notify_urls: dict[str, SecretStr] = {}
    """Address of each channel of the pipeline file, as apprise has them."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """The least serious messages that are logged."""
    log_format: Literal["json", "text"] = "json"
    """One JSON object per line for machines, or text for people."""
    bind: str = "127.0.0.1:8080"
    """Where the web process listens, `host:port`."""
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    """Proxies whose X-Forwarded-For is believed, for the number of live pages of one address."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments first (for tests), then the environment; no `.env` files, no secret folders."""
        del env_settings, dotenv_settings, file_secret_settings
        environment = Environment(settings_cls)
        environment.secrets = SECRETS
        return init_settings, environment

    @field_validator("*", mode="before")
    @classmethod
    def _parse(cls, value: Any, info: ValidationInfo) -> Any:
        setting = str(info.field_name)
        if isinstance(value, Given):
            return _parsed({"": value}, setting)[""]
        if isinstance(value, dict) and value and all(isinstance(each, Given) for each in value.values()):
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

    @property
    def broker(self) -> SecretStr | None:
        """Address of Celery's broker: its own, or that of the state; None with the embedded Redis."""
        return self.broker_url or self.redis_url

    def need_github(self) -> None:
        """Raises SettingsError if there is neither a GitHub App nor a token."""
        if self.github_app_id is None:
            words = (
                "a token that may read contents, write statuses and comment on pull requests, or a GitHub App in its "
                f"place ({PREFIX}GITHUB_APP_ID)"
            )
            _needed(self.github_token, "GITHUB_TOKEN", words)

    def need_github_webhook_secrets(self) -> tuple[SecretStr, ...]:
        """The secrets of GitHub's webhooks, at least one; raises SettingsError if there is none."""
        words = "the secret of the GitHub webhook: without one anybody could send us merges"
        return _needed(self.github_webhook_secrets or None, "GITHUB_WEBHOOK_SECRETS", words)

    def need_jenkins_webhook_secrets(self) -> tuple[SecretStr, ...]:
        """The secrets of Jenkins' callbacks, at least one; raises SettingsError if there is none."""
        words = "the secret in the address that Jenkins calls back"
        return _needed(self.jenkins_webhook_secret or None, "JENKINS_WEBHOOK_SECRET", words)

    def jenkins_token(self, controller: str) -> SecretStr:
        """The API token for `controller` (a name from the pipeline file); raises SettingsError if there is none."""
        suffix = controller.upper().replace("-", "_")
        words = f"the API token of the Jenkins user of controller `{controller}`"
        return _needed(self.jenkins_tokens.get(suffix), f"JENKINS_TOKEN_{suffix}", words)

    def who(self, token: str) -> str | None:
        """Whose API token this is, or None. Takes as long for a wrong token as for a right one."""
        asked = token.encode("utf-8", "surrogatepass")
        found: str | None = None
        for who, secret in self.api_tokens.items():
            if hmac.compare_digest(secret.get_secret_value().encode(), asked):
                found = who
        return found


def load() -> Settings:
    """The settings as the environment is now; raises SettingsError with a sentence for each mistake."""
    sentences: tuple[str, ...] = ()
    try:
        return Settings()
    except ValidationError as error:
        sentences = tuple(_sentences(error))
    # Raised out here so that the exception does not carry pydantic's, which knows the values.
    raise SettingsError(sentences)


def _parsed(values: dict[str, Given], setting: str) -> dict[str, Any]:
    """The value of each; every mistake is reported."""
    found: dict[str, Any] = {}
    sentences: list[str] = []
    for key, given in values.items():
        try:
            if given.mistake:
                raise secret_texts.RefusedError(given.mistake)
            found[key] = secret_texts.parse(setting, given.text)
        except secret_texts.RefusedError as error:
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


def _needed(value: T | None, name: str, words: str) -> T:
    if value is None:
        raise SettingsError([f"{PREFIX}{name} (or {PREFIX}{name}_FILE) is not set; expected {words}"])
    return value
