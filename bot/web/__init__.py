"""The door, the API and the live page: keeps what comes in, shows what is, decides nothing."""
