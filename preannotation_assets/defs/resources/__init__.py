"""The outside world as Dagster resources, one a file."""
