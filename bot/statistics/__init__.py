"""What the facts amount to: durations, waiting by cause, locks and their cost, flaky tests. Pure, as the core is."""
