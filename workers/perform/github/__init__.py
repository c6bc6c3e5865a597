"""Effects on GitHub: statuses, check runs, comments, deployments, and the questions that are asked there."""

from workers.perform.github.asking import compare, find_pull
from workers.perform.github.comments import comment
from workers.perform.github.deployments import deploy
from workers.perform.github.locks import tell_of_lock
from workers.perform.github.statuses import status

__all__ = ["comment", "compare", "deploy", "find_pull", "status", "tell_of_lock"]
