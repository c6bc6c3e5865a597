"""Estimate when runs enter and pass their steps, and when locks open, from the board and past durations. Pure."""
