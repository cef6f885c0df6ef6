"""The file of doc_ids: what is read, and what is said of ids that the warehouse does not have."""

from pathlib import Path

import pytest
from shared.published_dataset import page_rows
from shared.warehouse_file import write_warehouse

from preannotation_assets.cli import dataset_run
from preannotation_assets.cli.dataset_run import DatasetRun
from preannotation_assets.cli.doc_ids import read_doc_ids
from preannotation_assets.defs.resources.warehouse import WarehouseResource
from preannotation_assets.errors import BatchError
from preannotation_assets.overview.unknown import missing_words

GOOD = "vessels_ocr_1/a"


def require(folder: Path, content: str) -> None:
    """What a run does before it starts, with a file of doc_ids."""
    database, file = folder / "pages.duckdb", folder / "ids.txt"
    write_warehouse(database, page_rows())
    file.write_text(content)
    request = DatasetRun("vessels_ocr_1", read_doc_ids(file))
    dataset_run._require_pages(WarehouseResource(database=str(database)), request)


@pytest.mark.parametrize(
    ("content", "named", "hint"),
    [
        (f"{GOOD} \n", f"<{GOOD} >", "blanks before or behind"),
        (f'"{GOOD}"\n', f'<"{GOOD}">', "quotation marks"),
        (f"doc_id\n{GOOD}x\n", "<doc_id>, <", "header of a CSV file"),
        (f"{GOOD},1\n", f"<{GOOD},1>", "several columns"),
    ],
)
def test_ids_that_are_not_there_refuse_the_run_with_a_hint(
    tmp_path: Path, content: str, named: str, hint: str
) -> None:
    with pytest.raises(BatchError) as raised:
        require(tmp_path, content)
    said = str(raised.value)
    assert "doc_ids are not in vessels_ocr_1" in said
    assert named in said
    assert hint in said


def test_of_ids_that_are_not_there_the_first_ten_are_named() -> None:
    said = missing_words([f"no_{number}" for number in range(12)])
    assert said.startswith("<no_0>, ")
    assert said.endswith("<no_9> and 2 more")


def test_where_some_are_there_the_run_itself_says_which_are_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    require(tmp_path, f"\ufeff{GOOD}\r\n\r\nno such\n")
    assert capsys.readouterr().err == ""
