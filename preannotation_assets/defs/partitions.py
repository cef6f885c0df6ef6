"""The partitions: one dataset, one partition."""

from typing import Final

from dagster import DagsterInstance, DynamicPartitionsDefinition

from preannotation_assets.lake.layout import validate_dataset

__all__ = ["DATASETS", "add_dataset"]

DATASETS: Final = DynamicPartitionsDefinition(name="datasets")
"""The datasets the instance knows; the sensor and the command line add to them."""


def add_dataset(instance: DagsterInstance, dataset: str) -> None:
    """Makes a dataset a partition, if it is not one yet.

    Raises:
        BatchError: the name cannot be a partition key.
    """
    instance.add_dynamic_partitions(str(DATASETS.name), [validate_dataset(dataset)])
