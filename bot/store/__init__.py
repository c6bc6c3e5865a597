"""The state in Redis: inbox, board, facts, outbox, lease, history. A change of several keys is one script."""
