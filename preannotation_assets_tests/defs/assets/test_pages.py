from pathlib import Path
from typing import Any

import duckdb
import pytest
from dagster import DagsterInstance, materialize

from preannotation_assets import contracts
from preannotation_assets.defs.assets.pages import pages
from preannotation_assets.defs.partitions import add_dataset
from preannotation_assets.defs.resources.storage import StorageResource
from preannotation_assets.defs.resources.warehouse import WarehouseResource
from preannotation_assets.extraction.pages import text_sha256
from preannotation_assets.lake.batch import iterate_rows, read_manifest
from preannotation_assets.lake.layout import DatasetLayout
from preannotation_assets.manifests import PagesManifest
from preannotation_assets.telemetry.stage_progress import LogAlone

LAYOUT = DatasetLayout("vessels_ocr_7")
# Enough for a part of the largest size: the first ones are smaller.
PAGES = 13_500


@pytest.fixture
def warehouse(tmp_path: Path) -> WarehouseResource:
    path = tmp_path / "pages.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            f"""CREATE VIEW vw_argilla_pages AS
            SELECT '{LAYOUT.dataset}/1' AS doc_id, i::INTEGER AS page_num, 'text' AS text,
                   '{text_sha256("text")}' AS text_sha256
            FROM range({PAGES}) r(i)"""
        )
    return WarehouseResource(database=str(path))


def snapshot(warehouse: WarehouseResource, root: Path, **settings: Any) -> PagesManifest:
    storage = StorageResource(root=str(root), **settings)
    with DagsterInstance.ephemeral() as instance:
        add_dataset(instance, LAYOUT.dataset)
        materialize(
            [pages],
            partition_key=LAYOUT.dataset,
            instance=instance,
            resources={"warehouse": warehouse, "storage": storage, "progress": LogAlone()},
        )
    store = storage.open()
    manifest = read_manifest(store, LAYOUT.stage_manifest("pages"), PagesManifest)
    assert manifest is not None
    folder = LAYOUT.stage("pages", manifest.version)
    assert len(list(store.list(f"{folder}/"))) == len(manifest.part_rows)
    assert len(list(iterate_rows(store, folder, len(manifest.part_rows), contracts.PAGES))) == PAGES
    return manifest


def test_other_pages_a_part_leave_a_snapshot_of_the_same_pages_as_it_is(
    warehouse: WarehouseResource, tmp_path: Path
) -> None:
    first = snapshot(warehouse, tmp_path / "lake", pages_a_part=1000)
    assert max(first.part_rows) == 1000
    assert snapshot(warehouse, tmp_path / "lake") == first
    other = snapshot(warehouse, tmp_path / "other lake")
    assert other.content_hash == first.content_hash
    assert other.part_rows != first.part_rows


def test_documents_that_are_not_there_are_named_by_the_run(
    warehouse: WarehouseResource, tmp_path: Path
) -> None:
    config = {"ops": {"pages": {"config": {"doc_ids": [f"{LAYOUT.dataset}/1", "no such"]}}}}
    with DagsterInstance.ephemeral() as instance:
        add_dataset(instance, LAYOUT.dataset)
        result = materialize(
            [pages],
            partition_key=LAYOUT.dataset,
            instance=instance,
            resources={
                "warehouse": warehouse,
                "storage": StorageResource(root=str(tmp_path / "lake")),
                "progress": LogAlone(),
            },
            run_config=config,
        )
        said = [entry.user_message for entry in instance.all_logs(result.run_id)]
    assert "not found: <no such>" in said
