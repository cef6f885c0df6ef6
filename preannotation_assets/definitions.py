"""The code location: the only place where assets, resources, checks and sensors are wired."""

import os
from typing import TypedDict

from dagster import Definitions, in_process_executor

from preannotation_assets.defs.assets.chunks import chunks
from preannotation_assets.defs.assets.pages import pages
from preannotation_assets.defs.assets.raw_model_outputs.asset import raw_model_outputs
from preannotation_assets.defs.assets.suggestions import suggestions
from preannotation_assets.defs.checks import suggestion_checks
from preannotation_assets.defs.console import console_logger
from preannotation_assets.defs.jobs import preannotate
from preannotation_assets.defs.resources.chunking import ChunkingResource
from preannotation_assets.defs.resources.label_scheme import LabelSchemeResource
from preannotation_assets.defs.resources.model_server import ModelServerResource
from preannotation_assets.defs.resources.ollama import OllamaResource
from preannotation_assets.defs.resources.spark import SparkResource
from preannotation_assets.defs.resources.storage import StorageResource
from preannotation_assets.defs.resources.warehouse import WarehouseResource
from preannotation_assets.defs.sensors import new_datasets
from preannotation_assets.settings import Settings

__all__ = ["Resources", "build_definitions", "build_resources", "defs"]


class Resources(TypedDict):
    """The outside world, by the names that the assets ask for it."""

    warehouse: WarehouseResource
    storage: StorageResource
    spark: SparkResource
    model_server: ModelServerResource
    chunking: ChunkingResource
    label_scheme: LabelSchemeResource


def build_resources(settings: Settings) -> Resources:
    """The resources as the settings say."""
    return {
        "warehouse": WarehouseResource(**dict(settings.warehouse)),
        "storage": StorageResource(**dict(settings.storage)),
        "spark": SparkResource(**dict(settings.spark)),
        "model_server": OllamaResource(
            **dict(settings.ollama), **dict(settings.generation), **dict(settings.asking)
        ),
        "chunking": ChunkingResource(**dict(settings.chunking)),
        "label_scheme": LabelSchemeResource(**dict(settings.labels)),
    }


def build_definitions(settings: Settings) -> Definitions:
    """Everything, wired by the settings.

    One process a run: the assets of a run share one Spark session, whose start costs more than all of a
    small batch.
    """
    return Definitions(
        assets=[pages, chunks, raw_model_outputs, suggestions],
        asset_checks=[suggestion_checks],
        jobs=[preannotate],
        sensors=[new_datasets],
        executor=in_process_executor,
        loggers={"console": console_logger},
        resources={**build_resources(settings)},
    )


defs = build_definitions(Settings.from_environment(os.environ))
