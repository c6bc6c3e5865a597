"""The pipeline file, and the environment variables with addresses and secrets: models, checks and messages."""
