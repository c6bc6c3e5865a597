"""The benchmark: the door, the reaction, the growth and the memory, each beside a bare version of the same thing."""
