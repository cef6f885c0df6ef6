"""A publication that is too large for one put is refused before anything is verified or uploaded."""

from collections.abc import Iterable

import pytest
from published_batches import BATCHES, LAYOUT, expected_table, publish_batch, write_pages
from s3_servers.fault_proxy import FaultProxy

from preannotation_assets.errors import StorageError
from preannotation_assets.lake import ObjectStore, read_table
from preannotation_assets.publishing import publisher


def _verified(*arguments: Iterable[object], **options: object) -> None:
    pytest.fail("the rows were verified first")


def test_more_than_one_put_takes_is_refused_at_once(
    s3_store: ObjectStore, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_pages(s3_store)
    publish_batch(s3_store, BATCHES["small"])
    most = 10_000
    monkeypatch.setattr("preannotation_assets.lake.s3._PUT_BYTES", most)
    before = len(proxy.requests)
    monkeypatch.setattr(publisher, "verify_rows", _verified)
    with pytest.raises(
        StorageError, match=rf"vessels_ocr_1 have \d+ bytes, the store takes {most}"
    ) as caught:
        publish_batch(s3_store, BATCHES["large"])
    assert "docs/storage.md" in str(caught.value)
    assert "\n" not in str(caught.value)
    published = (LAYOUT.published_suggestions, LAYOUT.published_manifest)
    assert not [
        line for line in proxy.requests[before:] if line.startswith("PUT") and line.endswith(published)
    ]
    assert read_table(s3_store, LAYOUT.published_suggestions).equals(expected_table(BATCHES["small"]))


def test_only_a_folder_has_no_limit(s3_store: ObjectStore, local_store: ObjectStore) -> None:
    assert s3_store.largest_object_bytes == 5 * 1024**3
    assert local_store.largest_object_bytes is None
