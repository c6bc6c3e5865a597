"""From schema 2 to 3: what is remembered of a service, stored in parts (`bot.store.parts`).

What its runs have passed and where they failed stands by itself now (`versions`). Places, pushes and groups of commits
are numbered from 1. `moves` begins at 1: an answer about main that waits in the inbox does not say how old it is, so it
counts as old and is asked again.
"""

from __future__ import annotations

from typing import Any

#: One stored value as parsed JSON.
Raw = dict[str, Any]

_GONE = ("passages", "failed")
_PROOFS, _OF_CHAIN = ("forces", "asked"), ("links", "denials", "roots")
_HEARD = ("heard", "answered")


def parts(service: str, raw: Raw) -> dict[str, Any]:
    """The fields that take the place of the record of a service."""
    chain: Raw = raw.get("chain", {})
    places, pushes, pushed = chain.get("places", []), raw.get("pushes", []), raw.get("pushed", [])
    small = _without(raw, (*_GONE, *_PROOFS, *_HEARD, "pushes", "pushed"))
    if chain:
        small["chain"] = {**_without(chain, (*_OF_CHAIN, "places")), "told": len(places)}
    small |= {"pushes_told": len(pushes), "pushed_told": len(pushed), "moves": 1 if chain.get("head") else 0}
    proofs = {name: raw[name] for name in _PROOFS if name in raw} | {
        name: chain[name] for name in _OF_CHAIN if name in chain
    }
    commands = {name: raw[name] for name in _HEARD if name in raw}
    found: dict[str, Any] = {f"service/{service}": small}
    found |= {f"proofs/{service}": proofs} if proofs else {}
    found |= {f"heard/{service}": commands} if commands else {}
    for family, items in (("place", places), ("push", pushes), ("pushed", pushed)):
        found |= {f"{family}/{service}/{number}": item for number, item in enumerate(items, 1)}
    return found


def _without(raw: Raw, names: tuple[str, ...]) -> Raw:
    return {name: value for name, value in raw.items() if name not in names}
