"""The asset ``raw_model_outputs``: what the model answered, paid for once."""

import os
import time
from collections import Counter
from pathlib import Path
from typing import Final

from dagster import AssetExecutionContext, DataVersion, MaterializeResult, MetadataValue, ResourceParam, asset
from pydantic import BaseModel, ConfigDict, Field

from preannotation_assets.answer_store.compaction import compact_answers
from preannotation_assets.contracts import RAW_MODEL_OUTPUTS
from preannotation_assets.defs.assets.chunks import chunks
from preannotation_assets.defs.assets.common import (
    OWNERS,
    MetadataValues,
    column_schema,
    fetched_metadata,
    require_current_pages,
    without_empty,
)
from preannotation_assets.defs.assets.quality import ratio
from preannotation_assets.defs.assets.raw_model_outputs.answering import AnsweredBatch, answer_batch
from preannotation_assets.defs.assets.raw_model_outputs.asking import AskingRun, StopSwitch
from preannotation_assets.defs.assets.raw_model_outputs.cascade import (
    ask_small_model,
    cascade_outcome,
    find_small_model,
)
from preannotation_assets.defs.assets.raw_model_outputs.collecting import COLLECTING_CODE, keep
from preannotation_assets.defs.assets.raw_model_outputs.learning import learn_calibration
from preannotation_assets.defs.assets.raw_model_outputs.outputs_batch import OutputsBatch
from preannotation_assets.defs.launching import launch_fields
from preannotation_assets.defs.partitions import DATASETS
from preannotation_assets.defs.resources.cascade import CascadeResource
from preannotation_assets.defs.resources.label_scheme import LabelSchemeResource
from preannotation_assets.defs.resources.model_server import ModelServerResource
from preannotation_assets.defs.resources.spark import SparkResource
from preannotation_assets.defs.resources.storage import StorageResource
from preannotation_assets.extraction.empty_answers import answers_doubt
from preannotation_assets.lake import FetchedBytes, ObjectStore
from preannotation_assets.lake.batch import require_manifest
from preannotation_assets.lake.layout import DatasetLayout
from preannotation_assets.lake.lease import LEASE_LIMITS, DatasetLease
from preannotation_assets.manifests import CascadeAccount, ChunksManifest, RawModelOutputsManifest
from preannotation_assets.model_servers.model_access import ModelAccess
from preannotation_assets.model_servers.preflight import notes_of
from preannotation_assets.publishing.distribution import Distribution
from preannotation_assets.telemetry.stage_progress import ProgressDisplay, StageReporter
from preannotation_assets.throttling.host_semaphore import semaphore_folder

__all__ = ["RawModelOutputsConfig", "raw_model_outputs"]

_MICROSECONDS: Final = 1_000_000


class RawModelOutputsConfig(BaseModel):
    """What is asked again."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    refresh: bool = Field(default=False, description="Ask everything again, also what is answered already.")


@asset(
    partitions_def=DATASETS,
    group_name="preannotation",
    kinds={"llm", "pyspark", "parquet"},
    owners=OWNERS,
    deps=[chunks],
    pool="model_server",
    code_version=COLLECTING_CODE,
    metadata=column_schema(RAW_MODEL_OUTPUTS),
    config_schema=launch_fields(RawModelOutputsConfig, RawModelOutputsConfig()),
)
def raw_model_outputs(
    context: AssetExecutionContext,
    storage: StorageResource,
    spark: SparkResource,
    model_server: ModelServerResource,
    cascade: CascadeResource,
    label_scheme: LabelSchemeResource,
    progress: ResourceParam[ProgressDisplay],
) -> MaterializeResult[None]:
    """Every chunk with the model's answer, as the model gave it.

    Answers are kept within seconds of their arrival. A chunk that has an answer to the same question (same
    model digest, prompt, options and text) is not asked again; one that failed is. Where the resource says
    so, chunks with an improbable value are asked about once more, to compare. Where there is a small model to
    ask first, the large one is asked only about chunks of which the small one's answer is doubtful.
    """
    began = time.monotonic()
    config = RawModelOutputsConfig(**context.op_execution_context.op_config)
    store = storage.open_for_publishing()
    layout = DatasetLayout(context.partition_key)
    cut = _current_chunks(store, layout)
    access = model_server.access()
    scheme = label_scheme.load()
    prompt = access.prompt(scheme)
    access.require_room(prompt, cut.chunk_tokens)
    identity = access.identify(os.environ)
    template = access.template(identity, prompt)
    small = find_small_model(cascade, model_server, template, scheme, store)
    for note in notes_of(identity, *([small.identity] if small else [])):
        context.log.info(note)
    since = _started_at(context) if config.refresh else 0
    run = _asking_run(context, spark, model_server, access.for_identity(identity), progress)
    with DatasetLease(storage.open(LEASE_LIMITS), layout.lease, context.run.run_id, run.switch.stop):
        batch = OutputsBatch.read(store, storage, layout, cut, template, context.run.run_id)
        choice = ask_small_model(run, batch, small, since) if small else None
        asked = answer_batch(run, batch, since, choice)
        outcome = cascade_outcome(choice, asked.collected) if choice else None
        manifest = keep(batch, identity, asked.collected, outcome)
        compact_answers(store, layout.answers)
    fetched = asked.fetched
    if asked.anything:
        fetched += learn_calibration(choice.large if choice else batch, asked.collected.parts, spark)
    if doubt := answers_doubt(manifest.empty_answers or 0, manifest.answered):
        context.log.warning(doubt)
    return MaterializeResult(
        data_version=DataVersion(manifest.version),
        metadata=_metadata(batch, manifest, asked, fetched, time.monotonic() - began),
    )


def _asking_run(
    context: AssetExecutionContext,
    spark: SparkResource,
    model_server: ModelServerResource,
    access: ModelAccess,
    progress: ProgressDisplay,
) -> AskingRun:
    return AskingRun(
        log=context.log,
        engine=spark,
        semaphore_folder=semaphore_folder(Path(context.instance.storage_directory())),
        model_server=model_server,
        access=access,
        switch=StopSwitch(),
        reporter=StageReporter(context.log.log, progress),
    )


def _current_chunks(store: ObjectStore, layout: DatasetLayout) -> ChunksManifest:
    cut = require_manifest(store, layout.stage_manifest("chunks"), ChunksManifest, layout.dataset, "chunks")
    require_current_pages(store, layout, cut.pages_version, "chunks")
    return cut


def _started_at(context: AssetExecutionContext) -> int:
    """When this run, or the first one it is a retry of, was started: microseconds since the Unix epoch.

    A retry of a run that asks everything again goes on with what that run has asked.
    """
    first = context.run.root_run_id or context.run.run_id
    started = context.instance.get_run_stats(first).start_time
    return int((started or time.time()) * _MICROSECONDS)


def _metadata(
    batch: OutputsBatch,
    manifest: RawModelOutputsManifest,
    asked: AnsweredBatch,
    fetched_besides: FetchedBytes,
    seconds: float,
) -> MetadataValues:
    parts = asked.collected.parts
    fetched = batch.store.fetched + fetched_besides + asked.fetched_by_tasks()
    fetched = sum((part.fetched for part in parts), fetched)
    latencies = Distribution.of(seconds for part in parts for seconds in part.latencies)
    queue_times = Distribution.of(seconds for part in parts for seconds in part.queue_times)
    reasons = sum((Counter(part.failure_reasons) for part in parts), Counter[str]())
    # Without parts nothing has changed, and nothing was answered.
    resumed = sum(part.resumed for part in parts) if parts else manifest.answered
    return without_empty(
        {
            "dagster/row_count": sum(manifest.part_rows),
            "answered": manifest.answered,
            "failed": manifest.failed,
            "empty_answers": manifest.empty_answers,
            "failure_rate": ratio(manifest.failed, manifest.failed + manifest.answered),
            "failure_reasons": dict(reasons),
            "answered_in_this_run": manifest.answered - resumed,
            "resumed_from_earlier": resumed,
            "latency_p50_seconds": _seconds(latencies, 0.50),
            "latency_p95_seconds": _seconds(latencies, 0.95),
            "latency_p99_seconds": _seconds(latencies, 0.99),
            "queue_p50_seconds": _seconds(queue_times, 0.50),
            "queue_p95_seconds": _seconds(queue_times, 0.95),
            "queue_p99_seconds": _seconds(queue_times, 0.99),
            **asked.metadata(),
            **_cascade_metadata(manifest.cascade),
            "second_pass_answered": manifest.second_answered,
            "second_pass_failed": manifest.second_failed,
            "model": manifest.model,
            "model_digest": manifest.model_digest,
            "prompt_version": manifest.prompt_version,
            **fetched_metadata(fetched),
            "seconds": round(seconds, 3),
            "location": MetadataValue.path(
                batch.store.uri(batch.layout.stage("raw_model_outputs", manifest.version))
            ),
        }
    )


def _cascade_metadata(account: CascadeAccount | None) -> MetadataValues:
    if account is None:
        return {}
    return {
        "chunks_by_model": account.chunks_by_model,
        "cascade_doubted": account.doubted,
        "cascade_threshold": account.threshold,
        "cascade_small_seconds": account.small_seconds,
        "cascade_saved_seconds": account.saved_seconds,
    }


def _seconds(values: Distribution, share: float) -> float | None:
    found = values.percentile(share)
    return None if found is None else round(found, 3)
