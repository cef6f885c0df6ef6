"""The partitions: one dataset, one partition."""

from typing import Final

from dagster import AssetCheckExecutionContext, DagsterInstance, DynamicPartitionsDefinition

from preannotation_assets.errors import BatchError
from preannotation_assets.lake.layout import validate_dataset

__all__ = ["DATASETS", "PARTITION_TAG", "add_dataset", "dataset_of"]

DATASETS: Final = DynamicPartitionsDefinition(name="datasets")
"""The datasets the instance knows; the sensor and the command line add to them."""


PARTITION_TAG: Final = "dagster/partition"
"""The tag of a run that names its dataset; Dagster sets it where it starts a partition."""


def dataset_of(context: AssetCheckExecutionContext) -> str:
    """The dataset that a check is about. A job of checks alone has no partitions in Dagster 1.13.

    Raises:
        BatchError: none is named, or it cannot be one.
    """
    named = context.run.tags.get(PARTITION_TAG, "")
    if not named:
        raise BatchError("no dataset is named", f"launch it with the tag {PARTITION_TAG}: DATASET")
    return validate_dataset(named)


def add_dataset(instance: DagsterInstance, dataset: str) -> None:
    """Makes a dataset a partition, if it is not one yet.

    Raises:
        BatchError: the name cannot be a partition key.
    """
    instance.add_dynamic_partitions(str(DATASETS.name), [validate_dataset(dataset)])
