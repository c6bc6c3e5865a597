"""What Interlock is told before it starts: the pipeline file, and the environment for places and secrets."""
