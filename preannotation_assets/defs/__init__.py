"""Dagster's side, thin: assets, checks, jobs, sensors, resources."""
