"""Interlock: carries merges through a shared pipeline, locks what broke, lets the fix overtake."""
