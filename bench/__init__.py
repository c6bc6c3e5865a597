"""The benchmark: door, reaction, growth and memory, some beside a bare version; and the requests to Jenkins."""
