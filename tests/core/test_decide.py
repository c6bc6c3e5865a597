"""The table of `decide`: each event has its row with a handler for that event."""

import inspect
from typing import get_args

import pytest

from bot.core.model.events import Event
from bot.core.rules.decide import HANDLERS


def test_every_event_has_its_row_and_nothing_else_has_one() -> None:
    assert set(HANDLERS) == set(get_args(Event))


@pytest.mark.parametrize("event", HANDLERS, ids=lambda event: event.__name__)
def test_the_handlers_of_an_event_take_that_event(event: type) -> None:
    for handler in HANDLERS[event]:
        taken = list(inspect.signature(handler).parameters.values())[1].annotation
        assert event.__name__ in [name.strip().rpartition(".")[2] for name in taken.split("|")], handler
