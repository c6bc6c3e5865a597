"""Containment of commits, as the chain of pushes to a main branch proves it without a question to GitHub.

A push that was not forced proves that `after` contains `before` (GitHub docs: webhook event `push`). So the commits
of an unbroken chain of pushes get consecutive positions in one *segment*, and a later one contains every earlier one.
Where the chain has a gap (a lost push, a force-push) a new segment begins; containment across the gap is unknown until
a later push or one comparison by GitHub proves a link.

  segment 1    1.1 a <── 1.2 b <── 1.3 c                pushes that follow on each other
                                     ^
                                     │ link             a push told late, or GitHub, has proven that e contains c
  segment 2                        2.1 e <── 2.2 f      a push was lost before e: what e contains was unknown
                                     ·
                                     · denial           GitHub has said that g does not contain e
  segment 3                        3.1 g                g was put in place by force: a forced head

  does X contain Y?

  unknown ──────────────> yes           X comes later in Y's segment, or links lead from X back to Y
  unknown ──────────────> no            Y comes later in X's segment, or Y contains X, or a denial covers both
  unknown ──> asked ────> yes, no       GitHub has compared the two: a link, or a denial
                └───────> asked         no answer, or one that proves nothing: asked again

*Yes* and *no* are final, and unknown never counts as one of them. docs/history.md explains the rest: force-pushes, the
unconfirmed head, the proof in each answer of GitHub, and why a map of parents is not enough.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

from bot.core.model.replaced import quick_to_make, replace

#: How many positions, links, denials and roots each a history remembers. Live runs carry their own position, so
#: forgetting an old one costs at most a question to GitHub.
REMEMBERED = 48
#: How many unknown heads that force-pushes took main from a history remembers.
DROPPED_HEADS = 8

Item = TypeVar("Item")


@quick_to_make
@dataclass(frozen=True, slots=True)
class Position:
    """The place of a commit in the commit history of its service."""

    segment: int
    seq: int
    sha: str


@quick_to_make
@dataclass(frozen=True, slots=True)
class Link:
    """A proof: `newer` contains `older`."""

    older: Position
    newer: Position


@dataclass(frozen=True, slots=True)
class Denial:
    """The opposite proof: `head` does not contain `base`."""

    base: Position
    head: Position


@quick_to_make
@dataclass(frozen=True, slots=True)
class Root:
    """The first position of a segment, and the sha of the previous head as its push named it."""

    segment: int
    before: str


@dataclass(frozen=True, slots=True)
class DroppedHead:
    """A head, unknown at that time, that a force-push took main from, and the position that main was put on."""

    sha: str
    to: Position


@dataclass(frozen=True, slots=True)
class CommitHistory:
    """The commit history of one main branch; grows by `push` and `learn`."""

    head: Position | None = None
    segments: int = 0
    positions: tuple[Position, ...] = ()
    links: tuple[Link, ...] = ()
    denials: tuple[Denial, ...] = ()
    roots: tuple[Root, ...] = ()
    #: The segment that the latest force-push began: earlier positions may have been dropped from main.
    forced: int = 0
    #: How many positions there have been: the number of the last one that is remembered.
    count: int = 0
    #: The heads that force-pushes took main from before their own pushes were known: those arrive late, if at all.
    dropped_heads: tuple[DroppedHead, ...] = ()

    def find(self, sha: str) -> Position | None:
        """Return the latest remembered position of `sha`; None if there is none.

        A commit has several positions if a force-push brought it back.
        """
        return next((p for p in reversed(self.positions) if p.sha == sha), None)

    def latest(self, position: Position) -> Position:
        """Return the latest position of the commit: a force-push may have brought it back since."""
        return self.find(position.sha) or position

    def on_main_by(self, position: Position) -> int:
        """Return the segment by which the commit was on main: before its own if its push arrived late.

        That is so if the push of a commit that contains it arrived earlier, or if a force-push took main from such a
        commit: a later force-push that dropped these commits may have dropped this one too.
        """
        containing = [position]
        for at in containing:  # the loop appends to it
            for link in self.links:
                is_again = link.older.sha == link.newer.sha  # an earlier stay on main does not tell when it came back
                leads_on = not is_again and _is_within(at, {link.older.segment: link.older.seq})
                if leads_on and link.newer not in containing:
                    containing.append(link.newer)
        told = [at.segment for at in containing]
        fell = [to.to.segment - 1 for to in self.dropped_heads if any(self._fell(at, to) for at in containing)]
        return min(told + fell)

    def _fell(self, at: Position, dropped: DroppedHead) -> bool:
        """Return whether the commit was dropped with that head: it is that head, or precedes it in the segment.

        A commit that was pushed after the force-push, in the segment that it began, was not.
        """
        if dropped.to.segment == at.segment and dropped.to.seq < at.seq:
            return False
        later = (each for each in self.positions if each.segment == at.segment and each.seq > at.seq)
        return at.sha == dropped.sha or any(each.sha == dropped.sha for each in later)

    def contains(self, newer: Position, older: Position) -> bool | None:
        """Return whether `newer` contains `older`: True or False when proven, None when unknown."""
        if newer.sha == older.sha or self._reaches(newer, older):
            return True
        if newer.segment == older.segment or self._reaches(older, newer):
            return False
        if any(self._denies(denial, newer, older) for denial in self.denials):
            return False
        return None

    def _denies(self, denial: Denial, newer: Position, older: Position) -> bool:
        """Return whether the denial proves that `newer` lacks `older`.

        If `head` lacks `base`, every commit that `head` contains lacks every commit that contains `base`.
        """
        below = denial.head.sha == newer.sha or self._reaches(denial.head, newer)
        return below and (denial.base.sha == older.sha or self._reaches(older, denial.base))

    def _reaches(self, newer: Position, older: Position) -> bool:
        """Return whether links lead from `newer` back to `older`.

        They may also lead to a later position of its segment, or to another position of the same commit.
        """
        if newer.segment == older.segment and newer.seq >= older.seq:
            return True
        if not self._is_linked(older):
            return False
        reached = {newer.segment: newer.seq}
        grew = True
        while grew:
            grew = False
            for link in self.links:
                start, end = link.newer, link.older
                on_the_way = start.seq <= reached.get(start.segment, 0) or start.sha == newer.sha
                if on_the_way and end.seq > reached.get(end.segment, 0):
                    reached[end.segment] = end.seq
                    grew = True
        namesakes = (link.older for link in self.links if link.older.sha == older.sha)
        return any(_is_within(position, reached) for position in (older, *namesakes))

    def _is_linked(self, position: Position) -> bool:
        """Return whether a link leads to the commit, or to a later position of its segment: a way back ends there."""
        segment, seq, sha = position.segment, position.seq, position.sha
        for link in self.links:
            end = link.older
            if (end.segment == segment and end.seq >= seq) or end.sha == sha:
                return True
        return False

    def push(self, before: str | None, after: str, *, forced: bool) -> tuple[CommitHistory, Position]:
        """Return the history with `after` added, and its position. `before`: the previous head; None: not known.

        The webhook of a forced push may arrive after that of a push onto its commit: then main has already moved on.
        """
        head = self.head
        if head is not None and before == head.sha and not forced and after != head.sha:
            position = Position(head.segment, head.seq + 1, after)
            return self._with(position, [*self._joins(position), *self._returns(position)]), position
        position = Position(self.segments + 1, 1, after)
        onto_it = self._joins(position)
        links = [*onto_it, *self._returns(position)]
        roots = self.roots
        if not forced and before is not None:
            parent = self.find(before)
            if parent is not None:
                links.append(Link(parent, position))
            roots = _last((*roots, Root(position.segment, before)))
        grown = replace(self, segments=position.segment, roots=roots)
        late = bool(onto_it) and head is not None and before != head.sha
        grown = grown._with(position, links, keep_head=late or not forced)
        return (grown.rewritten(grown.forced_to(position)) if forced else grown), position

    def _returns(self, position: Position) -> list[Link]:
        """Return links in both directions for a commit that comes back to main: it contains itself."""
        earlier = self.find(position.sha)
        return [] if earlier is None else [Link(earlier, position), Link(position, earlier)]

    def rewritten(self, position: Position) -> CommitHistory:
        """Return the history with `position` recorded as a forced head."""
        return replace(self, forced=position.segment)

    def left_by_force(self, before: str | None, to: Position) -> CommitHistory:
        """Return the history with the head that a force-push to `to` took main from, if it is unknown."""
        if before is None or self.find(before) is not None:
            return self
        return replace(self, dropped_heads=(*self.dropped_heads, DroppedHead(before, to))[-DROPPED_HEADS:])

    def forced_to(self, position: Position) -> Position:
        """Return the position of main after a forced push to `position`.

        That is `position`, or the commit that was pushed onto it, if the webhook of that push arrived first.
        """
        if self.head == position:
            return position
        return next((link.newer for link in self.links if link.older == position), position)

    def first(self, position: Position) -> Position:
        """Return the first remembered position of the segment of `position`.

        It lacks every commit that `position` lacks.
        """
        return next((each for each in self.positions if each.segment == position.segment), position)

    def successor(self, position: Position) -> Position:
        """Return the first position of a later segment proven to contain `position`, else `position`."""
        later = (k.newer for k in self.links if k.older.sha == position.sha and k.newer.segment > position.segment)
        return next(later, position)

    def join(self, before: str, after: str) -> CommitHistory:
        """Return the history with the proof of a push to a known commit, whose pull request came before the push."""
        older, newer = self.find(before), self.find(after)
        if newer is None:
            return self
        if older is None:
            return self._rooted(newer, before)
        if self.contains(newer, older):
            return self
        return self.learn(older, newer, contains=True)._advanced()

    def include(self, head: Position, shas: Iterable[str]) -> CommitHistory:
        """Return the history with the proof that `head` contains these commits of its push."""
        grown = self
        for sha in shas:
            older = grown.find(sha)
            if older is not None and grown.contains(head, older) is None:
                grown = grown.learn(older, head, contains=True)
        return grown if grown is self else grown._advanced()

    def was_pushed(self, position: Position) -> bool:
        """Return whether a push reported the commit, and not only its pull request."""
        return position.seq > 1 or any(root.segment == position.segment for root in self.roots)

    def _advanced(self) -> CommitHistory:
        """Return the history with the latest commit that contains the head as its head.

        The webhooks of pull requests may arrive in any order.
        """
        head = self.head
        for position in reversed(self.positions):
            later = head is not None and position.sha != head.sha and position.segment >= self.forced
            if head is not None and later and self.contains(position, head):
                return replace(self, head=position)._advanced()
        return self

    def learn(self, base: Position, head: Position, *, contains: bool) -> CommitHistory:
        """Return the history with GitHub's answer whether `head` contains `base`."""
        if contains:
            return replace(self, links=_last((*self.links, Link(base, head))))
        return replace(self, denials=_last((*self.denials, Denial(base, head))))

    def _rooted(self, position: Position, before: str) -> CommitHistory:
        if position.seq != 1:
            return self
        return replace(self, roots=_last((*self.roots, Root(position.segment, before))))

    def _joins(self, position: Position) -> list[Link]:
        """Return links to segments whose root names this commit: its push arrived after its successor's."""
        return [
            Link(position, first)
            for root in self.roots
            if root.before == position.sha and root.segment != position.segment
            for first in self.positions
            if first.segment == root.segment and first.seq == 1
        ]

    def _with(self, position: Position, links: Iterable[Link], *, keep_head: bool = True) -> CommitHistory:
        positions, added = _last((*self.positions, position)), tuple(links)
        proven = _last((*self.links, *added)) if added else self.links
        grown = replace(self, positions=positions, count=self.count + 1, links=proven, head=position)
        older = keep_head and self.head is not None and grown.contains(self.head, position)
        return replace(grown, head=self.head) if older else grown


def _is_within(position: Position, reached: dict[int, int]) -> bool:
    return reached.get(position.segment, 0) >= position.seq


def _last(items: tuple[Item, ...]) -> tuple[Item, ...]:
    return items[-REMEMBERED:]
