"""`make chaos`: real processes under faults drawn from a seed, judged only by the records of Jenkins and GitHub."""
