"""When runs enter and pass their steps, and when locks open: worked out from the board and past durations. Pure."""
