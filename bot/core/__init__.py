"""The rules and their values, pure: no clock, no network, no storage; the same input gives the same output."""
