"""The commit history claims only true containments, in whatever order pushes arrive."""

from dataclasses import dataclass, field, replace

from hypothesis import given
from hypothesis import strategies as st

from bot.core.model.history import REMEMBERED, CommitHistory, DroppedHead, Position

#: What happens to main, and how we are told: a push, a pull request before its push, a push told late or never, a
#: force-push to a new commit or back to a known one, and GitHub's answer about two commits.
CHANGES = st.sampled_from(["push"] * 4 + ["pull", "late", "lost", "force", "back", "back", "compare", "head"])


@dataclass
class History:
    """A true history, and the commit history from the deliveries about it."""

    parents: dict[str, str | None] = field(default_factory=lambda: {"0": None})
    head: str = "0"
    history: CommitHistory = field(default_factory=lambda: CommitHistory().push(None, "0", forced=False)[0])
    late: list[tuple[str, str]] = field(default_factory=list)
    positions: list[Position] = field(default_factory=lambda: [Position(1, 1, "0")])

    def contains(self, newer: str, older: str) -> bool:
        """The truth."""
        at: str | None = newer
        while at is not None and at != older:
            at = self.parents[at]
        return at == older

    def change(self, kind: str, pick: int) -> None:
        """Something happens to main; we are told as `kind` says."""
        known = list(self.parents)
        before = self.head
        if kind == "back":
            self.head = known[pick % len(known)]
        elif kind == "compare":
            self._compare(pick, pick // 7)
            return
        elif kind != "head":
            self.head = str(len(known))
            self.parents[self.head] = known[pick % len(known)] if kind == "force" else before
        self._tell(kind, before)

    def _tell(self, kind: str, before: str) -> None:
        after = self.head
        if kind in ("force", "back") and after != before:
            self._push(before, after, forced=True)
        elif kind == "push":
            self._push(before, after)
        elif kind == "pull":
            self._push(None, after)
            self.late.append((before, after))
        elif kind == "late":
            self.late.append((before, after))
        elif kind == "head" and self.history.find(after) is None:
            self._push(None, after)

    def _push(self, before: str | None, after: str, *, forced: bool = False) -> None:
        self.history, position = self.history.push(before, after, forced=forced)
        self.positions.append(position)

    def deliver_late(self, pick: int) -> None:
        """A push that was held up is delivered."""
        if self.late:
            before, after = self.late.pop(pick % len(self.late))
            if self.history.find(after) is None:
                self._push(before, after)
            else:
                self.history = self.history.join(before, after)

    def _compare(self, base: int, head: int) -> None:
        older, newer = self.positions[base % len(self.positions)], self.positions[head % len(self.positions)]
        if self.history.contains(newer, older) is None:
            self.history = self.history.learn(older, newer, contains=self.contains(newer.sha, older.sha))

    def check(self) -> None:
        """No claim about any two places is false."""
        for newer in self.positions:
            for older in self.positions:
                claim = self.history.contains(newer, older)
                assert claim in (None, self.contains(newer.sha, older.sha)), f"{newer} contains {older}: {claim}"


@given(st.lists(st.tuples(CHANGES, st.integers(0, 60), st.booleans()), max_size=25))
def test_no_claim_is_false_whatever_is_told_in_whatever_order(changes: list[tuple[str, int, bool]]) -> None:
    history = History()
    for kind, pick, late in changes:
        history.change(kind, pick)
        if late:
            history.deliver_late(pick)
    history.check()


@given(st.lists(st.tuples(CHANGES, st.integers(0, 60), st.booleans()), max_size=12))
def test_each_question_is_asked_at_most_once(changes: list[tuple[str, int, bool]]) -> None:
    history = History()
    for kind, pick, late in changes:
        history.change(kind, pick)
        if late:
            history.deliver_late(pick)
    for newer in history.positions:
        for older in history.positions:
            if history.history.contains(newer, older) is None:
                true = history.contains(newer.sha, older.sha)
                named_newer, named_older = history.history.find(newer.sha), history.history.find(older.sha)
                assert named_newer is not None
                assert named_older is not None
                history.history = history.history.learn(named_older, named_newer, contains=true)
                assert history.history.contains(newer, older) is true


@given(st.permutations(range(1, 7)), st.permutations(range(1, 7)))
def test_pushes_and_pull_requests_in_any_order_end_with_the_whole_truth(pulls: list[int], pushes: list[int]) -> None:
    history, positions = CommitHistory().push(None, "0", forced=False)[0], {}
    for number in pulls:
        history, positions[number] = history.push(None, str(number), forced=False)
    for number in pushes:
        history = history.join(str(number - 1), str(number))
    assert history.head is not None
    assert history.head.sha == "6"
    assert all(history.contains(positions[n], positions[o]) is (n >= o) for n in positions for o in positions)


def told(*pushes: tuple[str | None, str, bool]) -> tuple[CommitHistory, list[Position]]:
    history, positions = CommitHistory(), []
    for before, after, forced in pushes:
        history, position = history.push(before, after, forced=forced)
        positions.append(position)
    return history, positions


def test_an_unbroken_chain_is_proof_enough() -> None:
    history, (a, b, c) = told((None, "a", False), ("a", "b", False), ("b", "c", False))
    assert history.contains(c, a) is True
    assert history.contains(a, b) is False


def test_a_gap_is_not_known_until_the_lost_push_arrives() -> None:
    history, (a, c) = told((None, "a", False), ("b", "c", False))
    assert history.contains(c, a) is None
    history, _ = history.push("a", "b", forced=False)
    assert history.contains(c, a) is True


def test_a_force_push_proves_nothing() -> None:
    history, (a, b) = told((None, "a", False), ("a", "b", True))
    assert history.contains(b, a) is None


def test_a_commit_that_comes_back_is_the_same_commit() -> None:
    history, (a, b, again) = told((None, "a", False), ("a", "b", False), ("b", "a", True))
    assert history.contains(again, a) is True
    assert history.contains(b, again) is True
    assert history.contains(again, b) is False
    assert history.head == again


def test_a_denial_counts_for_all_that_follows_from_it() -> None:
    history, (a, b, x, y) = told((None, "a", False), ("a", "b", False), ("b", "x", True), ("x", "y", False))
    history = history.learn(a, y, contains=False)
    assert history.contains(x, a) is False
    assert history.contains(x, b) is False


def test_main_goes_on_from_a_force_push_told_late_at_what_was_pushed_onto_that_and_at_nothing_else() -> None:
    history, _ = told((None, "a", False), ("b", "c", False), ("a", "b", False))  # an older link: c was told before b
    history, y = history.push("x", "y", forced=False)
    history, x = history.push("c", "x", forced=True)
    assert history.head == y
    assert (history.forced, history.forced_to(x)) == (y.segment, y)
    assert history.contains(y, x) is True


def test_what_stands_behind_a_commit_is_the_first_that_was_proven_to_contain_it() -> None:
    history, (a, c, b) = told((None, "a", False), ("b", "c", False), ("a", "b", False))
    assert history.successor(b) == b, "c, which contains it, was told in an earlier segment"
    history, (x, y) = told((None, "x", False), ("x", "y", True))
    history = history.learn(x, y, contains=True)
    assert (history.successor(x), history.successor(y)) == (y, y)
    history = history.push("?", "z", forced=False)[0]
    assert history.successor(y) == y
    assert a.segment < c.segment < b.segment


def test_a_commit_was_pushed_if_a_push_told_what_came_before_it() -> None:
    history, (a, b) = told((None, "a", False), ("a", "b", False))
    assert (history.was_pushed(a), history.was_pushed(b)) == (False, True)
    history, d = history.push("c", "d", forced=False)
    assert history.was_pushed(d), "though nobody knows the commit before it"


def test_a_merge_that_brings_what_was_taken_for_the_head_is_the_head_though_it_came_right_after_a_force_push() -> None:
    history, _ = told((None, "a", False), ("a", "x", True))
    history, y = history.push("x", "y", forced=False)
    history, z = history.push(None, "z", forced=False)
    assert (history.head, y.segment) == (z, history.forced)
    assert history.include(y, ("z",)).head == y


def test_a_push_told_after_its_pull_request_joins_what_came_before_it_whenever_that_is_told() -> None:
    history, (a, c) = told((None, "a", False), (None, "c", False))
    history = history.join("b", "c")
    assert history.contains(c, a) is None
    history, _ = history.push("a", "b", forced=False)
    assert history.contains(c, a) is True
    assert history.count == 3


def test_containment_across_a_gap_counts_for_all_that_was_pushed_before_it() -> None:
    history, (a, _, d) = told((None, "a", False), ("a", "b", False), ("c", "d", False))
    history, _ = history.push("b", "c", forced=False)
    assert history.contains(d, a) is True
    assert history.contains(a, d) is False


def test_one_comparison_with_a_commit_counts_for_what_was_pushed_before_that() -> None:
    history, (a, b) = told((None, "a", False), ("a", "b", False))
    history, c = history.push("lost", "c", forced=False)
    assert history.learn(b, c, contains=True).contains(c, a) is True


def test_what_contains_a_commit_contains_it_at_each_of_its_places_though_its_return_is_forgotten() -> None:
    history, (a, _, again) = told((None, "a", False), ("a", "b", False), ("b", "a", True))
    history, y = replace(history, links=()).push("?", "y", forced=False)
    assert history.learn(again, y, contains=True).contains(y, a) is True


def test_what_is_remembered_is_bounded() -> None:
    history = CommitHistory()
    for number in range(500):
        history, _ = history.push(str(number - 1) if number % 3 else "?", str(number), forced=number % 7 == 0)
    assert max(len(history.positions), len(history.links), len(history.roots), len(history.denials)) <= REMEMBERED


def dropped(*heads: tuple[str, str]) -> tuple[CommitHistory, list[Position]]:
    """A history of `0`, after force-pushes that took main from commits of which nobody had told; where they led to."""
    history, _ = CommitHistory().push(None, "0", forced=False)
    led_to = []
    for before, after in heads:
        history, position = history.push(before, after, forced=True)
        history = history.left_by_force(before, position)
        led_to.append(position)
    return history, led_to


def test_a_head_that_a_force_push_dropped_was_on_main_before_that() -> None:
    history, (f,) = dropped(("y", "f"))
    history, y = history.push("0", "y", forced=False)  # told late
    assert history.on_main_by(y) == f.segment - 1
    history, onto_it = history.push("y", "w", forced=False)
    assert history.on_main_by(onto_it) == onto_it.segment == y.segment, "pushed onto it since"
    history, other = history.push("0", "z", forced=False)
    assert history.on_main_by(other) == other.segment, "that one has not fallen"
    assert history.on_main_by(f) == f.segment


def test_only_a_head_that_nobody_had_told_us_of_is_noted_as_dropped() -> None:
    history, (_, f) = told((None, "a", False), ("a", "f", True))
    assert history.left_by_force("a", f).dropped_heads == ()
    assert history.left_by_force(None, f).dropped_heads == ()
    assert history.left_by_force("y", f).dropped_heads == (DroppedHead("y", f),)


def test_of_several_force_pushes_that_took_main_from_a_commit_the_first_one_counts() -> None:
    history, (f, g) = dropped(("y", "f"), ("y", "g"))
    assert f.segment < g.segment
    history, y = history.push("0", "y", forced=False)
    assert history.on_main_by(y) == f.segment - 1


def test_what_was_pushed_onto_the_commit_that_main_was_put_on_has_not_fallen_with_the_head_before() -> None:
    """Main was put on f by force, and the commit that it was taken from is pushed again onto that."""
    history, (f,) = dropped(("y", "f"))
    history, again = history.push("f", "y", forced=False)
    assert (again.segment, again.seq) == (f.segment, f.seq + 1)
    assert history.on_main_by(again) == f.segment
    assert history.on_main_by(f) == f.segment - 1, "what main was taken from contains it"


def test_what_is_told_after_a_commit_that_contains_it_fell_with_that() -> None:
    history, (f,) = dropped(("y", "f"))
    history, y = history.push(None, "y", forced=False)  # its pull request
    history, x = history.push("0", "x", forced=False)
    assert y.segment < x.segment and history.on_main_by(x) == x.segment
    history = history.join("x", "y")
    assert history.contains(y, x) and history.on_main_by(x) == f.segment - 1


def test_a_commit_was_on_main_with_the_first_of_all_that_contain_it_in_whatever_order_that_is_proven() -> None:
    """y, which contains x, was on main before z, which contains it too, though z was told first."""
    for proofs in (("y", "z"), ("z", "y")):
        history, (f,) = dropped(("y", "f"))
        for sha in ("z", "y"):
            history, _ = history.push(None, sha, forced=False)
        history, x = history.push("0", "x", forced=False)
        for after in proofs:
            history = history.join("x", after)
        assert history.on_main_by(x) == f.segment - 1, proofs
