"""The lake as a Dagster resource: a local folder or an S3 root."""

from typing import Any

from dagster import ConfigurableResource

from preannotation_assets.lake import (
    DEFAULT_LIMITS,
    ObjectStore,
    RequestLimits,
    StoreLocation,
    open_for_publishing,
    open_store,
)
from preannotation_assets.settings.groups import StorageSettings

__all__ = ["StorageResource"]


class StorageResource(StorageSettings, ConfigurableResource[Any]):
    """Where suggestions are published and working data is kept.

    Credentials for S3 come from boto3's standard chain, on the driver and on every Spark executor; they
    are no part of this configuration, which Dagster stores.
    """

    def location(self) -> StoreLocation:
        """Plain values from which a Spark task can open the same store."""
        return StoreLocation(*self.place())

    def open(self, limits: RequestLimits = DEFAULT_LIMITS) -> ObjectStore:
        """The store, of which one request is tried within the limits.

        Raises:
            SettingsError: the root is neither a folder nor an S3 address.
        """
        return open_store(self.location(), limits)

    def open_for_publishing(self) -> ObjectStore:
        """The store, known to be fit for a run: it can be written, and heeds the conditions of writes.

        Raises:
            SettingsError: the root is neither a folder nor an S3 address.
            StorageError: the store cannot be used, or lacks conditional writes.
        """
        return open_for_publishing(self.location())
