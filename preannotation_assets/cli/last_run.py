"""The last run of a dataset in this machine's Dagster instance."""

from datetime import UTC
from pathlib import Path

from dagster import RunsFilter

from preannotation_assets.dagster_instance import open_instance
from preannotation_assets.defs.partitions import PARTITION_TAG
from preannotation_assets.overview.tables import moment

__all__ = ["last_run_lines"]


def last_run_lines(home: Path, dataset: str) -> list[str]:
    """How the last run ended and when it was made; nothing where there was none.

    Raises:
        SettingsError: Dagster's instance cannot be opened.
    """
    with open_instance(home) as instance:
        records = instance.get_run_records(RunsFilter(tags={PARTITION_TAG: dataset}), limit=1)
    return [
        f"last run   {record.dagster_run.status.value}, {record.dagster_run.job_name} of "
        f"{moment(record.create_timestamp.astimezone(UTC))}, run {record.dagster_run.run_id}"
        for record in records
    ]
