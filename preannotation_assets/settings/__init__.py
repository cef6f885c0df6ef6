"""The settings: defined once in ``groups`` and ``servers``, read from the environment by ``environment``."""

from preannotation_assets.settings.environment import Settings
from preannotation_assets.settings.groups import (
    AskingSettings,
    ChunkingSettings,
    GenerationSettings,
    LabelSettings,
    SparkSettings,
    StorageSettings,
    WarehouseSettings,
    WatchingSettings,
)
from preannotation_assets.settings.publishing import PublishingSettings
from preannotation_assets.settings.servers import (
    OllamaSettings,
    OpenAISettings,
    ServerChoice,
    ServerKind,
    ServerSettings,
)

__all__ = [
    "AskingSettings",
    "ChunkingSettings",
    "GenerationSettings",
    "LabelSettings",
    "OllamaSettings",
    "OpenAISettings",
    "PublishingSettings",
    "ServerChoice",
    "ServerKind",
    "ServerSettings",
    "Settings",
    "SparkSettings",
    "StorageSettings",
    "WarehouseSettings",
    "WatchingSettings",
]
