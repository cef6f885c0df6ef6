import pyarrow as pa

from preannotation_assets import contracts

PUBLISHED = [
    ("doc_id", pa.string(), False), ("page_num", pa.int32(), False), ("span_id", pa.string(), False),
    ("label", pa.string(), False), ("start", pa.int32(), False), ("end", pa.int32(), False),
    ("text", pa.string(), False), ("text_sha256", pa.string(), False), ("confidence", pa.float32(), True),
    ("model", pa.string(), False), ("model_version", pa.string(), False),
    ("generated_at", pa.timestamp("us", tz="UTC"), False),
]  # fmt: skip


def test_the_published_columns_are_the_twelve_of_the_contract() -> None:
    assert [(column.name, column.type, column.nullable) for column in contracts.SUGGESTIONS] == PUBLISHED
    assert contracts.SUGGESTIONS_SORT == ("doc_id", "page_num", "start")


def test_every_dataset_keys_its_rows_by_the_same_page() -> None:
    for schema in (contracts.PAGES, contracts.CHUNKS, contracts.RAW_MODEL_OUTPUTS, contracts.GROUNDINGS):
        assert schema.field(0).equals(contracts.SUGGESTIONS.field(0))
        assert schema.field(1).equals(contracts.SUGGESTIONS.field(1))
