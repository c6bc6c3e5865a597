"""Locking as a table: situation -> decision -> because. Row ids are the rules L1 to L7 of docs/locks.md."""

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from bot.core.model.effects import Banner, Notify, Trigger, Withdraw
from bot.core.model.pipeline import Outcome, Policy
from tests.core.town import Town
from tests.core.world import shop
from tests.texts import subject_of, text_of

PRE = "pre-production"


def story(*verbs: Callable[[Town], Any], **how: Any) -> Callable[[], Town]:
    """A situation: a shop, and what happened in it."""

    def tell() -> Town:
        town = Town(shop(**how))
        for verb in verbs:
            verb(town)
        return town

    return tell


def arrives(sha: str, before: str = PRE) -> Callable[[Town], Any]:
    return lambda town: town.merge_up_to(sha[:2], sha[2:], before)


def breaks(sha: str, stage: str = PRE) -> Callable[[Town], Any]:
    return lambda town: town.break_stage(sha[:2], sha[2:], stage)


def ends(sha: str, result: Outcome) -> Callable[[Town], Any]:
    return lambda town: town.end_build(sha, result)


def do(verb: Callable[..., Any], *words: Any, **more: Any) -> Callable[[Town], Any]:
    return lambda town: verb(town, *words, **more)


lock, unlock, retry, cancel = Town.lock, Town.unlock, Town.retry, Town.cancel
passes, fails, quiet, merge = Town.pass_build, Town.fail_build, Town.quiet, Town.merge


class Row(NamedTuple):
    """One line of the table."""

    rule: str
    situation: Callable[[], Town]
    see: Callable[[Town], Any]
    decision: Any
    because: str


def row(rule: str, situation: Callable[[], Town], see: Callable[[Town], Any], decision: Any, because: str) -> Any:
    return pytest.param(Row(rule, situation, see, decision, because), id=f"{rule}: {because}")


L1 = [
    *(
        row("L1", story(arrives("S1a"), ends("S1a", outcome)), Town.locks, ["S1a"], f"{outcome} locks by default")
        for outcome in (Outcome.FAILURE, Outcome.UNSTABLE, Outcome.NOT_BUILT, Outcome.ABORTED)
    ),
    row(
        "L1",
        story(
            arrives("S1a"), do(Town.start_build, "S1a"), do(Town.tick, 99), do(Town.abort_build, "S1a"), timeout=60.0
        ),
        lambda t: (t.locks(), t.says("S1a")[:31]),
        (["S1a"], "S1 S1a ran too long in pre-prod"),
        "too long a build is aborted, and that is a failure",
    ),
    row(
        "L1",
        story(arrives("S1a"), ends("S1a", Outcome.NOT_BUILT), outcomes=((Outcome.NOT_BUILT, Policy.REPORT),)),
        lambda t: (t.locks(), t.left("S1a")),
        ([], ("failed", None)),
        "unless the policy says that this outcome is only reported",
    ),
    row(
        "L1",
        story(arrives("S1a"), ends("S1a", Outcome.UNSTABLE), outcomes=((Outcome.UNSTABLE, Policy.PASS),)),
        lambda t: (t.locks(), t.at("S1a")),
        ([], "production"),
        "or that it passes",
    ),
    row(
        "L1",
        story(breaks("S1a", "acceptance")),
        lambda t: (t.locks("acceptance"), t.left("S1a")),
        ([], ("failed", None)),
        "a failure in acceptance is only reported",
    ),
    row(
        "L1",
        story(breaks("S1a"), do(merge, "S1", "e"), do(passes, "S1e"), do(fails, "S1e")),
        lambda t: (t.locks("acceptance"), t.locks()),
        ([], ["S1a"]),
        "nothing real broke in a fast job: it locks nothing",
    ),
    row(
        "L1",
        story(arrives("S2a"), arrives("S1a"), do(fails, "S2a")),
        lambda t: (t.runs_in(PRE), t.live()),
        ([], ["S1a", "S2a"]),
        "the failed run frees its slot and stays",
    ),
    row(
        "L1",
        story(breaks("S1a"), do(Town.unlock, PRE)),
        lambda t: (t.left("S1a"), t.locks()),
        (("failed", None), []),
        "a person's unlock ends it as a reported failure",
    ),
    row(
        "L1",
        story(breaks("S1a", "production"), production_locks=True),
        lambda t: t.locks("production"),
        ["S1a"],
        "production locks if it is set to",
    ),
    row(
        "L1",
        story(arrives("S1a"), do(Town.start_build, "S1a"), do(Town.lose_build, "S1a")),
        Town.locks,
        ["S1a"],
        "a build that is gone left nobody knows what",
    ),
]
L2 = [
    row(
        "L2",
        story(breaks("S1a"), do(lock, PRE), do(unlock, PRE, lock="pre-production/1")),
        Town.locks,
        ["S1a"],
        "each lock is opened separately: the automatic one stays",
    ),
    row(
        "L2",
        story(breaks("S1a"), do(lock, PRE), do(unlock, PRE, lock="pre-production/S1.1")),
        Town.locks,
        ["ann"],
        "each lock is opened separately: the manual one stays",
    ),
    row(
        "L2",
        story(breaks("S1a"), lambda t: t.lock(PRE, until=t.now + 60), do(Town.tick, 90)),
        Town.locks,
        ["S1a"],
        "the end time of a manual lock opens only that",
    ),
    row(
        "L2",
        story(lambda t: t.lock(PRE, until=t.now + 60), arrives("S1a"), do(Town.tick, 90)),
        lambda t: (t.locks(), t.runs_in(PRE)),
        ([], ["S1a"]),
        "the set is empty: open",
    ),
    row(
        "L2",
        story(arrives("S1a"), arrives("S2a"), do(fails, "S1a"), do(fails, "S2a"), pre_production=2),
        Town.locks,
        ["S1a", "S2a"],
        "two services hold one each",
    ),
    row(
        "L2",
        story(do(lock, "pre-prod")),
        Town.refused,
        "shop has no stage 'pre-prod'; it has build, acceptance, pre-production, production",
        "there is no such stage",
    ),
    row("L2", story(do(unlock, PRE)), Town.refused, "pre-production is not locked", "there is no lock"),
]
L3 = [
    row(
        "L3",
        story(breaks("S1a"), arrives("S2a")),
        lambda t: (t.runs_in(PRE), t.queue(PRE)),
        ([], ["S2a"]),
        "no main-lane run enters",
    ),
    row(
        "L3",
        story(arrives("S1a"), arrives("S2a"), arrives("S3a"), do(fails, "S1a"), pre_production=2),
        lambda t: (str(t.status("S2a")), t.runs_in(PRE), len(t.did(Withdraw, of="S2a", abort=False))),
        ("recalled", ["S2a"], 1),
        "admitted and not started: called back, it keeps its slot until Jenkins confirms",
    ),
    row(
        "L3",
        story(
            arrives("S1a"),
            arrives("S2a"),
            arrives("S3a"),
            do(fails, "S1a"),
            do(Town.confirm_withdrawal, "S2a"),
            pre_production=2,
        ),
        lambda t: t.queue(PRE),
        ["S3a", "S2a"],
        "back at the head of the queue",
    ),
    row(
        "L3",
        story(arrives("S1a"), arrives("S2a"), do(Town.start_build, "S2a"), do(fails, "S1a"), pre_production=2),
        lambda t: (str(t.status("S2a")), t.did(Withdraw)),
        ("running", []),
        "who has started finishes normally",
    ),
    row(
        "L3",
        story(arrives("S1a"), arrives("S2a"), do(fails, "S1a"), do(Town.start_build, "S2a"), pre_production=2),
        lambda t: str(t.status("S2a")),
        "running",
        "it had started before Jenkins could give it back",
    ),
    row(
        "L3",
        story(arrives("S1a"), arrives("S2a"), do(lock, PRE), do(unlock, PRE), do(Town.confirm_withdrawal, "S1a")),
        lambda t: (t.runs_in(PRE), t.queue(PRE)),
        (["S1a"], ["S2a"]),
        "the order is kept through lock and unlock",
    ),
]
L4 = [
    row(
        "L4",
        story(breaks("S1a"), do(retry, "S1a"), do(passes, "S1a")),
        lambda t: (t.locks(), t.at("S1a")),
        ([], "production"),
        "success opens its lock, and the run goes on",
    ),
    row(
        "L4",
        story(breaks("S1a"), do(retry, "S1a"), do(fails, "S1a")),
        lambda t: (t.locks(), str(t.status("S1a")), len(t.did(Notify, topic="locked"))),
        (["S1a"], "failed", 1),
        "failing again, it holds the lock; people are told once",
    ),
    row(
        "L4",
        story(breaks("S1a"), arrives("S2a"), do(retry, "S1a")),
        lambda t: (t.runs_in(PRE), t.queue(PRE)),
        (["S1a"], ["S2a"]),
        "it goes before all who wait",
    ),
    row(
        "L4",
        story(breaks("S1a"), do(lock, PRE), do(retry, "S1a")),
        lambda t: (t.runs_in(PRE), t.says("S1a")[:39]),
        ([], "pre-production is locked, for fixes too"),
        "a manual lock keeps the retry out as well",
    ),
    row(
        "L4",
        story(breaks("S1a"), do(merge, "S1", "e"), *[do(passes, "S1e")] * 3, do(retry, "S1a")),
        Town.refused,
        "the fix S1 S1e is in pre-production or past it: S1 S1a is too old for a retry",
        "a fast run of its service is in that stage",
    ),
    row(
        "L4",
        story(breaks("S1a"), do(merge, "S1", "e"), *[do(passes, "S1e")] * 2, do(retry, "S1a")),
        lambda t: t.runs_in(PRE),
        ["S1a"],
        "the fast run is not there yet",
    ),
    row(
        "L4",
        story(arrives("S1a"), do(retry, "S1a")),
        lambda t: t.refused()[:26],
        "S1 S1a has not failed: it ",
        "it has not failed",
    ),
    row(
        "L4",
        story(arrives("S1a"), do(fails, "S1a"), retries=1),
        lambda t: (t.locks(), t.runs_in(PRE), len(t.did(Trigger, of="S1a", stage=PRE))),
        ([], ["S1a"], 2),
        "a stage may repeat by itself before it locks",
    ),
    row(
        "L4",
        story(arrives("S1a"), do(fails, "S1a"), do(fails, "S1a"), retries=1),
        Town.locks,
        ["S1a"],
        "as often as it is set to",
    ),
    row(
        "L4",
        story(
            arrives("S1a"),
            arrives("S2a"),
            do(fails, "S1a"),
            do(fails, "S2a"),
            do(lock, PRE),
            do(retry, "S1a"),
            do(unlock, PRE, lock="pre-production/S1.1"),
            do(unlock, PRE, lock="pre-production/1"),
            pre_production=2,
        ),
        lambda t: (t.locks(), t.runs_in(PRE), t.queue(PRE)),
        (["S2a"], [], ["S1a"]),
        "a retry whose lock was opened passes nobody else's",
    ),
]
L5 = [
    row(
        "L5",
        story(arrives("S1a"), do(Town.start_build, "S1a"), do(cancel, "S1a"), do(Town.abort_build, "S1a")),
        lambda t: (t.locks(), t.says("S1a")[:39]),
        (["S1a"], "S1 S1a was aborted by ann in pre-produc"),
        "the state of the environment is unknown: lock",
    ),
    row(
        "L5",
        story(
            arrives("S1a"),
            do(Town.start_build, "S1a"),
            do(cancel, "S1a"),
            do(Town.abort_build, "S1a"),
            outcomes=((Outcome.ABORTED, Policy.REPORT),),
        ),
        lambda t: (t.locks(), t.left("S1a")),
        ([], ("cancelled", None)),
        "the policy of ABORTED is what counts",
    ),
    row(
        "L5",
        story(arrives("S1a"), do(cancel, "S1a"), do(Town.confirm_withdrawal, "S1a")),
        lambda t: (t.locks(), t.left("S1a")),
        ([], ("cancelled", None)),
        "its build had not started: nothing was touched",
    ),
    row(
        "L5",
        story(breaks("S1a"), do(cancel, "S1a")),
        lambda t: (t.locks(), t.left("S1a")),
        (["S1a"], ("cancelled", None)),
        "cancelling a failed run leaves the lock",
    ),
    row(
        "L5",
        story(
            arrives("S1a", "acceptance"), do(Town.start_build, "S1a"), do(cancel, "S1a"), do(Town.abort_build, "S1a")
        ),
        lambda t: (t.locks("acceptance"), t.left("S1a")),
        ([], ("cancelled", None)),
        "acceptance locks nothing",
    ),
    row(
        "L5",
        story(arrives("S1a", "production"), do(Town.start_build, "S1a"), do(cancel, "S1a"), do(passes, "S1a")),
        lambda t: t.left("S1a"),
        ("delivered", None),
        "it was in production before it could be aborted, and that is said",
    ),
    row(
        "L5",
        story(arrives("S1a"), do(cancel, "S1a"), do(cancel, "S1a")),
        Town.refused,
        "S1.1 is leaving the board already",
        "once is enough",
    ),
]
L6 = [
    row(
        "L6",
        story(arrives("S1a"), arrives("S2a"), do(Town.refuse_trigger, "S1a")),
        lambda t: (t.locks(), t.queue(PRE), t.runs_in(PRE)),
        ([], ["S2a", "S1a"], []),
        "certainly refused: no lock, back at the head",
    ),
    row(
        "L6",
        story(arrives("S1a"), do(Town.refuse_trigger, "S1a")),
        lambda t: t.says("S1a"),
        "Jenkins did not take the build for pre-production: the job is disabled; Interlock tries again",
        "it waits with that reason",
    ),
    row(
        "L6",
        story(arrives("S1a"), do(Town.refuse_trigger, "S1a"), do(Town.tick, 6)),
        lambda t: t.runs_in(PRE),
        ["S1a"],
        "it is tried again",
    ),
    row(
        "L6",
        story(arrives("S1a"), *[do(Town.refuse_trigger, "S1a"), do(Town.tick, 6)] * 2),
        lambda t: t.runs_in(PRE),
        [],
        "after a while that doubles",
    ),
    row(
        "L6",
        story(
            *[arrives(sha, "acceptance") for sha in ("S1a", "S2a", "S3a")],
            *[do(Town.refuse_trigger, sha) for sha in ("S1a", "S2a", "S3a")],
            do(Town.tick, 6),
        ),
        lambda t: t.runs_in("acceptance"),
        ["S3a", "S2a", "S1a"],
        "three refused at once count as one refusal",
    ),
    row(
        "L6",
        story(arrives("S1a"), arrives("S2a"), do(Town.tick, 9999)),
        lambda t: (t.runs_in(PRE), t.queue(PRE)),
        (["S1a"], ["S2a"]),
        "while in doubt it keeps its slot",
    ),
    row(
        "L6",
        story(
            arrives("S1a"),
            do(Town.accept_trigger, "S1a"),
            do(Town.confirm_withdrawal, "S1a", "cancelled in Jenkins by hand"),
        ),
        lambda t: (t.locks(), t.queue(PRE)),
        ([], ["S1a"]),
        "cancelled by hand in Jenkins' queue: it never began",
    ),
    row(
        "L6",
        story(breaks("S1a"), do(retry, "S1a"), do(Town.refuse_trigger, "S1a")),
        lambda t: (t.locks(), t.queue(PRE)),
        (["S1a"], ["S1a"]),
        "a refused retry leaves the lock as it is",
    ),
]
L7 = [
    row(
        "L7",
        story(breaks("S1a"), arrives("S2a"), arrives("S3a"), do(Town.move, "S3a"), do(unlock, PRE)),
        lambda t: (t.runs_in(PRE), t.queue(PRE)),
        (["S3a"], ["S2a"]),
        "who was moved goes before those who came first",
    ),
    row(
        "L7",
        story(breaks("S1a"), arrives("S2a"), arrives("S3a"), do(Town.move, "S3a")),
        lambda t: (t.runs_in(PRE), t.queue(PRE)),
        ([], ["S2a", "S3a"]),
        "a move opens no lock",
    ),
    row(
        "L7",
        story(arrives("S3a"), arrives("S2a"), arrives("S2b"), do(Town.move, "S2b")),
        lambda t: (t.refused().split()[0], t.queue(PRE)),
        ("S2.1", ["S2b", "S2a"]),
        "not past an older commit of its service: that could never enter any more",
    ),
]
TABLE = L1 + L2 + L3 + L4 + L5 + L6 + L7


@pytest.mark.parametrize("line", TABLE)
def test_the_lock(line: Row) -> None:
    assert line.see(line.situation()) == line.decision


def test_every_rule_has_its_rows() -> None:
    assert {param.values[0].rule for param in TABLE} == {f"L{number}" for number in range(1, 8)}


def test_a_lock_tells_people_shows_a_banner_and_comments_where_it_began() -> None:
    town = Town()
    town.pull("S1", "a", number=12)
    for _ in range(2):
        town.pass_build("S1a")
    town.fail_build("S1a", tests=("A", "B", "C", "D", "E"))
    assert [subject_of(mail) for mail in town.did(Notify)] == [
        "pre-production is locked: S1 S1a failed in pre-production (A, B, C and 2 more)"
    ]
    assert [banner.job.name for banner in town.did(Banner)] == ["pre-production"]
    told = town.comments[-1]
    assert (told.pull, "**S1 S1a has failed in pre-production.**" in told.text) == (12, True)
    assert "Nobody passes pre-production until it is fixed: merge the fix" in told.text


def test_the_banner_names_the_locks_that_are_left() -> None:
    town = Town()
    town.break_stage("S1", "a")
    town.lock("pre-production", by="bob")
    town.quiet()
    town.unlock("pre-production", lock="pre-production/S1.1")
    (banner,) = town.did(Banner)
    assert [(text_of(lock.reason), lock.by) for lock in banner.locks] == [("maintenance", "bob")]
