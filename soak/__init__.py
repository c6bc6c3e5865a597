"""`make soak`: real processes at steady work for a long time; it fails if one of them, or Redis, grows."""
