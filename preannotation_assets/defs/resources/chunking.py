"""How pages are cut, as a Dagster resource."""

from typing import Any

from dagster import ConfigurableResource

from preannotation_assets.settings.groups import ChunkingSettings

__all__ = ["ChunkingResource"]


class ChunkingResource(ChunkingSettings, ConfigurableResource[Any]):
    """How large chunks are and how much they share, in tokens of the model."""
