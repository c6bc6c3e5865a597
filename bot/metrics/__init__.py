"""Metrics for Prometheus: what the store knows of every pipeline, and what each process measures of itself."""
