"""A real server for the session; a bench with stand-ins and a pipeline of its own for each test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from structlog.testing import capture_logs

from tests.redis_server import redis_url
from tests.workers.workshop import Workshop

__all__ = ["redis_url"]

Open = Callable[..., Workshop]


@pytest.fixture
def workshop(redis_url: str) -> Iterator[Open]:
    """Open a workshop; see there for what it takes."""
    with ExitStack() as stack:
        yield lambda **how: Workshop(stack, redis_url, **how)


@pytest.fixture
def shop(workshop: Open) -> Workshop:
    return workshop()


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Print nothing: drawing the traceback of an error takes longer than many tests."""
    with capture_logs():
        yield
