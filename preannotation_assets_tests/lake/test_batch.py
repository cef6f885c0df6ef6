import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from preannotation_assets.errors import BatchError, DamagedObjectError, StorageError
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
from preannotation_assets.lake.owner import this_process
from preannotation_assets.manifests import Calibration, FailedPage, PagesManifest

LAYOUT = DatasetLayout("vessels_ocr_1")
CALIBRATION = Calibration(model="llama3.3:70b", factor=1.25, requests=3)


def test_a_manifest_comes_back_as_it_was(store: ObjectStore) -> None:
    assert read_manifest(store, "m.json", Calibration) is None
    write_manifest(store, "m.json", CALIBRATION)
    assert read_manifest(store, "m.json", Calibration) == CALIBRATION
    assert require_manifest(store, "m.json", Calibration, "d", "pages") == CALIBRATION


SNAPSHOT: dict[str, Any] = {
    "dataset": "vessels_ocr_1", "version": "v", "content_hash": "h", "part_rows": [3], "pages": 3,
    "empty_pages": 0, "characters": 9, "collapsed_duplicates": 0, "doc_ids_not_found": 0,
    "failed_pages": [{"doc_id": f"d/{n // 2}", "page_num": n, "reason": "odd"} for n in range(2_500)],
}  # fmt: skip


def test_a_long_list_of_pages_is_written_as_one_list_of_json(store: ObjectStore) -> None:
    write_manifest(store, "m.json", PagesManifest.model_validate(SNAPSHOT))
    content = store.read("m.json").decode()
    document = {**SNAPSHOT, "narrowed_to_doc_ids": None, "source_fingerprint": None}
    assert content == json.dumps(document, indent=2, sort_keys=True) + "\n"


@pytest.mark.parametrize("layout", [{}, {"indent": 1}, {"separators": (",", ":")}, {"sort_keys": True}])
def test_a_manifest_in_any_layout_is_read(store: ObjectStore, layout: dict[str, Any]) -> None:
    store.write("m.json", json.dumps({"later": [{"a": 1}], **SNAPSHOT}, **layout).encode())
    manifest = read_manifest(store, "m.json", PagesManifest)
    assert manifest == PagesManifest.model_validate(SNAPSHOT)
    assert manifest is not None
    assert manifest.failed_pages[-1] == FailedPage("d/1249", 2_499, "odd")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"failed_pages": [*SNAPSHOT["failed_pages"], {"doc_id": "CONFIDENTIAL"}]}, "failed_pages"),
        ({"failed_pages": [{"doc_id": 7}], "pages": "many"}, "pages"),
        ({"failed_pages": [None, *SNAPSHOT["failed_pages"]], "doc_ids_not_found": None}, "failed_pages"),
        ({"failed_pages": {"CONFIDENTIAL": 1}}, "failed_pages"),
        ({"failed_pages": "CONFIDENTIAL"}, "failed_pages"),
        ({"part_rows": [3, "CONFIDENTIAL"]}, "part_rows"),
    ],
)
def test_a_damaged_list_is_told_by_its_field_and_the_first_field_first(
    store: ObjectStore, changes: dict[str, Any], field: str
) -> None:
    store.write("m.json", json.dumps({**SNAPSHOT, **changes}).encode())
    with pytest.raises(DamagedObjectError, match=f"is not a PagesManifest, by its {field}: ") as raised:
        read_manifest(store, "m.json", PagesManifest)
    assert "CONFIDENTIAL" not in str(raised.value)


def test_a_stage_that_is_missing_is_named(store: ObjectStore) -> None:
    with pytest.raises(
        BatchError, match="pages of vessels_ocr_1 is not materialized: preannotate run vessels_ocr_1 makes it"
    ):
        require_manifest(store, "m.json", Calibration, "vessels_ocr_1", "pages")


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (b'{"model": "m", "factor": "CONFIDENTIAL", "requests": 1}', "factor"),
        (b'{"model": "m", "factor": 1}', "requests"),
        (b'{"model": "CONFIDENTIAL', "not JSON"),
        (b"[]", "not a JSON object"),
    ],
)
def test_a_manifest_that_is_none_is_refused_without_its_content(
    store: ObjectStore, content: bytes, place: str
) -> None:
    store.write("m.json", content)
    with pytest.raises(DamagedObjectError) as raised:
        read_manifest(store, "m.json", Calibration)
    assert place in str(raised.value)
    assert "CONFIDENTIAL" not in str(raised.value)


def test_what_newer_code_has_written_into_a_manifest_is_left_out(store: ObjectStore) -> None:
    store.write("m.json", b'{"model": "m", "factor": 1, "requests": 1, "more": 1}')
    assert read_manifest(store, "m.json", Calibration) == Calibration(model="m", factor=1, requests=1)


def test_rows_come_part_by_part_in_order(store: ObjectStore) -> None:
    schema = pa.schema([pa.field("a", pa.int32())])
    for part, values in enumerate(([1, 2], [], [3])):
        write_table(
            store, part_key("stage/v", part), pa.table({"a": pa.array(values, pa.int32()), "b": values})
        )
    assert [row["a"] for row in iterate_rows(store, "stage/v", 3, schema, ("a",))] == [1, 2, 3]
    assert list(iterate_rows(store, "stage/v", 0, schema)) == []
    rows = iterate_rows(store, "stage/v", 4, schema)
    assert [next(rows)["a"] for _ in range(3)] == [1, 2, 3]
    with pytest.raises(StorageError):
        next(rows)


WORK = LAYOUT.work
OLD, YOUNG, NOW = (f"{WORK}/pages/{version}/part-00000.parquet" for version in ("old", "young", "now"))
MARK = f"{WORK}/pages/_superseded/old"
OTHERS = [
    f"{WORK}/pages/manifest.json",
    f"{WORK}/pages/nowadays/part-0.parquet",
    f"{WORK}/pagesold/part-0.parquet",
]


def age(root: Path, *keys: str, hours: float = 25) -> None:
    for key in keys:
        os.utime(root / key, (time.time() - hours * 3600,) * 2)


@pytest.fixture
def swept_root(local_store: ObjectStore, local_root: Path) -> Path:
    """Three versions of a stage; all but one are old, and the oldest was marked a day ago."""
    for name in (OLD, YOUNG, NOW, *OTHERS):
        local_store.write(name, b"x")
    age(local_root, OLD, NOW, *OTHERS)
    assert sweep_stage(local_store, LAYOUT, "pages", "now") == 0
    age(local_root, MARK)
    return local_root


def left(store: ObjectStore) -> set[str]:
    return {entry.key for entry in store.list("") if entry.key.endswith(".parquet")}


def test_a_version_is_swept_a_day_after_it_was_superseded_however_old_it_is(
    local_store: ObjectStore, swept_root: Path
) -> None:
    assert left(local_store) >= {OLD, YOUNG, NOW}
    assert sweep_stage(local_store, LAYOUT, "pages", "now") == 1
    assert left(local_store) == {YOUNG, NOW, *OTHERS[1:]}
    assert sweep_stage(local_store, LAYOUT, "pages", "now") == 0
    assert not (swept_root / MARK).exists()


def test_a_version_that_is_current_again_or_written_again_is_not_swept(
    local_store: ObjectStore, swept_root: Path
) -> None:
    local_store.write(OLD, b"written again")
    assert sweep_stage(local_store, LAYOUT, "pages", "now") == 0
    age(swept_root, OLD)
    assert sweep_stage(local_store, LAYOUT, "pages", "old") == 0
    assert not (swept_root / MARK).exists()
    assert sweep_stage(local_store, LAYOUT, "pages", "now") == 0
    assert OLD in left(local_store)


def hold_lease(store: ObjectStore, **changes: object) -> None:
    holder = {"run_id": "other", "held": True, "renewals": 9, "machine": "another", "pid": 1} | changes
    store.write(LAYOUT.lease, json.dumps(holder).encode())


def test_nothing_is_swept_while_a_run_elsewhere_holds_the_dataset(
    local_store: ObjectStore, swept_root: Path
) -> None:
    hold_lease(local_store)
    assert sweep_stage(local_store, LAYOUT, "pages", "now") == 0
    assert OLD in left(local_store)
    age(swept_root, LAYOUT.lease, hours=2)
    assert sweep_stage(local_store, LAYOUT, "pages", "now") == 1


@pytest.mark.parametrize("changes", [{"held": False}, {**this_process(), "pid": 2**22 + 1}, this_process()])
def test_a_lease_that_was_given_back_or_is_of_a_dead_process_or_ours_keeps_nothing(
    local_store: ObjectStore, swept_root: Path, changes: dict[str, object]
) -> None:
    hold_lease(local_store, **changes)
    assert sweep_stage(local_store, LAYOUT, "pages", "now") == 1


def test_a_live_process_of_this_machine_keeps_its_data_and_a_killed_one_does_not(
    local_store: ObjectStore, swept_root: Path
) -> None:
    script = "import sys; from preannotation_assets.lake.owner import this_process; import json\n"
    script += "print(json.dumps(this_process()), flush=True); sys.stdin.read()"
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        hold_lease(local_store, **json.loads(process.stdout.readline()))
        assert sweep_stage(local_store, LAYOUT, "pages", "now") == 0
    finally:
        process.kill()
        process.communicate(timeout=10)
    assert sweep_stage(local_store, LAYOUT, "pages", "now") == 1


def test_whoever_reads_a_version_while_it_is_superseded_reads_it_to_the_end(store: ObjectStore) -> None:
    folder = LAYOUT.stage("pages", "old")
    for part in range(3):
        write_table(store, part_key(folder, part), pa.table({"a": [part]}))
    rows = iterate_rows(store, folder, 3, pa.schema([pa.field("a", pa.int64())]))
    assert next(rows) == {"a": 0}
    write_table(store, NOW, pa.table({"a": [9]}))
    assert sweep_stage(store, LAYOUT, "pages", "now") == 0
    assert sweep_stage(store, LAYOUT, "pages", "now") == 0
    assert [row["a"] for row in rows] == [1, 2]


def test_what_killed_writers_left_is_removed_when_it_is_a_day_old(tmp_path: Path) -> None:
    two_days_ago = time.time() - 2 * 24 * 3600
    old, new = [], []
    for folder in (f"{LAYOUT.work}/pages/v", LAYOUT.published):
        (tmp_path / folder).mkdir(parents=True)
        old.append(tmp_path / folder / ".preannotation-old.tmp")
        new.append(tmp_path / folder / ".preannotation-new.tmp")
        for path in (old[-1], new[-1]):
            path.write_bytes(b"half a table")
        os.utime(old[-1], (two_days_ago, two_days_ago))
    assert sweep_dead_writers(open_store(StoreLocation(str(tmp_path))), LAYOUT) == 2
    assert not any(path.exists() for path in old)
    assert all(path.exists() for path in new)
