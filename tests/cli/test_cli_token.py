"""Tokens that are made by the command: shown once, kept as a hash, good until they end or are revoked."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import Result
from redis import Redis

from bot.core.access import Scope
from bot.store.tokens import Tokens, digest_of, is_token
from launch.embedded import Embedded
from tests.cli.conftest import Interlock, typed
from tests.web.conftest import Story

Typed = Callable[..., Result]
ACT = ("-r", "the database moves")


@pytest.fixture
def token(redis: Redis, redis_url: str) -> Iterator[Typed]:
    """Types `interlock token ...` where the store is."""

    def run(*words: str) -> Result:
        return typed("token", *words, INTERLOCK_REDIS_URL=redis_url)

    _forget(redis)
    yield run
    _forget(redis)


def _forget(redis: Redis) -> None:
    redis.delete("interlock:{access}:tokens", "interlock:{access}:tokens-used")


def test_a_token_is_the_only_line_of_the_output_and_has_the_form_that_scanners_find(token: Typed) -> None:
    done = token("create", "robot", "--scope", "act")
    text = done.stdout.strip()
    assert re.fullmatch(r"ilk_[A-Za-z0-9_-]{51}", text)
    assert is_token(text)
    assert not is_token(text[:-1] + ("0" if text[-1] != "0" else "1"))
    assert "Token " in done.stderr
    assert text not in done.stderr


def test_only_the_hash_is_kept(token: Typed, redis: Redis) -> None:
    text = token("create", "robot", "--scope", "act").stdout.strip()
    kept = b"".join(redis.hgetall("interlock:{access}:tokens").values()).decode()
    assert text not in kept
    assert text[4:20] not in kept
    assert digest_of(text) in kept


def test_a_token_acts_within_its_scope_and_its_name_is_on_record(
    token: Typed, interlock: Interlock, story: Story
) -> None:
    story.start()
    acts, reads = (token("create", f"robot-{s}", "--scope", s).stdout.strip() for s in ("act", "read"))
    assert "(by robot-act)" in interlock("lock", "production", *ACT, INTERLOCK_TOKEN=acts).stdout
    assert "robot-act may not change whether the pipeline only observes" in (
        interlock("observe", *ACT, INTERLOCK_TOKEN=acts).stderr
    )
    refused = interlock("unlock", "production", *ACT, INTERLOCK_TOKEN=reads)
    assert refused.exit_code == 1
    assert "a token of scope `read` acts as `viewer` at most" in refused.stderr


def test_a_token_is_over_when_it_ends(redis: Redis, token: Typed, interlock: Interlock, story: Story) -> None:
    story.start()
    now = time.time()
    text, _ = Tokens(redis).create("robot", Scope.ADMIN, now - 1, now - 10)
    assert "this token is not known" in interlock("lock", "production", *ACT, INTERLOCK_TOKEN=text).stderr
    assert re.search(r"ended \d{4}-", token("list").stdout)


def test_a_revoked_token_is_nobodys(token: Typed, interlock: Interlock, story: Story) -> None:
    story.start()
    texts = [token("create", "robot", "--scope", "admin").stdout.strip() for _ in range(2)]
    (first, _) = json.loads(token("list", "--json").stdout)
    assert token("revoke", first["id"]).stdout == "done: 1 token of robot revoked\n"
    assert "this token is not known" in interlock("lock", "production", *ACT, INTERLOCK_TOKEN=texts[0]).stderr
    assert interlock("lock", "production", *ACT, INTERLOCK_TOKEN=texts[1]).exit_code == 0
    assert token("revoke", "robot").stdout == "done: 1 token of robot revoked\n"
    assert token("list").stdout == "There are no tokens.\n"


def test_revoking_what_is_not_there_names_what_may_be_meant(token: Typed) -> None:
    token("create", "robot", "--scope", "read")
    done = token("revoke", "robto")
    assert (done.exit_code, done.stderr) == (
        1,
        "error: there is no token of the id or name 'robto'; did you mean robot?\n",
    )


def test_the_list_says_when_it_was_used_and_never_its_text(token: Typed, interlock: Interlock, story: Story) -> None:
    story.start()
    text = token("create", "robot", "--scope", "admin", "--expires", "30").stdout.strip()
    assert "never used, ends " in token("list").stdout
    interlock("lock", "production", *ACT, INTERLOCK_TOKEN=text)
    (row,) = json.loads(token("list", "--json").stdout)
    assert row["used"] == pytest.approx(time.time(), abs=30)
    assert row["expires"] == pytest.approx(time.time() + 30 * 86_400, abs=30)
    assert text not in token("list").stdout + token("list", "--json").stdout


@pytest.mark.parametrize("name", ["", "a b", "github:kim", "-x" * 40])
def test_a_name_is_one_that_no_login_can_be_mistaken_for(token: Typed, name: str) -> None:
    assert token("create", "--scope", "act", "--", name).exit_code == 2


def test_without_a_store_it_says_what_to_set(tmp_path: object) -> None:
    done = typed("token", "list", INTERLOCK_DATA_DIR=str(tmp_path), INTERLOCK_REDIS_URL=None)
    assert done.exit_code == 1
    assert "no Interlock runs on" in done.stderr


def test_the_embedded_store_is_found_by_its_folder(tmp_path: Path) -> None:
    with Embedded(tmp_path / "data", fsync="no"):
        made = typed("token", "create", "robot", "--scope", "act", INTERLOCK_DATA_DIR=str(tmp_path / "data"))
        assert is_token(made.stdout.strip()), made.stderr


def test_an_admin_makes_lists_and_revokes_them_from_anywhere(token: Typed, interlock: Interlock, address: str) -> None:
    made = interlock("token", "create", "robot", "--scope", "act", "--expires", "30", "--url", address)
    assert is_token(made.stdout.strip()), made.stderr
    (row,) = json.loads(interlock("token", "list", "--json", "--url", address).stdout)
    assert (row["name"], row["scope"]) == ("robot", "act")
    assert row["expires"] == pytest.approx(time.time() + 30 * 86_400, abs=30)
    refused = interlock("token", "list", "--url", address, INTERLOCK_TOKEN=made.stdout.strip())
    assert "robot may not manage tokens: that takes the role `admin`, and a token of scope `act`" in refused.stderr
    assert "did you mean robot?" in interlock("token", "revoke", "robt", "--url", address).stderr
    assert interlock("token", "revoke", "robot", "--url", address).stdout == "done: 1 token of robot revoked\n"
    assert "this token is not known" in interlock("token", "list", "--url", address, INTERLOCK_TOKEN="x").stderr
