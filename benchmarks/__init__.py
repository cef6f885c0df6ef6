"""Benchmarks of the package: run as modules from the root of the repository."""
