"""The engines that Debian packages and `make engines` installs: a Redis that knows TLS, and RabbitMQ."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest


def program(*names: str) -> Path:
    """The first of these programs that is installed here. Without one the test is skipped, but in CI it fails."""
    for name in names:
        found = shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")
        if found:
            return Path(found)
    missing = pytest.fail.Exception if os.environ.get("CI") else pytest.skip.Exception
    raise missing(f"none of {names} is installed here: see `make engines`")


def redis_with_tls() -> Path:
    """A server that was built with TLS, as those of Debian are; that of the wheel is not."""
    return program("redis-server", "valkey-server")
