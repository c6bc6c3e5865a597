"""`interlock doctor`: is Jenkins as the pipelines need it? Every finding says what is wrong and how to mend it."""

from workers.doctor.examination import examine_jenkins
from workers.doctor.finding import Finding, Verdict

__all__ = ["Finding", "Verdict", "examine_jenkins"]
