"""Comparisons are true: the walk agrees with plain sets of ancestors on any history."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from standins.github.graph import Graph


def ancestors(graph, sha):
    seen, todo = set(), [sha]
    while todo:
        one = todo.pop()
        if one not in seen:
            seen.add(one)
            todo += graph.commits[one].parents
    return seen


@given(st.lists(st.lists(st.integers(0, 30), max_size=2), min_size=2, max_size=30), st.data())
@settings(max_examples=200, deadline=None)
def test_a_comparison_agrees_with_the_sets_of_ancestors(history, data):
    graph, shas = Graph("r"), []
    for parents in history:
        chosen = tuple(dict.fromkeys(shas[p % len(shas)] for p in parents)) if shas else ()
        shas.append(graph.add(chosen, "m", "a", 0).sha)
    base, head = data.draw(st.sampled_from(shas)), data.draw(st.sampled_from(shas))
    comparison = graph.compare(base, head)
    in_base, in_head = ancestors(graph, base), ancestors(graph, head)
    assert {commit.sha for commit in comparison.ahead} == in_head - in_base
    assert comparison.behind_by == len(in_base - in_head)
    assert (comparison.merge_base is None) == (not in_base & in_head)
    if comparison.merge_base is not None:
        assert comparison.merge_base.sha in in_base & in_head
    assert graph.contains(head, base) == (base in in_head)


def test_the_commits_ahead_come_oldest_first():
    graph = Graph("r")
    shas = [graph.add((), "0", "a", 0).sha]
    for number in range(1, 5):
        shas.append(graph.add((shas[-1],), str(number), "a", number).sha)
    assert [commit.message for commit in graph.compare(shas[1], shas[4]).ahead] == ["2", "3", "4"]
