"""The numbers that publications are compared by."""

from pathlib import Path

import pytest
from shared.published_dataset import Dataset, good_rows

from preannotation_assets.defs.assets.quality import quality_numbers
from preannotation_assets.manifests import FailedPage


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return Dataset(tmp_path / "lake")


def test_they_are_floats_of_what_is_published(dataset: Dataset) -> None:
    failed = [FailedPage(doc_id="x", page_num=1, reason="timeout")]
    quotes = {"kept": 4, "invalid_value": 2, "not_found": 2}
    manifest = dataset.publish(
        good_rows(), failed_pages=failed, quotes_by_outcome=quotes, mean_confidence=0.5, tokens=260
    ).manifest
    found = quality_numbers(manifest)
    assert found == {
        "grounded_share": 0.75,
        "mean_confidence": 0.5,
        "spans_a_page": round(4 / 3, 4),
        "failed_page_share": 0.25,
        "tokens_a_suggestion": 65.0,
    }
    assert all(type(value) is float for value in found.values())


def test_what_nobody_counted_is_unknown(dataset: Dataset) -> None:
    found = quality_numbers(dataset.publish([]).manifest)
    assert found["grounded_share"] is None
    assert found["mean_confidence"] is None
    assert found["tokens_a_suggestion"] is None
    assert found["spans_a_page"] == 0.0
