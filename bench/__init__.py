"""The benchmark: the door, the reaction, the growth, the memory and what Jenkins is asked; where it can be, beside a bare one."""
