"""The settings: defined once in ``groups``, read from the environment by ``environment``."""

from preannotation_assets.settings.endpoints import DEFAULT_ENDPOINT, parse_endpoint
from preannotation_assets.settings.environment import Settings
from preannotation_assets.settings.groups import (
    AskingSettings,
    ChunkingSettings,
    GenerationSettings,
    LabelSettings,
    OllamaSettings,
    SparkSettings,
    StorageSettings,
    WarehouseSettings,
)

__all__ = [
    "DEFAULT_ENDPOINT",
    "AskingSettings",
    "ChunkingSettings",
    "GenerationSettings",
    "LabelSettings",
    "OllamaSettings",
    "Settings",
    "SparkSettings",
    "StorageSettings",
    "WarehouseSettings",
    "parse_endpoint",
]
