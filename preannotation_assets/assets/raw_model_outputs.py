"""The asset ``raw_model_outputs``: what the model answered, paid for once."""

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from dagster import AssetExecutionContext, Config, DataVersion, MaterializeResult, MetadataValue, asset
from pydantic import Field

from preannotation_assets.assets.chunks import chunks
from preannotation_assets.assets.common import (
    OWNERS,
    MetadataValues,
    column_schema,
    per_second,
    percentile,
    require_current_pages,
)
from preannotation_assets.contracts import RAW_MODEL_OUTPUTS
from preannotation_assets.errors import InferenceError
from preannotation_assets.extraction.prompt import build_prompt
from preannotation_assets.extraction.tokens import calibration_factor
from preannotation_assets.inference.asking import Asking
from preannotation_assets.inference.board import Progress
from preannotation_assets.inference.compaction import compact_journal
from preannotation_assets.inference.endpoints import EndpointState
from preannotation_assets.inference.journal import AnswerIndex, IndexedAnswer, Piece
from preannotation_assets.inference.lease import DatasetLease
from preannotation_assets.inference.permit_server import PermitServer
from preannotation_assets.inference.permits import RunStoppedError
from preannotation_assets.inference.planning import (
    ChunkRow,
    WantedChunk,
    chunk_request,
    share_out,
    wanted_chunks,
)
from preannotation_assets.inference.preflight import ModelIdentity
from preannotation_assets.inference.progress import reported_progress
from preannotation_assets.inference.protocol import RequestTemplate
from preannotation_assets.lake import ObjectStore, read_table
from preannotation_assets.lake.batch import read_manifest, require_manifest, sweep_stage, write_manifest
from preannotation_assets.lake.layout import DatasetLayout, calibration_key, part_key
from preannotation_assets.manifests import Calibration, ChunksManifest, RawModelOutputsManifest
from preannotation_assets.partitions import DATASETS
from preannotation_assets.resources.ollama import LabelSchemeResource, OllamaResource
from preannotation_assets.resources.spark import SparkResource, run_tasks
from preannotation_assets.resources.storage import StorageResource
from preannotation_assets.tasks.ask_model import AskModel, ChunksToAsk, ask_model
from preannotation_assets.tasks.collect_answers import CollectAnswers, CollectedPart, collect_answers

__all__ = ["RawModelOutputsConfig", "raw_model_outputs"]

_PROGRESS_SECONDS: Final = 15.0
_MICROSECONDS: Final = 1_000_000


class RawModelOutputsConfig(Config):
    """What is asked again."""

    refresh: bool = Field(default=False, description="Ask everything again, also what is answered already.")


@dataclass(frozen=True)
class _Batch:
    """What the steps of this asset share."""

    store: ObjectStore
    storage: StorageResource
    layout: DatasetLayout
    chunks: ChunksManifest
    template: RequestTemplate
    run_id: str

    @property
    def chunks_folder(self) -> str:
        return self.layout.stage("chunks", self.chunks.version)

    @cached_property
    def rows(self) -> list[ChunkRow]:
        """All chunks of the batch, without their texts."""
        return list(_chunk_rows(self.store, self.chunks_folder, len(self.chunks.part_rows)))


@asset(
    partitions_def=DATASETS,
    group_name="preannotation",
    kinds={"ollama", "pyspark", "parquet"},
    owners=OWNERS,
    deps=[chunks],
    pool="ollama",
    metadata=column_schema(RAW_MODEL_OUTPUTS),
)
def raw_model_outputs(
    context: AssetExecutionContext,
    config: RawModelOutputsConfig,
    storage: StorageResource,
    spark: SparkResource,
    ollama: OllamaResource,
    label_scheme: LabelSchemeResource,
) -> MaterializeResult[None]:
    """Every chunk with the model's answer, as the model gave it.

    Answers are kept within seconds of their arrival. A chunk that has an answer to the same question (same
    model digest, prompt, options and text) is not asked again; one that failed is.
    """
    began = time.monotonic()
    store = storage.open()
    layout = DatasetLayout(context.partition_key)
    cut = require_manifest(store, layout.stage_manifest("chunks"), ChunksManifest, layout.dataset, "chunks")
    require_current_pages(store, layout, cut.pages_version, "chunks")
    prompt = build_prompt(label_scheme.load())
    ollama.require_room(prompt)
    identity = ollama.identify()
    batch = _Batch(store, storage, layout, cut, ollama.template(identity, prompt), context.run_id)
    since = _started_at(context) if config.refresh else 0
    switch = _StopSwitch()
    with DatasetLease(store, f"{layout.work}/lease.json", context.run_id, switch):
        progress = _ask_what_is_open(context, batch, since, switch, spark, ollama)
        manifest, parts = _collect(
            batch, identity, AnswerIndex.read(store, layout.journal, since=since), spark
        )
        compact_journal(store, layout.journal)
    if progress:
        _learn_calibration(batch, parts)
    return MaterializeResult(
        data_version=DataVersion(manifest.version),
        metadata=_metadata(batch, manifest, parts, progress, time.monotonic() - began),
    )


@dataclass
class _StopSwitch:
    """Ends the asking from outside: called with the reason, from any thread."""

    server: PermitServer | None = None
    message: str | None = None

    def __call__(self, message: str) -> None:
        self.message = message
        if self.server:
            self.server.stop(message)


def _started_at(context: AssetExecutionContext) -> int:
    """When this run, or the first one it is a retry of, was started: microseconds since the Unix epoch.

    A retry of a run that asks everything again goes on with what that run has asked.
    """
    first = context.run.root_run_id or context.run_id
    started = context.instance.get_run_stats(first).start_time
    return int((started or time.time()) * _MICROSECONDS)


def _ask_what_is_open(
    context: AssetExecutionContext,
    batch: _Batch,
    since: int,
    switch: _StopSwitch,
    spark: SparkResource,
    ollama: OllamaResource,
) -> Progress | None:
    """Asks about the chunks without an answer; None where there are none."""
    index = AnswerIndex.read(batch.store, batch.layout.journal, since=since)
    wanted = list(wanted_chunks(batch.rows, batch.template.fingerprint, index))
    requests = sum(len(chunk.pieces) for chunk in wanted)
    digest = batch.template.digest[:12]
    context.log.info(f"{requests} requests to make for {len(batch.rows)} chunks, model {digest}")
    progress = _ask(context, batch, wanted, requests, switch, spark, ollama) if wanted else None
    if switch.message:
        raise InferenceError(switch.message, "the answers so far are kept")
    return progress


def _chunk_rows(store: ObjectStore, folder: str, parts: int) -> Iterator[ChunkRow]:
    for part in range(parts):
        columns = ("start", "end", "chunk_sha256", "estimated_tokens")
        for row, chunk in enumerate(read_table(store, part_key(folder, part), columns).to_pylist()):
            yield ChunkRow(part=part, row=row, **chunk)


def _ask(
    context: AssetExecutionContext,
    batch: _Batch,
    wanted: Sequence[WantedChunk],
    requests: int,
    switch: _StopSwitch,
    spark: SparkResource,
    ollama: OllamaResource,
) -> Progress:
    """Asks the model about everything that is wanted; what was answered is kept whatever happens."""
    ollama.preload(batch.template)
    session = spark.spark_session
    conf = session.sparkContext.getConf()
    driver_host = conf.get("spark.driver.host", "127.0.0.1")
    addresses = ollama.addresses()
    with PermitServer(
        addresses,
        ollama.limits(),
        bind_host=conf.get("spark.driver.bindAddress", driver_host),
        advertised_host=driver_host,
        slot_folder=Path(context.instance.storage_directory()) / "ollama_slots",
    ) as server:
        switch.server = server
        asking = Asking(
            template=batch.template,
            policy=ollama.retry_policy(),
            timeouts=ollama.timeouts(),
            permits=server.address,
            askers=min(requests, len(addresses) * ollama.max_in_flight),
            overlap_tokens=batch.chunks.overlap_tokens,
            run_id=batch.run_id,
        )
        tasks = [
            AskModel(
                location=batch.storage.location(),
                journal=f"{batch.layout.journal}/{batch.run_id}",
                parts=_parts_to_ask(batch, share),
                asking=asking,
                stream=ollama.stream,
                flush_seconds=ollama.flush_seconds,
            )
            for share in share_out(wanted, spark.parallelism())
        ]
        try:
            with reported_progress(server, requests, context.log.info, _PROGRESS_SECONDS):
                run_tasks(session, tasks, ask_model)
        except RunStoppedError as stopped:
            raise InferenceError(server.stop_message or str(stopped), "the answers so far are kept") from None
        return server.progress()


def _parts_to_ask(batch: _Batch, share: Sequence[WantedChunk]) -> list[ChunksToAsk]:
    parts = sorted({chunk.part for chunk in share})
    return [
        ChunksToAsk(
            part_key(batch.chunks_folder, part),
            {chunk.row: chunk.pieces for chunk in share if chunk.part == part},
        )
        for part in parts
    ]


def _collect(
    batch: _Batch, identity: ModelIdentity, index: AnswerIndex, spark: SparkResource
) -> tuple[RawModelOutputsManifest, list[CollectedPart]]:
    """Puts the answers beside their chunks; keeps what is there when nothing has changed."""
    placed = [_Placed(chunk, list(index.leaves(_request(batch, chunk)))) for chunk in batch.rows]
    version = _version(batch, placed)
    present = read_manifest(
        batch.store, batch.layout.stage_manifest("raw_model_outputs"), RawModelOutputsManifest
    )
    if present and present.version == version:
        return present, []
    folder = batch.layout.stage("raw_model_outputs", version)
    tasks = [
        _collect_part(batch, part, [chunk for chunk in placed if chunk.row.part == part], folder)
        for part in range(len(batch.chunks.part_rows))
    ]
    parts = run_tasks(spark.spark_session, tasks, collect_answers)
    manifest = RawModelOutputsManifest(
        dataset=batch.layout.dataset,
        version=version,
        pages_version=batch.chunks.pages_version,
        chunks_version=batch.chunks.version,
        model=identity.model,
        model_digest=identity.digest,
        model_version=f"sha256:{identity.digest}/{batch.template.prompt.version}",
        prompt_version=batch.template.prompt.version,
        request_fingerprint=batch.template.fingerprint,
        part_rows=[part.rows for part in parts],
        answered=sum(part.answered for part in parts),
        failed=sum(part.failed for part in parts),
    )
    if manifest.failed and not manifest.answered:
        reasons = ", ".join(sorted({reason for part in parts for reason in part.failure_reasons}))
        raise InferenceError(
            f"all {manifest.failed} requests failed ({reasons})", "look at the Ollama server's log"
        )
    write_manifest(batch.store, batch.layout.stage_manifest("raw_model_outputs"), manifest)
    sweep_stage(batch.store, f"{batch.layout.work}/raw_model_outputs", version)
    return manifest, parts


@dataclass(frozen=True, slots=True)
class _Placed:
    """A chunk with the requests that stand for it."""

    row: ChunkRow
    leaves: Sequence[tuple[Piece, IndexedAnswer | None]]


def _request(batch: _Batch, chunk: ChunkRow) -> Piece:
    return chunk_request(chunk, batch.template.fingerprint)


def _version(batch: _Batch, placed: Sequence[_Placed]) -> str:
    """A hash of what the parts will hold.

    Raises:
        InferenceError: a chunk was not asked, which means that the run was stopped.
    """
    content = hashlib.sha256(repr((batch.chunks.version, batch.template.fingerprint)).encode())
    for chunk in placed:
        for piece, answer in chunk.leaves:
            if answer is None:
                raise InferenceError("not every chunk was asked", "materialize raw_model_outputs again")
            content.update(repr((piece.start, piece.end, piece.request_key, answer.answered_at)).encode())
    return content.hexdigest()[:16]


def _collect_part(batch: _Batch, part: int, placed: Sequence[_Placed], folder: str) -> CollectAnswers:
    return CollectAnswers(
        location=batch.storage.location(),
        chunks_key=part_key(batch.chunks_folder, part),
        outputs_key=part_key(folder, part),
        pieces=[[piece for piece, _ in chunk.leaves] for chunk in placed],
        answers={piece.request_key: answer for chunk in placed for piece, answer in chunk.leaves if answer},
        run_id=batch.run_id,
    )


def _learn_calibration(batch: _Batch, parts: Sequence[CollectedPart]) -> None:
    """Keeps what the server's token counts teach, for the chunks of later batches."""
    constant, applied = batch.template.prompt.constant_tokens, batch.chunks.calibration
    pairs = [
        (constant + round((estimated - constant) / applied), reported)
        for part in parts
        for estimated, reported in part.token_pairs
    ]
    factor = calibration_factor(pairs)
    if factor is not None:
        calibration = Calibration(model=batch.template.model, factor=factor, requests=len(pairs))
        write_manifest(batch.store, calibration_key(batch.template.model), calibration)


def _metadata(
    batch: _Batch,
    manifest: RawModelOutputsManifest,
    parts: Sequence[CollectedPart],
    progress: Progress | None,
    seconds: float,
) -> MetadataValues:
    latencies = [latency for part in parts for latency in part.latencies]
    queue_times = [wait for part in parts for wait in part.queue_times]
    prompt_tokens = sum(part.prompt_tokens for part in parts)
    answer_tokens = sum(part.answer_tokens for part in parts)
    reasons = sum((Counter(part.failure_reasons) for part in parts), Counter[str]())
    asked = len(latencies)
    return {
        "dagster/row_count": sum(manifest.part_rows),
        "answered": manifest.answered,
        "failed": manifest.failed,
        "failure_reasons": dict(reasons),
        "answered_in_this_run": asked,
        "resumed_from_earlier": manifest.answered - asked,
        "repeated": dict(progress.repeated) if progress else {},
        "split": progress.split if progress else 0,
        "most_in_flight": _by_endpoint(progress, lambda state: state.most_in_flight),
        "in_flight_limit": _by_endpoint(progress, lambda state: state.limit),
        "lowest_in_flight_limit": _by_endpoint(progress, lambda state: state.lowest_limit),
        "endpoint_rests": _by_endpoint(progress, lambda state: state.rests),
        "answer_tokens_per_second_by_endpoint": _token_rates(progress),
        "slot_hours": round(progress.busy_seconds / 3600, 4) if progress else 0.0,
        "latency_p50_seconds": percentile(latencies, 50),
        "latency_p95_seconds": percentile(latencies, 95),
        "latency_p99_seconds": percentile(latencies, 99),
        "queue_p50_seconds": percentile(queue_times, 50),
        "queue_p95_seconds": percentile(queue_times, 95),
        "prompt_tokens": prompt_tokens,
        "answer_tokens": answer_tokens,
        "answer_tokens_per_second": per_second(answer_tokens, progress.seconds) if progress else None,
        "requests_per_second": per_second(asked, progress.seconds) if progress else None,
        "model": manifest.model,
        "model_digest": manifest.model_digest,
        "prompt_version": manifest.prompt_version,
        "seconds": round(seconds, 3),
        "location": MetadataValue.path(
            batch.store.uri(batch.layout.stage("raw_model_outputs", manifest.version))
        ),
    }


def _by_endpoint(progress: Progress | None, value: Callable[[EndpointState], int]) -> dict[str, int]:
    return {address: value(state) for address, state in progress.endpoints.items()} if progress else {}


def _token_rates(progress: Progress | None) -> dict[str, float | None]:
    if progress is None:
        return {}
    return {
        address: per_second(totals.answer_tokens, progress.seconds)
        for address, totals in progress.totals.items()
    }
