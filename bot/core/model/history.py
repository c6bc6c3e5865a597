"""Which commit contains which: what the chain of pushes to a main branch proves, without asking anyone.

A push that was not forced proves that `after` contains `before` (GitHub docs: webhook event `push`). So the commits
of an unbroken chain of pushes get consecutive positions in one *segment*, and a later one contains every earlier one.
Where the chain has a gap (a lost push, a force-push) a new segment begins; what lies between two segments is unknown
until a link is proven by a later push or by one comparison asked of GitHub.

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

*Yes* and *no* are final, and unknown is never taken for one of them. docs/history.md has the whole: what a force-push
takes off main, the unconfirmed head, what each answer of GitHub proves, and why a map of parents would not do.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

from bot.core.model.replaced import quick_to_make, replace

#: How many commits, links and denials a history remembers. Live runs carry their own position, so forgetting an old
#: one costs at most a question to GitHub.
REMEMBERED = 48
#: How many heads that force-pushes took main from, and that were not known then, a history remembers.
DROPPED_HEADS = 8

Item = TypeVar("Item")


@quick_to_make
@dataclass(frozen=True, slots=True)
class Position:
    """Where a commit stands in the history of its service's main branch."""

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
    """A proof of the opposite: `head` does not contain `base`."""

    base: Position
    head: Position


@quick_to_make
@dataclass(frozen=True, slots=True)
class Root:
    """The first commit of a segment, and the sha that its push said came before it."""

    segment: int
    before: str


@dataclass(frozen=True, slots=True)
class DroppedHead:
    """A head that nobody had told us of when a force-push took main from it, and the commit that main was put on."""

    sha: str
    to: Position


@dataclass(frozen=True, slots=True)
class CommitHistory:
    """All that is known of one main branch's history; grows by `push` and `learn`."""

    head: Position | None = None
    segments: int = 0
    positions: tuple[Position, ...] = ()
    links: tuple[Link, ...] = ()
    denials: tuple[Denial, ...] = ()
    roots: tuple[Root, ...] = ()
    #: The segment that the latest force-push began: what stands before it may have been dropped from main.
    forced: int = 0
    #: How many positions there have been: the number of the last one that is remembered.
    count: int = 0
    #: Which heads force-pushes took main from before we knew them: their pushes are told late, if at all.
    dropped_heads: tuple[DroppedHead, ...] = ()

    def find(self, sha: str) -> Position | None:
        """The latest remembered position of `sha` (a force-push may bring a commit back to a second one)."""
        return next((p for p in reversed(self.positions) if p.sha == sha), None)

    def latest(self, position: Position) -> Position:
        """Where the commit of `position` stood last: a force-push may have brought it back since."""
        return self.find(position.sha) or position

    def on_main_by(self, position: Position) -> int:
        """The segment by which the commit is known to have been on main: earlier than its own if it was told late.

        That is so if a commit that contains it was told before it, or a force-push that took main from one of these:
        whatever has dropped them may have dropped it as well.
        """
        containing = [position]
        for at in containing:  # it grows
            for link in self.links:
                is_again = link.older.sha == link.newer.sha  # that it was on main before does not say when it came back
                leads_on = not is_again and _is_within(at, {link.older.segment: link.older.seq})
                if leads_on and link.newer not in containing:
                    containing.append(link.newer)
        told = [at.segment for at in containing]
        fell = [to.to.segment - 1 for to in self.dropped_heads if any(self._fell(at, to) for at in containing)]
        return min(told + fell)

    def _fell(self, at: Position, dropped: DroppedHead) -> bool:
        """Whether the commit fell with that head: it is that, or stands before it, and was not pushed since."""
        if dropped.to.segment == at.segment and dropped.to.seq < at.seq:
            return False
        later = (each for each in self.positions if each.segment == at.segment and each.seq > at.seq)
        return at.sha == dropped.sha or any(each.sha == dropped.sha for each in later)

    def contains(self, newer: Position, older: Position) -> bool | None:
        """Whether `newer` contains `older`: True or False when proven, None when nobody has asked yet."""
        if newer.sha == older.sha or self._reaches(newer, older):
            return True
        if newer.segment == older.segment or self._reaches(older, newer):
            return False
        if any(self._denies(denial, newer, older) for denial in self.denials):
            return False
        return None

    def _denies(self, denial: Denial, newer: Position, older: Position) -> bool:
        """If `head` lacks `base`, all that `head` contains lacks all that contains `base`."""
        below = denial.head.sha == newer.sha or self._reaches(denial.head, newer)
        return below and (denial.base.sha == older.sha or self._reaches(older, denial.base))

    def _reaches(self, newer: Position, older: Position) -> bool:
        """Whether links lead from `newer` back to `older`, to a later position of its segment, or to a namesake."""
        if newer.segment == older.segment and newer.seq >= older.seq:
            return True
        if not any(_leads_to(link, older) for link in self.links):
            return False
        reached = {newer.segment: newer.seq}
        grew = True
        while grew:
            grew = False
            for link in self.links:
                on_the_way = _is_within(link.newer, reached) or link.newer.sha == newer.sha
                if on_the_way and not _is_within(link.older, reached):
                    reached[link.older.segment] = link.older.seq
                    grew = True
        namesakes = (link.older for link in self.links if link.older.sha == older.sha)
        return any(_is_within(position, reached) for position in (older, *namesakes))

    def push(self, before: str | None, after: str, *, forced: bool) -> tuple[CommitHistory, Position]:
        """The history with `after` added, and its position. `before` None means: not known what came before.

        A forced push may be told after what was pushed onto its commit: then main has moved on from it.
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
        """A commit that comes back to main is the same commit: each of its positions contains the other."""
        earlier = self.find(position.sha)
        return [] if earlier is None else [Link(earlier, position), Link(position, earlier)]

    def rewritten(self, position: Position) -> CommitHistory:
        """The history with `position` known to be a head that was put in place by force."""
        return replace(self, forced=position.segment)

    def left_by_force(self, before: str | None, to: Position) -> CommitHistory:
        """The history with the head that a force-push to `to` took main from, if nobody has told us of that yet."""
        if before is None or self.find(before) is not None:
            return self
        return replace(self, dropped_heads=(*self.dropped_heads, DroppedHead(before, to))[-DROPPED_HEADS:])

    def forced_to(self, position: Position) -> Position:
        """Where main goes on after a forced push to `position`: there, or at what was pushed onto it, told before."""
        if self.head == position:
            return position
        return next((link.newer for link in self.links if link.older == position), position)

    def first(self, position: Position) -> Position:
        """The first commit that is remembered of the segment of `position`; what `position` lacks, that lacks too."""
        return next((each for each in self.positions if each.segment == position.segment), position)

    def successor(self, position: Position) -> Position:
        """A commit of a later segment that is proven to contain `position`, the first proven; else that itself."""
        later = (k.newer for k in self.links if k.older.sha == position.sha and k.newer.segment > position.segment)
        return next(later, position)

    def join(self, before: str, after: str) -> CommitHistory:
        """The history with the proof of a push whose `after` was known already (its pull request came first)."""
        older, newer = self.find(before), self.find(after)
        if newer is None:
            return self
        if older is None:
            return self._rooted(newer, before)
        if self.contains(newer, older):
            return self
        return self.learn(older, newer, contains=True)._advanced()

    def include(self, head: Position, shas: Iterable[str]) -> CommitHistory:
        """The history with the proof of a push that brought these commits together with `head`."""
        grown = self
        for sha in shas:
            older = grown.find(sha)
            if older is not None and grown.contains(head, older) is None:
                grown = grown.learn(older, head, contains=True)
        return grown if grown is self else grown._advanced()

    def was_pushed(self, position: Position) -> bool:
        """Whether a push told of the commit, and not only its pull request."""
        return position.seq > 1 or any(root.segment == position.segment for root in self.roots)

    def _advanced(self) -> CommitHistory:
        """With the latest commit that contains the head as head: pull requests may be told in any order."""
        head = self.head
        for position in reversed(self.positions):
            later = head is not None and position.sha != head.sha and position.segment >= self.forced
            if head is not None and later and self.contains(position, head):
                return replace(self, head=position)._advanced()
        return self

    def learn(self, base: Position, head: Position, *, contains: bool) -> CommitHistory:
        """The history with GitHub's answer to *does `head` contain `base`*."""
        if contains:
            return replace(self, links=_last((*self.links, Link(base, head))))
        return replace(self, denials=_last((*self.denials, Denial(base, head))))

    def _rooted(self, position: Position, before: str) -> CommitHistory:
        if position.seq != 1:
            return self
        return replace(self, roots=_last((*self.roots, Root(position.segment, before))))

    def _joins(self, position: Position) -> list[Link]:
        """Links to segments that were waiting for this commit: a push that arrived after its successor."""
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


def _leads_to(link: Link, position: Position) -> bool:
    """Whether the link may be the last on a way back to the commit: it ends there, or later in its segment."""
    end = link.older
    return (end.segment == position.segment and end.seq >= position.seq) or end.sha == position.sha


def _is_within(position: Position, reached: dict[int, int]) -> bool:
    return reached.get(position.segment, 0) >= position.seq


def _last(items: tuple[Item, ...]) -> tuple[Item, ...]:
    return items[-REMEMBERED:]
