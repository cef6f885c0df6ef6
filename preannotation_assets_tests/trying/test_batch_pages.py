"""How a trial cuts pages: as the asset ``chunks`` would."""

from pathlib import Path

import pytest

from preannotation_assets.extraction.chunking import ChunkLimits
from preannotation_assets.extraction.presumed_tokens import presumed_factors
from preannotation_assets.extraction.token_kinds import LLAMA_3, KindFactors
from preannotation_assets.lake import ObjectStore, StoreLocation, open_store
from preannotation_assets.lake.batch import write_manifest
from preannotation_assets.lake.layout import DatasetLayout, calibration_key
from preannotation_assets.manifests import Calibration, ChunksManifest
from preannotation_assets.settings import Settings
from preannotation_assets.trying.batch_pages import chunk_limits

DATASET = "vessels_ocr_7"
QWEN = "qwen3:32b"
LEARNED = KindFactors.by_name({"digits": 2.9})


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return open_store(StoreLocation(str(tmp_path)))


def _limits(store: ObjectStore, model: str, dataset: str = DATASET) -> ChunkLimits:
    return chunk_limits(Settings.from_environment({"PREANNOTATION_MODEL": model}), store, dataset)


def _write_learned(store: ObjectStore, model: str) -> None:
    calibration = Calibration(model=model, factor=1.1, requests=20, kind_factors=LEARNED.named())
    write_manifest(store, calibration_key(model), calibration)


@pytest.mark.parametrize("dataset", ["", DATASET])
@pytest.mark.parametrize("model", [QWEN, "llama3.3:70b"])
def test_without_anything_learned_it_is_what_is_presumed_of_the_model(
    store: ObjectStore, model: str, dataset: str
) -> None:
    assert _limits(store, model, dataset) == ChunkLimits(kind_factors=presumed_factors(model))


def test_what_was_learned_of_the_model_is_better_than_what_is_presumed(store: ObjectStore) -> None:
    _write_learned(store, QWEN)
    assert _limits(store, QWEN) == ChunkLimits(calibration=1.1, kind_factors=LEARNED)
    # Of another model it says nothing.
    assert _limits(store, "gemma3:27b") == ChunkLimits(kind_factors=presumed_factors("gemma3:27b"))


def test_a_batch_that_was_cut_is_cut_so_again(store: ObjectStore) -> None:
    _write_learned(store, QWEN)
    manifest = ChunksManifest(
        dataset=DATASET, version="v", pages_version="p", chunk_tokens=6000, overlap_tokens=200,
        calibration=1.0, part_rows=[1], chunks=1, estimated_tokens=1,
    )  # fmt: skip
    write_manifest(store, DatasetLayout(DATASET).stage_manifest("chunks"), manifest)
    assert _limits(store, QWEN) == ChunkLimits(kind_factors=LLAMA_3)
