"""Migrate state that an older version stored to the schema of this version, once, at the first start."""
