"""The JSON schema that an answer must fit, and a check of it against what Ollama makes of schemas.

Ollama turns a schema into a grammar (llama.cpp, ``common/json-schema-to-grammar.cpp``) and leaves out
without a word what the grammar cannot say. The check knows the keywords that are honoured.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, TypeGuard

from preannotation_assets.errors import LabelSchemeError
from preannotation_assets.extraction.answers import SELF_REPORTED_DIGITS
from preannotation_assets.extraction.delimiting import break_control_tokens
from preannotation_assets.extraction.labels import MOST_QUOTE_CHARACTERS

__all__ = [
    "MOST_ITEMS",
    "MOST_QUOTES_IN_A_LIST",
    "build_answer_schema",
    "build_rated_answer_schema",
    "lint_answer_schema",
]

MOST_ITEMS: Final = 800
"""The most objects of an answer."""
MOST_QUOTES_IN_A_LIST: Final = 100
"""The most quotes of one label that may follow one another in one list."""

# Exactly 2000 repetitions are a 400 and more are no limit at all; those of an item are multiplied by the
# rules that it brings with it.
_MOST: Final[Mapping[str, int]] = {"Length": 1_900, "Items": 999}
_DEFINITIONS: Final = "#/$defs/"
# Older converters follow and move these wherever they stand, among the names of properties too.
_TAKEN_NAMES: Final = frozenset({"$ref", "$defs"})
# Keywords that are honoured by the kind of schema they stand in; anything beside them is not.
_KEYWORDS: Final[Mapping[str, frozenset[str]]] = {
    "object": frozenset({"type", "properties", "required", "additionalProperties"}),
    "array": frozenset({"type", "items", "minItems", "maxItems"}),
    "string": frozenset({"type", "minLength", "maxLength"}),
}
# Of an array with fixed positions; `items` beside them would be read in their place.
_POSITIONS_KEYWORDS: Final = frozenset({"type", "prefixItems", "minItems", "maxItems"})


def build_answer_schema(labels: Sequence[str]) -> dict[str, object]:
    """The schema of ``{"spans":[{LABEL:QUOTE}, {LABEL:[QUOTE, QUOTE]}, ...]}``.

    Every object has one key, because Ollama's jinja path puts keys into alphabetical order. The quotes
    are defined once and referred to, so that the grammar holds their bounded repetitions once and not
    once a label.

    Raises:
        LabelSchemeError: a label that the schema cannot express.
    """
    quote = {"$ref": f"{_DEFINITIONS}quote"}
    several = {"type": "array", "minItems": 1, "maxItems": MOST_QUOTES_IN_A_LIST, "items": quote}
    return _build(labels, {"anyOf": [quote, several]})


def build_rated_answer_schema(labels: Sequence[str]) -> dict[str, object]:
    """The schema of ``{"spans":[{LABEL:[QUOTE,DIGIT]}, ...]}``, with a digit from 0 to 9.

    ``prefixItems`` alone is a grammar of exactly that many items (llama.cpp, as above); the bounds say the
    same to everybody else.

    Raises:
        LabelSchemeError: a label that the schema cannot express.
    """
    rated = [{"$ref": f"{_DEFINITIONS}quote"}, {"enum": list(SELF_REPORTED_DIGITS)}]
    return _build(labels, {"type": "array", "prefixItems": rated, "minItems": 2, "maxItems": 2})


def _build(labels: Sequence[str], quotes: dict[str, object]) -> dict[str, object]:
    """The schema in which ``quotes`` is what stands behind a label."""
    _require_names(labels)
    schema: dict[str, object] = {
        "type": "object",
        "properties": {
            "spans": {
                "type": "array",
                "maxItems": MOST_ITEMS,
                "items": {"anyOf": [_one_key(label) for label in labels]},
            }
        },
        "required": ["spans"],
        "additionalProperties": False,
        "$defs": {
            "quote": {"type": "string", "minLength": 1, "maxLength": MOST_QUOTE_CHARACTERS},
            "quotes": quotes,
        },
    }
    problems = lint_answer_schema(schema)
    if problems:
        raise LabelSchemeError(f"the answer schema is not what Ollama honours: {problems[0]}", "report it")
    return schema


def _require_names(labels: Sequence[str]) -> None:
    for number, label in enumerate(labels, start=1):
        if break_control_tokens(label) != label:
            raise LabelSchemeError(
                f"label {number} holds what a model may read as the end of a message",
                "name it without <...> and [...]",
            )
        if label in _TAKEN_NAMES:
            raise LabelSchemeError(
                f"label {number} is called {label}, which JSON schemas use themselves", "give it another name"
            )


def _one_key(label: str) -> dict[str, object]:
    return {
        "type": "object",
        "properties": {label: {"$ref": f"{_DEFINITIONS}quotes"}},
        "required": [label],
        "additionalProperties": False,
    }


def lint_answer_schema(schema: Mapping[str, object]) -> list[str]:
    """What of a schema Ollama would ignore, refuse or reorder; empty where there is nothing.

    Each problem is one line that begins with the place as a JSON pointer; pointers name positions in
    ``properties``, not the properties' names. Asked for are: bounds of at most 1,900 on every string
    and 999 on every array, arrays of fixed positions with exactly as many items, whole numbers only as a
    list of those allowed, objects of exactly one required key and no others, no keyword beside ``anyOf`` or
    ``$ref``, references to ``$defs`` of the root that do not lead back to themselves, and no other
    keyword at all (patterns, formats, bounds of numbers).
    """
    definitions = schema.get("$defs", {})
    if not isinstance(definitions, Mapping):
        return ["#/$defs: not an object of schemas"]
    root = {keyword: value for keyword, value in schema.items() if keyword != "$defs"}
    problems = list(_lint(root, "#", definitions))
    for name, definition in definitions.items():
        problems.extend(_lint(definition, f"{_DEFINITIONS}{name}", definitions))
        if _leads_to(definition, name, definitions, frozenset()):
            problems.append(f"{_DEFINITIONS}{name}: leads back to itself")
    return problems


def _lint(node: object, place: str, definitions: Mapping[str, object]) -> Iterator[str]:
    if not isinstance(node, Mapping):
        yield f"{place}: not a schema"
    elif "$ref" in node:
        yield from _only(node, {"$ref"}, place)
        if _target(node["$ref"]) not in definitions:
            yield f"{place}: a reference to something other than a definition of the root"
    elif "anyOf" in node:
        yield from _only(node, {"anyOf"}, place)
        branches = node["anyOf"]
        if not isinstance(branches, list) or not branches:
            yield f"{place}/anyOf: no alternatives"
            return
        for position, branch in enumerate(branches):
            yield from _lint(branch, f"{place}/anyOf/{position}", definitions)
    elif _is_list_of_numbers(node.get("enum")):
        yield from _only(node, {"enum"}, place)
    elif node.get("type") == "array" and "prefixItems" in node:
        yield from _only(node, _POSITIONS_KEYWORDS, place)
        yield from _lint_positions(node, place, definitions)
    elif (kind := str(node.get("type"))) in _KEYWORDS:
        yield from _only(node, _KEYWORDS[kind], place)
        yield from _lint_typed(node, place, definitions)
    else:
        yield f"{place}: neither an object, an array, a string, numbers, a reference nor alternatives"


def _lint_typed(node: Mapping[str, object], place: str, definitions: Mapping[str, object]) -> Iterator[str]:
    kind = node["type"]
    if kind == "object":
        yield from _lint_object(node, place, definitions)
        return
    yield from _lint_bounds(node, "Items" if kind == "array" else "Length", place)
    if kind == "array":
        yield from _lint(node.get("items"), f"{place}/items", definitions)


def _lint_object(node: Mapping[str, object], place: str, definitions: Mapping[str, object]) -> Iterator[str]:
    properties = node.get("properties")
    if not isinstance(properties, Mapping) or len(properties) != 1:
        yield f"{place}: not exactly one key, and the order of several is not kept"
        return
    if set(properties) & _TAKEN_NAMES:
        yield f"{place}: a key that is read as a keyword"
    if node.get("required") != list(properties):
        yield f"{place}: its key is not required"
    if node.get("additionalProperties") is not False:
        yield f"{place}: other keys are not excluded"
    for position, value in enumerate(properties.values()):
        yield from _lint(value, f"{place}/properties/{position}", definitions)


def _lint_positions(
    node: Mapping[str, object], place: str, definitions: Mapping[str, object]
) -> Iterator[str]:
    positions = node["prefixItems"]
    if not isinstance(positions, list) or not positions:
        yield f"{place}/prefixItems: no positions"
        return
    if not node.get("minItems") == node.get("maxItems") == len(positions):
        yield f"{place}: minItems and maxItems are not the number of positions"
    for number, position in enumerate(positions):
        yield from _lint(position, f"{place}/prefixItems/{number}", definitions)


def _lint_bounds(node: Mapping[str, object], unit: str, place: str) -> Iterator[str]:
    least, most = node.get(f"min{unit}", 0), node.get(f"max{unit}")
    if not _is_count(most) or not _is_count(least):
        yield f"{place}: no whole number as max{unit} or min{unit}"
    elif not least <= most <= _MOST[unit] or not most:
        yield f"{place}: max{unit} is not between min{unit}, 1 and {_MOST[unit]}"


def _is_count(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_list_of_numbers(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(_is_count(number) for number in value)


def _only(node: Mapping[str, object], honoured: Iterable[str], place: str) -> Iterator[str]:
    for keyword in sorted(set(node) - set(honoured)):
        yield f"{place}: {keyword} is not honoured here"


def _target(reference: object) -> str | None:
    if not isinstance(reference, str) or not reference.startswith(_DEFINITIONS):
        return None
    return reference.removeprefix(_DEFINITIONS)


def _leads_to(node: object, name: str, definitions: Mapping[str, object], passed: frozenset[str]) -> bool:
    """Whether following the references below ``node`` comes to the definition ``name``."""
    if isinstance(node, Mapping):
        target = _target(node.get("$ref"))
        if target is not None and target not in passed:
            return target == name or _leads_to(definitions.get(target), name, definitions, passed | {target})
        return any(_leads_to(value, name, definitions, passed) for value in node.values())
    if isinstance(node, Sequence) and not isinstance(node, str):
        return any(_leads_to(value, name, definitions, passed) for value in node)
    return False
