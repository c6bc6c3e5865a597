"""The errors of a start. Every message is a sentence for the person at the terminal."""


class LaunchError(RuntimeError):
    """Raised when a part could not be started; the message says what, where and what would help."""


class NoServerError(LaunchError):
    """Raised when this machine has no usable Redis-compatible server."""


class FolderInUseError(LaunchError):
    """Raised when another process holds the data folder, so its append-only file must not be opened again."""


class StartError(LaunchError):
    """Raised when a process ended, or stayed silent for too long, before it was ready."""
