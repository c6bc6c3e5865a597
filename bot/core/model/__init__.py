"""The values of the rules: what is on the board, what happens, what is decided. Imports no rule."""
