"""What can go wrong while starting: every message is a sentence for the person at the terminal."""


class LaunchError(RuntimeError):
    """Something could not be started; the message says what, where and what would help."""


class NoServerError(LaunchError):
    """No usable Redis-compatible server was found on this machine."""


class FolderInUseError(LaunchError):
    """Another process holds the data folder, so its append-only file must not be opened again."""


class StartError(LaunchError):
    """A process ended, or stayed silent for too long, before it was ready."""
