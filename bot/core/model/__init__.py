"""The values of the rules: the records of the board, the events, the results of decisions. Imports no rule."""
