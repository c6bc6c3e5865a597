"""The command line is the API with one's own token: the same table of roles, and the server's own refusal."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pydantic import SecretStr

from bot.cli.main import cli
from bot.core.access import NEEDED
from bot.core.model.events import ModeAsked
from bot.core.model.run import Run
from bot.web.app import create_app
from config.configuration import Configuration, PipelineAccess, SignInSettings, WebSettings
from config.settings import Settings
from tests.cli.conftest import Interlock, serving, typed
from tests.roles import CASES, PEOPLE, REASON, ROLES, Case, cases, token
from tests.web.conftest import Story


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"api_tokens": {who: SecretStr(token(who)) for who in PEOPLE}})


@pytest.fixture
def configuration(configuration: Configuration, story: Story) -> Configuration:
    return replace(configuration, accesses={story.shape.name: PipelineAccess(ROLES)})


#: Whoever asks what an action would lead to.
FORESEEABLE = [(case, who) for case, who in cases("typed") if case.foreseeable]


@pytest.mark.parametrize(("case", "who"), list(cases("typed")), ids=lambda each: getattr(each, "name", each))
def test_each_role_may_type_what_the_table_says(
    interlock: Interlock, address: str, story: Story, broken: Run, case: Case, who: str
) -> None:
    if story.board.header.mode is not case.mode:
        story.tell(ModeAsked(case.mode, "test", REASON))
    done = interlock(*(word.format(url=address) for word in case.typed), INTERLOCK_TOKEN=token(who))
    refused = f"{who} may not" in done.stderr
    assert refused is not case.may(who), done.stderr
    if refused:
        assert done.exit_code == 1
        assert f"that takes the role `{NEEDED[case.action]}`" in done.stderr


@pytest.mark.parametrize(("case", "who"), FORESEEABLE, ids=lambda each: getattr(each, "name", each))
def test_a_dry_run_takes_the_role_of_its_action(
    interlock: Interlock, story: Story, broken: Run, case: Case, who: str
) -> None:
    if story.board.header.mode is not case.mode:
        story.tell(ModeAsked(case.mode, "test", REASON))
    version = story.store.copy.version
    done = interlock(*case.typed, "--dry-run", INTERLOCK_TOKEN=token(who))
    assert (f"{who} may not" in done.stderr) is not case.may(who), done.stderr
    assert done.stdout.startswith("dry run: ") is (done.exit_code == 0)
    story.turns()
    assert story.store.copy.version == version


def test_every_command_that_acts_is_in_the_table() -> None:
    acts = {name for name, command in cli.commands.items() if "reason" in {each.name for each in command.params}}
    assert {case.typed[0] for case in CASES if case.typed} == acts | {"token", "watch-lock"}


def test_where_reading_takes_a_sign_in_the_command_reads_with_the_token(
    settings: Settings, configuration: Configuration, story: Story
) -> None:
    story.start()
    ways = WebSettings(private=True, sign_in=SignInSettings(token=True))
    secret = settings.model_copy(update={"session_secrets": (SecretStr("a secret for the cookies"),)})
    with serving(create_app(secret, replace(configuration, web=ways), lambda _: None)) as url:
        assert typed("status", INTERLOCK_URL=url, INTERLOCK_TOKEN=token("vera")).exit_code == 0
        refused = typed("status", INTERLOCK_URL=url)
        assert refused.exit_code == 1
        assert "reading takes a sign-in here" in refused.stderr
        assert "INTERLOCK_TOKEN" in refused.stderr
        assert "this token is not known" in typed("status", INTERLOCK_URL=url, INTERLOCK_TOKEN="x").stderr
