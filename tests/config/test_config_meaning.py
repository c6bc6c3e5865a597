"""What a pipeline file means: the example, the defaults, the ways to write a value."""

from __future__ import annotations

from pathlib import Path

from bot.core.model.pipeline import FastLaneStart, Forks, Job, Mode, Outcome, Policy, Track, Verify
from config.configuration import Configuration, Controller
from config.pipeline_file import load
from tests.example_file import example_text

GOOD = """\
controllers:
  build: {url: https://b.shop.test, user: bot}
  cdp: {url: https://c.shop.test, user: bot}
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


def loaded(folder: Path, text: str) -> Configuration:
    path = folder / "interlock.yaml"
    path.write_text(text)
    return load(path)


def test_the_example_is_the_pipeline_of_the_four_pictures(tmp_path: Path) -> None:
    configuration = loaded(tmp_path, example_text())
    (pipeline,) = configuration.pipelines
    build, acceptance, pre_production, production = pipeline.stages

    assert (build.job, build.capacity, build.on_failure) == (Job("build", "shop/build"), None, Policy.REPORT)
    assert (acceptance.capacity, acceptance.retries) == (3, 1)
    assert acceptance.fast_job == Job("cdp", "shop/fast-acceptance")
    assert (pre_production.capacity, pre_production.timeout, pre_production.fast_capacity) == (1, 1200.0, 1)
    assert pre_production.policy(Outcome.ABORTED) is Policy.LOCK
    assert pre_production.policy(Outcome.NOT_BUILT) is Policy.REPORT
    assert (production.on_failure, production.fast_job) == (Policy.LOCK, None)
    assert pipeline.fast_lane.start is FastLaneStart.ON_FIX
    assert pipeline.rejoins_at == pipeline.index("pre-production")
    assert (pipeline.retry_first, pipeline.retry_most) == (5.0, 120.0)
    assert [s.name for s in pipeline.services] == ["S1", "S2", "S3"]
    assert configuration.modes == {"epages": Mode.RUN}
    assert configuration.notify.channels_for("unlocked") == ("team-chat",)
    assert configuration.notify.channels_for("locked") == ("team-chat", "on-call")


def test_the_example_verifies_the_pull_requests_of_two_of_its_services(tmp_path: Path) -> None:
    (pipeline,) = loaded(tmp_path, example_text()).pipelines
    assert pipeline.verify == Verify(Job("build", "shop/verify"), None, 1800.0, drafts=False, forks=Forks.ON_REQUEST)
    assert [name for name in ("S1", "S2", "S3", "S4") if pipeline.verifies(name)] == ["S1", "S2"]


def test_builds_and_merges_find_what_they_concern(tmp_path: Path) -> None:
    configuration = loaded(tmp_path, example_text())
    assert configuration.jobs["cdp", "shop/fast-acceptance"] == ("epages", "acceptance", Track.FAST)
    assert configuration.jobs["build", "shop/build"] == ("epages", "build", Track.REAL)
    assert configuration.jobs["build", "shop/verify"] == ("epages", "verify", Track.VERIFY)
    assert len(configuration.jobs) == 7
    found = configuration.service_for("Shop/S2", "main")
    assert found is not None
    assert (found[0].name, found[1].name) == ("epages", "S2")
    assert configuration.service_for("shop/s2", "Main") is None
    assert configuration.pipeline("epages") is configuration.pipelines[0]
    assert configuration.pipeline("shop") is None


def test_what_is_left_out_has_its_default(tmp_path: Path) -> None:
    configuration = loaded(tmp_path, GOOD)
    assert configuration.controllers["cdp"] == Controller("cdp", "https://c.shop.test", "bot", None, 10.0)
    # The defaults of the file are those of the objects that are made by hand.
    by_hand = Configuration(pipelines=configuration.pipelines)
    for part in ("github", "notify", "web", "keep", "polling"):
        assert getattr(configuration, part) == getattr(by_hand, part)
    (pipeline,) = configuration.pipelines
    assert pipeline.fast_lane.rejoins is None
    assert pipeline.services[0].branch == "main"
    assert (pipeline.verify, pipeline.verifies("S1")) == (None, False)
    (pipeline,) = loaded(tmp_path, GOOD + '    verify: {job: "cdp: shop/verify"}\n').pipelines
    assert pipeline.verify == Verify(Job("cdp", "shop/verify"))


def test_a_ca_bundle_is_relative_to_the_file(tmp_path: Path) -> None:
    text = GOOD.replace("cdp: {", "cdp: {ca_bundle: certificates/ca.pem, ")
    assert loaded(tmp_path, text).controllers["cdp"].ca_bundle == tmp_path / "certificates" / "ca.pem"


def test_a_service_may_be_called_no_and_a_branch_1e3(tmp_path: Path) -> None:
    text = GOOD.replace("{name: S1, repository: shop/s1}", "{name: NO, repository: shop/s1, branch: 1e3}")
    (service,) = loaded(tmp_path, text).pipelines[0].services
    assert (service.name, service.branch) == ("NO", "1e3")


def test_anchors_and_merge_keys_save_typing(tmp_path: Path) -> None:
    text = GOOD.replace("cdp: {url", "cdp: {<<: *b, url").replace("build: {", "build: &b {timeout: 2m, ")
    assert loaded(tmp_path, text).controllers["cdp"].timeout == 120.0


def test_the_digest_follows_the_meaning_and_not_the_spelling(tmp_path: Path) -> None:
    digest = loaded(tmp_path, GOOD).digest
    same = GOOD.replace('job: "build: shop/build"', "job: {name: shop/build, controller: build} # short")
    same = (
        same.replace("user: bot}\npipe", "timeout: 10s, user: bot}\npipe") + "web: {public_url: http://localhost:8080/}"
    )
    assert loaded(tmp_path, same).digest == digest
    for other in (GOOD.replace("shop/s1", "shop/s2"), GOOD.replace("lock\n", "lock\n        capacity: 1\n")):
        assert loaded(tmp_path, other).digest != digest


def test_what_differs_between_two_files_is_named_by_key(tmp_path: Path) -> None:
    before = loaded(tmp_path, GOOD)
    text = GOOD.replace("lock\n", "lock\n        capacity: 2\n        timeout: 90s\n")
    text = text.replace("- {name: S1, repository: shop/s1}", "- {name: S2, repository: shop/s2, verify: false}")
    changes = [(each.key, each.before, each.after) for each in loaded(tmp_path, text).changes_from(before)]
    assert changes == [
        ("pipelines.shop.services.S1.repository", "shop/s1", ""),
        ("pipelines.shop.services.S2.repository", "", "shop/s2"),
        ("pipelines.shop.services.S2.verify", "", "false"),
        ("pipelines.shop.stages.production.capacity", "", "2"),
        ("pipelines.shop.stages.production.timeout", "", "90s"),
    ]


def test_another_order_of_the_stages_is_a_change(tmp_path: Path) -> None:
    before = loaded(tmp_path, GOOD)
    build = '      - name: build\n        job: "build: shop/build"\n'
    after = loaded(tmp_path, GOOD.replace(build, "").replace("    services:", build + "    services:"))
    assert [(each.key, each.before, each.after) for each in after.changes_from(before)] == [
        ("pipelines.shop.stages", "build, production", "production, build")
    ]
    assert after.digest != before.digest


def test_two_files_of_one_meaning_do_not_differ_and_two_others_always_do(tmp_path: Path) -> None:
    same = GOOD.replace("lock\n", "lock\n        capacity: unlimited\n        retries: 0\n")
    before, after = loaded(tmp_path, GOOD), loaded(tmp_path, same)
    assert (before.digest, before.meaning) == (after.digest, after.meaning)
    example = loaded(tmp_path, example_text())
    assert example.changes_from(before) and example.digest != before.digest
    assert example.changes_from(example) == ()
