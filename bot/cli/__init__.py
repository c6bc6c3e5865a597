"""The command `interlock`: what a person asks for at a terminal."""
