"""Mutation testing of bot/core: changes its code a little, in memory, and asks whether a test notices."""
