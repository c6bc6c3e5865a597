"""Everything known about GitHub: webhooks into events, the client and its limits, effects, the doctor's checks."""
