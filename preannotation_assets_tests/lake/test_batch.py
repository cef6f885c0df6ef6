import os
import time
from pathlib import Path

import pyarrow as pa
import pytest

from preannotation_assets.errors import BatchError, StorageError
from preannotation_assets.lake import ObjectStore, StoreLocation, open_store, write_table
from preannotation_assets.lake.batch import (
    iterate_rows,
    read_manifest,
    require_manifest,
    sweep_dead_writers,
    sweep_stage,
    write_manifest,
)
from preannotation_assets.lake.layout import DatasetLayout, part_key
from preannotation_assets.manifests import Calibration

CALIBRATION = Calibration(model="llama3.3:70b", factor=1.25, requests=3)


def test_a_manifest_comes_back_as_it_was(store: ObjectStore) -> None:
    assert read_manifest(store, "m.json", Calibration) is None
    write_manifest(store, "m.json", CALIBRATION)
    assert read_manifest(store, "m.json", Calibration) == CALIBRATION
    assert require_manifest(store, "m.json", Calibration, "d", "pages") == CALIBRATION


def test_a_stage_that_is_missing_is_named(store: ObjectStore) -> None:
    with pytest.raises(
        BatchError, match="pages of vessels_ocr_1 is not materialized: materialize pages first"
    ):
        require_manifest(store, "m.json", Calibration, "vessels_ocr_1", "pages")


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (b'{"model": "m", "factor": "CONFIDENTIAL", "requests": 1}', "factor"),
        (b'{"model": "m", "factor": 1}', "requests"),
        (b'{"model": "m", "factor": 1, "requests": 1, "more": 1}', "more"),
        (b'{"model": "CONFIDENTIAL', "not JSON"),
        (b"[]", "not a JSON object"),
    ],
)
def test_a_manifest_that_is_none_is_refused_without_its_content(
    store: ObjectStore, content: bytes, place: str
) -> None:
    store.write("m.json", content)
    with pytest.raises(StorageError) as raised:
        read_manifest(store, "m.json", Calibration)
    assert place in str(raised.value)
    assert "CONFIDENTIAL" not in str(raised.value)


def test_rows_come_part_by_part_in_order(store: ObjectStore) -> None:
    for part, values in enumerate(([1, 2], [], [3])):
        write_table(
            store, part_key("stage/v", part), pa.table({"a": pa.array(values, pa.int32()), "b": values})
        )
    assert [row["a"] for row in iterate_rows(store, "stage/v", 3, ("a",))] == [1, 2, 3]
    assert list(iterate_rows(store, "stage/v", 0)) == []
    rows = iterate_rows(store, "stage/v", 4)
    assert [next(rows)["a"] for _ in range(3)] == [1, 2, 3]
    with pytest.raises(StorageError):
        next(rows)


def test_superseded_versions_are_swept_after_a_day(local_store: ObjectStore, local_root: Path) -> None:
    names = ["pages/old/part-0.parquet", "pages/young/part-0.parquet", "pages/now/part-0.parquet"]
    others = ["pages/manifest.json", "pages/nowadays/part-0.parquet", "pagesold/part-0.parquet"]
    for name in names + others:
        local_store.write(name, b"x")
    long_ago = time.time() - 25 * 3600
    for name in (names[0], names[2], *others):
        os.utime(local_root / name, (long_ago, long_ago))
    assert sweep_stage(local_store, "pages", "now") == 2
    left = {stat.key for stat in local_store.list("")}
    assert left == {names[1], names[2], others[0], others[2]}
    assert sweep_stage(local_store, "pages", "now") == 0


def test_what_killed_writers_left_is_removed_when_it_is_a_day_old(tmp_path: Path) -> None:
    layout = DatasetLayout("vessels_ocr_1")
    two_days_ago = time.time() - 2 * 24 * 3600
    old, new = [], []
    for folder in (f"{layout.work}/pages/v", layout.published):
        (tmp_path / folder).mkdir(parents=True)
        old.append(tmp_path / folder / ".preannotation-old.tmp")
        new.append(tmp_path / folder / ".preannotation-new.tmp")
        for path in (old[-1], new[-1]):
            path.write_bytes(b"half a table")
        os.utime(old[-1], (two_days_ago, two_days_ago))
    assert sweep_dead_writers(open_store(StoreLocation(str(tmp_path))), layout) == 2
    assert not any(path.exists() for path in old)
    assert all(path.exists() for path in new)
