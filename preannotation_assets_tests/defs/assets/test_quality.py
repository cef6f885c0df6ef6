"""The numbers that publications are compared by."""

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from shared.published_dataset import LAYOUT, Dataset, good_rows

from preannotation_assets.contracts import RAW_MODEL_OUTPUTS, SUGGESTIONS
from preannotation_assets.defs.assets.quality import quality_numbers
from preannotation_assets.lake import write_table
from preannotation_assets.manifests import FailedPage, RawModelOutputsManifest

OUTPUTS = RawModelOutputsManifest(
    dataset=LAYOUT.dataset, version="o1", pages_version="v1", chunks_version="c1", model="m",
    model_digest="d", model_version="v", prompt_version="p", request_fingerprint="f", part_rows=[2],
    answered=2, failed=0,
)  # fmt: skip


def keep(dataset: Dataset, confidences: list[float | None], tokens: list[tuple[str, int | None]]) -> None:
    """Stages rows with these confidences, and answers with these tokens by request."""
    rows = [row | {"confidence": value} for row, value in zip(good_rows(), confidences, strict=False)]
    write_table(
        dataset.plain_store, "staged/part-00000.parquet", pa.Table.from_pylist(rows, schema=SUGGESTIONS)
    )
    answer = dict.fromkeys(RAW_MODEL_OUTPUTS.names) | {
        "doc_id": "d", "page_num": 1, "chunk_index": 0, "pass_number": 1, "start": 0, "end": 1,
        "status": "answered", "estimated_prompt_tokens": 1, "attempts": 1,
        "answered_at": datetime(2026, 1, 2, tzinfo=UTC), "run_id": "r", "prompt_tokens": 100,
    }  # fmt: skip
    answers = [answer | {"request_key": key, "answer_tokens": count} for key, count in tokens]
    write_table(
        dataset.plain_store,
        "answers/part-00000.parquet",
        pa.Table.from_pylist(answers, schema=RAW_MODEL_OUTPUTS),
    )


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return Dataset(tmp_path / "lake")


def test_they_are_floats_of_what_is_published(dataset: Dataset) -> None:
    keep(dataset, [0.0, 0.5, None, 1.0], [("a", 20), ("a", 20), ("b", 40)])
    failed = [FailedPage(doc_id="x", page_num=1, reason="timeout")]
    manifest = dataset.publish(
        good_rows(), failed_pages=failed, quotes_by_outcome={"kept": 4, "invalid_value": 2, "not_found": 2}
    ).manifest
    found = quality_numbers(dataset.plain_store, manifest, OUTPUTS, "staged", "answers")
    assert found == {
        "grounded_share": 0.75,
        "mean_confidence": 0.5,
        "spans_a_page": round(4 / 3, 4),
        "failed_page_share": 0.25,
        "tokens_a_suggestion": 65.0,
    }
    assert all(type(value) is float for value in found.values())


def test_what_nobody_counted_is_unknown(dataset: Dataset) -> None:
    keep(dataset, [None], [("a", None)])
    manifest = dataset.publish([]).manifest
    found = quality_numbers(dataset.plain_store, manifest, OUTPUTS, "staged", "answers")
    assert found["grounded_share"] is None
    assert found["mean_confidence"] is None
    assert found["tokens_a_suggestion"] is None
    assert found["spans_a_page"] == 0.0
