"""The commands: each takes the parsed arguments and returns the exit status.

Dagster, Spark and Arrow take seconds to import, so a command imports what it needs itself.
"""
