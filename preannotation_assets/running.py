"""Materializes one dataset in the Dagster instance, as the command line does it."""

import sys
from collections.abc import Callable
from dataclasses import dataclass

from dagster import DagsterInstance, ExecuteInProcessResult, RunConfig

from preannotation_assets import errors
from preannotation_assets.assets.pages import PagesConfig, read_doc_ids
from preannotation_assets.assets.raw_model_outputs import RawModelOutputsConfig
from preannotation_assets.definitions import build_definitions
from preannotation_assets.errors import BatchError, PreannotationError
from preannotation_assets.jobs import preannotate
from preannotation_assets.lake import open_store
from preannotation_assets.lake.layout import DatasetLayout, validate_dataset
from preannotation_assets.partitions import add_dataset
from preannotation_assets.publishing.preview import write_preview
from preannotation_assets.publishing.summary import summarize
from preannotation_assets.resources.ollama import LabelSchemeResource, OllamaResource
from preannotation_assets.resources.warehouse import WarehouseResource
from preannotation_assets.settings import DEFAULT_ENDPOINT, Settings

__all__ = ["RunRequest", "find_problems", "run_dataset"]


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What to materialize. ``doc_ids_file`` is empty for the whole dataset."""

    dataset: str
    doc_ids_file: str = ""
    refresh: bool = False


def run_dataset(settings: Settings, request: RunRequest) -> int:
    """Checks that everything is there, materializes the dataset, prints the account; the exit status."""
    validate_dataset(request.dataset)
    definitions = build_definitions(settings)
    problems = find_problems(settings, request)
    for problem in problems:
        sys.stderr.write(f"preannotate: error: {problem}\n")
    if problems:
        return 1
    with DagsterInstance.get() as instance:
        add_dataset(instance, request.dataset)
        result = definitions.resolve_job_def(preannotate.name).execute_in_process(
            run_config=_run_config(request),
            instance=instance,
            partition_key=request.dataset,
            raise_on_error=False,
        )
    if not result.success:
        sys.stderr.write(f"preannotate: error: {_failure(result)}\n")
        return 1
    _print_account(settings, request.dataset, result.run_id)
    return 0 if _checks_passed(result) else 1


def find_problems(settings: Settings, request: RunRequest) -> list[str]:
    """Everything that would stop the run, one line each, found before anything is started."""
    label_scheme = LabelSchemeResource(path=settings.labels)
    warehouse = WarehouseResource(database=settings.database, batch_condition=settings.batch_condition)
    ollama = OllamaResource(endpoints=list(settings.endpoints) or [DEFAULT_ENDPOINT], model=settings.model)
    steps: list[Callable[[], object]] = [
        lambda: read_doc_ids(request.doc_ids_file) if request.doc_ids_file else None,
        lambda: _require_pages(warehouse, request.dataset),
        lambda: open_store(settings.location()).check_writable(),
        label_scheme.load,
        ollama.identify,
    ]
    problems = []
    for step in steps:
        try:
            step()
        except PreannotationError as error:
            problems.append(" ".join(str(error).split()))
    return problems


def _require_pages(warehouse: WarehouseResource, dataset: str) -> None:
    with warehouse.open() as source:
        if not source.has_pages(dataset):
            raise BatchError(f"the warehouse has no pages of {dataset}", "check the name of the dataset")


def _run_config(request: RunRequest) -> RunConfig:
    return RunConfig(
        ops={
            "pages": PagesConfig(doc_ids_file=request.doc_ids_file),
            "raw_model_outputs": RawModelOutputsConfig(refresh=request.refresh),
        },
        loggers={"console": {}},
    )


def _failure(result: ExecuteInProcessResult) -> str:
    """The first failure in one line. The message of an exception that is not ours may hold anything."""
    for event in result.all_events:
        if event.is_step_failure:
            error = event.step_failure_data.error
            cause = error.cause if error and error.cause else error
            if cause and cause.cls_name in errors.__all__:
                return " ".join(cause.message.split(": ", 1)[-1].split())
            kind = cause.cls_name if cause else "an error"
            return f"{event.step_key} failed with {kind}; run {result.run_id} in Dagster says more"
    return f"run {result.run_id} did not succeed; Dagster says more"


def _checks_passed(result: ExecuteInProcessResult) -> bool:
    passed = True
    for evaluation in result.get_asset_check_evaluations():
        if not evaluation.passed:
            sys.stderr.write(
                f"preannotate: check {evaluation.check_name} failed ({evaluation.severity.value})\n"
            )
            passed = passed and evaluation.severity.value != "ERROR"
    return passed


def _print_account(settings: Settings, dataset: str, run_id: str) -> None:
    store = open_store(settings.location())
    summary, layout = summarize(store, dataset, run_id), DatasetLayout(dataset)
    preview = write_preview(store, dataset)
    lines = [
        *summary.lines(),
        f"published  {store.uri(layout.published_suggestions)}",
        f"manifest   {store.uri(layout.published_manifest)}",
        f"preview    {preview}",
    ]
    sys.stdout.write("\n".join(["", *lines, ""]))
