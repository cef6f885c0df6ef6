"""Tables of other schemas: what is filled, what is cast, and what is refused."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from preannotation_assets.errors import StorageError
from preannotation_assets.lake import conform

MOMENT = datetime(2026, 3, 1, 12, 30, 15, 250_000, UTC)
PIECE = pa.struct([("start", pa.int32()), ("end", pa.int32())])
WIDER_PIECE = pa.struct([("start", pa.int64()), ("end", pa.int32()), ("key", pa.string())])

SAFE: list[tuple[pa.DataType, pa.DataType, list[Any]]] = [
    (pa.int32(), pa.int64(), [1, None, -(2**31)]),
    (pa.int64(), pa.int32(), [1, None, 2**31 - 1]),
    (pa.int32(), pa.float64(), [1, None]),
    (pa.float32(), pa.float64(), [0.5, None]),
    (pa.float64(), pa.float32(), [0.5, None]),
    (pa.string(), pa.large_string(), ["Elbe", None, ""]),
    (pa.large_string(), pa.string(), ["Elbe", None]),
    (pa.timestamp("us", "UTC"), pa.timestamp("ns", "UTC"), [MOMENT, None]),
    (pa.timestamp("us", "UTC"), pa.timestamp("ms", "UTC"), [MOMENT, None]),
    (pa.null(), pa.string(), [None, None]),
    (pa.decimal128(5, 2), pa.decimal128(9, 2), [Decimal("1.25"), None]),
    (pa.list_(pa.int32()), pa.large_list(pa.int64()), [[1, None], None, []]),
]
UNSAFE: list[tuple[pa.DataType, pa.DataType, list[Any]]] = [
    (pa.int64(), pa.int32(), [2**31]),
    (pa.int64(), pa.float64(), [2**53 + 1]),
    (pa.float64(), pa.float32(), [0.1]),
    (pa.float64(), pa.int32(), [1.5]),
    (pa.string(), pa.int32(), ["1"]),
    (pa.int32(), pa.string(), [1]),
    (pa.bool_(), pa.int32(), [True]),
    (pa.string(), pa.bool_(), ["true"]),
    (pa.timestamp("us", "UTC"), pa.timestamp("s", "UTC"), [MOMENT]),
    (pa.timestamp("us"), pa.timestamp("us", "UTC"), [datetime(2026, 3, 1)]),  # noqa: DTZ001
    (pa.string(), pa.list_(pa.string()), ["x"]),
    (WIDER_PIECE, PIECE, [{"start": 1, "end": 2, "key": "kept"}]),
]


def _one(values: list[Any], kind: pa.DataType) -> pa.Table:
    return pa.table({"column": pa.array(values, kind)})


@pytest.mark.parametrize(("found", "wanted", "values"), SAFE, ids=str)
def test_what_changes_no_value_is_cast(found: pa.DataType, wanted: pa.DataType, values: list[Any]) -> None:
    result = conform(_one(values, found), pa.schema([("column", wanted)]), "place")
    assert result.schema.field("column").type == wanted
    assert result["column"].to_pylist() == values


@pytest.mark.parametrize(("found", "wanted", "values"), UNSAFE, ids=str)
def test_what_would_change_a_value_or_its_kind_is_refused(
    found: pa.DataType, wanted: pa.DataType, values: list[Any]
) -> None:
    with pytest.raises(StorageError) as caught:
        conform(_one(values, found), pa.schema([("column", wanted)]), "s3://lake/k")
    assert str(caught.value) == f"s3://lake/k has the column column as {found}, which does not fit {wanted}"
    assert caught.value.__cause__ is caught.value.__context__ is None


def test_fields_added_to_a_struct_are_null() -> None:
    table = _one([[{"start": 1, "end": 2}], None], pa.list_(PIECE))
    result = conform(table, pa.schema([("column", pa.list_(WIDER_PIECE))]), "place")
    assert result["column"].to_pylist() == [[{"start": 1, "end": 2, "key": None}], None]


def test_missing_columns_are_null_and_unknown_ones_are_dropped() -> None:
    table = pa.table({"unknown": ["x", "y"], "b": [1, 2]})
    schema = pa.schema([pa.field("a", pa.string()), pa.field("b", pa.int64(), nullable=False)], {"k": "v"})
    result = conform(table, schema, "place")
    assert result.schema.equals(schema, check_metadata=True)
    assert result.to_pydict() == {"a": [None, None], "b": [1, 2]}
    nothing_known = conform(table.select(["unknown"]), schema.remove(1), "place")
    assert nothing_known.to_pydict() == {"a": [None, None]}
    assert conform(table, pa.schema([]), "place").num_columns == 0


def test_what_may_not_be_null_is_named() -> None:
    schema = pa.schema([pa.field("a", pa.string(), nullable=False)])
    with pytest.raises(StorageError, match="place lacks the column a, which may not be null"):
        conform(pa.table({"b": [1]}), schema, "place")
    with pytest.raises(StorageError, match="place has nulls in the column a"):
        conform(pa.table({"a": ["x", None]}), schema, "place")
    twice = pa.Table.from_arrays([pa.array(["x"]), pa.array(["y"])], names=["a", "a"])
    with pytest.raises(StorageError, match="place has 2 columns a"):
        conform(twice, schema, "place")


_NAMES = st.sampled_from("abcd")
# Every type holds the values, so each column can become each.
_TYPES = st.sampled_from([pa.int8(), pa.int32(), pa.int64(), pa.float32(), pa.float64()])
_SCHEMAS = st.dictionaries(_NAMES, _TYPES).map(lambda fields: pa.schema(list(fields.items())))
_VALUES = st.lists(st.none() | st.integers(-128, 127), max_size=5)


@given(found=_SCHEMAS, wanted=_SCHEMAS, values=_VALUES)
def test_the_result_has_the_schema_and_the_values_of_the_table(
    found: pa.Schema, wanted: pa.Schema, values: list[int | None]
) -> None:
    columns = [pa.array(values, field.type) for field in found]
    table = pa.Table.from_arrays(columns, schema=found)
    result = conform(table, wanted, "place")
    assert result.schema.equals(wanted)
    for name in wanted.names:
        assert result[name].to_pylist() == (values if name in found.names else [None] * table.num_rows)
    assert conform(result, wanted, "place").equals(result)


@given(values=st.lists(st.none() | st.integers(-(2**63), 2**63 - 1), max_size=3), to=_TYPES)
def test_a_cast_keeps_every_value_or_is_refused(values: list[int | None], to: pa.DataType) -> None:
    try:
        result = conform(_one(values, pa.int64()), pa.schema([("column", to)]), "place")
    except StorageError:
        # Refused only for a reason: some value has no exact form in the type.
        assert not all(value is None or abs(value) <= 127 for value in values)
    else:
        assert result["column"].to_pylist() == values
