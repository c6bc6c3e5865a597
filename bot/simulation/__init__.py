"""What would happen: a pipeline played in virtual time. Pure: no store, no clock, no HTTP; used by `bot.cli` alone."""
