"""The four pictures: the steps that lead to each in any world, its runs and locks, its drawing and comparison."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields

from demo.verbs import BuildingWorld, Spoiled, StoryWorld


@dataclass(frozen=True)
class Picture:
    """The waiting runs and the runs in each stage; queues are written tail first, as in the drawing."""

    queue_1: tuple[str, ...] = ()
    acceptance: frozenset[str] = frozenset()
    queue_2: tuple[str, ...] = ()
    pre_production: frozenset[str] = frozenset()
    production: frozenset[str] = frozenset()
    fast: tuple[tuple[str, str], ...] = ()
    #: The holders of the locks of pre-production.
    locks: tuple[str, ...] = ()


PICTURES = {
    1: Picture(("S1d",), frozenset({"S2b", "S1c", "S3a"}), ("S1b", "S2a"), frozenset({"S1a"})),
    2: Picture(("S1d",), frozenset({"S2b", "S1c", "S3a"}), ("S1b", "S2a"), locks=("S1a",)),
    3: Picture(
        ("S1d",),
        frozenset({"S2b", "S1c", "S3a"}),
        ("S1b", "S2a"),
        fast=(("fast acceptance", "S1e"),),
        locks=("S1a",),
    ),
    4: Picture((), frozenset({"S2b", "S3a"}), (), frozenset({"S2a"}), frozenset({"S1e"})),
}

TITLES = {
    1: "seven runs of S1, S2 and S3",
    2: "S1a fails in pre-production: the stage locks itself",
    3: "the fix S1e takes the fast lane past everyone",
    4: "S1e has passed: what it contains is removed, the lock opens, S2a enters",
}


# -- how they come about -----------------------------------------------------------------------------------------------


def first_picture(world: BuildingWorld) -> None:
    """Bring seven runs of the services S1 to S3 onto the board."""
    for service, letter in ("S1", "a"), ("S2", "a"), ("S1", "b"):
        world.merge_up_to(service, letter, before="pre-production")
    for service, letter in ("S3", "a"), ("S1", "c"), ("S2", "b"), ("S1", "d"):
        world.merge_up_to(service, letter, before="acceptance")


def second_picture(world: BuildingWorld) -> None:
    """Make S1a fail in pre-production."""
    world.fail_build("S1a", tests=("CheckoutTest.paysWithCard",))


def third_picture(world: BuildingWorld) -> None:
    """Merge the fix S1e and pass its build, so that it enters the fast lane."""
    world.merge("S1", "e")
    world.pass_build("S1e")


def fourth_picture(world: BuildingWorld) -> None:
    """Let S1e pass the fast lane and pre-production."""
    world.pass_fix("S1e")


def tell(world: BuildingWorld, shown: Callable[[int], None] = lambda _: None) -> None:
    """Play all four pictures in a started world, and call `shown` with the number of each while it is there.

    Raise Spoiled with the differences if a picture does not come about.
    """
    for number, come_about in enumerate((first_picture, second_picture, third_picture, fourth_picture), 1):
        come_about(world)
        world.end_withdrawn()
        stands(world, number)
        shown(number)


def everybody_else_passes(world: BuildingWorld) -> None:
    """Let the remaining runs pass their remaining stages, after the pictures."""
    for name in ("S1e", "S2a", "S2a", "S3a", "S2b", "S3a", "S2b", "S3a", "S2b"):
        world.pass_build(name)


# -- what is seen ------------------------------------------------------------------------------------------------------


def stands(world: StoryWorld, number: int) -> None:
    """Wait until a picture has come about. Raise Spoiled with the differences if it does not."""
    wanted = PICTURES[number]
    try:
        world.wait_until(f"picture {number} stands", lambda: seen(world) == wanted)
    except Spoiled as error:
        found = seen(world)
        raise Spoiled("\n".join([f"{error}:", *differences(wanted, found), drawn(found)])) from error


def seen(world: StoryWorld) -> Picture:
    """Return the current picture."""
    fast = ("fast acceptance", "fast pre-production")
    return Picture(
        tuple(world.queue("acceptance")),
        frozenset(world.runs_in("acceptance")),
        tuple(world.queue("pre-production")),
        frozenset(world.runs_in("pre-production")),
        frozenset(world.runs_in("production")),
        tuple((step, name) for step in fast for name in world.runs_in(step)),
        tuple(world.locks("pre-production")),
    )


def drawn(picture: Picture) -> str:
    """Draw the picture as the design does."""

    def box(names: Iterable[str]) -> str:
        return " ".join(sorted(names, reverse=True))

    lock = "LOCKED: " if picture.locks else ""
    lines = [
        f"merge -> build -> [queue 1: {' '.join(picture.queue_1)}] -> (acceptance: {box(picture.acceptance)})",
        f"  -> [queue 2: {' '.join(picture.queue_2)}] -> ({lock}pre-production: {box(picture.pre_production)})",
        f"  -> (production: {box(picture.production)})",
    ]
    lines += [f"{name} => build => ({stage}: {name}) => rolls out to pre-production" for stage, name in picture.fast]
    return "\n".join(lines)


def differences(wanted: Picture, found: Picture) -> list[str]:
    """Return one line for each difference from the wanted picture; none if it is right."""
    pairs = [(each.name, getattr(wanted, each.name), getattr(found, each.name)) for each in fields(Picture)]
    return [
        f"{name.replace('_', ' ')}: expected {_shown(expected)}, found {_shown(there)}"
        for name, expected, there in pairs
        if expected != there
    ]


def _shown(names: Iterable[object]) -> str:
    return " ".join(map(str, sorted(names, key=str) if isinstance(names, frozenset) else names)) or "nobody"
