"""`interlock doctor`: are Jenkins and GitHub as the pipelines need them? Every finding says how to mend it."""

from bot.doctor.examination import examine_jenkins
from bot.doctor.finding import Finding, Verdict
from bot.doctor.github import examine_github

__all__ = ["Finding", "Verdict", "examine_github", "examine_jenkins"]
