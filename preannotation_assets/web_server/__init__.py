"""Dagster's web server behind a gate: other sites and other names are turned away."""
