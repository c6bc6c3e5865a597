"""Starts the embedded Redis-compatible server and the processes of the Procfile on one machine.

It handles processes only and imports nothing from the bot, the workers or their configuration.
"""

from launch.data_folder import FolderInUseError
from launch.embedded import Embedded, EmbeddedServer, NoServerError, running_url
from launch.process import LaunchError, Process, StartError, answers, free_port, says
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
