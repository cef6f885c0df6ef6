"""Tells of Spark tasks while they are done."""

from functools import partial

from dagster import DagsterLogManager

from preannotation_assets.tasks.engine import Watch
from preannotation_assets.telemetry.stage_progress import ProgressDisplay, StageReporter, report_count

__all__ = ["watched_parts"]


def watched_parts(log: DagsterLogManager, display: ProgressDisplay, stage: str) -> Watch:
    """For `SparkResource.run`: a task is a part of the batch."""
    return partial(report_count, StageReporter(log.log, display), stage, "parts")
