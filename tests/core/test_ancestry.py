"""What the chain of pushes claims is true, in whatever order it was told; what it cannot know it does not claim."""

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from bot.core.ancestry import REMEMBERED, Chain, Place

#: What happens to main, and how we are told: a push, a pull request before its push, a push told late or never, a
#: force-push to a new commit or back to a known one, and GitHub's answer about two commits.
CHANGES = st.sampled_from(["push"] * 4 + ["pull", "late", "lost", "force", "back", "back", "compare", "head"])


@dataclass
class History:
    """A true history, and the chain that was told of it."""

    parents: dict[str, str | None] = field(default_factory=lambda: {"0": None})
    head: str = "0"
    chain: Chain = field(default_factory=lambda: Chain().push(None, "0", forced=False)[0])
    late: list[tuple[str, str]] = field(default_factory=list)
    places: list[Place] = field(default_factory=lambda: [Place(1, 1, "0")])

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
        elif kind == "head" and self.chain.find(after) is None:
            self._push(None, after)

    def _push(self, before: str | None, after: str, *, forced: bool = False) -> None:
        self.chain, place = self.chain.push(before, after, forced=forced)
        self.places.append(place)

    def deliver_late(self, pick: int) -> None:
        """A push that was held up is delivered."""
        if self.late:
            before, after = self.late.pop(pick % len(self.late))
            if self.chain.find(after) is None:
                self._push(before, after)
            else:
                self.chain = self.chain.join(before, after)

    def _compare(self, base: int, head: int) -> None:
        older, newer = self.places[base % len(self.places)], self.places[head % len(self.places)]
        if self.chain.contains(newer, older) is None:
            self.chain = self.chain.learn(older, newer, contains=self.contains(newer.sha, older.sha))

    def check(self) -> None:
        """No claim about any two places is false."""
        for newer in self.places:
            for older in self.places:
                claim = self.chain.contains(newer, older)
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
    for newer in history.places:
        for older in history.places:
            if history.chain.contains(newer, older) is None:
                true = history.contains(newer.sha, older.sha)
                named_newer, named_older = history.chain.find(newer.sha), history.chain.find(older.sha)
                assert named_newer is not None
                assert named_older is not None
                history.chain = history.chain.learn(named_older, named_newer, contains=true)
                assert history.chain.contains(newer, older) is true


@given(st.permutations(range(1, 7)), st.permutations(range(1, 7)))
def test_pushes_and_pull_requests_in_any_order_end_with_the_whole_truth(pulls: list[int], pushes: list[int]) -> None:
    chain, places = Chain().push(None, "0", forced=False)[0], {}
    for number in pulls:
        chain, places[number] = chain.push(None, str(number), forced=False)
    for number in pushes:
        chain = chain.join(str(number - 1), str(number))
    assert chain.head is not None
    assert chain.head.sha == "6"
    assert all(chain.contains(places[n], places[o]) is (n >= o) for n in places for o in places)


def told(*pushes: tuple[str | None, str, bool]) -> tuple[Chain, list[Place]]:
    chain, places = Chain(), []
    for before, after, forced in pushes:
        chain, place = chain.push(before, after, forced=forced)
        places.append(place)
    return chain, places


def test_an_unbroken_chain_is_proof_enough() -> None:
    chain, (a, b, c) = told((None, "a", False), ("a", "b", False), ("b", "c", False))
    assert chain.contains(c, a) is True
    assert chain.contains(a, b) is False


def test_a_gap_is_not_known_until_the_lost_push_arrives() -> None:
    chain, (a, c) = told((None, "a", False), ("b", "c", False))
    assert chain.contains(c, a) is None
    chain, _ = chain.push("a", "b", forced=False)
    assert chain.contains(c, a) is True


def test_a_force_push_proves_nothing() -> None:
    chain, (a, b) = told((None, "a", False), ("a", "b", True))
    assert chain.contains(b, a) is None


def test_a_commit_that_comes_back_is_the_same_commit() -> None:
    chain, (a, b, again) = told((None, "a", False), ("a", "b", False), ("b", "a", True))
    assert chain.contains(again, a) is True
    assert chain.contains(b, again) is True
    assert chain.contains(again, b) is False
    assert chain.head == again


def test_a_denial_counts_for_all_that_follows_from_it() -> None:
    chain, (a, b, x, y) = told((None, "a", False), ("a", "b", False), ("b", "x", True), ("x", "y", False))
    chain = chain.learn(a, y, contains=False)
    assert chain.contains(x, a) is False
    assert chain.contains(x, b) is False


def test_what_is_remembered_is_bounded() -> None:
    chain = Chain()
    for number in range(500):
        chain, _ = chain.push(str(number - 1) if number % 3 else "?", str(number), forced=number % 7 == 0)
    assert max(len(chain.places), len(chain.links), len(chain.roots), len(chain.denials)) <= REMEMBERED
