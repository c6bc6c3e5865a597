"""The texts that people read, made from facts, effects and the board.

The functions are pure. They run when an effect is performed or a page is read.
"""
