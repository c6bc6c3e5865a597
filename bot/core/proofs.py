"""Asking for the proofs of containment that the chain of pushes does not give, each once."""

from __future__ import annotations

from dataclasses import replace

from bot.core import sentences
from bot.core.ancestry import Place
from bot.core.decision import Decision
from bot.core.effects import Compare
from bot.core.facts import FactKind
from bot.core.run import Run
from bot.core.standing import off_main

#: How many questions may be open per service; those beyond are asked when answers have come in.
QUESTIONS = 32


def ask_containment(decision: Decision, service: str, *, base: str, head: str) -> None:
    """Have GitHub asked whether `head` contains `base`; nothing happens if that question is open already."""
    state = decision.board.service(service)
    configured = decision.board.pipeline.service(service)
    if (base, head) in state.asked or configured is None or len(state.asked) >= QUESTIONS:
        return
    decision.board.put(replace(state, asked=(*state.asked, (base, head))))
    decision.do(Compare(service, configured.repository, base, head))
    text = f"asked GitHub whether {sentences.short(head)} contains {sentences.short(base)}"
    decision.tell(FactKind.CONTAINMENT_ASKED, text, service=service, sha=base)


def ask_whether_contained(decision: Decision, run: Run, place: Place) -> None:
    """Have asked what is missing to say whether what is on main at `place` contains the run.

    Of a run that was told later it is asked first whether that contains `place`: mostly it does, which tells both.
    """
    chain = decision.board.service(run.service).chain
    if chain.contains(place, run.place) is None:
        if run.place.segment > place.segment and chain.contains(run.place, place) is None:
            ask_containment(decision, run.service, base=place.sha, head=run.sha)
        else:
            ask_containment(decision, run.service, base=run.sha, head=place.sha)
    if off_main(decision.board, run.service, place) is None:
        ask_about_main(decision, run.service, place)


def ask_about_main(decision: Decision, service: str, place: Place) -> None:
    """Have asked whether a force-push took the commit off main; and if main has left the forced head, whether the
    present head has the commit."""
    state = decision.board.service(service)
    chain, latest = state.chain, state.chain.latest(place)
    forces = [force for force in state.forces if force.segment > latest.segment]
    asked = [force for force in forces if chain.contains(force, latest) is None]
    if chain.head is not None and any(chain.contains(force, latest) is False for force in forces):
        asked.append(chain.head)
    for head in asked:
        if chain.contains(head, latest) is None:
            ask_containment(decision, service, base=latest.sha, head=head.sha)
