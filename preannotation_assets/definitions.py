"""The code location: the only place where assets, resources, checks and sensors are wired."""

import logging
import os
from collections.abc import Mapping
from typing import Final, TypedDict

from dagster import Definitions, in_process_executor

from preannotation_assets.defs.assets.chunks import chunks
from preannotation_assets.defs.assets.neighbours import argilla_records, vw_argilla_pages
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
from preannotation_assets.defs.resources.openai import OpenAIResource
from preannotation_assets.defs.resources.spark import SparkResource
from preannotation_assets.defs.resources.storage import StorageResource
from preannotation_assets.defs.resources.unusable import UnusableResource
from preannotation_assets.defs.resources.warehouse import WarehouseResource
from preannotation_assets.defs.sensors import build_sensor
from preannotation_assets.errors import SettingsError
from preannotation_assets.settings import ServerKind, Settings, WatchingSettings

__all__ = ["Resources", "build_definitions", "build_resources", "defs", "load_definitions"]

_MODEL_SERVERS: Final[Mapping[ServerKind, type[ModelServerResource]]] = {
    ServerKind.ollama: OllamaResource,
    ServerKind.openai: OpenAIResource,
}


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
        "model_server": _MODEL_SERVERS[settings.server_choice.server](
            **dict(settings.model_servers), **dict(settings.generation), **dict(settings.asking)
        ),
        "chunking": ChunkingResource(**dict(settings.chunking)),
        "label_scheme": LabelSchemeResource(**dict(settings.labels)),
    }


def build_definitions(settings: Settings) -> Definitions:
    """Everything, wired by the settings."""
    return _wire(build_resources(settings), settings.watching)


def load_definitions(environment: Mapping[str, str]) -> Definitions:
    """Everything, wired by the environment; a malformed variable does not keep it from loading.

    Then the assets are there to be seen, and whatever is started says in one line what is wrong.
    """
    try:
        return build_definitions(Settings.from_environment(environment))
    except SettingsError as error:
        return _build_unusable(error)


def _build_unusable(error: SettingsError) -> Definitions:
    logging.getLogger("preannotation_assets").error("nothing can run: %s", error)
    unusable = UnusableResource(error.problem, error.cure)
    return _wire(dict.fromkeys(Resources.__annotations__, unusable), WatchingSettings())


def _wire(resources: Mapping[str, object], watching: WatchingSettings) -> Definitions:
    """One process a run: the assets of a run share one Spark session.

    Its start costs more than all of a small batch.
    """
    return Definitions(
        assets=[vw_argilla_pages, pages, chunks, raw_model_outputs, suggestions, argilla_records],
        asset_checks=[suggestion_checks],
        jobs=[preannotate],
        sensors=[build_sensor(watching)],
        executor=in_process_executor,
        loggers={"console": console_logger},
        resources=resources,
    )


defs = load_definitions(os.environ)
