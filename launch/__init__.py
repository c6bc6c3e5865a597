"""Starts the embedded Redis-compatible server and the processes of the Procfile on one machine.

It handles processes only and imports nothing from the bot, the workers or their configuration.
"""

from launch.embedded import Embedded, EmbeddedServer, running_url
from launch.errors import FolderInUseError, LaunchError, NoServerError, StartError
from launch.process import Process, answers, free_port, says
from launch.stack import Stack, expand, read_procfile
from launch.supervisor import BackOff, Supervisor

__all__ = [
    "BackOff",
    "Embedded",
    "EmbeddedServer",
    "FolderInUseError",
    "LaunchError",
    "NoServerError",
    "Process",
    "Stack",
    "StartError",
    "Supervisor",
    "answers",
    "expand",
    "free_port",
    "read_procfile",
    "running_url",
    "says",
]
