"""The environment: what it means, each mistake as a sentence that names the variable, and no secret in any of them."""
# ruff: noqa: E501  a message is one line

from __future__ import annotations

import os
import traceback
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr

from config import settings
from config.configuration import GitHubSettings
from config.errors import SettingsError
from config.model import ReportKind
from config.pipeline_file import load
from tests.example_file import write_example
from tests.github.app_key import pem

HUSH = "hush-hush-hush-4711"
LONG = "0123456789abcdef0123"
OTHER = "another-secret-4712"


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("INTERLOCK_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def env(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    return monkeypatch


def given(env: pytest.MonkeyPatch, **variables: str) -> settings.Settings:
    for name, value in variables.items():
        env.setenv(f"INTERLOCK_{name}", value)
    return settings.load()


def test_nothing_is_needed_to_start_with_the_embedded_redis(env: pytest.MonkeyPatch) -> None:
    found = settings.load()
    assert (found.redis_url, found.broker, found.github_token) == (None, None, None)
    assert (found.config, found.data_dir) == (Path("interlock.yaml"), Path(".interlock"))
    assert (found.log_level, found.log_format, found.bind) == ("INFO", "json", "127.0.0.1:8080")


def test_the_broker_is_the_redis_of_the_state_unless_it_is_given(env: pytest.MonkeyPatch) -> None:
    assert given(env, REDIS_URL="redis://a/0").broker == SecretStr("redis://a/0")
    assert given(env, BROKER_URL="redis://b/0").broker == SecretStr("redis://b/0")
    assert given(env, REDIS_URL="redis+cluster://a", BROKER_URL="amqp://b").broker == SecretStr("amqp://b")


def test_a_secret_can_come_from_a_file_and_loses_its_last_line_break(env: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(f"{HUSH}\n")
    for name in ("GITHUB_TOKEN", "JENKINS_WEBHOOK_SECRET", "JENKINS_TOKEN_CDP", "GITHUB_WEBHOOK_SECRETS"):
        env.setenv(f"INTERLOCK_{name}_FILE", str(tmp_path / "secret"))
    found = settings.load()
    assert found.github_token == SecretStr(HUSH)
    assert found.need_jenkins_webhook_secrets() == (SecretStr(HUSH),)
    assert found.jenkins_token("cdp") == SecretStr(HUSH)
    assert found.need_github_webhook_secrets() == (SecretStr(HUSH),)


def test_each_controller_has_its_own_token(env: pytest.MonkeyPatch) -> None:
    found = given(env, JENKINS_TOKEN_BUILD="bbb-", JENKINS_TOKEN_CDP_EU="ccc-")
    assert found.jenkins_token("build") == SecretStr("bbb-")
    assert found.jenkins_token("cdp-eu") == SecretStr("ccc-")


@pytest.mark.parametrize("secret", ["$", "/", "@", "%25", " ", "ä", "#", "?", f",{LONG}$"])
def test_a_callback_secret_that_the_plugin_cannot_send_is_refused(env: pytest.MonkeyPatch, secret: str) -> None:
    with pytest.raises(SettingsError) as refused:
        given(env, JENKINS_WEBHOOK_SECRET=f"{LONG}{secret}{LONG}")
    [sentence] = refused.value.sentences
    assert (
        "INTERLOCK_JENKINS_WEBHOOK_SECRET holds a character that Jenkins' notification plugin cannot send" in sentence
    )
    assert LONG not in sentence


def test_a_callback_secret_of_other_signs_is_taken(env: pytest.MonkeyPatch) -> None:
    secret = "aZ09-._~!&'()*+;=:"
    assert given(env, JENKINS_WEBHOOK_SECRET=secret).jenkins_webhook_secret == (SecretStr(secret),)


def test_two_webhook_secrets_are_taken_while_one_replaces_the_other(env: pytest.MonkeyPatch) -> None:
    found = given(env, GITHUB_WEBHOOK_SECRETS=f"{HUSH}, {OTHER}", JENKINS_WEBHOOK_SECRET=f"{OTHER}\n{HUSH}\n")
    assert found.github_webhook_secrets == (SecretStr(HUSH), SecretStr(OTHER))
    assert found.need_jenkins_webhook_secrets() == (SecretStr(OTHER), SecretStr(HUSH))


def test_proxies_are_addresses_or_networks(env: pytest.MonkeyPatch) -> None:
    found = given(env, TRUSTED_PROXIES="10.0.0.0/8, 192.0.2.7 fd00::/8")
    assert [str(network) for network in found.trusted_proxies] == ["10.0.0.0/8", "192.0.2.7/32", "fd00::/8"]


def test_a_token_tells_who_is_asking(env: pytest.MonkeyPatch) -> None:
    found = given(env, API_TOKENS="alice:t0ken:with:colons, bob@example.com:the-other-of-bob\n")
    assert found.who("t0ken:with:colons") == "alice"
    assert found.who("the-other-of-bob") == "bob@example.com"
    for wrong in ("", "t0ken", "alice", "The-other-of-bob", "öther", "\udcff"):
        assert found.who(wrong) is None


def test_every_token_is_compared_whoever_asks(env: pytest.MonkeyPatch) -> None:
    found = given(env, API_TOKENS=",".join(f"{who}:the-token-number-{who}" for who in "abc"))
    compared: list[bytes] = []
    env.setattr(settings.hmac, "compare_digest", lambda a, b: compared.append(a) or a == b)
    assert found.who("the-token-number-a") == "a"
    assert compared == [b"the-token-number-a", b"the-token-number-b", b"the-token-number-c"]


def test_channels_have_addresses(env: pytest.MonkeyPatch) -> None:
    found = given(env, NOTIFY_URLS="chat=slack://A/B/C?x=1 mail=mailtos://u:p@mail.test\n")
    assert {name: url.get_secret_value() for name, url in found.notify_urls.items()} == {
        "chat": "slack://A/B/C?x=1",
        "mail": "mailtos://u:p@mail.test",
    }


def test_settings_cannot_be_changed(env: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="frozen"):
        settings.load().bind = "0.0.0.0:1"  # type: ignore[misc]


GUESSED = (
    "holds a secret that is easy to guess; expected at least 16 characters, 5 of them different, "
    "for example from `openssl rand -hex 32`"
)
FOREIGN = (
    "holds a secret that is easy to guess; expected at least 4 characters, 2 of them different, "
    "as Jenkins or GitHub gives them"
)
MISTAKES = [
    ({"GITHUB_TOKEN": ""}, "INTERLOCK_GITHUB_TOKEN is empty; expected a value, or the variable not set"),
    ({"CONFIG": " "}, "INTERLOCK_CONFIG is empty; expected a value, or the variable not set"),
    ({"JENKINS_TOKEN_CDP": ""}, "INTERLOCK_JENKINS_TOKEN_CDP is empty; expected a value, or the variable not set"),
    ({"GITHUB_TOKEN": HUSH, "GITHUB_TOKEN_FILE": HUSH}, "INTERLOCK_GITHUB_TOKEN and INTERLOCK_GITHUB_TOKEN_FILE are both set; expected one of them"),
    ({"JENKINS_TOKEN_CDP": HUSH, "JENKINS_TOKEN_CDP_FILE": HUSH}, "INTERLOCK_JENKINS_TOKEN_CDP and INTERLOCK_JENKINS_TOKEN_CDP_FILE are both set; expected one of them"),
    # The secret itself where the path should be: the path is not repeated.
    ({"GITHUB_TOKEN_FILE": HUSH}, "INTERLOCK_GITHUB_TOKEN_FILE names a file that cannot be read (No such file or directory)"),
    ({"GITHUB_TOKEN_FILE": "/"}, "INTERLOCK_GITHUB_TOKEN_FILE names a file that cannot be read (Is a directory)"),
    ({"GITHUB_TOKEN_FILE": "/dev/zero"}, "INTERLOCK_GITHUB_TOKEN_FILE names a file of more than 64 KiB"),
    ({"GITHUB_TOKEN_FILE": "/dev/null"}, "INTERLOCK_GITHUB_TOKEN_FILE names an empty file"),
    ({"GITHUB_TOKEN": f"{HUSH}\nmore"}, "INTERLOCK_GITHUB_TOKEN holds a line break or another character that no secret has"),
    ({"GITHUB_WEBHOOK_SECRETS": f"{HUSH},{OTHER},{OTHER}3"}, "INTERLOCK_GITHUB_WEBHOOK_SECRETS holds 3 secrets; expected one, or two while they are being changed"),
    ({"GITHUB_WEBHOOK_SECRETS": ","}, "INTERLOCK_GITHUB_WEBHOOK_SECRETS has nothing before or after a comma; expected one secret, or two with a comma between them"),
    ({"JENKINS_WEBHOOK_SECRET": ",,x"}, "INTERLOCK_JENKINS_WEBHOOK_SECRET has nothing before or after a comma; expected one secret, or two with a comma between them"),
    ({"JENKINS_WEBHOOK_SECRET": "x"}, f"INTERLOCK_JENKINS_WEBHOOK_SECRET {GUESSED}"),
    ({"GITHUB_WEBHOOK_SECRETS": "abababababababababab"}, f"INTERLOCK_GITHUB_WEBHOOK_SECRETS {GUESSED}"),
    ({"SESSION_SECRETS": "short"}, f"INTERLOCK_SESSION_SECRETS {GUESSED}"),
    ({"SESSION_SECRETS": f"{HUSH},short"}, f"INTERLOCK_SESSION_SECRETS {GUESSED}"),
    ({"WEBHOOK_SECRET_AUDIT": "short"}, f"INTERLOCK_WEBHOOK_SECRET_AUDIT {GUESSED}"),
    ({"API_TOKENS": "alice:x"}, f"INTERLOCK_API_TOKENS {GUESSED}"),
    ({"GITHUB_TOKEN": "x"}, f"INTERLOCK_GITHUB_TOKEN {FOREIGN}"),
    ({"JENKINS_TOKEN_CDP": "xxxxxxxx"}, f"INTERLOCK_JENKINS_TOKEN_CDP {FOREIGN}"),
    ({"NOTIFY_URLS": "chat=slack://TOKEN_A/TOKEN_B/TOKEN_C"}, "INTERLOCK_NOTIFY_URLS holds a placeholder for `chat`; expected its real address"),
    ({"NOTIFY_URLS": "chat=mailtos://user:password@example.com"}, "INTERLOCK_NOTIFY_URLS holds a placeholder for `chat`; expected its real address"),
    ({"NOTIFY_URLS": "chat=https://hooks.slack.com/services/T000/B000/XXXX"}, "INTERLOCK_NOTIFY_URLS holds a placeholder for `chat`; expected its real address"),
    ({"NOTIFY_URLS": "chat=slack://..."}, "INTERLOCK_NOTIFY_URLS holds a placeholder for `chat`; expected its real address"),
    ({"TRUSTED_PROXIES": "10.0.0.1/8"}, "INTERLOCK_TRUSTED_PROXIES has an entry, `10.0.0.1/8`, that is not an address; expected addresses or networks such as `10.0.0.7` or `10.0.0.0/8`"),
    ({"API_TOKENS": f"alice:{HUSH},{HUSH}"}, "INTERLOCK_API_TOKENS has an entry, number 2, that is not `who:token`"),
    ({"API_TOKENS": "alice:"}, "INTERLOCK_API_TOKENS has an entry, number 1, that is not `who:token`"),
    ({"API_TOKENS": f"alice:{HUSH},alice:x"}, "INTERLOCK_API_TOKENS names `alice` twice"),
    ({"API_TOKENS": f"alice:{HUSH},bob:{HUSH}"}, "INTERLOCK_API_TOKENS gives the same token to two people; expected one of their own for each"),
    ({"NOTIFY_URLS": f"slack://{HUSH}"}, "INTERLOCK_NOTIFY_URLS has an entry, number 1, that is not `channel=address`"),
    ({"NOTIFY_URLS": f"chat={HUSH}"}, "INTERLOCK_NOTIFY_URLS holds no address for `chat`; expected one such as `slack://...`"),
    ({"REDIS_URL": f"localhost:{HUSH}"}, "INTERLOCK_REDIS_URL is not the address of a Redis; expected one such as `redis://localhost:6379/0`, `unix:///run/redis.sock`, `redis+sentinel://host1:26379,host2:26379/mymaster` or `redis+cluster://host1:6379,host2:6379`"),
    ({"BROKER_URL": f"redis://:{HUSH}@host?{HUSH}=1"}, "INTERLOCK_BROKER_URL has the option `…`, which `redis://` does not have; expected one of `db`"),
    ({"REDIS_URL": f"redis+cluster://:{HUSH}@host"}, "INTERLOCK_BROKER_URL is not set, but INTERLOCK_REDIS_URL is a Redis Cluster, which Celery cannot use; expected the address of RabbitMQ (`amqp://`), or of a Redis that is not a cluster"),
    ({"BROKER_URL": f"redis+cluster://:{HUSH}@host"}, "INTERLOCK_BROKER_URL is a Redis Cluster, which Celery cannot use; expected RabbitMQ (`amqp://`), or a Redis that is no cluster"),
    ({"BROKER_URL": "amqps://host?ssl_ca_certs=/no/such"}, "INTERLOCK_BROKER_URL names a file in `ssl_ca_certs` that is not there"),
    ({"REDIS_URL": "rediss://host?ssl_ca_certs=/no/such"}, "INTERLOCK_REDIS_URL names a file in `ssl_ca_certs` that is not there"),
    ({"LOG_LEVEL": "warn"}, "INTERLOCK_LOG_LEVEL is not known; expected one of `DEBUG`, `INFO`, `WARNING`, `ERROR`; did you mean `WARNING`?"),
    ({"LOG_FORMAT": "xml"}, "INTERLOCK_LOG_FORMAT is not known; expected one of `json`, `text`"),
    ({"BIND": "8080"}, "INTERLOCK_BIND is not `host:port`; expected an address such as `127.0.0.1:8080`"),
    ({"BIND": "[::1]:65536"}, "INTERLOCK_BIND has a port that is too large; expected at most 65535"),
]  # fmt: skip


@pytest.mark.parametrize(("variables", "sentence"), MISTAKES)
def test_a_mistake_is_a_sentence_without_the_secret(
    env: pytest.MonkeyPatch, variables: dict[str, str], sentence: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        given(env, **variables)
    assert caught.value.sentences == (sentence,)
    assert caught.value.__context__ is None
    assert HUSH not in "".join(traceback.format_exception(caught.value))


def test_all_mistakes_are_said_at_once(env: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError) as caught:
        given(env, BIND="x", LOG_LEVEL="x", JENKINS_TOKEN_A="", JENKINS_TOKEN_B="")
    said = [sentence.split()[0].removeprefix("INTERLOCK_") for sentence in caught.value.sentences]
    assert said == ["JENKINS_TOKEN_A", "JENKINS_TOKEN_B", "LOG_LEVEL", "BIND"]


def test_no_secret_is_shown_with_the_settings(env: pytest.MonkeyPatch) -> None:
    names = [name.upper() for name in settings.SECRETS - {"jenkins_tokens", "webhook_secrets"}]
    names += ["JENKINS_TOKEN_CDP", "WEBHOOK_SECRET_AUDIT"]
    forms = {"API_TOKENS": "a:{}", "NOTIFY_URLS": "a=slack://{}", "REDIS_URL": "redis://:{}@x"}
    forms["BROKER_URL"] = forms["REDIS_URL"]
    forms["GITHUB_APP_PRIVATE_KEY"] = pem().replace("-----BEGIN", f"{HUSH}\n-----BEGIN")  # text around a key is allowed
    env.setenv("INTERLOCK_GITHUB_APP_ID", "1")
    found = given(env, **{name: forms.get(name, "{}").format(HUSH) for name in names})
    assert HUSH not in repr(found) + str(found) + found.model_dump_json() + repr(found.model_dump())
    assert len([f for f in settings.SECRETS if getattr(found, f)]) == len(settings.SECRETS)


@pytest.mark.parametrize(
    ("ask", "variable"),
    [
        (lambda s: s.need_github(), "GITHUB_TOKEN"),
        (lambda s: s.need_github_webhook_secrets(), "GITHUB_WEBHOOK_SECRETS"),
        (lambda s: s.need_jenkins_webhook_secrets(), "JENKINS_WEBHOOK_SECRET"),
        (lambda s: s.jenkins_token("cdp-eu"), "JENKINS_TOKEN_CDP_EU"),
        (lambda s: s.webhook_secret("audit-log"), "WEBHOOK_SECRET_AUDIT_LOG"),
    ],
)
def test_what_is_needed_and_missing_is_named(env: pytest.MonkeyPatch, ask: object, variable: str) -> None:
    assert callable(ask)
    with pytest.raises(SettingsError, match=rf"^INTERLOCK_{variable} \(or INTERLOCK_{variable}_FILE\) is not set; "):
        ask(settings.load())


def test_what_a_pipeline_file_needs_from_the_environment_is_said_at_start(
    env: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    example = load(write_example(tmp_path / "interlock.yaml"))
    configuration = example
    cdp = replace(configuration.controllers["cdp"], ca_bundle=Path("/nowhere/ca.pem"))
    configuration = replace(configuration, controllers={**configuration.controllers, "cdp": cdp})
    found = given(env, JENKINS_TOKEN_BUILD="token", NOTIFY_URLS="on-call=json://x teamchat=json://y")
    assert list(settings.missing(configuration, found)) == [
        "INTERLOCK_JENKINS_TOKEN_CDP (or INTERLOCK_JENKINS_TOKEN_CDP_FILE) is not set; "
        "expected the API token of the Jenkins user of controller `cdp`",
        "controller `cdp`: there is no file `/nowhere/ca.pem` (ca_bundle)",
        "INTERLOCK_NOTIFY_URLS has no address for channel `team-chat`; expected `team-chat=...`; "
        "is `teamchat` meant for it?",
    ]
    env.setenv("INTERLOCK_JENKINS_TOKEN_CDP", "token")
    env.setenv("INTERLOCK_NOTIFY_URLS", "on-call=json://x team-chat=json://y")
    assert list(settings.missing(example, settings.load())) == []


def test_check_runs_without_an_app_are_refused_at_start(env: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = given(
        env, JENKINS_TOKEN_BUILD="token", JENKINS_TOKEN_CDP="token", NOTIFY_URLS="on-call=json://x team-chat=json://y"
    )
    example = load(write_example(tmp_path / "interlock.yaml"))
    configuration = replace(example, github=GitHubSettings(report=ReportKind.CHECKS))
    (said,) = settings.missing(configuration, found)
    assert said.startswith("`github: report: checks` needs a GitHub App: INTERLOCK_GITHUB_APP_ID is not set")


def test_a_misspelt_variable_is_pointed_out(env: pytest.MonkeyPatch) -> None:
    given(env, GITHUB_TOKN=HUSH, BIND="127.0.0.1:1", WEB_WORKERS="2", JENKINS_TOKEN_X="token", ZZZ="1")
    assert list(settings.unknown_variables()) == [
        "INTERLOCK_GITHUB_TOKN is not known; did you mean `INTERLOCK_GITHUB_TOKEN`?",
        "INTERLOCK_ZZZ is not known",
    ]


# -- the GitHub App --------------------------------------------------------------------------------------------


def test_an_app_takes_the_place_of_a_token(env: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_text(pem())
    found = given(env, GITHUB_APP_ID="123456", GITHUB_APP_PRIVATE_KEY_FILE=str(tmp_path / "key.pem"))
    found.need_github()
    assert found.github_app_private_key is not None
    assert found.github_app_private_key.get_secret_value() == pem()


def test_a_private_key_on_one_line_is_understood(env: pytest.MonkeyPatch) -> None:
    found = given(env, GITHUB_APP_ID="Iv23liABC", GITHUB_APP_PRIVATE_KEY=pem().replace("\n", "\\n"))
    assert found.github_app_private_key == SecretStr(pem())


@pytest.mark.parametrize(
    ("given_now", "sentence"),
    [
        (
            {"GITHUB_APP_ID": "1"},
            "INTERLOCK_GITHUB_APP_PRIVATE_KEY (or INTERLOCK_GITHUB_APP_PRIVATE_KEY_FILE) is not set, but INTERLOCK_GITHUB_APP_ID is; expected both for a GitHub App, or neither",
        ),
        (
            {"GITHUB_APP_PRIVATE_KEY": "the key"},
            "INTERLOCK_GITHUB_APP_ID is not set, but INTERLOCK_GITHUB_APP_PRIVATE_KEY is; expected both for a GitHub App, or neither",
        ),
        (
            {"GITHUB_APP_ID": "my app"},
            "INTERLOCK_GITHUB_APP_ID is not the id of a GitHub App; expected a number such as `123456`, or its client id",
        ),
        (
            {"GITHUB_APP_ID": "1", "GITHUB_APP_PRIVATE_KEY": HUSH},
            "INTERLOCK_GITHUB_APP_PRIVATE_KEY holds no RSA private key in PEM form; expected the file that GitHub made for the App",
        ),
    ],
)
def test_half_an_app_or_a_key_that_is_none_is_told(
    env: pytest.MonkeyPatch, given_now: dict[str, str], sentence: str
) -> None:
    if given_now.get("GITHUB_APP_PRIVATE_KEY") == "the key":
        given_now = {"GITHUB_APP_PRIVATE_KEY": pem()}
    with pytest.raises(SettingsError) as error:
        given(env, **given_now)
    assert error.value.sentences == (sentence,)
    assert HUSH not in "".join(traceback.format_exception(error.value))
