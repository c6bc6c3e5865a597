"""One word per thing: classes and modules are named by the terms of `docs/glossary.md`, and every term has a user."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("bot", "workers", "config")
_TERM = re.compile(r"\*\*([^*]+)\*\*")
_WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+")


def listed(text: str) -> frozenset[str]:
    """The words in a text."""
    return frozenset(text.split())


#: Verbs, adjectives and small words are no nouns, nor are participles (`is_participle` knows most of them).
NO_NOUNS = listed(
    """
    act acting after again ahead any as authorize automatically back beginning buffering busy by coming common
    decide default done every force from heard help late left nothing now pass put several since stuck such understood
    steady was wa
    examination explain failing fast find firmly first for forbidden forgotten found hidden in invalid is keep known
    later live long lost more new newer no not observing older on once operate other overtaken overwritten pending
    permanent ran read reading recent reconcile reporting said seen set shown start taken to tolerant too
    unreachable unreadable unstorable up verbatim verify with where who why withdrawn written wrong
    estimating measuring standing unusable drawn simulate swept while
    """
)
#: Nouns of plain English and of programming, which mean here what they mean everywhere.
PLAIN = listed(
    """
    action adaptation address body bot buffer bytes cause choice cleanup client code codec compression config
    configuration connection context core count deploy detail differences drawing end entry environment error failure
    feed file filter fold forks form format frame handler identity judgement key kind level library limit line list log
    logger machine matcher memory message model node notification observer opening overview page parameter part patience
    payload people performer permission picture plan policy poll probe problem process progress purpose question rate
    reference report repository request response result retention row scheduler script search section sender sentence
    server session shape sign source start state store subject target task telling template time token total transport
    usage validation value version view wait watch webhook weekday wish withdrawal wording worker
    hour lead table
    """
)
#: Words of the libraries and services that we use.
LIBRARIES = listed(
    """
    api app auth bearer branch celery cli cloud commit conf crumb git github gunicorn hub installation issuer
    jenkins markdown markup openapi polling rabbit redis sentinel web yaml
    """
)


@cache
def sources() -> dict[Path, ast.Module]:
    """Every production module."""
    files = (path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py")))
    return {path: ast.parse(path.read_text("utf-8")) for path in files}


def words(name: str) -> tuple[str, ...]:
    """The words of a name, in small letters and the singular: `DeadLetters` and `dead_letters` are (dead, letter)."""
    return tuple(singular(word.lower()) for part in re.split(r"[^A-Za-z]+", name) for word in _WORD.findall(part))


def singular(word: str) -> str:
    """A noun of several, as one."""
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("sses", "ches", "shes", "xes", "tuses")):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith(("ss", "us", "is")) else word


def is_participle(word: str) -> bool:
    """`merged`, `asked`: what happened to a thing is no name of one."""
    return word.endswith("ed") and not word.endswith("eed")


_SETTLED = frozenset(singular(word) for group in (NO_NOUNS, PLAIN, LIBRARIES) for word in group)


def terms(page: str) -> list[str]:
    """The terms that a glossary explains."""
    return [term.strip() for found in _TERM.findall(page) for term in found.split(",")]


def glossary() -> str:
    return (ROOT / "docs" / "glossary.md").read_text("utf-8")


def classes() -> Iterator[tuple[str, Path]]:
    """The public classes, with where they are."""
    for path, tree in sources().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                yield node.name, path


def public_names() -> Iterator[str]:
    """The public classes, modules and packages."""
    yield from (name for name, _ in classes())
    for path in sources():
        name = path.parent.name if path.name == "__init__.py" else path.stem
        if not name.startswith("_"):
            yield name


def unexplained(names: Iterator[str], page: str) -> dict[str, set[str]]:
    """The words that no term has and that are not plain either, with the names that have them."""
    explained = {word for term in terms(page) for word in words(term)}
    found: dict[str, set[str]] = defaultdict(set)
    for name in names:
        for word in words(name):
            if len(word) > 1 and not (word in explained or word in _SETTLED or is_participle(word)):
                found[word].add(name)
    return dict(found)


def identifiers() -> Iterator[str]:
    """Every name in the code, and every string that could be one: kinds of events and effects are such."""
    for path, tree in sources().items():
        yield from (path.parent.name, path.stem)
        for node in ast.walk(tree):
            match node:
                case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name):
                    yield name
                case ast.ClassDef(name=name) | ast.FunctionDef(name=name):
                    yield name
                case ast.Constant(value=str(text)) if re.fullmatch(r"[a-z-]{3,40}", text):
                    yield text


def unused(page: str, names: set[tuple[str, ...]]) -> list[str]:
    """The terms whose words stand side by side in no name of the code."""
    runs = {name[i:j] for name in names for i in range(len(name)) for j in range(i + 1, len(name) + 1)}
    return [term for term in terms(page) if words(term) not in runs]


def test_every_noun_of_a_class_or_module_is_in_the_glossary() -> None:
    found = unexplained(public_names(), glossary())
    assert {word: sorted(names) for word, names in sorted(found.items())} == {}


def doubles() -> set[str]:
    """The names of public classes that are in two files."""
    places: dict[str, set[Path]] = defaultdict(set)
    for name, path in classes():
        places[name].add(path)
    return {name for name, paths in places.items() if len(paths) > 1}


def test_no_two_classes_share_a_name() -> None:
    assert doubles() == set()


def test_every_term_of_the_glossary_is_used_by_the_code() -> None:
    assert unused(glossary(), {words(name) for name in identifiers()}) == []


def test_every_term_is_explained_once() -> None:
    found = terms(glossary())
    assert sorted(term for term in set(found) if found.count(term) > 1) == []


def test_a_plain_word_is_no_term() -> None:
    """Else the lists above would grow into a second glossary."""
    of_terms = {singular(term) for term in terms(glossary())}
    assert _SETTLED & of_terms == set()


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("DeadLetters", ("dead", "letter")),
        ("dead_letters", ("dead", "letter")),
        ("HTTPStatus", ("http", "status")),
        ("stage_versions", ("stage", "version")),
        ("bodies", ("body",)),
        ("to_4", ("to",)),
    ],
)
def test_a_name_is_taken_apart_into_words(name: str, wanted: tuple[str, ...]) -> None:
    assert words(name) == wanted


def test_a_word_without_a_term_and_a_term_without_a_user_are_found() -> None:
    page = "**dead letter**: given up.\n\n**turnstile, seat**: a place.\n"
    assert unexplained(iter(["DeadLetterBody", "Turnstiles", "Knock"]), page) == {"knock": {"Knock"}}
    assert unused(page, {("dead", "letter", "body"), ("seat",)}) == ["turnstile"]
