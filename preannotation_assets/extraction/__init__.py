"""Pure functions on plain data: no Dagster, no Spark, no network, no clock."""
