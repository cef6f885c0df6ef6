"""What keeps a publication back, as a Dagster resource."""

from typing import Any

from dagster import ConfigurableResource

from preannotation_assets.settings.groups import PublishingSettings

__all__ = ["PublishingResource"]


class PublishingResource(PublishingSettings, ConfigurableResource[Any]):
    """How much a publication may take away from the one before."""
