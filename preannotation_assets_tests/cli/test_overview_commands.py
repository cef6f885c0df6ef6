"""``preannotate datasets`` and ``preannotate status`` on a warehouse and a lake."""

import json
from pathlib import Path
from typing import Any

import pytest
from dagster import DagsterInstance, job
from shared.published_dataset import Dataset, good_rows, page_rows
from shared.warehouse_file import write_warehouse

from preannotation_assets.cli import main
from preannotation_assets.errors import StorageError
from preannotation_assets.lake.owner import this_process
from preannotation_assets.manifests import FailedPage
from preannotation_assets.overview import datasets
from preannotation_assets.settings.groups import WarehouseSettings
from preannotation_assets.warehouse import open_warehouse

NAME = "vessels_ocr_1"
HEAD = ["dataset", "state", "pages", "rows", "failed pages", "published", "in work"]


class Place:
    """A warehouse and a lake that the environment names."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.database = folder / "pages.duckdb"
        self.lake = Dataset(folder / "lake")
        self._capsys = capsys

    def load(self, pages: list[dict[str, Any]]) -> None:
        write_warehouse(self.database, pages)

    def publish(self, **changes: Any) -> None:
        """Publishes as a run of the whole dataset does, with the fingerprint of the warehouse."""
        with open_warehouse(WarehouseSettings(database=str(self.database))) as source:
            listed = source.find_dataset(NAME)
        assert listed
        self.lake.publish(good_rows(), source_fingerprint=listed.fingerprint, **changes)

    def says(self, *arguments: str, status: int = 0) -> list[str]:
        """What a command writes: its output, or its error where it fails."""
        assert main(arguments) == status
        out, err = self._capsys.readouterr()
        return str(err if status else out).splitlines()

    def rows(self) -> dict[str, dict[str, str]]:
        """The table of datasets, by name."""
        head, *rows = [line.split("\t") for line in self.says("datasets", "--plain")]
        assert head == HEAD
        return {row[0]: dict(zip(head, row, strict=True)) for row in rows}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Place:
    place = Place(tmp_path, capsys)
    monkeypatch.setenv("PREANNOTATION_DATABASE", str(place.database))
    monkeypatch.setenv("PREANNOTATION_ROOT", str(tmp_path / "lake"))
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home"))
    return place


def changed(pages: list[dict[str, Any]], doc_id: str, page_num: int) -> list[dict[str, Any]]:
    return [
        page | {"text_sha256": "f" * 64} if (page["doc_id"], page["page_num"]) == (doc_id, page_num) else page
        for page in pages
    ]


def other(name: str) -> dict[str, Any]:
    return page_rows()[0] | {"doc_id": f"{name}/a"}


def test_every_dataset_is_listed_with_its_state(place: Place) -> None:
    place.load(
        [*page_rows(), other("vessels_ocr_2"), other("vessels_ocr_\N{LATIN SMALL LETTER U WITH DIAERESIS}")]
    )
    place.publish(failed_pages=[FailedPage(doc_id=f"{NAME}/a", page_num=2, reason="timeout")])
    found = place.rows()
    assert found[NAME]["state"] == "published"
    assert (found[NAME]["pages"], found[NAME]["rows"], found[NAME]["failed pages"]) == ("3", "4", "1")
    assert found[NAME]["published"].endswith("Z")
    assert (found["vessels_ocr_2"]["state"], found["vessels_ocr_2"]["rows"]) == ("not published", "")
    assert found["vessels_ocr_\N{LATIN SMALL LETTER U WITH DIAERESIS}"]["state"] == "name cannot be used"


def test_the_table_of_a_terminal_has_straight_columns(place: Place) -> None:
    place.load([*page_rows(), other("vessels_ocr_2")])
    place.publish()
    head, first, second = place.says("datasets")
    assert head.split("  ")[0] == "dataset"
    assert first.index("published") == second.index("not published") == head.index("state")
    assert "\t" not in first


def test_a_warehouse_that_differs_makes_a_dataset_stale(place: Place) -> None:
    place.load(page_rows())
    place.publish()
    place.load([*changed(page_rows()[:2], f"{NAME}/a", 1), other(NAME) | {"doc_id": f"{NAME}/new"}])
    assert place.rows()[NAME]["state"] == "stale"
    said = place.says("status", NAME)
    assert "state      stale: 1 pages changed, 1 pages not published, 1 pages gone" in said
    assert f"stale      {NAME}/a page 1 changed" in said
    assert f"stale      {NAME}/new page 1 not published" in said
    assert f"stale      {NAME}/b page 1 gone" in said
    assert f"next       preannotate run {NAME}" in said


def test_a_change_that_is_taken_back_is_fresh_again(place: Place) -> None:
    place.load(page_rows())
    place.publish()
    place.load(changed(page_rows(), f"{NAME}/a", 1))
    assert place.rows()[NAME]["state"] == "stale"
    place.load(page_rows())
    assert place.rows()[NAME]["state"] == "published"


@pytest.mark.parametrize(
    ("pages", "state"),
    [
        (page_rows(), "published"),
        ([*page_rows(), other(NAME) | {"doc_id": f"{NAME}/new"}], "published in part"),
        (changed(page_rows(), f"{NAME}/b", 1), "stale"),
        ([other("vessels_ocr_2")], "gone from the warehouse"),
    ],
)
def test_without_a_fingerprint_the_pages_are_compared(
    place: Place, pages: list[dict[str, Any]], state: str
) -> None:
    place.load(pages)
    place.lake.publish(good_rows())
    assert place.rows()[NAME]["state"] == state


def test_a_dataset_that_cannot_be_read_is_listed_so_beside_the_others(place: Place) -> None:
    place.load([*page_rows(), other("vessels_ocr_2")])
    place.lake.publish(good_rows())
    place.lake.parquet.unlink()
    found = place.rows()
    assert (found[NAME]["state"], found[NAME]["pages"]) == ("cannot be read", "3")
    assert found["vessels_ocr_2"]["state"] == "not published"
    assert "is missing: materialize suggestions again" in place.says("status", NAME, status=1)[0]
    place.lake.parquet.write_bytes(b"no Parquet")
    assert place.rows()[NAME]["state"] == "cannot be read"
    place.lake.plain_store.write(place.lake.layout.published_manifest, b"{")
    assert place.rows()[NAME]["state"] == "cannot be read"


def test_a_lake_that_fails_lists_nothing(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise StorageError("the store is out of reach")

    place.load(page_rows())
    monkeypatch.setattr(datasets, "read_manifest", fail)
    (said,) = place.says("datasets", status=1)
    assert said.endswith("the store is out of reach")


def test_a_stale_dataset_of_which_no_published_page_differs_is_explained(place: Place) -> None:
    place.load(page_rows())
    place.publish(failed_pages=[FailedPage(doc_id=f"{NAME}/a", page_num=2, reason="timeout")])
    place.load(changed(page_rows(), f"{NAME}/a", 2))
    assert place.rows()[NAME]["state"] == "stale"
    said = place.says("status", NAME)
    assert "state      stale: only pages that failed, or rows that are there twice, differ" in said


def test_at_most_ten_stale_pages_are_named(place: Place) -> None:
    place.load(page_rows())
    place.publish()
    place.load([*page_rows(), *({**other(NAME), "page_num": number} for number in range(10, 35))])
    said = [line for line in place.says("status", NAME) if line.startswith("stale ")]
    assert len(said) == 11
    assert said[-1] == "stale      and 15 more"


def test_a_run_at_work_is_named(place: Place) -> None:
    place.load(page_rows())
    holder = {**this_process(), "machine": "another", "run_id": "r-42", "held": True}
    place.lake.plain_store.write(place.lake.layout.lease, json.dumps(holder).encode())
    assert place.rows()[NAME]["in work"] == "run r-42"
    assert "in work    run r-42" in place.says("status", NAME)


def test_failed_pages_are_told_with_their_reasons(place: Place) -> None:
    place.load(page_rows())
    failed = [FailedPage(doc_id=f"{NAME}/c", page_num=number, reason="timeout") for number in range(12)]
    place.publish(failed_pages=[FailedPage(doc_id=f"{NAME}/a\x1b[2J", page_num=2, reason="oh"), *failed])
    said = place.says("status", NAME)
    assert "failed     13: 12 timeout, 1 oh" in said
    assert f"failed     {NAME}/a\N{SYMBOL FOR ESCAPE}[2J page 2: oh" in said
    assert sum("timeout" in line for line in said) == 10


def test_a_name_that_is_spelt_wrong_is_told_with_the_right_one(place: Place) -> None:
    place.load(page_rows())
    (said,) = place.says("status", "vessels_orc_1", status=1)
    assert said.endswith(f"the warehouse has no pages of vessels_orc_1: there is {NAME}")
    (said,) = place.says("status", "zzz", status=1)
    assert "preannotate datasets" in said


def test_the_last_run_is_told_where_there_is_an_instance(place: Place, tmp_path: Path) -> None:
    @job
    def preannotate() -> None: ...

    place.load(page_rows())
    assert not any(line.startswith("last run") for line in place.says("status", NAME))
    assert not (tmp_path / "home").exists()
    home = tmp_path / "home"
    home.mkdir()
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    with DagsterInstance.from_config(str(home)) as instance:
        preannotate.execute_in_process(instance=instance, tags={"dagster/partition": NAME})
    (said,) = [line for line in place.says("status", NAME) if line.startswith("last run")]
    assert said.startswith("last run   SUCCESS, preannotate of ")


def test_an_empty_warehouse_is_no_empty_answer(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.load([])
    assert main(["datasets"]) == 0
    assert "PREANNOTATION_DATASET_PATTERN" in capsys.readouterr().err
