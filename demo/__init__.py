"""The four pictures, played with real processes against the stand-ins."""
