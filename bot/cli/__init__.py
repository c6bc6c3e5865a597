"""The command `interlock`, for people at a terminal."""
