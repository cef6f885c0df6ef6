"""What one Spark task does with one part of a batch: read it, work on it, write the result.

A task is a frozen description that is pickled to a Python worker, which opens the lake by itself. These
modules import neither Dagster nor Spark.
"""
