"""Interlock: takes merges through a shared pipeline, locks a broken stage and lets the fix pass first."""
