"""The checks of `interlock doctor` on a Jenkins controller, in its jobs, and of their callbacks."""
