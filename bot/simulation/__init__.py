"""Simulate a pipeline in virtual time. Pure: no store, no clock, no HTTP; used only by `bot.cli`."""
