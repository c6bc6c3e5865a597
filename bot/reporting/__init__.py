"""What people read, made of facts, effects and the board: pure, when an effect is performed or a page is read."""
