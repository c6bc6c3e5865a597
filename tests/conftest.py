"""Profiles of the searching tests, by HYPOTHESIS_PROFILE: `quick` by default, `fast` for `make test-fast`, `ci`."""

import os

from hypothesis import settings

settings.register_profile("fast", deadline=None, max_examples=20)
settings.register_profile("quick", deadline=None, max_examples=100)
settings.register_profile("ci", deadline=None, max_examples=1_000, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))
