"""Reading JSON schemas: checking them as Ollama's runner does, following references, bare values.

Honoured: type, enum, const, properties, required, additionalProperties, items, prefixItems,
minItems/maxItems, minLength/maxLength, minimum/maximum, simple anchored patterns, anyOf/oneOf/allOf
and local ``$ref``. Refused with 400: unknown types, references that lead nowhere, other patterns, a
maxLength of exactly 2000. Everything else is ignored.
"""

import math
from collections.abc import Iterator, Mapping

from preannotation_assets.simulator.patterns import check_pattern, shortest_match
from preannotation_assets.simulator.refusals import schema_refused
from preannotation_assets.simulator.values import JsonObject, JsonValue

__all__ = [
    "SchemaNode",
    "bare_string",
    "branches_of",
    "check_schema",
    "length_limits",
    "nearest_number",
    "required_of",
    "resolve",
    "type_of",
    "types_of",
]

SchemaNode = JsonObject
"""A schema object with references followed and allOf merged."""

_TYPES = frozenset({"object", "array", "string", "integer", "number", "boolean", "null"})
_NODE_KEYWORDS = ("items", "additionalProperties")
_NODE_LIST_KEYWORDS = ("anyOf", "oneOf", "allOf", "prefixItems")
_NODE_MAP_KEYWORDS = ("properties", "$defs", "definitions")
_REFUSED_LENGTH = 2_000
_REFERENCE_LIMIT = 32
_FORMATS = {
    "date": "2000-01-01",
    "time": "00:00:00Z",
    "date-time": "2000-01-01T00:00:00Z",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


def check_schema(schema: JsonObject) -> None:
    """Raise ``RefusedError`` (400) where the runner would make no grammar of the schema."""
    for node in _nodes(schema):
        _check_node(node, schema)


def _nodes(node: JsonValue) -> Iterator[JsonObject]:
    if node is False:
        raise schema_refused("schema 'false' matches nothing")
    if node is True:
        return
    if not isinstance(node, dict):
        raise schema_refused("a schema is neither an object nor a boolean")
    yield node
    for keyword in _NODE_KEYWORDS:
        value = node.get(keyword)
        if isinstance(value, dict):
            yield from _nodes(value)
        elif not isinstance(value, bool | None):
            raise schema_refused(f"'{keyword}' is not a schema")
    for keyword in _NODE_LIST_KEYWORDS:
        children = node.get(keyword, [])
        if not isinstance(children, list) or (keyword in node and not children):
            raise schema_refused(f"'{keyword}' is not a list of schemas")
        for child in children:
            yield from _nodes(child)
    for keyword in _NODE_MAP_KEYWORDS:
        named = node.get(keyword, {})
        if not isinstance(named, dict):
            raise schema_refused(f"'{keyword}' is not an object of schemas")
        for child in named.values():
            yield from _nodes(child)


def _check_node(node: JsonObject, root: JsonObject) -> None:
    if not set(types_of(node)) <= _TYPES:
        raise schema_refused("unrecognized schema type")
    if "$ref" in node:
        _follow(node["$ref"], root)
    if node.get("maxLength") == _REFUSED_LENGTH:
        raise schema_refused("number of repetitions exceeds sane defaults")
    pattern = node.get("pattern")
    if pattern is not None:
        if not isinstance(pattern, str):
            raise schema_refused("pattern is not a string")
        check_pattern(pattern)
    options = node.get("enum")
    if options is not None and (not isinstance(options, list) or not options):
        raise schema_refused("enum is not a list of values")
    names = node.get("required", [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise schema_refused("required is not a list of names")


def _follow(reference: JsonValue, root: JsonObject) -> JsonValue:
    if not isinstance(reference, str) or not reference.startswith("#"):
        raise schema_refused("only local references are supported")
    target: JsonValue = root
    for part in reference.removeprefix("#").split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(target, dict) and name in target:
            target = target[name]
        elif isinstance(target, list) and name.isdecimal() and int(name) < len(target):
            target = target[int(name)]
        else:
            raise schema_refused("reference leads nowhere")
    if not isinstance(target, dict | bool):
        raise schema_refused("reference leads to no schema")
    return target


def resolve(node: JsonValue, root: JsonObject) -> SchemaNode:
    """A schema with its reference followed and its allOf merged; ``true`` is ``{}``.

    Raises ``RefusedError`` (400) where references go round in a circle.
    """
    return _resolve(node, root, 0)


def _resolve(node: JsonValue, root: JsonObject, followed: int) -> SchemaNode:
    if followed > _REFERENCE_LIMIT:
        raise schema_refused("references go round in a circle")
    if not isinstance(node, dict):
        return {}
    if "$ref" in node:
        rest = {name: value for name, value in node.items() if name != "$ref"}
        return _merge(_resolve(_follow(node["$ref"], root), root, followed + 1), rest)
    parts = node.get("allOf")
    if isinstance(parts, list):
        merged: SchemaNode = {name: value for name, value in node.items() if name != "allOf"}
        for part in parts:
            merged = _merge(merged, _resolve(part, root, followed + 1))
        return merged
    return node


def _merge(left: SchemaNode, right: SchemaNode) -> SchemaNode:
    merged = {**left, **right}
    ours, theirs = left.get("properties"), right.get("properties")
    if isinstance(ours, dict) and isinstance(theirs, dict):
        merged["properties"] = {**ours, **theirs}
    if "required" in left and "required" in right:
        merged["required"] = list(dict.fromkeys([*required_of(left), *required_of(right)]))
    return merged


def types_of(node: SchemaNode) -> list[str]:
    """The types a schema names; none where it does not say."""
    value = node.get("type")
    if value is None:
        return []
    return [str(name) for name in value] if isinstance(value, list) else [str(value)]


def type_of(node: SchemaNode) -> str | None:
    """The type to answer with: the first named one that is not null, or what the keywords imply."""
    types = types_of(node)
    if types:
        return next((name for name in types if name != "null"), "null")
    implied = {
        "properties": "object", "required": "object", "additionalProperties": "object",
        "items": "array", "prefixItems": "array", "minItems": "array", "maxItems": "array",
        "pattern": "string", "minLength": "string", "maxLength": "string", "format": "string",
        "minimum": "number", "maximum": "number",
    }  # fmt: skip
    return next((name for keyword, name in implied.items() if keyword in node), None)


def branches_of(node: SchemaNode, root: JsonObject) -> list[SchemaNode]:
    """The alternatives of anyOf or oneOf, each with what stands beside them; none without."""
    for keyword in ("anyOf", "oneOf"):
        alternatives = node.get(keyword)
        if isinstance(alternatives, list):
            beside = {name: value for name, value in node.items() if name != keyword}
            return [_merge(beside, resolve(alternative, root)) for alternative in alternatives]
    return []


def required_of(node: SchemaNode) -> list[str]:
    """The names of required properties."""
    names = node.get("required")
    return [str(name) for name in names] if isinstance(names, list) else []


def length_limits(node: Mapping[str, JsonValue], unit: str) -> tuple[int, float]:
    """The least and most ``Length`` or ``Items`` (the ``unit``); infinity without a maximum."""
    least, most = node.get(f"min{unit}"), node.get(f"max{unit}")
    return (
        int(least) if isinstance(least, int | float) else 0,
        most if isinstance(most, int | float) else math.inf,
    )


def nearest_number(node: SchemaNode, wanted: float) -> int | float:
    """The number a schema allows that is nearest to ``wanted``; whole for integers."""
    low, high = _bound(node, "inimum", -math.inf, 1), _bound(node, "aximum", math.inf, -1)
    step = node.get("multipleOf", 1 if type_of(node) == "integer" else 0)
    value = min(max(wanted, low), high)
    if isinstance(step, int | float) and step > 0 and not math.isinf(value):
        value = (
            math.floor(value / step) * step
            if value > wanted or low <= math.floor(value / step) * step
            else math.ceil(value / step) * step
        )
        value = value if value >= low else value + step
    return int(value) if float(value).is_integer() else value


def _bound(node: SchemaNode, stem: str, default: float, inwards: int) -> float:
    kind = "m" + stem
    exclusive = node.get("exclusiveM" + stem)
    value = node.get(kind)
    bounds = [float(value)] if isinstance(value, int | float) and not isinstance(value, bool) else []
    if isinstance(exclusive, int | float) and not isinstance(exclusive, bool):
        step = 1.0 if type_of(node) == "integer" else max(abs(exclusive), 1.0) * 1e-6
        bounds.append(float(exclusive) + inwards * step)
    return (max if inwards > 0 else min)([default, *bounds])


def bare_string(node: SchemaNode) -> str:
    """A short string that a schema for strings allows."""
    pattern = node.get("pattern")
    if isinstance(pattern, str):
        return shortest_match(pattern)
    text = _FORMATS.get(str(node.get("format")), "")
    least, most = length_limits(node, "Length")
    return text if text and least <= len(text) <= most else "x" * least
