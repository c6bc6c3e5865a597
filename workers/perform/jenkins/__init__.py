"""Effects on Jenkins, a room each: trigger, withdraw, look, banner."""

from workers.perform.jenkins.banners import banner
from workers.perform.jenkins.looks import look
from workers.perform.jenkins.triggers import trigger
from workers.perform.jenkins.withdrawals import abort_duplicate, withdraw

__all__ = ["abort_duplicate", "banner", "look", "trigger", "withdraw"]
