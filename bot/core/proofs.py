"""Asking for the proofs of containment that the chain of pushes does not give, each once."""

from __future__ import annotations

from dataclasses import replace

from bot.core import sentences
from bot.core.decision import Decision
from bot.core.effects import Compare
from bot.core.facts import FactKind

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
