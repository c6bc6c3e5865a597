"""`make chaos`: real processes under faults drawn from a seed, judged by the records of Jenkins and GitHub alone."""
