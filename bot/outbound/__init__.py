"""Outbound webhooks: facts as JSON or as CDEvents, signed and posted to the addresses of the pipeline file."""
