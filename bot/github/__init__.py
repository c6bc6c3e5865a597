"""The GitHub part: webhooks into events, the client and its rate limits, the effects, the doctor's checks."""
