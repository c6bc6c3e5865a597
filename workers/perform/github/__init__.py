"""Effects on GitHub: statuses, check runs, comments, deployments, and the questions that are asked there."""

from workers.perform.github.asking import compare
from workers.perform.github.comments import comment
from workers.perform.github.statuses import status

__all__ = ["comment", "compare", "status"]
