"""The code location: the only place where assets, resources, checks and sensors are wired."""

import logging
import os
from collections.abc import Mapping
from typing import Any, Final, TypedDict, cast

from dagster import ConfigurableResource, Definitions, ResourceDefinition

from preannotation_assets.defs.assets.chunks import chunks
from preannotation_assets.defs.assets.evaluation import evaluation
from preannotation_assets.defs.assets.neighbours import (
    argilla_records,
    vw_argilla_pages,
    vw_argilla_responses,
)
from preannotation_assets.defs.assets.pages import pages
from preannotation_assets.defs.assets.raw_model_outputs.asset import raw_model_outputs
from preannotation_assets.defs.assets.suggestions.asset import suggestions
from preannotation_assets.defs.checks import suggestion_checks
from preannotation_assets.defs.console import console_logger
from preannotation_assets.defs.freshness import freshness_check, freshness_of_all
from preannotation_assets.defs.jobs import (
    ask_failures_again,
    evaluate,
    freshness,
    ground_and_publish,
    preannotate,
    verify_published,
)
from preannotation_assets.defs.launching import fixed_resource, fixed_value, launchable_resource
from preannotation_assets.defs.resources.cascade import CascadeResource
from preannotation_assets.defs.resources.chunking import ChunkingResource
from preannotation_assets.defs.resources.evaluating import EvaluatingResource
from preannotation_assets.defs.resources.label_scheme import LabelSchemeResource
from preannotation_assets.defs.resources.model_server import ModelServerResource
from preannotation_assets.defs.resources.no_values import no_values
from preannotation_assets.defs.resources.ollama import OllamaResource
from preannotation_assets.defs.resources.openai import OpenAIResource
from preannotation_assets.defs.resources.publishing import PublishingResource
from preannotation_assets.defs.resources.spark import SparkResource
from preannotation_assets.defs.resources.storage import StorageResource
from preannotation_assets.defs.resources.unusable import UnusableResource
from preannotation_assets.defs.resources.warehouse import WarehouseResource
from preannotation_assets.defs.run_process import own_process
from preannotation_assets.defs.sensors import build_sensor
from preannotation_assets.defs.stage_checks import chunk_check, failure_check, page_check
from preannotation_assets.errors import SettingsError
from preannotation_assets.settings import (
    AskingSettings,
    ChunkingSettings,
    GenerationSettings,
    ServerKind,
    Settings,
    WatchingSettings,
)
from preannotation_assets.settings.model_access import most_in_flight
from preannotation_assets.telemetry.stage_progress import LogAlone, ProgressDisplay

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
    cascade: CascadeResource
    chunking: ChunkingResource
    label_scheme: LabelSchemeResource
    publishing: PublishingResource
    evaluating: EvaluatingResource


def build_resources(settings: Settings) -> Resources:
    """The resources as the settings say."""
    return {
        "warehouse": WarehouseResource(**dict(settings.warehouse)),
        "storage": StorageResource(**dict(settings.storage)),
        "spark": SparkResource(**dict(settings.spark), lake_root=settings.storage.root),
        "model_server": _MODEL_SERVERS[settings.server_choice.server](
            **dict(settings.model_servers), **dict(settings.generation), **dict(settings.asking)
        ),
        "cascade": CascadeResource(**dict(settings.cascade)),
        "chunking": ChunkingResource(**dict(settings.chunking)),
        "label_scheme": LabelSchemeResource(**dict(settings.labels)),
        "publishing": PublishingResource(**dict(settings.publishing)),
        "evaluating": EvaluatingResource(**dict(settings.evaluating)),
    }


def build_definitions(settings: Settings, progress: ProgressDisplay | None = None) -> Definitions:
    """Everything, wired by the settings; a launch may change how the model is asked, and nothing else.

    The progress of its runs goes to their log, and to a display where there is one.
    """
    resources = build_resources(settings)
    most = most_in_flight(settings.model_servers, settings.asking)
    opened = {
        "chunking": launchable_resource(resources["chunking"], [ChunkingSettings]),
        "model_server": launchable_resource(
            resources["model_server"], [GenerationSettings, AskingSettings], {"max_in_flight": most}
        ),
    }
    every = cast("Mapping[str, ConfigurableResource[Any]]", resources)
    fixed = {name: fixed_resource(resource) for name, resource in every.items()}
    return _wire(fixed | opened, settings.watching, progress or LogAlone())


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
    stand_in = ResourceDefinition.hardcoded_resource(UnusableResource(error.problem, error.cure))
    return _wire(dict.fromkeys(Resources.__annotations__, stand_in), WatchingSettings(), LogAlone())


def _wire(
    resources: Mapping[str, ResourceDefinition], watching: WatchingSettings, progress: ProgressDisplay
) -> Definitions:
    """One process a run: the assets of a run share one Spark session.

    Its start costs more than all of a small batch.
    """
    return Definitions(
        assets=[
            vw_argilla_pages,
            pages,
            chunks,
            raw_model_outputs,
            suggestions,
            argilla_records,
            vw_argilla_responses,
            evaluation,
        ],
        asset_checks=[page_check, chunk_check, failure_check, suggestion_checks, freshness_check],
        jobs=[preannotate, ask_failures_again, ground_and_publish, verify_published, freshness, evaluate],
        schedules=[freshness_of_all],
        sensors=[build_sensor(watching)],
        executor=own_process,
        loggers={"console": console_logger},
        # Dagster's own default writes pickles to a folder that a launch may name.
        resources={**resources, "io_manager": no_values, "progress": fixed_value(progress)},
    )


defs = load_definitions(os.environ)
