"""The command line is the API with one's own token: the same table of roles, and the server's own refusal."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pydantic import SecretStr

from bot.core.access import NEEDED
from bot.core.model.events import ModeAsked
from bot.core.model.run import Run
from config.configuration import Configuration, PipelineAccess
from config.settings import Settings
from tests.cli.conftest import Interlock
from tests.roles import PEOPLE, REASON, ROLES, Case, cases, token
from tests.web.conftest import Story


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"api_tokens": {who: SecretStr(token(who)) for who in PEOPLE}})


@pytest.fixture
def configuration(configuration: Configuration, story: Story) -> Configuration:
    return replace(configuration, accesses={story.shape.name: PipelineAccess(ROLES)})


@pytest.mark.parametrize(("case", "who"), list(cases("typed")), ids=lambda each: getattr(each, "name", each))
def test_each_role_may_type_what_the_table_says(
    interlock: Interlock, story: Story, broken: Run, case: Case, who: str
) -> None:
    if story.board.header.mode is not case.mode:
        story.put(ModeAsked(case.mode, "test", REASON))
    done = interlock(*case.typed, INTERLOCK_TOKEN=token(who))
    refused = f"{who} may not" in done.stderr
    assert refused is not case.may(who), done.stderr
    if refused:
        assert done.exit_code == 1
        assert f"that takes the role `{NEEDED[case.action]}`" in done.stderr
