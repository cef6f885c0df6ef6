"""The asset ``chunks``: slices of pages that fit the model's context."""

import hashlib
import time
from typing import Final

from dagster import AssetExecutionContext, DataVersion, MaterializeResult, MetadataValue, ResourceParam, asset

from preannotation_assets.chunk_limits import limits_of_batch
from preannotation_assets.contracts import CHUNKS
from preannotation_assets.defs.assets.common import OWNERS, column_schema, fetched_metadata, per_second
from preannotation_assets.defs.assets.pages import pages
from preannotation_assets.defs.assets.watched_parts import watched_parts
from preannotation_assets.defs.partitions import DATASETS
from preannotation_assets.defs.resources.chunking import ChunkingResource
from preannotation_assets.defs.resources.model_server import ModelServerResource
from preannotation_assets.defs.resources.spark import SparkResource
from preannotation_assets.defs.resources.storage import StorageResource
from preannotation_assets.defs.stage_code import stage_code
from preannotation_assets.extraction.chunking import ChunkLimits
from preannotation_assets.lake import FetchedBytes, ObjectStore
from preannotation_assets.lake.batch import read_manifest, require_manifest, sweep_stage, write_manifest
from preannotation_assets.lake.layout import DatasetLayout, part_key
from preannotation_assets.manifests import ChunksManifest, PagesManifest
from preannotation_assets.tasks.chunk_pages import ChunkPages, chunk_pages
from preannotation_assets.tasks.engine import Watch
from preannotation_assets.telemetry.stage_progress import ProgressDisplay

__all__ = ["chunks"]

_CODE: Final = stage_code("tasks.chunk_pages", CHUNKS)


@asset(
    partitions_def=DATASETS,
    group_name="preannotation",
    kinds={"pyspark", "parquet"},
    owners=OWNERS,
    deps=[pages],
    code_version=_CODE,
    metadata=column_schema(CHUNKS),
    # Nothing: without it Dagster takes anything.
    config_schema={},
)
def chunks(
    context: AssetExecutionContext,
    storage: StorageResource,
    spark: SparkResource,
    chunking: ChunkingResource,
    model_server: ModelServerResource,
    progress: ResourceParam[ProgressDisplay],
) -> MaterializeResult[None]:
    """Every page in slices of a bounded number of tokens, cut at paragraphs, lines, sentences or words.

    Neighbouring chunks overlap, so that an entity shorter than the overlap is whole in one of them. Most
    pages are one chunk.
    """
    began = time.monotonic()
    store = storage.open()
    layout = DatasetLayout(context.partition_key)
    snapshot = require_manifest(store, layout.stage_manifest("pages"), PagesManifest, layout.dataset, "pages")
    present = read_manifest(store, layout.stage_manifest("chunks"), ChunksManifest)
    limits = limits_of_batch(
        store, model_server.model, present, chunking.chunk_tokens, chunking.overlap_tokens
    )
    version = _version(snapshot, limits)
    fetched = FetchedBytes()
    if present is None or present.version != version:
        watch = watched_parts(context.log, progress, "chunking")
        present, fetched = _cut(store, layout, snapshot, version, limits, storage, spark, watch)
    fetched += store.fetched
    seconds = time.monotonic() - began
    context.log.info(f"{present.chunks} chunks of {snapshot.pages} pages")
    return MaterializeResult(
        data_version=DataVersion(version),
        metadata={
            "dagster/row_count": present.chunks,
            "estimated_tokens": present.estimated_tokens,
            "calibration": present.calibration,
            **({"kind_factors": present.kind_factors} if present.kind_factors else {}),
            **fetched_metadata(fetched),
            "seconds": round(seconds, 3),
            "pages_per_second": per_second(snapshot.pages, seconds),
            "location": MetadataValue.path(store.uri(layout.stage("chunks", version))),
        },
    )


def _version(snapshot: PagesManifest, limits: ChunkLimits) -> str:
    content = repr((_CODE, snapshot.version, snapshot.content_hash, limits))
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def _cut(
    store: ObjectStore,
    layout: DatasetLayout,
    snapshot: PagesManifest,
    version: str,
    limits: ChunkLimits,
    storage: StorageResource,
    spark: SparkResource,
    watch: Watch,
) -> tuple[ChunksManifest, FetchedBytes]:
    pages_folder, folder = layout.stage("pages", snapshot.version), layout.stage("chunks", version)
    tasks = [
        ChunkPages(storage.location(), part_key(pages_folder, index), part_key(folder, index), limits)
        for index in range(len(snapshot.part_rows))
    ]
    parts = spark.run(tasks, chunk_pages, watch)
    manifest = ChunksManifest(
        dataset=layout.dataset,
        version=version,
        pages_version=snapshot.version,
        chunk_tokens=limits.max_tokens,
        overlap_tokens=limits.overlap_tokens,
        calibration=limits.calibration,
        kind_factors=limits.kind_factors.named(),
        part_rows=[part.chunks for part in parts],
        chunks=sum(part.chunks for part in parts),
        estimated_tokens=sum(part.estimated_tokens for part in parts),
    )
    write_manifest(store, layout.stage_manifest("chunks"), manifest)
    sweep_stage(store, layout, "chunks", version)
    return manifest, sum((part.fetched for part in parts), FetchedBytes())
