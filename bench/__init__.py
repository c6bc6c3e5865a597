"""The benchmark: door, reaction, growth, memory, each beside a bare version; and what Jenkins is asked."""
