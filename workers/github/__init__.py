"""Talking to GitHub: who we are, what may be repeated, how much may be asked, and what a refusal means."""
