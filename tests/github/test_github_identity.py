"""As a GitHub App: installations are found, their tokens made, shared and renewed, a first refusal repeated once."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import pytest
from pydantic import SecretStr

from bot.core.model.effects import Comment, SetStatus
from bot.core.model.messages import Verbatim
from bot.effect_outcomes import RateLimited, RetryLater
from bot.github import identity, session
from bot.github.session import Purpose, Session
from bot.store.github import Allowance
from tests.github.app_key import pem, public_pem
from tests.github.test_check_runs import as_app
from tests.workers.conftest import Open
from tests.workers.workshop import Workshop

REPO = "shop/s1"
STATUS = "POST /repos/*/*/statuses/*"
TOKEN = "POST /app/installations/*/access_tokens"
INSTALLATION = "GET /repos/*/*/installation"


@pytest.fixture
def shop(workshop: Open) -> Workshop:
    opened = workshop()
    app = {"github_app_id": "1", "github_app_private_key": SecretStr(pem()), "github_token": SecretStr("t")}
    opened.settings = opened.settings.model_copy(update=app)
    opened.limit_github(new_token_pause=0.01)
    return opened


def status(shop: Workshop, stage: str = "build") -> SetStatus:
    return SetStatus(REPO, shop.github.control.head(REPO), stage, "pending", Verbatim("in it"), "S1.1")


def asked(shop: Workshop) -> dict[str, int]:
    return dict(shop.github.control.requests())


def test_an_app_speaks_as_its_bot_though_a_token_is_set_too(shop: Workshop) -> None:
    shop.do(status(shop))
    (row,) = shop.github.control.statuses(REPO)
    assert row["creator"] == "interlock[bot]"


def test_an_installation_is_looked_for_once_and_its_token_made_once(shop: Workshop) -> None:
    for stage in ("build", "acceptance", "production"):
        shop.do(status(shop, stage))
    assert asked(shop) == {INSTALLATION: 1, TOKEN: 1, STATUS: 3}


def test_all_threads_of_a_process_share_the_token_but_not_the_client(shop: Workshop) -> None:
    failed: list[Exception] = []

    def read() -> None:
        try:
            Session(shop.runtime, REPO).read("/git/ref/heads/main", Purpose.HEADS)
        except Exception as error:
            failed.append(error)
        finally:
            session.close_all()

    threads = [threading.Thread(target=read) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert failed == []
    assert asked(shop)[TOKEN] == 1


def test_a_repository_without_the_app_says_so(shop: Workshop) -> None:
    shop.github.control.fault(
        "status", route=INSTALLATION.replace("*", ".*"), status=404, body='{"message": "Not Found"}'
    )
    shop.do(status(shop))
    assert "the App is not installed on shop/s1" in shop.dead()[0]


def test_a_token_is_renewed_before_it_ends(shop: Workshop) -> None:
    """Each is good for an hour: one that must be good for longer than that is another one each time."""
    shop.limit_github(token_renewal=3_601.0)
    for stage in ("build", "acceptance"):
        shop.do(status(shop, stage))
    assert (asked(shop)[TOKEN] >= 2, shop.dead()) == (True, [])


def test_a_fresh_token_that_is_refused_once_is_tried_once_more(shop: Workshop) -> None:
    shop.github.control.fault("status", route=r"POST /repos/.*/statuses", count=1, status=401)
    shop.ask(status(shop))
    shop.try_once(status(shop))
    assert len(shop.github.control.statuses(REPO)) == 1
    assert (asked(shop)[STATUS], asked(shop)[TOKEN]) == (2, 1)


def test_an_older_token_that_is_refused_is_replaced(shop: Workshop) -> None:
    shop.limit_github(new_token=0.0)
    shop.do(status(shop))
    shop.github.control.set_tokens({})
    shop.ask(status(shop, "acceptance"))
    shop.try_once(status(shop, "acceptance"))
    assert len(shop.github.control.statuses(REPO)) == 2
    assert asked(shop)[TOKEN] == 2


def test_an_app_that_github_does_not_know_is_asked_no_more_for_a_while(shop: Workshop) -> None:
    shop.github.control.fault("status", route="GET .*/installation", status=401, body='{"message": "no"}')
    for stage in ("build", "acceptance"):
        shop.ask(status(shop, stage))
        shop.try_once(status(shop, stage))
    assert asked(shop) == {INSTALLATION: 1}
    assert shop.dead() == []
    assert Allowance(shop.context.redis, "app").standing().paused_for > 50


def test_an_installation_that_is_gone_is_looked_for_again(shop: Workshop) -> None:
    gone: dict[str, Any] = {"route": "POST /app/", "count": 1, "status": 404, "body": '{"message": "Not Found"}'}
    shop.github.control.fault("status", **gone)
    shop.do(status(shop))
    assert "404" in shop.dead()[0]
    shop.do(status(shop, "acceptance"))
    assert asked(shop)[INSTALLATION] == 2
    assert len(shop.github.control.statuses(REPO)) == 1


# -- a repository that another installation reaches by now ------------------------------------------------------


@pytest.fixture
def moved(shop: Workshop) -> Workshop:
    """The App is installed for two owners, and the repository has just gone from one to the other."""
    control = shop.github.control
    control.register_app(public_pem(), install=["shop", "elsewhere"])
    shop.do(status(shop))
    control.transfer(REPO, "elsewhere")
    return shop


NOW = "elsewhere/s1"


def test_a_status_follows_a_repository_to_another_owner_with_the_app(moved: Workshop) -> None:
    sha = moved.github.control.head(NOW)
    moved.do(SetStatus(REPO, sha, "acceptance", "pending", Verbatim("in it"), "S1.1"))
    contexts = [row["context"] for row in moved.github.control.statuses(NOW)]
    assert (sorted(contexts), moved.dead()) == (["interlock/acceptance", "interlock/build"], [])


def test_a_comment_follows_a_repository_whose_new_name_is_known_already(moved: Workshop) -> None:
    """Then no redirect tells that it has moved: only the refusal does."""
    moved.runtime.repositories.learn(REPO, NOW, moved.github.world.repos[NOW].id)
    pull = int(moved.github.control.open_pull(NOW))
    moved.do(Comment(REPO, pull, "S1.1", "it failed"))
    assert (len(moved.github.control.comments(NOW, pull)), moved.dead()) == (1, [])


def test_a_check_run_follows_a_repository_and_is_still_one(moved: Workshop) -> None:
    control = moved.github.control
    control.transfer(NOW, "shop")
    as_app(moved)
    begun = status(moved, "pre-production")
    moved.do(begun)
    control.transfer(REPO, "elsewhere")
    moved.do(replace(begun, state="success"))
    (row,) = control.check_runs(NOW, begun.sha)
    assert (row["conclusion"], moved.dead()) == ("success", [])


def test_a_private_repository_is_followed_too(shop: Workshop) -> None:
    control = shop.github.control
    control.register_app(public_pem(), install=["shop", "elsewhere"])
    shop.github.world.repos[REPO].private = True
    shop.do(status(shop))
    control.transfer(REPO, "elsewhere")
    shop.do(SetStatus(REPO, control.head(NOW), "acceptance", "pending", Verbatim("in it"), "S1.1"))
    assert (len(control.statuses(NOW)), shop.dead()) == (2, [])


def test_who_was_refused_while_another_asks_comes_again(moved: Workshop) -> None:
    moved.runtime.repositories.learn(REPO, NOW, moved.github.world.repos[NOW].id)
    late = Session(moved.runtime, REPO)
    identity.forget_installation(moved.runtime.redis, REPO)
    with pytest.raises(RetryLater) as refused:
        late.write("POST", f"/statuses/{moved.github.control.head(NOW)}", {"state": "success"}, Purpose.STATUS, "t")
    assert refused.value.certain
    assert not isinstance(refused.value, RateLimited)


def test_a_permission_that_is_missing_costs_one_more_request_in_a_minute_and_is_said(shop: Workshop) -> None:
    shop.github.control.register_app(public_pem(), install=["shop"], permissions={"contents": "read"})
    for stage in ("build", "acceptance", "production"):
        shop.do(status(shop, stage))
    assert asked(shop) == {INSTALLATION: 2, TOKEN: 1, STATUS: 3}
    assert len(shop.dead()) == 3
    assert all("a permission is missing" in why for why in shop.dead())


def test_an_owner_without_the_app_is_named_as_the_reason(shop: Workshop) -> None:
    shop.github.control.register_app(public_pem(), install=["shop"])
    shop.do(status(shop))
    shop.github.control.transfer(REPO, "elsewhere")
    shop.do(SetStatus(REPO, shop.github.control.head(NOW), "acceptance", "pending", Verbatim("in it"), "S1.1"))
    (why,) = shop.dead()
    assert "the App is not installed on elsewhere/s1" in why


def test_what_github_cannot_say_of_the_installation_is_asked_again(moved: Workshop) -> None:
    moved.github.control.fault("status", route="GET .*/installation", count=2, status=502)
    moved.do(SetStatus(REPO, moved.github.control.head(NOW), "acceptance", "pending", Verbatim("in it"), "S1.1"))
    assert (len(moved.github.control.statuses(NOW)), moved.dead()) == (2, [])


def test_an_app_that_was_installed_anew_loses_nothing(shop: Workshop) -> None:
    shop.limit_github(new_token=0.0)
    control = shop.github.control
    (old,) = control.register_app(public_pem(), install=["shop"])
    shop.do(status(shop))
    control.uninstall_app(old)
    control.install_app("shop")
    shop.do(status(shop, "acceptance"))
    assert (len(control.statuses(REPO)), shop.dead()) == (2, [])


def test_a_limit_of_one_installation_does_not_hold_up_another(shop: Workshop) -> None:
    shop.do(status(shop))
    keys = [key.decode() for key in shop.context.redis.scan_iter("interlock:{github:installation-*}:primary")]
    assert len(keys) == 1
    name = keys[0].split("{github:")[1].split("}")[0]
    Allowance(shop.context.redis, name).pause(60, "a limit")
    other = SetStatus("shop/s2", shop.github.control.head("shop/s2"), "build", "pending", Verbatim("in it"), "S2.1")
    shop.do(other)
    assert len(shop.github.control.statuses("shop/s2")) == 1


def test_a_comment_of_the_app_goes_to_the_renamed_repository(shop: Workshop) -> None:
    pull = int(shop.github.control.open_pull(REPO, title="Change"))
    shop.github.control.rename(REPO, "s1-new")
    shop.do(Comment(REPO, pull, "S1.1", "it failed"))
    assert len(shop.github.control.comments("shop/s1-new", pull)) == 1
