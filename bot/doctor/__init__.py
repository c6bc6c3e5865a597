"""`interlock doctor`: are Jenkins and GitHub as the pipelines need them? What the checks of both have in common."""

from bot.doctor.finding import Finding, Verdict

__all__ = ["Finding", "Verdict"]
