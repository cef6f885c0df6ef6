"""The condition of docs/storage.md puts every document of a large batch into exactly one bucket."""

import re
from pathlib import Path

import duckdb

from preannotation_assets.lake.layout import validate_dataset

DOCUMENT = Path(__file__).parents[2] / "docs" / "storage.md"


def documented_condition() -> str:
    """The condition as the shell hands it on from the document."""
    found = re.search(r'PREANNOTATION_BATCH_CONDITION="([^"]+)"', DOCUMENT.read_text("utf-8"))
    assert found is not None
    return re.sub(r"\\([$\\])", r"\1", found[1])


def test_every_document_is_in_exactly_one_bucket_and_other_batches_in_none() -> None:
    connection = duckdb.connect()
    connection.execute(
        "CREATE TABLE pages AS SELECT 'vessels_ocr_7/' || i AS doc_id FROM range(4000) AS numbers(i) "
        "UNION ALL SELECT 'vessels_ocr_70/' || i FROM range(100) AS numbers(i)"
    )
    query = f"SELECT doc_id FROM pages WHERE {documented_condition()}"
    buckets = []
    for index in range(8):
        dataset = validate_dataset(f"vessels_ocr_7-b{index}of8")
        buckets.append([row[0] for row in connection.execute(query, {"dataset": dataset}).fetchall()])
    found = [doc_id for bucket in buckets for doc_id in bucket]
    assert sorted(found) == sorted(f"vessels_ocr_7/{number}" for number in range(4000))
    assert all(400 < len(bucket) < 600 for bucket in buckets)
