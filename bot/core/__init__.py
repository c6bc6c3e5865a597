"""The rules, pure: no clock, no network, no storage; what goes in decides what comes out."""
