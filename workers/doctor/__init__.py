"""`interlock doctor`: are Jenkins and GitHub as the pipelines need them? Every finding says how to mend it."""

from workers.doctor.examination import examine_jenkins
from workers.doctor.finding import Finding, Verdict
from workers.doctor.github import examine_github

__all__ = ["Finding", "Verdict", "examine_github", "examine_jenkins"]
