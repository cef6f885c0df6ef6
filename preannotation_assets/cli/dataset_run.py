"""Materializes one dataset in the Dagster instance, as the command line does it."""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import uuid4

from dagster import DagsterInstance, ExecuteInProcessResult

from preannotation_assets.cli.deployment import open_lake
from preannotation_assets.cli.doc_ids import has_any
from preannotation_assets.cli.progress_bar import progress_display
from preannotation_assets.dagster_instance import open_instance
from preannotation_assets.definitions import Resources, build_definitions, build_resources
from preannotation_assets.defs.assets.pages import PagesConfig
from preannotation_assets.defs.assets.raw_model_outputs.asset import RawModelOutputsConfig
from preannotation_assets.defs.assets.raw_model_outputs.cascade import find_small_model
from preannotation_assets.defs.jobs import preannotate
from preannotation_assets.defs.partitions import add_dataset
from preannotation_assets.defs.resources.warehouse import WarehouseResource
from preannotation_assets.errors import PreannotationError
from preannotation_assets.instance import dagster_home, dataset_lock
from preannotation_assets.lake.layout import DatasetLayout, validate_dataset
from preannotation_assets.overview.unknown import no_pages, none_of
from preannotation_assets.publishing.summary import summarize
from preannotation_assets.settings import Settings
from preannotation_assets.telemetry.stage_progress import ProgressDisplay

__all__ = ["DatasetRun", "run_dataset"]

_INTERRUPTED: Final = "UNEXPECTED_TERMINATION"
# As Python's traceback writes the name of an exception before its message.
_OWN_ERRORS: Final = f"{PreannotationError.__module__}."


@dataclass(frozen=True, slots=True)
class DatasetRun:
    """What to materialize. Without ``doc_ids`` it is the whole dataset."""

    dataset: str
    doc_ids: Sequence[str] = ()
    refresh: bool = False


def run_dataset(settings: Settings, request: DatasetRun) -> int:
    """Checks that everything is there, materializes the dataset, prints the account; the exit status.

    Raises:
        PreannotationError: Dagster's instance cannot be used, or the dataset is in work already.
        KeyboardInterrupt: SIGINT or SIGTERM came; the run is marked as failed.
    """
    validate_dataset(request.dataset)
    problems = _find_problems(settings, request)
    for problem in problems:
        sys.stderr.write(f"preannotate: error: {problem}\n")
    if problems:
        return 1
    with (
        open_instance(dagster_home(os.environ, Path.cwd())) as instance,
        progress_display(sys.stderr, os.environ) as progress,
    ):
        result = _materialize(instance, settings, request, progress)
    if _was_interrupted(result):
        raise KeyboardInterrupt
    if not result.success:
        sys.stderr.write(f"preannotate: error: {_failure(result)}\n")
        return 1
    _print_account(settings, request.dataset, result.run_id)
    return 0 if _checks_passed(result) else 1


def _materialize(
    instance: DagsterInstance, settings: Settings, request: DatasetRun, progress: ProgressDisplay
) -> ExecuteInProcessResult:
    run_id = str(uuid4())
    with dataset_lock(Path(instance.root_directory), request.dataset, run_id) as before:
        _end_dead_run(instance, before)
        add_dataset(instance, request.dataset)
        return (
            build_definitions(settings, progress)
            .resolve_job_def(preannotate.name)
            .execute_in_process(
                run_config=_run_config(request),
                instance=instance,
                partition_key=request.dataset,
                raise_on_error=False,
                run_id=run_id,
            )
        )


def _end_dead_run(instance: DagsterInstance, run_id: str) -> None:
    """Marks a run whose process was killed as failed, or it would block Dagster's queue forever."""
    run = instance.get_run_by_id(run_id) if run_id else None
    if run is not None and not run.is_finished:
        instance.report_run_failed(run, "the process of this run has died")


def _find_problems(settings: Settings, request: DatasetRun) -> list[str]:
    """Everything that would stop the run, one line each, found before anything is started."""
    resources = build_resources(settings)
    access, label_scheme = resources["model_server"].access(), resources["label_scheme"]
    steps: list[Callable[[], object]] = [
        lambda: _require_pages(resources["warehouse"], request),
        resources["storage"].open_for_publishing,
        lambda: resources["publishing"].load_calibration(resources["storage"].open()),
        lambda: access.require_room(access.prompt(label_scheme.load()), settings.chunking.chunk_tokens),
        lambda: _require_models(resources),
    ]
    problems = []
    for step in steps:
        try:
            step()
        except PreannotationError as error:
            problems.append(" ".join(str(error).split()))
    # The label scheme is needed twice.
    return list(dict.fromkeys(problems))


def _require_models(resources: Resources) -> None:
    """Makes sure that the model is there, and the one of a cascade that is asked before it."""
    server, scheme = resources["model_server"], resources["label_scheme"].load()
    access = server.access()
    template = access.template(access.identify(os.environ), access.prompt(scheme))
    find_small_model(resources["cascade"], server, template, scheme, resources["storage"].open())


def _require_pages(warehouse: WarehouseResource, request: DatasetRun) -> None:
    """Makes sure that there is something to read; the run itself says which documents are not there."""
    with warehouse.open() as source:
        if not source.has_pages(request.dataset):
            raise no_pages(source, request.dataset)
        if request.doc_ids and not has_any(source, request.dataset, request.doc_ids):
            raise none_of(request.dataset, request.doc_ids)


def _run_config(request: DatasetRun) -> Mapping[str, object]:
    pages = PagesConfig(doc_ids=list(request.doc_ids))
    answers = RawModelOutputsConfig(refresh=request.refresh)
    return {
        "ops": {
            "pages": {"config": pages.model_dump()},
            "raw_model_outputs": {"config": answers.model_dump()},
        },
        "loggers": {"console": {}},
    }


def _was_interrupted(result: ExecuteInProcessResult) -> bool:
    return any(
        event.is_job_failure
        and event.job_failure_data.failure_reason is not None
        and event.job_failure_data.failure_reason.value == _INTERRUPTED
        for event in result.all_events
    )


def _failure(result: ExecuteInProcessResult) -> str:
    """The first failure in one line. The message of an exception that is not ours may hold anything."""
    for event in result.all_events:
        if event.is_step_failure:
            error = event.step_failure_data.error
            cause = error.cause if error and error.cause else error
            if cause and cause.message.startswith(_OWN_ERRORS):
                return " ".join(cause.message.split(": ", 1)[-1].split())
            kind = cause.cls_name if cause else "an error"
            return f"{event.step_key} failed with {kind}; run {result.run_id} in Dagster says more"
    return f"run {result.run_id} did not succeed; Dagster says more"


def _checks_passed(result: ExecuteInProcessResult) -> bool:
    passed = True
    for evaluation in result.get_asset_check_evaluations():
        if not evaluation.passed:
            said = f": {evaluation.description}" if evaluation.description else ""
            sys.stderr.write(
                f"preannotate: check {evaluation.check_name} failed ({evaluation.severity.value}){said}\n"
            )
            passed = passed and evaluation.severity.value != "ERROR"
    return passed


def _print_account(settings: Settings, dataset: str, run_id: str) -> None:
    store = open_lake(settings)
    summary, layout = summarize(store, dataset, run_id), DatasetLayout(dataset)
    has_preview = store.stat(layout.preview) is not None
    lines = [
        *summary.lines(),
        f"published  {store.uri(layout.published_suggestions)}",
        f"manifest   {store.uri(layout.published_manifest)}",
        *([f"preview    {store.uri(layout.preview)}"] if has_preview else []),
    ]
    sys.stdout.write("\n".join(["", *lines, ""]))
