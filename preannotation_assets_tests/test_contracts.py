import re

import pyarrow as pa
import pytest
from dagster import AssetsDefinition, TableSchema

from preannotation_assets import contracts
from preannotation_assets.defs.assets.chunks import chunks
from preannotation_assets.defs.assets.pages import pages
from preannotation_assets.defs.assets.raw_model_outputs.asset import raw_model_outputs
from preannotation_assets.defs.assets.suggestions.asset import suggestions

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


SCHEMAS = {name: value for name, value in vars(contracts).items() if isinstance(value, pa.Schema)}


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_column_is_described_in_one_line(name: str) -> None:
    descriptions = contracts.column_descriptions(SCHEMAS[name])
    assert list(descriptions) == SCHEMAS[name].names
    for column, description in descriptions.items():
        assert re.fullmatch(r"\S.{5,98}[a-z0-9\]]\.", description), f"{name}.{column}: {description!r}"


def test_no_description_is_of_a_column_that_is_gone() -> None:
    columns = {column for schema in SCHEMAS.values() for column in schema.names}
    assert set(contracts._DESCRIPTIONS) == columns
    for schema, own in contracts._OWN_DESCRIPTIONS.items():
        assert set(own) <= set(schema.names)


def test_a_text_is_described_by_what_it_is_a_text_of() -> None:
    texts = {
        contracts.column_descriptions(SCHEMAS[name])["text"] for name in ("PAGES", "CHUNKS", "SUGGESTIONS")
    }
    assert len(texts) == 3


@pytest.mark.parametrize("asset", [pages, chunks, raw_model_outputs, suggestions])
def test_the_interface_shows_the_descriptions(asset: AssetsDefinition) -> None:
    shown = asset.metadata_by_key[asset.key]["dagster/column_schema"]
    assert isinstance(shown, TableSchema)
    assert all(column.description for column in shown.columns)
