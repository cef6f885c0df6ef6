"""Tables of an older or a newer schema as the one that the code knows."""

import pyarrow as pa

from preannotation_assets.errors import DamagedObjectError

__all__ = ["conform"]

# The fields of a struct have names of whoever wrote the file.
_LONGEST_TYPE = 80


def conform(table: pa.Table, schema: pa.Schema, place: str, cure: str = "") -> pa.Table:
    """Return the columns of ``schema``, in its order and types, with its metadata.

    A column that the table lacks is null where the schema allows that; other columns of the table are
    dropped. A column of another type is cast where both are of one kind (as pyarrow unifies types:
    widths of numbers, units of times, large strings and lists, added fields of structs) and no value
    changes by that. ``place`` is where the table comes from, ``cure`` what to do where it does not fit, for
    the errors.

    Raises:
        DamagedObjectError: A column is missing, twice there, null or of another type where it may not be so.
            The error names the column, the types and the place, and no value.
    """
    columns = [_conform_column(table, field, place, cure) for field in schema]
    if not columns:
        return table.select([]).replace_schema_metadata(schema.metadata)
    return pa.Table.from_arrays(columns, schema=schema)


def _conform_column(table: pa.Table, field: pa.Field, place: str, cure: str) -> pa.ChunkedArray:
    found = table.schema.get_all_field_indices(field.name)
    if len(found) > 1:
        raise DamagedObjectError(f"{place} has {len(found)} columns {field.name}", cure)
    if not found and not field.nullable:
        raise DamagedObjectError(f"{place} lacks the column {field.name}, which may not be null", cure)
    if not found:
        return pa.chunked_array([pa.nulls(table.num_rows, field.type)])
    column = table.column(found[0])
    if column.null_count and not field.nullable:
        raise DamagedObjectError(f"{place} has nulls in the column {field.name}, which may not be null", cure)
    return column if column.type.equals(field.type) else _cast(column, field, place, cure)


def _cast(column: pa.ChunkedArray, field: pa.Field, place: str, cure: str) -> pa.ChunkedArray:
    """Cast to a wider type of the same kind, or to a narrower one that holds every value."""
    try:
        common = _common_type(column.type, field.type)
        cast = column.cast(field.type)
        # pyarrow's safe cast still rounds floats and drops fields of structs.
        unchanged = common.equals(field.type) or cast.cast(column.type).equals(column)
    except pa.ArrowException:
        unchanged = False
    if not unchanged:
        # Outside of the except clause, because pyarrow's exception may hold a value.
        found = str(column.type)[:_LONGEST_TYPE]
        raise DamagedObjectError(
            f"{place} has the column {field.name} as {found}, which does not fit {field.type}", cure
        )
    return cast


def _common_type(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    """Return the type that holds both; raises an ArrowException where they are of different kinds."""
    schemas = [pa.schema([("column", each)]) for each in (one, other)]
    return pa.unify_schemas(schemas, promote_options="permissive").field(0).type
