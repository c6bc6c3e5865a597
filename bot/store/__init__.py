"""What is kept in Redis: inbox, board, facts, outbox, lease, history; every change of several is one script."""
