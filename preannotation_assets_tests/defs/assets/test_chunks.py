"""``chunks`` as Dagster runs it: cut by what is known of the model's tokens when a batch is first cut."""

from pathlib import Path

import pyarrow as pa
import pytest
from dagster import DagsterInstance, materialize
from pyspark.sql import SparkSession

from preannotation_assets.contracts import PAGES
from preannotation_assets.defs.assets.chunks import chunks
from preannotation_assets.defs.partitions import add_dataset
from preannotation_assets.defs.resources.chunking import ChunkingResource
from preannotation_assets.defs.resources.ollama import OllamaResource
from preannotation_assets.defs.resources.spark import SparkResource
from preannotation_assets.defs.resources.storage import StorageResource
from preannotation_assets.extraction.pages import text_sha256
from preannotation_assets.extraction.presumed_tokens import presumed_factors
from preannotation_assets.lake import ObjectStore, StoreLocation, open_store, write_table
from preannotation_assets.lake.batch import read_manifest, write_manifest
from preannotation_assets.lake.layout import DatasetLayout, calibration_key, part_key
from preannotation_assets.manifests import Calibration, ChunksManifest, PagesManifest
from preannotation_assets.telemetry.stage_progress import LogAlone

LAYOUT = DatasetLayout("vessels_ocr_7")
MODEL = "mistral-nemo"
LLAMA = "llama3.3:70b"
NUMBERS = "123456 " * 300
LEARNED = Calibration(model=MODEL, factor=1.0, requests=20, kind_factors={"digits": 2.9})
PRESUMED = presumed_factors(MODEL).named()


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    """A lake with one page of numbers."""
    store = open_store(StoreLocation(str(tmp_path)))
    row = {"doc_id": "d", "page_num": 1, "text": NUMBERS, "text_sha256": text_sha256(NUMBERS)}
    write_table(store, part_key(LAYOUT.stage("pages", "p"), 0), pa.Table.from_pylist([row], schema=PAGES))
    _write_snapshot(store, "p")
    return store


def _write_snapshot(store: ObjectStore, content_hash: str) -> None:
    manifest = PagesManifest(
        dataset=LAYOUT.dataset, version="p", content_hash=content_hash, part_rows=[1], pages=1,
        empty_pages=0, characters=len(NUMBERS), collapsed_duplicates=0, failed_pages=[],
        doc_ids_not_found=0,
    )  # fmt: skip
    write_manifest(store, LAYOUT.stage_manifest("pages"), manifest)


def _cut(root: Path, store: ObjectStore, model: str = MODEL) -> ChunksManifest:
    with DagsterInstance.ephemeral() as instance:
        add_dataset(instance, LAYOUT.dataset)
        materialize(
            [chunks],
            partition_key=LAYOUT.dataset,
            instance=instance,
            resources={
                "storage": StorageResource(root=str(root)),
                "spark": SparkResource(master="local[2]", driver_memory="1g"),
                "chunking": ChunkingResource(chunk_tokens=1000, overlap_tokens=10),
                "model_server": OllamaResource(model=model),
                "progress": LogAlone(),
            },
        )
    manifest = read_manifest(store, LAYOUT.stage_manifest("chunks"), ChunksManifest)
    assert manifest is not None
    return manifest


def test_a_new_batch_is_cut_by_what_was_learned_of_its_model(
    tmp_path: Path, store: ObjectStore, spark: SparkSession
) -> None:
    write_manifest(store, calibration_key(MODEL), LEARNED)
    manifest = _cut(tmp_path, store)
    assert manifest.kind_factors == {"digits": 2.9}
    # 300 numbers of six digits and a space: 2,100 tokens of such a model, 1,100 of Llama 3.
    assert manifest.chunks == 3


@pytest.mark.parametrize(
    ("model", "factors", "count"), [(MODEL, PRESUMED, 3), ("qwen3:32b", PRESUMED, 3), (LLAMA, {}, 2)]
)
def test_the_first_batch_of_a_model_is_cut_by_what_is_presumed_of_it(
    model: str, factors: dict[str, float], count: int, tmp_path: Path, store: ObjectStore, spark: SparkSession
) -> None:
    manifest = _cut(tmp_path, store, model)
    assert (manifest.chunks, manifest.calibration, manifest.kind_factors) == (count, 1.0, factors)


@pytest.mark.parametrize("model", [MODEL, LLAMA])
def test_a_batch_that_is_cut_stays_so_whatever_is_learned_later(
    model: str, tmp_path: Path, store: ObjectStore, spark: SparkSession
) -> None:
    first = _cut(tmp_path, store, model)
    write_manifest(store, calibration_key(model), LEARNED.model_copy(update={"model": model}))
    _write_snapshot(store, "more pages")
    again = _cut(tmp_path, store, model)
    assert again.version != first.version
    assert (again.chunks, again.kind_factors) == (first.chunks, first.kind_factors)
    assert (again.calibration, again.estimated_tokens) == (1.0, first.estimated_tokens)


def test_a_batch_that_was_cut_before_anything_was_presumed_keeps_its_borders(
    tmp_path: Path, store: ObjectStore, spark: SparkSession
) -> None:
    """A manifest without named factors has 1 for all, also of a model with a token a digit."""
    as_before = _cut(tmp_path, store, LLAMA)
    assert not as_before.kind_factors
    again = _cut(tmp_path, store, MODEL)
    # Not even cut anew.
    assert again == as_before
    _write_snapshot(store, "more pages")
    again = _cut(tmp_path, store, MODEL)
    assert again.version != as_before.version
    assert (again.chunks, again.kind_factors) == (as_before.chunks, {})
    assert again.estimated_tokens == as_before.estimated_tokens
