"""Tests of single assets, run by Dagster in this process."""
