"""Stand-ins for Jenkins and GitHub: real HTTP servers with their state in memory, for tests, demo and bench."""
