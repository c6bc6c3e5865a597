"""The buttons on our check runs, and how a press finds its run: GitHub sends back identifier and external id."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Button:
    """GitHub takes at most 20, 20 and 40 characters (GitHub docs: check runs, `actions`)."""

    identifier: str
    label: str
    description: str


RETRY = Button("retry", "Retry", "Repeat the build, without a new commit")
FAST_LANE = Button("fast-lane", "Fast lane", "Send the head of main past everyone")
#: By identifier, as `requested_action` of the event `check_run` names them.
BUTTONS = {button.identifier: button for button in (RETRY, FAST_LANE)}


def external_id(pipeline: str, run: str) -> str:
    """What a check run carries to be known by."""
    return f"{pipeline}/{run}"


def run_of(external_id: str) -> tuple[str, str] | None:
    """Pipeline and run that a check run of ours is about; None if it is none of ours."""
    pipeline, separator, run = external_id.partition("/")
    return (pipeline, run) if separator and pipeline and run else None
