"""The content of Redis by family of keys: `docs/store.md` lists them with their bounds and lifetimes."""

from __future__ import annotations

import re
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from redis import Redis

PAGE = Path(__file__).resolve().parent.parent / "docs" / "store.md"
#: The number of keys per request.
AT_A_TIME = 500
#: A row of the page: the keys of a family, its meaning, its bound, the lifetime of a key.
_ROW = re.compile(r"^\| `(?P<key>[^`]+)` \| (?P<what>[^|]+) \| (?P<bound>[^|]+) \| (?P<stays>[^|]+) \|$", re.MULTILINE)
#: The word of the page for a key that does not expire.
LASTS = "lasts"
#: The answer of PTTL for a key that does not expire.
NEVER = -1
#: The longest time between the writing of a key and its EXPIRE, in seconds.
A_MOMENT = 0.5


@dataclass(frozen=True, slots=True)
class KeyFamily:
    """A family of keys, as on the page. `<...>` in the name stands for any text."""

    key: str
    what: str
    bound: str
    stays: str

    @property
    def lasts(self) -> bool:
        """Return whether its keys do not expire; something else bounds them."""
        return self.stays.startswith(LASTS)

    @property
    def lives_for_days(self) -> bool:
        """Return whether its keys expire after days, not sooner."""
        return re.match(r"\d+ d\b", self.stays) is not None


class KeyFamilies:
    """All families of the page."""

    def __init__(self, page: Path = PAGE) -> None:
        rows = _ROW.finditer(page.read_text("utf-8"))
        self.all = [KeyFamily(**{name: text.strip() for name, text in row.groupdict().items()}) for row in rows]
        self._by_word: defaultdict[str, list[tuple[re.Pattern[str], KeyFamily]]] = defaultdict(list)
        for each in self.all:
            parts = re.split(r"<[^>]*>", each.key)
            pattern = re.compile(".+".join(map(re.escape, parts)), re.DOTALL)
            self._by_word[_word(each.key)].append((pattern, each))

    def of(self, key: str) -> KeyFamily | None:
        """Return the family of a key."""
        candidates = self._by_word.get(_word(key), [])
        return next((family for pattern, family in candidates if pattern.fullmatch(key)), None)


def _word(key: str) -> str:
    """Return the first word after the hash tag, the index of the families."""
    return key.rpartition("}:")[2].partition(":")[0]


@dataclass
class StoreUsage:
    """The content of Redis: its memory in bytes, its clients; by family the keys, and the bytes of measured ones."""

    memory: int
    clients: int
    keys: dict[str, int] = field(default_factory=dict)
    bytes: dict[str, int] = field(default_factory=dict)


def look(redis: Redis, families: KeyFamilies, *, everything: bool = False) -> StoreUsage:
    """Count the keys of each family, and measure those that last (`everything`: all)."""
    info: Any = redis.info()
    found = StoreUsage(int(info["used_memory"]), int(info["connected_clients"]))
    for keys in _pages(redis):
        weighed: list[tuple[bytes, str]] = []
        for key in keys:
            family = families.of(key.decode())
            name = family.key if family is not None else key.decode()
            found.keys[name] = found.keys.get(name, 0) + 1
            if everything or family is None or family.lasts:
                weighed.append((key, name))
        with redis.pipeline(transaction=False) as pipe:
            for key, _ in weighed:
                pipe.memory_usage(key, samples=0)
            for (_, name), size in zip(weighed, pipe.execute(), strict=True):
                found.bytes[name] = found.bytes.get(name, 0) + int(size or 0)
    return found


def memory(redis: Redis) -> int:
    """Return the bytes that Redis uses in all."""
    info: Any = redis.info("memory")
    return int(info["used_memory"])


def faults(redis: Redis, families: KeyFamilies) -> list[str]:
    """Return the keys without a family, and the keys that do not expire although their family does."""
    found = []
    for page in _pages(redis):
        with redis.pipeline(transaction=False) as pipe:
            for raw in page:
                pipe.pttl(raw)
            left = pipe.execute()
        for raw, milliseconds in zip(page, left, strict=True):
            key = raw.decode()
            family = families.of(key)
            if family is None:
                found.append(f"{key}: docs/store.md does not list it")
            elif not family.lasts and milliseconds == NEVER and _stays_so(redis, key):
                found.append(f"{key}: it does not expire, though docs/store.md says after {family.stays}")
    return sorted(found)


def _stays_so(redis: Redis, key: str) -> bool:
    """Return whether it still does not expire after a moment: some keys get their EXPIRE after the write."""
    time.sleep(A_MOMENT)
    return int(redis.pttl(key)) == NEVER


def let_a_day_pass(redis: Redis, families: KeyFamilies, seconds: float = 86_400.0) -> int:
    """Shorten the remaining time of each key that lives for days by a day; return the number of expired keys.

    So a soak of minutes reaches the state of an installation after weeks. Shorter lives are current work.
    """
    gone, day = 0, int(seconds * 1000)
    for keys in _pages(redis):
        aged = [key for key in keys if (family := families.of(key.decode())) is not None and family.lives_for_days]
        with redis.pipeline(transaction=False) as pipe:
            for key in aged:
                pipe.pttl(key)
            left = pipe.execute()
            for key, milliseconds in zip(aged, left, strict=True):
                if milliseconds > 0:
                    pipe.pexpire(key, milliseconds - day)  # one with less time left expires at once
            pipe.execute()
        gone += sum(0 < milliseconds <= day for milliseconds in left)
    return gone


def _pages(redis: Redis) -> Iterator[list[bytes]]:
    page: list[bytes] = []
    for key in redis.scan_iter(count=AT_A_TIME):
        page.append(key)
        if len(page) == AT_A_TIME:
            yield page
            page = []
    yield page
