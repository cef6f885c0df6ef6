"""What was verified before a publication is shown again only while nothing it was about has changed."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from shared.published_dataset import LAYOUT, RULES, Dataset, good_rows

from preannotation_assets.lake.batch import read_manifest, write_manifest
from preannotation_assets.manifests import PagesManifest, SuggestionsManifest
from preannotation_assets.publishing.publisher import recall_verification, verify_dataset
from preannotation_assets.publishing.verification import SpanRules, VerificationReport


def recalled(dataset: Dataset, rules: SpanRules = RULES) -> VerificationReport | None:
    return recall_verification(dataset.plain_store, LAYOUT.dataset, rules)


def change_manifest(dataset: Dataset, **changes: object) -> None:
    key = LAYOUT.published_manifest
    manifest = read_manifest(dataset.plain_store, key, SuggestionsManifest)
    assert manifest
    write_manifest(dataset.plain_store, key, manifest.model_copy(update=changes))


def replace_parquet(dataset: Dataset) -> None:
    dataset.parquet.write_bytes(dataset.parquet.read_bytes() + b"x")


def remove_parquet(dataset: Dataset) -> None:
    dataset.parquet.unlink()


def forget_a_page(dataset: Dataset) -> None:
    change_manifest(dataset, pages_without_spans=[])


def count_one_row_more(dataset: Dataset) -> None:
    change_manifest(dataset, rows=5)


def forget_the_verification(dataset: Dataset) -> None:
    change_manifest(dataset, verification=None)


def take_another_snapshot(dataset: Dataset) -> None:
    changed = dataset.pages.model_copy(update={"content_hash": "other"})
    assert isinstance(changed, PagesManifest)
    write_manifest(dataset.plain_store, LAYOUT.stage_manifest("pages"), changed)


def test_it_is_what_reading_all_again_finds(dataset: Dataset) -> None:
    dataset.publish(good_rows())
    again = verify_dataset(dataset.plain_store, LAYOUT.dataset, RULES)
    assert recalled(dataset) == again
    assert again.shifted_pages == 1


def test_it_reads_neither_pages_nor_rows(dataset: Dataset) -> None:
    dataset.publish(good_rows())
    before = dataset.plain_store.fetched
    assert recalled(dataset)
    manifests = sum(
        (Path(dataset.root) / key).stat().st_size
        for key in (LAYOUT.published_manifest, LAYOUT.stage_manifest("pages"))
    )
    assert (dataset.plain_store.fetched - before).bytes == manifests


@pytest.mark.parametrize(
    "change",
    [
        replace_parquet,
        remove_parquet,
        forget_a_page,
        count_one_row_more,
        forget_the_verification,
        take_another_snapshot,
    ],
)
def test_it_is_not_believed_after_a_change(dataset: Dataset, change: Callable[[Dataset], None]) -> None:
    dataset.publish(good_rows())
    change(dataset)
    assert recalled(dataset) is None


@pytest.mark.parametrize("rules", [replace(RULES, labels=("port",)), replace(RULES, overlaps_allowed=True)])
def test_it_is_not_believed_under_another_label_scheme(dataset: Dataset, rules: SpanRules) -> None:
    dataset.publish(good_rows())
    assert recalled(dataset, rules) is None
