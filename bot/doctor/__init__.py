"""`interlock doctor`: are Jenkins and GitHub as the pipelines need them? What the checks of both have in common."""

from bot.doctor.finding import DoctorFinding, Verdict

__all__ = ["DoctorFinding", "Verdict"]
