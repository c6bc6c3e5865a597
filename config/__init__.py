"""What Interlock reads when it starts: the pipeline file, and the environment with addresses and secrets."""
