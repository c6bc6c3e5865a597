"""What becomes of a run in the stages that have a GitHub environment: its roll-outs there, as deployments."""

from __future__ import annotations

from typing import Literal

from bot.core.model.effects import Deploy
from bot.core.model.messages import Message, message
from bot.core.model.pipeline import Outcome, Track
from bot.core.model.run import Buildable
from bot.core.rules.decision import Decision

State = Literal["in_progress", "success", "failure", "error", "inactive"]

#: Nobody knows what a build that was cut off has left behind; the others have failed.
_CUT_OFF = (Outcome.ABORTED, Outcome.TIMEOUT)


def failed_state(outcome: Outcome) -> State:
    """What a failed build is to GitHub."""
    return "error" if outcome in _CUT_OFF else "failure"


def deployed(decision: Decision, run: Buildable, state: State, text: Message | str) -> None:
    """Write the state of a roll-out; only real builds roll out, the fast lane's own jobs do not."""
    stage, service = decision.board.pipeline.stage(run.step.stage), decision.board.pipeline.service(run.service)
    if stage is None or service is None or not stage.environment or run.step.track is Track.FAST:
        return
    where = (service.repository, run.sha, stage.name, stage.environment, stage.production)
    decision.do(Deploy(*where, state, message(text), run.key, stage.job, run.attempt.build))
