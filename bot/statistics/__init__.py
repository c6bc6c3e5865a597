"""Fold facts into statistics: durations, waiting by cause, locks and their cost, flaky tests. Pure, like the core."""
