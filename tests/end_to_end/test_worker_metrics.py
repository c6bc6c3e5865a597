"""A real worker answers Prometheus with the effects that it performed, and the web process with what is stored."""

from __future__ import annotations

import re
import urllib.request
from pathlib import Path

import pytest

from tests.end_to_end.world import until, world
from tests.web.serving import free_port

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]
TRIGGERS = re.compile(r'^interlock_effect_seconds_count\{kind="trigger",pipeline="[^"]+"\} [1-9]', re.MULTILINE)


def text_of(address: str) -> str:
    with urllib.request.urlopen(f"{address}/metrics", timeout=10) as answer:
        return str(answer.read().decode())


def test_worker_and_web_answer_with_what_they_know(tmp_path: Path) -> None:
    address = f"127.0.0.1:{free_port()}"
    with world(tmp_path, INTERLOCK_WORKER_METRICS=address) as here:
        here.push("S1")
        until("a trigger was measured", lambda: TRIGGERS.search(text_of(f"http://{address}")))
        stored = text_of(here.url)
        assert re.search(r"^interlock_up 1\.0$", stored, re.MULTILINE)
        assert re.search(r'^interlock_contact_up\{kind="jenkins",name="[^"]+"\} 1\.0$', stored, re.MULTILINE)
