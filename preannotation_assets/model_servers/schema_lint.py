"""What the grammars of model servers make of an answer schema. Pure.

Servers turn a schema into a grammar and leave out without a word what the grammar cannot say. The narrowest
is llama.cpp's (``common/json-schema-to-grammar.cpp``), which Ollama and llama-server have; what it honours,
xgrammar and llguidance (vLLM, SGLang) honour too, but for the length of strings. The check knows the
keywords that are honoured.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, TypeGuard

from preannotation_assets.extraction.answer_schema import TAKEN_NAMES

__all__ = ["lint_answer_schema"]

_DEFINITIONS: Final = "#/$defs/"
# Exactly 2000 repetitions are a 400 and more are no limit at all; those of an item are multiplied by the
# rules that it brings with it.
_MOST: Final[Mapping[str, int]] = {"Length": 1_900, "Items": 999}
# Keywords that are honoured by the kind of schema they stand in; anything beside them is not.
_KEYWORDS: Final[Mapping[str, frozenset[str]]] = {
    "object": frozenset({"type", "properties", "required", "additionalProperties"}),
    "array": frozenset({"type", "items", "minItems", "maxItems"}),
    "string": frozenset({"type", "minLength", "maxLength"}),
}
# Of an array with fixed positions; `items` beside them would be read in their place.
_POSITIONS_KEYWORDS: Final = frozenset({"type", "prefixItems", "minItems", "maxItems"})


def lint_answer_schema(schema: Mapping[str, object]) -> list[str]:
    """What of a schema a grammar would ignore, refuse or reorder; empty where there is nothing.

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
    if set(properties) & TAKEN_NAMES:
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
