"""Mistake in, exact message out."""
# ruff: noqa: E501  a message is one line

from __future__ import annotations

from pathlib import Path

import pytest

from config.errors import ConfigurationError
from config.pipeline_file import load

GOOD = """\
controllers:
  build: {url: https://b.builds.test, user: bot}
  cdp: {url: https://c.builds.test, user: bot}
pipelines:
  - name: shop
    stages:
      - name: build
        job: "build: shop/build"
      - name: production
        job: "cdp: shop/production"
        on_failure: lock
    services:
      - {name: S1, repository: shop/s1}
"""

DURATIONS = "a number and a unit (s, m, h or d), as in `90s`, `25m` or `3d`"
NAMES = "lower-case letters, digits and `-`, at most 63, as in `pre-production`"
JOBS = '`"controller: full/job/name"`, or a mapping of `controller` and `name`'
STAGE_KEYS = "one of `name`, `job`, `capacity`, `on_failure`, `outcomes`, `timeout`, `retries`, `fast`, `environment`, `production`"


def lines(folder: Path, text: str) -> list[str]:
    """What is said about `text`, without the name of the file."""
    path = folder / "interlock.yaml"
    path.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        load(path)
    return [str(problem).removeprefix(f"{path}:") for problem in caught.value.mistakes]


# One change to GOOD, and the whole message: `line:column: what; expected ...; did you mean ...? (at path)`.
MISTAKES = [
    # keys
    ("on_failure: lock", "on_failur: lock", f"11:9: unknown key `on_failur`; expected {STAGE_KEYS}; did you mean `on_failure`? (at pipelines.0.stages.1.on_failur)"),
    ("user: bot}\npipe", "user: bot, token: hush}\npipe", "3:48: unknown key `token`; expected secrets in the environment, never in this file (see docs/configuration.md) (at controllers.cdp.token)"),
    (", user: bot}\npipe", "}\npipe", "3:8: key `user` is missing; expected the Jenkins user that the API token belongs to (at controllers.cdp)"),
    ("on_failure: lock", "on_failure: lock\n        name: x", "12:9: key `name` is given twice (first in line 9); expected it once (at pipelines.0.stages.1.name)"),
    ("on_failure: lock", "on_failure: lock\n        fast:", "12:9: `fast` is empty; expected a value; leave it out for the default (at pipelines.0.stages.1.fast)"),
    ("on_failure: lock", "on_failure: lock\n        outcomes: {SUCCESS: pass}", "12:20: a build that ended as SUCCESS has always passed; expected one of `UNSTABLE`, `FAILURE`, `NOT_BUILT`, `ABORTED`, `TIMEOUT` (at pipelines.0.stages.1.outcomes.SUCCESS)"),
    ("on_failure: lock", "environment: live\n        production: yes", "12:21: `yes` does not belong here; expected `true` or `false` (at pipelines.0.stages.1.production)"),
    ("on_failure: lock", "production: true", "11:21: a production environment without a name; expected `environment` to be set as well (at pipelines.0.stages.1.production)"),
    # names
    ("name: shop\n", "name: Shop_1\n", f"5:11: `Shop_1` is not a name; expected {NAMES}; did you mean `shop-1`? (at pipelines.0.name)"),
    ("name: S1", "name: S 1", "13:16: `S 1` is not a name; expected letters, digits, `.`, `_` and `-`, at most 63, as in `S1`; did you mean `S-1`? (at pipelines.0.services.0.name)"),
    ("name: S1", "name: 1", "13:16: `1` is not text; expected letters, digits, `.`, `_` and `-`, at most 63, as in `S1`; put it in quotes (at pipelines.0.services.0.name)"),
    ("shop/s1", "s1", "13:32: `s1` is not a repository; expected `owner/name`, as in `shop/s1` (at pipelines.0.services.0.repository)"),
    ("shop/s1", "shop/s1, branch: refs/heads/main", "13:49: `refs/heads/main` is a full ref; expected the name of a branch, such as `main`; did you mean `main`? (at pipelines.0.services.0.branch)"),
    ("shop/s1", "shop/s1, branch: a..b", "13:49: `a..b` is not a branch; expected the name of a branch, such as `main` (at pipelines.0.services.0.branch)"),
    ("pipelines:", "  CDP: {url: https://d.builds.test, user: bot}\npipelines:", f"4:3: `CDP` is not a name; expected {NAMES}; did you mean `cdp`? (at controllers.CDP)"),
    ("pipelines:", "  cdp-file: {url: https://d.builds.test, user: bot}\npipelines:", "4:3: `cdp-file` ends with `-file`; expected another name: `..._FILE` variables name files that hold secrets (at controllers.cdp-file)"),
    # values
    ("name: shop\n", "name: shop\n    mode: puase\n", "6:11: `puase` is not known here; expected one of `run`, `pause`, `observe`; did you mean `pause`? (at pipelines.0.mode)"),
    ("on_failure: lock", "on_failure: pass", "11:21: `pass` is not known here; expected one of `report`, `lock` (at pipelines.0.stages.1.on_failure)"),
    ("on_failure: lock", "on_failure: lock\n        timeout: 90", f"12:18: `90` has no unit; expected {DURATIONS}; did you mean `90s`? (at pipelines.0.stages.1.timeout)"),
    ("on_failure: lock", "on_failure: lock\n        timeout: 1 hour", f"12:18: `1 hour` is not a duration; expected {DURATIONS} (at pipelines.0.stages.1.timeout)"),
    ("on_failure: lock", "on_failure: lock\n        timeout: 30d", "12:18: the duration is out of range; expected 1s to 7d (at pipelines.0.stages.1.timeout)"),
    ("on_failure: lock", "on_failure: lock\n        capacity: 0", "12:19: `0` is not a capacity; expected a whole number from 1 to 1000, or `unlimited` (at pipelines.0.stages.1.capacity)"),
    ("on_failure: lock", "on_failure: lock\n        retries: yes", "12:18: `yes` is not a whole number; expected a whole number from 0 to 10 (at pipelines.0.stages.1.retries)"),
    ("on_failure: lock", "on_failure: lock\n        retries: true", "12:18: `true` is not a whole number; expected a whole number from 0 to 10 (at pipelines.0.stages.1.retries)"),
    ("on_failure: lock", "on_failure: lock\n        outcomes: [ABORTED]", "12:19: a list does not belong here; expected a mapping (`key: value` lines) (at pipelines.0.stages.1.outcomes)"),
    ("on_failure: lock", "on_failure: lock\n    retry: {first: 2m, most: 1m}", "12:30: the longest wait is shorter than the first; expected `most` to be at least `first` (at pipelines.0.retry.most)"),
    ("pipelines:", "web: {public_url: 'https://ci.builds.test/a b'}\npipelines:", "4:19: this is not an address; expected an address such as `https://ci.example.com/jenkins` (at web.public_url)"),
    ("pipelines:", "web: {public_url: 'https://ci.builds.test/../a'}\npipelines:", "4:19: the path of the address is not plain; expected names of letters, digits, `.`, `_`, `~` and `-`, as in `https://ci.example.com/interlock` (at web.public_url)"),
    ("pipelines:", "web: {public_url: 'https://ci.builds.test//a'}\npipelines:", "4:19: the path of the address is not plain; expected names of letters, digits, `.`, `_`, `~` and `-`, as in `https://ci.example.com/interlock` (at web.public_url)"),
    ("pipelines:", "web: {public_url: 'https://ci.builds.test/api/ours'}\npipelines:", "4:19: the path of the address begins with `api`, as pages of Interlock do; expected another one (at web.public_url)"),
    ("https://c.builds.test", "c.builds.test", "3:14: this is not an address; expected an address such as `https://ci.example.com/jenkins` (at controllers.cdp.url)"),
    ("https://c.builds.test", "'https://me:hush@c.builds.test'", "3:14: the address holds credentials; expected an address such as `https://ci.example.com/jenkins`; secrets come from the environment (at controllers.cdp.url)"),
    # jobs
    ('"build: shop/build"', "shop/build", f"8:14: `shop/build` does not name a job; expected {JOBS} (at pipelines.0.stages.0.job)"),
    ('"build: shop/build"', '"build: job/shop/job/build"', "8:14: `job/shop/job/build` is a piece of an address; expected the full name of the job, such as `shop/build`; did you mean `shop/build`? (at pipelines.0.stages.0.job.name)"),
    ('"build: shop/build"', '"build: shop//build"', "8:14: `shop//build` is not the name of a Jenkins job; expected the full name of the job, such as `shop/build` (at pipelines.0.stages.0.job.name)"),
    ('"build: shop/build"', '"biuld: shop/build"', "8:14: there is no controller `biuld`; expected one of `build`, `cdp`; did you mean `build`? (at pipelines.0.stages.0.job)"),
    ('"cdp: shop/production"', '"build: Shop/Build"', "10:14: Jenkins job `build: shop/build` is used twice (first in line 8); expected a job of its own for each stage, fast lane and `verify` (at pipelines.0.stages.1.job)"),
    ("on_failure: lock", 'on_failure: lock\n        fast: {job: "cdp: shop/production"}', "12:21: Jenkins job `cdp: shop/production` is used twice (first in line 10); expected a job of its own for each stage, fast lane and `verify` (at pipelines.0.stages.1.fast.job)"),
    # references
    ("name: production", "name: build", "9:15: stage `build` is used twice (first in line 7); expected a name of its own (at pipelines.0.stages.1.name)"),
    ("shop/s1}", "shop/s1}\n      - {name: s1, repository: shop/s2}", "14:16: service `s1` is used twice (first in line 13); expected a name of its own (at pipelines.0.services.1.name)"),
    ("shop/s1}", "shop/s1}\n      - {name: S2, repository: Shop/S1}", "14:32: repository `Shop/S1` is used twice (first in line 13); expected each branch of a repository to be one service (at pipelines.0.services.1.repository)"),
    ("https://c.builds.test", "https://B.builds.test/", "3:14: address `https://B.builds.test/` is used twice (first in line 2); expected one name per Jenkins (at controllers.cdp.url)"),
    ("on_failure: lock", "on_failure: lock\n    fast_lane: {rejoins: biuld}", "12:26: there is no stage `biuld` in this pipeline; expected one of `build`, `production`; did you mean `build`? (at pipelines.0.fast_lane.rejoins)"),
    ("on_failure: lock", "on_failure: report\n    fast_lane: {start: manual}", "12:16: a fast lane without a stage that locks; expected `on_failure: lock` at a stage (at pipelines.0.fast_lane)"),
    ("on_failure: lock", 'fast: {job: "cdp: f"}', "11:15: a fast lane without a stage that locks; expected `on_failure: lock` at a stage (at pipelines.0.stages.1.fast)"),
    # pull requests
    ("on_failure: lock", 'on_failure: lock\n    verify: {job: "cdp: Shop/Production"}', "12:19: Jenkins job `cdp: shop/production` is used twice (first in line 10); expected a job of its own for each stage, fast lane and `verify` (at pipelines.0.verify.job)"),
    ("on_failure: lock", 'on_failure: lock\n    verify: {job: "cpd: shop/verify"}', "12:19: there is no controller `cpd`; expected one of `build`, `cdp`; did you mean `cdp`? (at pipelines.0.verify.job)"),
    ("on_failure: lock", 'on_failure: lock\n    verify: {job: "cdp: v", forks: always}', "12:36: `always` is not known here; expected one of `on-request`, `never` (at pipelines.0.verify.forks)"),
    ("on_failure: lock", 'on_failure: lock\n    verify: {job: "cdp: v", drafts: 1}', "12:37: `1` does not belong here; expected `true` or `false` (at pipelines.0.verify.drafts)"),
    ("on_failure: lock", "on_failure: lock\n    verify: {drafts: true}", "12:13: key `job` is missing; expected the Jenkins job that verifies a pull request (at pipelines.0.verify)"),
    ("shop/s1}", 'shop/s1, verify: "no"}', "13:49: `no` does not belong here; expected `true` or `false` (at pipelines.0.services.0.verify)"),
    ("controllers:", "notify: {channels: {chat: [lokced]}}\ncontrollers:", "1:28: `lokced` is not known here; expected one of `locked`, `unlocked`, `fix-failed`, `failed`, `freeze`, `stuck`, `health`, `dead-letters`; did you mean `locked`? (at notify.channels.chat.0)"),
    # who is told of what
    ("on_failure: lock", "on_failure: lock\n    notify: {routes: [{of: [locked], to: [chat], stages: [prodution]}]}", "12:59: there is no stage `prodution` in this pipeline; expected one of `build`, `production`; did you mean `production`? (at pipelines.0.notify.routes.0.stages.0)"),
    ("on_failure: lock", "on_failure: lock\n    notify: {routes: [{of: [locked], to: [chat], services: [s1]}]}", "12:61: there is no service `s1` in this pipeline; expected `S1`; did you mean `S1`? (at pipelines.0.notify.routes.0.services.0)"),
    ("on_failure: lock", "on_failure: lock\n    notify: {routes: [{of: [health], to: [chat]}]}", "12:29: `health` is not known here; expected one of `locked`, `unlocked`, `fix-failed`, `failed`, `freeze`, `stuck` (at pipelines.0.notify.routes.0.of.0)"),
    ("on_failure: lock", "on_failure: lock\n    notify: {escalation: [{after: 1h, to: [a]}, {after: 1h, to: [b]}]}", "12:57: this level is not later than the one before; expected longer than 1h (at pipelines.0.notify.escalation.1.after)"),
    ("on_failure: lock", "on_failure: lock\n    notify: {reminder: {to: [authors]}}", "12:30: a lock of a person has no commit and so no authors; expected channels (at pipelines.0.notify.reminder.to.0)"),
    # freezes
    ("on_failure: lock", 'on_failure: lock\n    freezes: [{name: w, stages: [prodution], from: "0 16 * * FRI", until: "0 8 * * MON"}]', "12:34: there is no stage `prodution` in this pipeline; expected one of `build`, `production`; did you mean `production`? (at pipelines.0.freezes.0.stages.0)"),
    ("on_failure: lock", 'on_failure: lock\n    freezes: [{name: w, stages: [build], from: "0 16 * * FRI", for: 4h, except: {services: [s1]}}]', "12:93: there is no service `s1` in this pipeline; expected `S1`; did you mean `S1`? (at pipelines.0.freezes.0.except.services.0)"),
    ("on_failure: lock", 'on_failure: lock\n    freezes: [{name: w, stages: [build], from: "0 16 * * FRY", for: 4h}]', "12:48: `0 16 * * FRY` is not a valid time: bad day-of-week; expected a cron time of minute, hour, day, month and weekday, as in `0 16 * * FRI`, or a date as in `2026-12-23T12:00` (at pipelines.0.freezes.0.from)"),
    ("on_failure: lock", 'on_failure: lock\n    freezes: [{name: w, stages: [build], from: "0 16 * * FRI"}]', "12:15: a freeze has one end; expected `until` or `for` (at pipelines.0.freezes.0)"),
    ("on_failure: lock", 'on_failure: lock\n    freezes: [{name: w, stages: [build], from: "0 16 * * FRI", until: 2027-01-01T00:00}]', "12:71: `from` and `until` differ in kind; expected two cron times, or two dates (at pipelines.0.freezes.0.until)"),
    ("on_failure: lock", 'on_failure: lock\n    freezes: [{name: w, stages: [build], from: "0 16 * * *", for: 24h}]', "12:67: the freeze never ends: its windows follow each other without a break; expected a time at which the stage is open (at pipelines.0.freezes.0.for)"),
    ("on_failure: lock", 'on_failure: lock\n    freezes: [{name: w, stages: [build], from: "0 16 * * FRI", until: "0 8 30 2 *"}]', "12:71: `0 8 30 2 *` is not a valid time: bad day-of-month; expected a cron time of minute, hour, day, month and weekday, as in `0 16 * * FRI`, or a date as in `2026-12-23T12:00` (at pipelines.0.freezes.0.until)"),
    ("on_failure: lock", 'on_failure: lock\n    freezes: [{name: w, stages: [build], from: 2027-03-28T02:30, for: 4h, time_zone: Europe/Berlin}]', "12:48: `2027-03-28T02:30:00` does not exist in Europe/Berlin: the clocks go forward there; expected a time before or after the change (at pipelines.0.freezes.0.from)"),
    ("on_failure: lock", 'on_failure: lock\n    freezes: [{name: w, stages: [build], from: 2027-03-28T12:30, until: 2027-03-28T12:30}]', "12:73: the window ends before it begins; expected a time after 2027-03-28T12:30:00 (at pipelines.0.freezes.0.until)"),
    ("on_failure: lock", 'on_failure: lock\n    freezes: [{name: w, stages: [build], from: 2027-02-30T12:30, for: 4h}]', "12:48: there is no date `2027-02-30T12:30`; expected a cron time of minute, hour, day, month and weekday, as in `0 16 * * FRI`, or a date as in `2026-12-23T12:00` (at pipelines.0.freezes.0.from)"),
    ("on_failure: lock", 'on_failure: lock\n    freezes: [{name: w, stages: [build], from: "0 16 * * FRI", for: 4h, time_zone: Europe/Berln}]', "12:84: there is no time zone `Europe/Berln`; expected a time zone such as `Europe/Berlin` or `UTC`; did you mean `Europe/Berlin`? (at pipelines.0.freezes.0.time_zone)"),
    ("on_failure: lock", 'on_failure: lock\n    freezes: [{name: w, stages: [build], from: "0 16 * * FRI", for: 4h, exept: {}}]', "12:73: unknown key `exept`; expected one of `name`, `stages`, `from`, `until`, `for`, `time_zone`, `except`; did you mean `except`? (at pipelines.0.freezes.0.exept)"),
    ("on_failure: lock", 'on_failure: lock\n    freezes: [{name: w, stages: [build], until: "0 16 * * FRI"}]', "12:15: key `from` is missing; expected the beginning of a window: a cron time (in quotes) for windows that recur, or a date (at pipelines.0.freezes.0)"),
    ("on_failure: lock", 'on_failure: lock\n    freezes: [{name: w, stages: [build], from: "0 16 * * FRI", for: 4h, except: {let_through: operator}}]', "12:95: `operator` does not belong here; expected `true` or `false` (at pipelines.0.freezes.0.except.let_through)"),
    # YAML
    ('"build: shop/build"', "build: shop/build", '8:19: a second `:` in one line; expected a value with `: ` inside in quotes, as in `job: "build: shop/build"`'),
    ("on_failure: lock", "\ton_failure: lock", "11:9: a character that cannot start a value; expected spaces to indent, quotes around special characters"),
    ("name: S1", "name: !!python/name:os.system S1", "13:16: tag `tag:yaml.org,2002:python/name:os.system`; expected a plain value, without a tag (at pipelines.0.services.0.name)"),
    ("name: S1", "name: *nobody", "13:16: alias `*nobody` has no finished anchor above it"),
    ("name: S1", "1: S1", "13:10: a key is not text; expected a name; put it in quotes if it is meant"),
    ("name: S1", "[a]: S1", "13:10: a key is not text; expected a name; put it in quotes if it is meant"),
    ("shop/s1}", "shop/s1", "14:1: a bracket is not closed; expected `,` or the closing bracket"),
    ("shop/s1}\n", "shop/s1}\n---\nmore: 1\n", "14:1: a second document begins; expected one document in one file"),
    ("name: S1", "name: S\x071", "13:17: a character that YAML does not allow"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "message"), MISTAKES)
def test_a_mistake_is_reported_with_its_place(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert GOOD.count(old) >= 1
    assert lines(tmp_path, GOOD.replace(old, new, 1)) == [message]


def test_a_fix_may_not_rejoin_after_the_stage_it_has_to_pass(tmp_path: Path) -> None:
    text = GOOD.replace('shop/build"', 'shop/build"\n        outcomes: {ABORTED: lock}')
    text += "    fast_lane: {rejoins: production}\n"
    assert lines(tmp_path, text) == [
        "15:26: `production` comes after `build`, which locks: a fix would skip that stage; "
        "expected `build` or a stage before it (at pipelines.0.fast_lane.rejoins)"
    ]


def test_no_stage_may_set_the_status_of_pull_requests(tmp_path: Path) -> None:
    text = GOOD.replace("name: production", "name: verify")
    (tmp_path / "alone.yaml").write_text(text)
    assert load(tmp_path / "alone.yaml").pipelines[0].verify is None
    assert lines(tmp_path, text + '    verify: {job: "cdp: shop/verify"}\n') == [
        "9:15: a stage called `verify` beside the `verify` of pull requests: both would set one commit status; "
        "expected another name (at pipelines.0.stages.1.name)"
    ]


def test_all_mistakes_are_reported_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = GOOD.replace("user: bot", "usr: bot", 1).replace("cdp: shop", "cpd: shop").replace("lock", "locked")
    text = text.replace("name: S1", "name: S1, name: S2") + "retries: 3\n"
    assert [line.split(";")[0] for line in lines(tmp_path, text)] == [
        "2:10: key `user` is missing",
        "2:39: unknown key `usr`",
        "10:14: there is no controller `cpd`",
        "11:21: `locked` is not known here",
        "13:20: key `name` is given twice (first in line 13)",
        "14:1: unknown key `retries`",
    ]


def test_the_error_is_a_headline_and_a_line_for_each_mistake(tmp_path: Path) -> None:
    path = tmp_path / "interlock.yaml"
    path.write_text(GOOD.replace("name: shop", "name: Shop", 1))
    with pytest.raises(ConfigurationError) as caught:
        load(path)
    assert str(caught.value) == (
        f"The configuration has 1 mistake:\n{path}:5:11: `Shop` is not a name; expected {NAMES}; "
        "did you mean `shop`? (at pipelines.0.name)"
    )
    (problem,) = caught.value.mistakes
    assert (problem.line, problem.column, problem.dotted) == (5, 11, "pipelines.0.name")
    assert problem.mistake.meant == "shop"


def test_a_mistake_behind_an_alias_points_to_the_anchor(tmp_path: Path) -> None:
    text = GOOD.replace("build: {", "build: &b {timeout: 2, ").replace("cdp: {url", "cdp: {<<: *b, url")
    assert [line.split(":")[:2] for line in lines(tmp_path, text)] == [["2", "23"]]
