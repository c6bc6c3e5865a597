"""docs/history.md and the code that it is about show the same states and the same bounds."""

from pathlib import Path

from bot.core.model import history
from bot.core.rules import containment, merges

PAGE = (Path(__file__).parents[2] / "docs" / "history.md").read_text("utf-8")


def test_the_drawing_in_the_code_is_the_first_on_the_page() -> None:
    assert PAGE.split("```\n")[1] in (history.__doc__ or "")


def test_the_page_gives_the_bounds_of_the_code() -> None:
    plain = " ".join(PAGE.split())
    assert f"Of one service {containment.QUESTIONS} questions may be open at once" in plain
    assert f"remembers {history.REMEMBERED} positions, links, denials and roots each" in plain
    assert f"and {merges.FORCED_HEADS} forced heads" in plain
