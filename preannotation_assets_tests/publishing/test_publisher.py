import hashlib
import json
from enum import StrEnum
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from shared.published_dataset import RULES, Dataset, RecordingStore, good_rows

from preannotation_assets.contracts import SUGGESTIONS
from preannotation_assets.errors import ConflictError, StorageError, VerificationError
from preannotation_assets.lake import write_table
from preannotation_assets.manifests import FailedPage
from preannotation_assets.publishing import publisher
from preannotation_assets.publishing.publisher import recall_verification, verify_dataset

PARQUET, MANIFEST = "suggestions.parquet", "_manifest.json"


class KilledError(Exception):
    """Stands for kill -9."""


def kill_at(name: str) -> "type[KilledError]":
    def die(key: str) -> None:
        if key.endswith(name):
            raise KilledError

    return die  # type: ignore[return-value]


def is_consistent(dataset: Dataset) -> bool:
    return verify_dataset(dataset.plain_store, dataset.layout.dataset, RULES).passed


def test_the_parts_become_one_parquet_and_its_manifest(dataset: Dataset) -> None:
    publication = dataset.publish(good_rows())
    assert publication.changed
    assert dataset.store.writes == [PARQUET, MANIFEST]
    table = pq.read_table(dataset.parquet)
    assert table.schema.equals(SUGGESTIONS)
    assert table.to_pylist() == good_rows()
    manifest = json.loads(dataset.parquet.with_name(MANIFEST).read_text("utf-8"))
    assert manifest["rows"] == 4
    assert manifest["bytes"] == dataset.parquet.stat().st_size
    assert manifest["content_hash"] == hashlib.sha256(dataset.parquet.read_bytes()).hexdigest()
    assert manifest["parquet_etag"] == publication.manifest.parquet_etag
    assert is_consistent(dataset)


def test_the_same_rows_are_not_written_again(dataset: Dataset) -> None:
    first = dataset.publish(good_rows(), run_id="first")
    dataset.store.writes.clear()
    second = dataset.publish(good_rows(), run_id="second")
    assert dataset.store.writes == []
    assert not second.changed
    assert second.manifest == first.manifest


def test_what_was_published_before_there_was_a_rule_is_verified_again(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset.publish(good_rows())
    place = dataset.plain_store, dataset.layout.dataset, RULES
    assert recall_verification(*place) is not None
    rules = {rule.name: rule.value for rule in publisher.Rule}
    monkeypatch.setattr(publisher, "Rule", StrEnum("Rule", {**rules, "NEW": "all is new"}))
    assert recall_verification(*place) is None
    dataset.publish(good_rows())
    assert recall_verification(*place) is not None


def test_changed_rows_are_one_write_and_a_manifest(dataset: Dataset) -> None:
    dataset.publish(good_rows())
    dataset.store.writes.clear()
    assert dataset.publish(good_rows()[:3]).changed
    assert dataset.store.writes == [PARQUET, MANIFEST]
    assert pq.read_table(dataset.parquet).num_rows == 3


def test_a_page_that_lost_its_spans_and_one_that_failed_change_the_manifest_only(dataset: Dataset) -> None:
    failed = FailedPage(doc_id="vessels_ocr_1/a", page_num=2, reason="timed_out")
    dataset.publish(good_rows(), failed_pages=[failed])
    dataset.store.writes.clear()
    publication = dataset.publish(
        good_rows(),
        failed_pages=[FailedPage(doc_id="vessels_ocr_1/c", page_num=None, reason="page_number_missing")],
    )
    assert dataset.store.writes == [MANIFEST]
    assert not publication.changed
    assert is_consistent(dataset)


def test_no_rows_are_published_as_an_empty_parquet(dataset: Dataset) -> None:
    dataset.publish([])
    assert pq.read_table(dataset.parquet).num_rows == 0
    assert pq.read_schema(dataset.parquet).equals(SUGGESTIONS)
    assert is_consistent(dataset)


def test_bad_rows_publish_nothing_and_quote_nothing(dataset: Dataset) -> None:
    dataset.publish(good_rows())
    before = dataset.parquet.read_bytes()
    dataset.store.writes.clear()
    rows = good_rows()
    rows[2]["text"] = "CONFIDENTIAL"
    with pytest.raises(VerificationError, match=r"1 x not: text is page_text") as raised:
        dataset.publish(rows)
    assert "CONFIDENTIAL" not in str(raised.value)
    assert dataset.store.writes == []
    assert dataset.parquet.read_bytes() == before


def test_a_part_with_other_columns_publishes_nothing(dataset: Dataset) -> None:
    class Other(RecordingStore):
        def read(self, key: str) -> bytes:
            table = pq.read_table(dataset.root / key).drop_columns(["model"])
            write_table(dataset.plain_store, "argilla/work/other.parquet", table)
            return dataset.plain_store.read("argilla/work/other.parquet")

    with pytest.raises(StorageError, match="other columns"):
        dataset.publish(good_rows(), store=Other(dataset.plain_store))
    assert not dataset.parquet.exists()


@pytest.mark.parametrize("moment", [PARQUET, MANIFEST])
def test_a_run_that_is_killed_leaves_old_or_new_and_the_next_one_heals(dataset: Dataset, moment: str) -> None:
    dataset.publish(good_rows()[:1], run_id="old")
    old = dataset.parquet.read_bytes()
    dataset.store.before_write = kill_at(moment)
    with pytest.raises(KilledError):
        dataset.publish(good_rows(), run_id="killed")
    dataset.store.before_write = lambda key: None
    if moment == PARQUET:
        assert dataset.parquet.read_bytes() == old
        assert is_consistent(dataset)
    else:
        assert pq.read_table(dataset.parquet).num_rows == 4
        with pytest.raises(VerificationError, match="does not name"):
            is_consistent(dataset)
    dataset.publish(good_rows(), run_id="next")
    assert is_consistent(dataset)
    assert pq.read_table(dataset.parquet).num_rows == 4


@pytest.mark.parametrize("first", [True, False])
def test_of_two_publishers_at_once_one_wins(dataset: Dataset, first: bool) -> None:
    if not first:
        dataset.publish(good_rows()[:1], run_id="old")
    dataset.store.writes.clear()
    other = RecordingStore(dataset.plain_store)

    def other_publishes(key: str) -> None:
        dataset.store.before_write = lambda key: None
        dataset.publish(good_rows()[:2], run_id="winner", store=other)

    dataset.store.before_write = other_publishes
    with pytest.raises(ConflictError):
        dataset.publish(good_rows(), run_id="loser")
    assert is_consistent(dataset)
    assert pq.read_table(dataset.parquet).num_rows == 2


def test_a_publisher_overtaken_before_its_manifest_does_not_write_it(dataset: Dataset) -> None:
    def other_publishes(key: str) -> None:
        if key.endswith(PARQUET):
            return
        pytest.fail("the manifest of the overtaken one was written")

    class Overtaken(RecordingStore):
        def upload_if(self, key: str, path: Path, expected: str | None) -> str:
            etag = super().upload_if(key, path, expected)
            dataset.publish(good_rows()[:2], run_id="winner", store=RecordingStore(dataset.plain_store))
            return etag

    overtaken = Overtaken(dataset.plain_store)
    overtaken.before_write = other_publishes
    with pytest.raises(ConflictError, match="meanwhile"):
        dataset.publish(good_rows(), run_id="loser", store=overtaken)
    assert is_consistent(dataset)
    assert pq.read_table(dataset.parquet).num_rows == 2


def test_a_page_that_nobody_accounts_for_keeps_everything_back(dataset: Dataset) -> None:
    dataset.publish(good_rows(), run_id="old")
    before = dataset.parquet.read_bytes()
    with pytest.raises(VerificationError, match="is listed without spans, or is listed as failed"):
        dataset.publish(good_rows()[:2], run_id="new", pages_without_spans=[])
    assert dataset.parquet.read_bytes() == before


def test_a_parquet_that_was_damaged_is_replaced_and_that_is_said(dataset: Dataset) -> None:
    assert dataset.publish(good_rows()).changed
    whole = dataset.parquet.read_bytes()
    dataset.parquet.write_bytes(whole[:-10])
    assert dataset.publish(good_rows()).changed
    assert dataset.parquet.read_bytes() == whole
    assert not dataset.publish(good_rows()).changed
