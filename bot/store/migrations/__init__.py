"""Migrate state that an older version stored to the schema of this version, once, at the first start."""

from bot.store.migrations.migration import migrate

__all__ = ["migrate"]
