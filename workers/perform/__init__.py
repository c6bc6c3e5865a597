"""Doing what was decided: one module per family of effects, each effect safe to do twice."""
