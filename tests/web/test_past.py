"""The board of a moment of the past: the one that the live page showed then, with the ways to the next moment."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient

from bot.core.model.events import LockAsked, ModeAsked, PullMoved, UnlockAsked
from bot.core.model.pipeline import Mode, Outcome
from bot.store.recording import BoardNow, RecordingLimits
from bot.web.past_page import written
from tests.web.plain import InProcess, PlainBrowser
from tests.web.story import Story, sha

#: What a live board has besides, in the order in which it is taken out: buttons, estimates and costs, health, repairs.
ONLY_LIVE = (
    r'<p class="acts tools">.*?</p>',
    r'<a class="act[ "].*?</a>',
    r'<p class="to-past">.*?</p>',
    r'<p class="eta">.*?</p>',
    r"<div><dt>(?:Opens|Cost so far|Changed there)</dt>.*?</div>",
    r'<div class="health".*?</div>',
    r'<p class="acts">.*?</p>',
    r'<footer class="repairs">Found by polling.*?</footer>',
    r' data-(?:at|now|title|icon)="[^"]*"',
)


def shown(html: str) -> str:
    """What a board says, with its links: without what only the live one has."""
    found = re.search(r'<div class="board".*</div>(?=\s*</div>\s*</main>)', html, re.S)
    assert found, html[:2_000]
    board = found[0]
    for part in ONLY_LIVE:
        board = re.sub(part, "", board, flags=re.S)
    board = re.sub(r'(<li class="more">)<a [^>]*>(.*?)</a>', r"\1\2", board)
    return re.sub(r"\s*([<>])\s*", r"\1", re.sub(r"\s+", " ", board))


def clock(story: Story) -> int:
    """A millisecond of the store's clock that has no decision: the last one was before, and the next comes after it."""
    first = now = _milliseconds(story)
    while now < first + 2:
        now = _milliseconds(story)
    return first + 1


def _milliseconds(story: Story) -> int:
    seconds, micros = story.redis.time()  # type: ignore[misc]
    return int(seconds * 1_000 + micros // 1_000)


def pack(story: Story, **limits: int) -> None:
    with story.context.look() as replica:
        board = BoardNow(replica.version, replica.epoch, list(replica.board.records()))
    story.context.recording.pack(board, RecordingLimits(**limits), block=5)


def told(story: Story, look: Callable[[], None]) -> None:
    """A life with everything that a board shows; `look` is called now and then."""
    story.start()
    look()
    failing = story.merge("S1", "a", "Round prices")
    story.pass_stages(story.merge("S2", "a"), 4)
    look()
    pack(story)
    story.pass_stages(failing, 2)
    story.build(failing, Outcome.FAILURE, ("CheckoutTest",))
    look()
    story.tell(LockAsked("production", "sam", "the fair"))
    story.pass_stages(story.merge("S1", "b", "Fix the rounding"))
    look()
    pack(story, recent_turns=5)
    story.tell(PullMoved("S2", 12, sha("S2p"), at=1.0), ModeAsked(Mode.PAUSE, "alex", "to see"))
    for number in range(9):
        story.merge("S2", f"m{number}")
    look()
    story.tell(ModeAsked(Mode.RUN, "alex", "seen"), UnlockAsked("production", "sam", "over"))
    look()


def past(client: FlaskClient, story: Story, moment: int) -> str:
    answer = client.get(f"/p/{story.shape.name}/past?at={written(moment / 1_000)}")
    assert answer.status_code == 200
    return answer.text


def test_each_moment_shows_what_the_live_page_showed_then(story: Story, client: FlaskClient) -> None:
    kept: list[tuple[int, str]] = []
    told(story, lambda: kept.append((clock(story), shown(client.get(f"/p/{story.shape.name}").text))))
    assert len({board for _, board in kept}) == len(kept)
    for moment, board in [*kept, *reversed(kept)]:
        html = past(client, story, moment)
        assert shown(html) == board
        assert 'class="act ' not in html
        assert "EventSource" not in html
        assert "live.js" not in html
        assert "The rules have changed" not in html


def test_without_javascript_one_goes_from_decision_to_decision_and_to_the_last_lock(
    story: Story, client: FlaskClient
) -> None:
    told(story, lambda: None)
    window = PlainBrowser(InProcess(client))
    window.open(f"/p/{story.shape.name}")
    window.follow("How did we get here? The board of the last day")
    assert "The past: the board as of" in window.text
    assert "Next decision" not in window.links()
    last = shown(window.html)
    window.follow("Last lock before")
    assert re.search(r"stage locked .*production", window.text)
    assert 'id="lock-production' in window.html
    window.follow("Previous decision")
    assert 'id="lock-production' not in window.html
    for _ in range(200):
        if "Next decision" not in window.links():
            break
        window.follow("Next decision")
    assert shown(window.html) == last
    window.submit("Show", at=str(int(time.time()) + 100))  # a moment to come is now
    assert window.status == 200
    assert shown(window.html) == last


def test_the_slider_is_marked_where_stages_were_locked_and_opened(story: Story, client: FlaskClient) -> None:
    told(story, lambda: None)
    html = past(client, story, clock(story))
    marks = re.search(r'id="past-marks">(.*?)</svg>', html, re.S)
    assert marks
    assert (marks[1].count('class="locked"'), marks[1].count('class="unlocked"')) == (2, 1)
    assert marks[1].count('class="band"') == 2
    told_again = re.findall(r"production (locked|a lock opened)</a>", html)
    assert told_again == ["a lock opened", "locked", "locked"]  # of production, and of pre-production in between


def test_what_is_not_recorded_is_said(story: Story, client: FlaskClient) -> None:
    before = _milliseconds(story)
    assert "Nothing is recorded yet" in past(client, story, before)
    told(story, lambda: None)
    assert "The recording does not go back so far: it begins 20" in past(client, story, before)
    turns = story.redis.xrevrange(story.keys.recorded_turns, count=2)
    story.redis.xdel(story.keys.recorded_turns, turns[1][0])  # the snapshots are older, and the last turn needs it
    gap = clock(story)
    assert "Turns are missing from the recording here" in past(client, story, gap)
    pack(story, recent_turns=1)
    assert re.search(r"from 20\S+ \S+ UTC on it is known again", past(client, story, gap))
    answer = client.get(f"/api/v1/pipelines/{story.shape.name}/past?at={gap / 1_000}")
    assert answer.status_code == 404
    assert "Turns are missing" in answer.json["detail"]


@pytest.mark.parametrize("given", ["yesterday", "-5", "1e9", "99999999999", "2026-13-01", "9" * 50])
def test_a_moment_that_is_none_is_refused(story: Story, client: FlaskClient, given: str) -> None:
    for path in (f"/p/{story.shape.name}/past", f"/api/v1/pipelines/{story.shape.name}/past"):
        answer = client.get(path, query_string={"at": given})
        assert answer.status_code in (200, 404) if given == "99999999999" else answer.status_code == 400


def test_the_api_has_the_board_of_a_moment_and_what_is_next_to_it(story: Story, client: FlaskClient) -> None:
    moments = []
    told(story, lambda: moments.append(clock(story)))
    found = client.get(f"/api/v1/pipelines/{story.shape.name}/past?at={moments[2] / 1_000}").json
    stages = {stage["name"]: stage for stage in found["board"]["stages"]}
    assert [lock["run"] for lock in stages["pre-production"]["locks"]] == ["S1.1"]
    assert found["previous"] < found["decided"] <= moments[2] / 1_000 < found["next"]
    assert found["known_since"] <= moments[0] / 1_000
    assert found["rules_changed"] is False
    later = client.get(f"/api/v1/pipelines/{story.shape.name}/past?at={found['next']}").json
    assert (later["decided"], later["previous"]) == (found["next"], found["decided"])


def test_the_page_of_a_run_and_the_report_of_a_lock_lead_to_the_board_then(story: Story, client: FlaskClient) -> None:
    told(story, lambda: None)
    window = PlainBrowser(InProcess(client))
    window.open(f"/p/{story.shape.name}/runs/S1.1")
    window.follow("The board then: stage locked")
    assert 'id="banner-pre-production"' in window.html
    assert 'id="banner-production"' not in window.html
    window.open(f"/p/{story.shape.name}/locks/pre-production/S1.1")
    window.follow("The board just before the lock")
    assert 'id="banner-pre-production"' not in window.html
    assert 'id="t-S1.1"' in window.html
