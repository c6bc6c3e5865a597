"""Mutation testing of bot/core: changes its code a little, in memory, and checks whether a test fails."""
