"""The view of responses in the warehouse."""

from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from shared.reviewed_demo import LAYOUT, ReviewedDemo, add_responses_view, review_demo

from preannotation_assets.contracts import RESPONSES
from preannotation_assets.demo.sample import write_sample_database
from preannotation_assets.errors import WarehouseError
from preannotation_assets.publishing.evaluation.responses import responses_by_page
from preannotation_assets.settings.groups import WarehouseSettings
from preannotation_assets.warehouse import open_warehouse

COLUMNS = (
    f"'{LAYOUT.dataset}/a' AS doc_id, 1 AS page_num, 'h' AS text_sha256, 'ada' AS annotator, "
    "'submitted' AS status"
)
SPANS = "[{'label': 'port', 'start': 1, 'end': 4}] AS spans"


@pytest.fixture
def database(tmp_path: Path) -> Path:
    write_sample_database(tmp_path / "pages.duckdb")
    return tmp_path / "pages.duckdb"


def view(database: Path, selected: str) -> None:
    with duckdb.connect(str(database)) as connection:
        connection.execute(f"CREATE VIEW vw_argilla_responses AS SELECT {selected}")


def read(database: Path, dataset: str = LAYOUT.dataset, condition: str = "") -> list[object]:
    settings = WarehouseSettings(database=str(database), batch_condition=condition)
    with open_warehouse(settings) as source:
        table = source.responses(dataset)
    if table is None:
        return []
    return [each for found in responses_by_page(table, "the view").values() for each in found]


def test_without_the_view_there_is_nothing(database: Path) -> None:
    with open_warehouse(WarehouseSettings(database=str(database))) as source:
        assert source.responses(LAYOUT.dataset) is None


def test_a_view_gives_what_was_written_into_it(database: Path, tmp_path: Path) -> None:
    demo: ReviewedDemo = review_demo(tmp_path / "lake")
    add_responses_view(database, demo.responses)
    with open_warehouse(WarehouseSettings(database=str(database))) as source:
        table = source.responses(LAYOUT.dataset)
        others = source.responses("vessels_ocr_1")
    assert table is not None
    assert others is not None
    assert others.num_rows == 0
    written = pa.Table.from_pylist(demo.responses, schema=RESPONSES)
    found, expected = (responses_by_page(each, "a table") for each in (table, written))
    assert {page: set(given) for page, given in found.items()} == {
        page: set(given) for page, given in expected.items()
    }


def test_a_time_with_a_zone_and_fields_in_another_order_mean_the_same(database: Path) -> None:
    view(database, f"{COLUMNS}, TIMESTAMPTZ '2026-03-01 14:00:00+02' AS submitted_at, {SPANS}")
    (response,) = read(database)
    with duckdb.connect(str(database)) as connection:
        connection.execute("DROP VIEW vw_argilla_responses")
    view(database, f"{COLUMNS}, TIMESTAMP '2026-03-01 12:00:00' AS submitted_at, {SPANS}")
    assert read(database) == [response]
    assert "start=1, end=4, label='port'" in repr(response)


def test_the_batch_condition_says_which_documents_are_of_a_dataset(database: Path) -> None:
    view(database, f"{COLUMNS}, NULL::TIMESTAMP AS submitted_at, {SPANS}")
    assert len(read(database)) == 1
    assert read(database, "vessels_ocr_other") == []
    assert len(read(database, "x", "doc_id LIKE '%/a' AND $dataset = 'x'")) == 1


def test_a_view_whose_name_is_written_in_capitals_is_the_view(database: Path) -> None:
    with duckdb.connect(str(database)) as connection:
        connection.execute(
            f"CREATE VIEW VW_Argilla_Responses AS SELECT {COLUMNS}, NULL::TIMESTAMP AS submitted_at, {SPANS}"
        )
    assert len(read(database)) == 1


@pytest.mark.parametrize("time", ["infinity", "-infinity", "20260-03-01"])
def test_a_time_that_no_calendar_has_is_an_unknown_one(database: Path, time: str) -> None:
    view(database, f"{COLUMNS}, TIMESTAMP '{time}' AS submitted_at, {SPANS}")
    (response,) = read(database)
    assert "submitted_at=None" in repr(response)


def test_a_view_that_lacks_a_column_is_told_in_one_line(database: Path) -> None:
    view(database, f"{COLUMNS}, {SPANS}")
    with pytest.raises(WarehouseError, match="submitted_at") as raised:
        read(database)
    assert "\n" not in str(raised.value)


def test_an_error_in_the_middle_quotes_no_value(database: Path) -> None:
    view(
        database,
        f"{COLUMNS}, TIMESTAMP '2026-03-01 12:00:00' AS submitted_at, "
        "[{'label': 'port', 'start': CASE WHEN range > 2500 THEN 'CONFIDENTIAL'::INTEGER ELSE 0 END, "
        "'end': 4}] AS spans FROM range(3000)",
    )
    with pytest.raises(WarehouseError, match="the responses cannot be read") as raised:
        read(database)
    assert "CONFIDENTIAL" not in str(raised.value)
