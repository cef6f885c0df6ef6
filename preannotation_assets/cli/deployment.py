"""What the commands make of the environment. Each imports what it needs itself: Arrow takes long."""

import os
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from preannotation_assets.lake import ObjectStore
    from preannotation_assets.settings import Settings
    from preannotation_assets.warehouse import Warehouse

__all__ = ["open_lake", "open_pages", "read_settings"]


def read_settings() -> "Settings":
    """The settings of the environment.

    Raises:
        SettingsError: a value is malformed.
    """
    from preannotation_assets.settings import Settings

    return Settings.from_environment(os.environ)


def open_lake(settings: "Settings") -> "ObjectStore":
    """The store of the lake; no request is made yet.

    Raises:
        SettingsError: the root or the endpoint is malformed.
    """
    from preannotation_assets.lake import StoreLocation, open_store

    return open_store(StoreLocation(*settings.storage.place()))


def open_pages(settings: "Settings") -> "AbstractContextManager[Warehouse]":
    """The warehouse, open while the context lasts."""
    from preannotation_assets.warehouse import open_warehouse

    return open_warehouse(settings.warehouse)
