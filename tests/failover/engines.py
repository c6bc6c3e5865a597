"""The engines that Debian packages and `make engines` installs: a Redis that knows TLS, and RabbitMQ."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

_WITH_TLS = ("redis-server", "valkey-server")


def installed(*names: str) -> Path | None:
    """The first of these programs that is installed here."""
    found = (shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin") for name in names)
    return next((Path(each) for each in found if each), None)


def program(*names: str) -> Path:
    """The first of these programs that is installed here. Without one the test is skipped, but in CI it fails."""
    found = installed(*names)
    if found is not None:
        return found
    missing = pytest.fail.Exception if os.environ.get("CI") else pytest.skip.Exception
    raise missing(f"none of {names} is installed here: see `make engines`")


def redis_with_tls() -> Path:
    """A server that was built with TLS, as those of Debian are; that of the wheel is not."""
    return program(*_WITH_TLS)


def installed_redis_with_tls() -> Path | None:
    """The same, or None where it may be missing."""
    return redis_with_tls() if os.environ.get("CI") else installed(*_WITH_TLS)
