"""Foreign JSON into our events: pure functions of what was delivered; a field may always be null or missing."""
