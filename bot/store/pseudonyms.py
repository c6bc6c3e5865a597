"""Replace names in a recording by pseudonyms: services, repositories, jobs, people, channels, and all text of people.

A name has the same pseudonym everywhere, in every recording of one installation: it is derived from the name and a key
that does not leave the installation. Without the key a reader cannot find the name. Services, controllers and jobs are
numbered in their order instead, because the rules process some of them in that order; they keep their numbers as long
as the pipeline has the same ones. Words keep their length, because the rules shorten texts.

The pipeline's own words (stages, freezes, branches, environments, verbs of commands), commits, numbers and times are
kept. So a replay of a recording with pseudonyms decides the same as a replay of the original.
"""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from hashlib import sha256
from typing import Any

import bot.store.codec  # noqa: F401  loads the whole model: `_CODES` needs it


def _listed(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: Fields that name a person.
PEOPLE = frozenset({"author", "authors", "by", "cancelled_by", "login", "mode_by", "people", "to", "told"})
#: Fields whose text was written by a person, Jenkins or GitHub.
TEXTS = _listed(
    """
    banner description ending failed_step failed_tests found label labels locked lost lost_why meant
    mode_why names reason rest silent subject summary tests text title what why
    """
)
#: Fields whose value contains names of services, repositories and jobs, among other things.
COMPOSED = _listed(
    """
    carried_by closed command context entry freeze freezes job controller key lock name permit permits pipeline repeats
    repository run runs service services slot version via
    """
)
#: Fields that contain no outside name: stages, commits, and the rules' own names.
KEPT = _listed(
    """
    asked base before branch buttons commits conclusion digest earlier environment environments head last_stage
    merged newer now past push_id pushes rejoins role rule sha stage stages status time_zone topics
    unconfirmed_head undecided_head interrupted_head verb verbs after epoch reported_week week
    """
)
#: The rules' own words that appear in place of a person or a text.
_OWN_WORDS = _listed(
    """
    asked authors because configuration github interlock jenkins nobody on policy
    """
)
#: The codes of the model that appear in place of a text.
_CODES = {str(code) for kind in StrEnum.__subclasses__() if kind.__module__.startswith("bot.core.") for code in kind}
_WORD = re.compile(r"[^\s,;:()`'\"]+")
_PLAIN_WORD = re.compile(r"-.*|#?\d[\d:.\-+TZ]*|[0-9a-f]{7,40}|\W+")


class Pseudonyms:
    """The pseudonyms for the lines of one recording. `key`: the secret of the installation."""

    def __init__(self, key: bytes, pipelines: Iterable[Mapping[str, Any]]) -> None:
        """Collect the names. `pipelines`: every configuration in the recording, as decoded JSON."""
        self._key = key
        found = list(pipelines)
        self._words = {word for each in found for stage in each["stages"] for word in stage["name"].casefold().split()}
        jobs = [job for each in found for job in _jobs(each)]
        self._controllers = _numbered("controller", (job["controller"] for job in jobs))
        self._jobs = _numbered("job", (job["name"] for job in jobs))
        self._names = dict(self._composed(found))
        longest = sorted(self._names, key=len, reverse=True)
        alternatives = "|".join(map(re.escape, longest)) or r"(?!)"
        # A name may be followed by the rest of a version: the run and a time (`version_stamp`).
        self._pattern = re.compile(rf"(?<![\w-])(?:{alternatives})(?=[^\w-]|-(?:pr)?\d+-\d{{14}}|$)", re.IGNORECASE)
        self._names = {name.casefold(): other for name, other in self._names.items()}

    def line(self, line: str) -> str:
        """Return a line of the recording with pseudonyms."""
        return json.dumps(self._replaced(json.loads(line), ""), ensure_ascii=False, separators=(",", ":"))

    def _composed(self, pipelines: list[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
        """Yield the names that appear inside other texts, such as a service in the key of a run, with pseudonyms."""
        yield from _numbered(
            "service", (each["name"] for pipeline in pipelines for each in pipeline["services"])
        ).items()
        for pipeline in pipelines:
            yield pipeline["name"], self._made("pipeline", pipeline["name"])
            for service in pipeline["services"]:
                yield service["repository"], f"owner/{self._made('repository', service['repository'].casefold())}"
            for job in _jobs(pipeline):
                controller, name = job["controller"], job["name"]
                yield f"{controller}/{name}", f"{self._controllers[controller]}/{self._jobs[name]}"

    def _replaced(self, value: Any, field: str) -> Any:
        if isinstance(value, dict):
            return {self.within(key): self._member(key, each, value) for key, each in value.items()}
        if isinstance(value, list):
            return [self._replaced(each, field) for each in value]
        return self._text(value, field) if isinstance(value, str) and value else value

    def _member(self, field: str, value: Any, of: Mapping[str, Any]) -> Any:
        """Replace the value of one member of an object; a `name` beside a `controller` is the name of a job."""
        if field == "controller" and isinstance(value, str):
            return self._controllers.get(value, value)
        if isinstance(value, str) and (field == "job" or (field == "name" and "controller" in of)):
            return self._jobs.get(value, value)
        return self._replaced(value, field)

    def _text(self, value: str, field: str) -> str:
        if field in PEOPLE:
            return self._person(value)
        if field in TEXTS and value not in _CODES:
            return _WORD.sub(lambda found: self._word(found[0]), value)
        return self.within(value) if field in COMPOSED else value

    def within(self, text: str) -> str:
        """Replace the names within a text."""
        return self._pattern.sub(lambda found: self._names[found[0].casefold()], text)

    def _person(self, name: str) -> str:
        """Replace the name of a person. A field for a person may also contain a run, stages, or a word of the rules."""
        before, colon, login = name.rpartition(":")
        replaced = self.within(name)
        is_stages = all(word in self._words for word in _WORD.findall(name.casefold()))
        if replaced != name or is_stages or login.casefold() in _OWN_WORDS:
            return replaced
        return f"{before}{colon}{self._made('person', login.casefold())}"

    def _word(self, word: str) -> str:
        replaced = self.within(word)
        known = word.casefold() in _OWN_WORDS or word.casefold() in self._words
        if replaced != word or known or _PLAIN_WORD.fullmatch(word):
            return replaced
        digest = self._digest("word", word)
        return "".join(chr(ord("a") + byte % 26) for byte in (digest * (1 + len(word) // len(digest)))[: len(word)])

    def _made(self, kind: str, name: str) -> str:
        return f"{kind}-{self._digest(kind, name).hex()[:8]}"

    def _digest(self, kind: str, name: str) -> bytes:
        return hmac.new(self._key, f"{kind} {name}".encode(), sha256).digest()


def _numbered(kind: str, names: Iterable[str]) -> dict[str, str]:
    """Return numbered pseudonyms that sort like the names."""
    return {name: f"{kind}-{number:04}" for number, name in enumerate(sorted(set(names)), 1)}


def pipelines_in(line: str) -> Iterator[Mapping[str, Any]]:
    """Yield the configurations in a line of a recording."""
    if '"stages":[' not in line:
        return
    found = json.loads(line)
    if "snapshot" in found:
        yield found["snapshot"]["records"]["header/header"]["pipeline"]
    for entry in found.get("entries", ()):
        yield from (event["pipeline"] for event in entry["events"] if event["kind"] == "configured")


def _jobs(value: Any) -> Iterator[Mapping[str, Any]]:
    """Yield every Jenkins job in a configuration."""
    if isinstance(value, dict):
        if value.keys() >= {"controller", "name"}:
            yield value
        yield from (job for each in value.values() for job in _jobs(each))
    elif isinstance(value, list):
        yield from (job for each in value for job in _jobs(each))
