"""What is different about older versions of Jenkins, as far as Interlock notices."""

from __future__ import annotations

import re
from collections.abc import Iterator

from bot.doctor.finding import About, Finding

#: The oldest long-term line that we recommend: the first on Java 17 and Jakarta EE, where today's plugins begin.
RECOMMENDED = (2, 479)

#: Since when (Jenkins: `Queue#doCancelItem`, `ParametersDefinitionProperty#buildWithParameters`,
#: `ParameterizedJobMixIn#doBuildWithParameters`), and what it was like before.
_BEFORE = (
    ((2, 211), "it does not say whether a queue item was cancelled, so Interlock asks once more"),
    ((2, 308), "it does not say that a trigger met an equal one in the queue"),
    ((2, 524), "it answers 500 to a trigger of a job without parameters, so that the run waits and is tried for ever"),
)
_NUMBERS = re.compile(r"(\d+)\.(\d+)")


def number(text: str) -> tuple[int, int] | None:
    """`2.479.3`, `2.555-SNAPSHOT` as (2, 479), (2, 555); None for what is no version."""
    found = _NUMBERS.match(text)
    return None if found is None else (int(found[1]), int(found[2]))


def examine(about: About, text: str) -> Iterator[Finding]:
    """What to know about a controller of that version; nothing about a recent one."""
    version = number(text)
    if version is None:
        yield about.unsure(
            f"its version, {text!r}, cannot be read", "does a proxy drop or change the header X-Jenkins?"
        )
    elif version < RECOMMENDED:
        peculiar = [f"before {since[0]}.{since[1]} {what}" for since, what in _BEFORE if version < since]
        found = f"Jenkins {text} is older than 2.479 ({'; '.join(peculiar)})"
        yield about.unsure(found, "bring it up to date: a long-term version from 2.479.1 on")
