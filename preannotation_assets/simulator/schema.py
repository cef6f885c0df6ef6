"""Filling any JSON schema with answers: the schema decides the shape.

Shapes that carry answers: arrays of objects with one labelled property, arrays of objects with a
label and a text, objects that hold quotes under the names of labels, and nestings of these. A quote may
stand in an array of fixed positions, where a position for listed numbers gets the answer's digit. What no
answer fits gets the least value that is valid.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TypeAlias

from preannotation_assets.simulator.habits import Answer
from preannotation_assets.simulator.labels import best_label, kinds_of_label
from preannotation_assets.simulator.patterns import matches_pattern
from preannotation_assets.simulator.refusals import schema_refused
from preannotation_assets.simulator.schema_nodes import (
    SchemaNode,
    bare_string,
    branches_of,
    check_schema,
    length_limits,
    nearest_number,
    required_of,
    resolve,
    type_of,
    types_of,
)
from preannotation_assets.simulator.values import JsonObject, JsonValue

__all__ = ["Filled", "QuotedText", "fill_schema", "plain_value"]


@dataclass(frozen=True, slots=True)
class QuotedText:
    """A string (or a number read from one) that came from an answer of that ``quality``.

    ``is_bounded`` says whether the schema limits its length, which some grammars treat in their own way.
    """

    value: str | int | float
    quality: float
    is_bounded: bool = False


Filled: TypeAlias = JsonValue | QuotedText | list["Filled"] | dict[str, "Filled"]
"""A JSON value in which quotes are ``QuotedText``."""

_DEPTH_LIMIT = 24
_ANSWER_DEPTH_LIMIT = 6
_SIMPLEST_TYPES = ("null", "boolean", "integer", "number", "string", None, "array", "object")
_ANY_QUOTES: JsonObject = {"type": "array", "items": {"type": "string"}}
_LABEL_NAMES = ("label", "type", "category", "kind", "entity_type", "tag", "class", "field")
_TEXT_NAMES = ("text", "quote", "value", "span", "mention", "entity", "name", "content", "surface")


def fill_schema(schema: JsonObject, answers: Sequence[Answer]) -> Filled:
    """A value that is valid against ``schema`` and carries as many of ``answers`` as it has room for.

    Answers stay in their order. Raises ``RefusedError`` (400) for a schema that Ollama's runner
    refuses, or one that only endless values satisfy.
    """
    check_schema(schema)
    return _Filler(schema).fill(schema, answers, 0)


def plain_value(filled: Filled) -> JsonValue:
    """The JSON value without the marks of quotes."""
    if isinstance(filled, QuotedText):
        return filled.value
    if isinstance(filled, list):
        return [plain_value(item) for item in filled]
    if isinstance(filled, dict):
        return {name: plain_value(value) for name, value in filled.items()}
    return filled


def _quotes(filled: Filled) -> int:
    if isinstance(filled, list):
        return sum(map(_quotes, filled))
    if isinstance(filled, dict):
        return sum(map(_quotes, filled.values()))
    return int(isinstance(filled, QuotedText))


class _Filler:
    """Walks one schema; keeps only its root, to follow references."""

    def __init__(self, root: JsonObject) -> None:
        """Fill parts of ``root``."""
        self._root = root

    def fill(self, schema: JsonValue, answers: Sequence[Answer], depth: int) -> Filled:
        """A valid value, with answers wherever a label or a label-and-text item is."""
        if depth > _DEPTH_LIMIT:
            raise schema_refused("only an endless value satisfies the schema")
        node = resolve(schema, self._root)
        fixed = _fixed_values(node)
        if fixed is not None:
            return fixed[0]
        branches = branches_of(node, self._root)
        if branches:
            return self._fill_branch(branches, answers, depth)
        if not answers and "null" in types_of(node):
            return None
        kind = type_of(node)
        if kind == "object":
            return self._fill_object(node, answers, depth)
        if kind == "array":
            return self._fill_array(node, answers, depth)
        return self._bare(node, kind)

    def _bare(self, node: SchemaNode, kind: str | None) -> Filled:
        if kind in {"integer", "number"}:
            return nearest_number(node, 0)
        if kind == "boolean":
            return False
        if kind == "null":
            return None
        return bare_string(node)

    def _fill_branch(self, branches: Sequence[SchemaNode], answers: Sequence[Answer], depth: int) -> Filled:
        if not answers or depth > _ANSWER_DEPTH_LIMIT:
            return self.fill(min(branches, key=_simplicity), (), depth + 1)
        filled = [self.fill(branch, answers, depth + 1) for branch in branches]
        return max(filled, key=_quotes)

    def _fill_object(self, node: SchemaNode, answers: Sequence[Answer], depth: int) -> dict[str, Filled]:
        properties = _properties(node)
        required = required_of(node)
        labels = [name for name in properties if kinds_of_label(name)]
        target = {answer.kind: best_label(labels, answer.kind) for answer in answers}
        rest = [answer for answer in answers if target[answer.kind] is None]
        filled: dict[str, Filled] = {}
        for name, schema in properties.items():
            held: Filled = None
            if name in labels:
                held = self._hold_all(schema, [each for each in answers if target[each.kind] == name], depth)
            elif rest and depth <= _ANSWER_DEPTH_LIMIT:
                held = self.fill(schema, rest, depth + 1)
                held = held if _quotes(held) else None
            if held is None and name in required:
                held = self.fill(schema, (), depth + 1)
                filled[name] = held
            elif held is not None:
                filled[name] = held
        for name in required:
            if name not in properties:
                filled[name] = self.fill(node.get("additionalProperties", True), (), depth + 1)
        if not properties:
            filled.update(self._fill_map(node.get("additionalProperties"), answers, depth))
        return filled

    def _fill_map(self, schema: JsonValue, answers: Sequence[Answer], depth: int) -> dict[str, Filled]:
        if schema is False:
            return {}
        values = schema if isinstance(schema, dict) else _ANY_QUOTES
        filled: dict[str, Filled] = {}
        for kind in dict.fromkeys(answer.kind for answer in answers):
            held = self._hold_all(values, [answer for answer in answers if answer.kind is kind], depth)
            if held is not None:
                filled[kind.value] = held
        return filled

    def _fill_array(self, node: SchemaNode, answers: Sequence[Answer], depth: int) -> list[Filled]:
        first = node.get("prefixItems")
        filled = [self.fill(schema, (), depth + 1) for schema in first] if isinstance(first, list) else []
        if node.get("items", True) is False:
            return filled
        return self._sized([*filled, *self._placed(node.get("items", True), answers, depth)], node, depth)

    def _placed(self, items: JsonValue, answers: Sequence[Answer], depth: int) -> list[Filled]:
        labels = _labels_in(items, self._root, 0)
        target = {answer.kind: best_label(labels, answer.kind) for answer in answers}
        placed: list[Filled] = []
        for label, run in groupby(answers, key=lambda answer: target[answer.kind]):
            placed.extend(self._place_run(items, list(run), label, depth + 1))
        if placed or not answers:
            return placed
        whole = self.fill(items, answers, depth + 1)
        return [whole] if _quotes(whole) else []

    def _place_run(
        self, schema: JsonValue, run: Sequence[Answer], label: str | None, depth: int
    ) -> list[Filled]:
        """One item with a list of all quotes of ``run`` where the label may hold one, else an item each."""
        listed = self._place_list(schema, run, label, depth) if label and len(run) > 1 else None
        if listed is not None:
            return [listed]
        items = (self._place(schema, answer, label, depth) for answer in run)
        return [item for item in items if item is not None]

    def _place_list(self, schema: JsonValue, run: Sequence[Answer], label: str, depth: int) -> Filled:
        node = resolve(schema, self._root)
        for branch in branches_of(node, self._root) if depth <= _DEPTH_LIMIT else ():
            value = self._place_list(branch, run, label, depth + 1)
            if value is not None:
                return value
        properties = _properties(node)
        held = self._hold_all(properties[label], run, depth) if list(properties) == [label] else None
        return {label: held} if _quotes(held) == len(run) else None

    def _place(self, schema: JsonValue, answer: Answer, label: str | None, depth: int) -> Filled:
        """An item of an array that carries one answer, or None."""
        if depth > _DEPTH_LIMIT:
            return None
        node = resolve(schema, self._root)
        for branch in branches_of(node, self._root):
            value = self._place(branch, answer, label, depth + 1)
            if value is not None:
                return value
        properties = _properties(node)
        if label in properties:
            return self._complete(node, {label: self._hold(properties[label], answer, depth + 1)}, depth)
        return self._place_labelled(node, answer, label, depth)

    def _place_labelled(self, node: SchemaNode, answer: Answer, label: str | None, depth: int) -> Filled:
        properties = _properties(node)
        for name, schema in properties.items():
            written = self._written_label(name, schema, answer, label)
            if written is None:
                continue
            others = sorted((other for other in properties if other != name), key=_text_rank)
            for other in others:
                held = self._hold(properties[other], answer, depth + 1)
                if isinstance(held, QuotedText) and isinstance(held.value, str):
                    return self._complete(node, {name: written, other: held}, depth)
        return None

    def _written_label(self, name: str, schema: JsonValue, answer: Answer, label: str | None) -> str | None:
        node = resolve(schema, self._root)
        allowed = _allowed_strings(node, self._root)
        if allowed:
            return label if label in allowed else None
        is_free = type_of(node) == "string" and name.lower() in _LABEL_NAMES and "pattern" not in node
        return answer.kind.value if is_free else None

    def _complete(self, node: SchemaNode, chosen: dict[str, Filled], depth: int) -> Filled:
        """An object with the values chosen and all other required ones, in the schema's order."""
        if any(value is None for value in chosen.values()):
            return None
        properties = _properties(node)
        names = [name for name in properties if name in chosen or name in required_of(node)]
        return {
            name: chosen[name] if name in chosen else self.fill(properties[name], (), depth + 1)
            for name in names
        }

    def _hold_all(self, schema: JsonValue, answers: Sequence[Answer], depth: int) -> Filled:
        """Under a label's name: all quotes where it is an array, else the first that fits, or None."""
        node = resolve(schema, self._root)
        branches = branches_of(node, self._root)
        if branches:
            return max((self._hold_all(branch, answers, depth + 1) for branch in branches), key=_quotes)
        if type_of(node) != "array" or _positions(node):
            singly = (self._hold(node, answer, depth) for answer in answers)
            return next((quote for quote in singly if quote is not None), None)
        held_quotes = (self._hold(node.get("items", True), answer, depth + 1) for answer in answers)
        return self._sized([quote for quote in held_quotes if quote is not None], node, depth)

    def _sized(self, values: list[Filled], node: SchemaNode, depth: int) -> list[Filled]:
        """``values`` without repeats if they must be unique, and as many as the array may and must have."""
        least, most = length_limits(node, "Items")
        items = node.get("items", True)
        sized = _unique(values) if node.get("uniqueItems") is True else list(values)
        sized.extend(self.fill(items, (), depth + 1) for _ in range(least - len(sized)))
        return sized[: int(most)] if len(sized) > most else sized

    def _hold(self, schema: JsonValue, answer: Answer, depth: int) -> Filled:
        """A value that carries the text of one answer, or None."""
        if depth > _DEPTH_LIMIT:
            return None
        node = resolve(schema, self._root)
        branches = branches_of(node, self._root)
        if branches:
            held_by = (self._hold(branch, answer, depth + 1) for branch in branches)
            return next((held for held in held_by if held is not None), None)
        fixed = _fixed_values(node)
        if fixed is not None:
            return QuotedText(answer.text, answer.quality) if answer.text in fixed else None
        holders: dict[str | None, Callable[[SchemaNode, Answer, int], Filled]] = {
            "array": self._hold_in_array,
            "object": self._hold_in_object,
            "integer": _held_number,
            "number": _held_number,
            "string": _held_string,
            None: _held_string,
        }
        hold = holders.get(type_of(node))
        return hold(node, answer, depth) if hold else None

    def _hold_in_array(self, node: SchemaNode, answer: Answer, depth: int) -> Filled:
        positions = _positions(node)
        if positions:
            return self._hold_in_positions(positions, node, answer, depth)
        held = self._hold(node.get("items", True), answer, depth + 1)
        least, most = length_limits(node, "Items")
        if held is None or not least <= 1 <= most:
            return None
        only: list[Filled] = [held]
        return only

    def _hold_in_positions(
        self, positions: list[JsonValue], node: SchemaNode, answer: Answer, depth: int
    ) -> Filled:
        """The text at the first position that takes it; at the others digits, or the least there is."""
        held = [self._hold(position, answer, depth + 1) for position in positions]
        place = next((number for number, value in enumerate(held) if value is not None), None)
        least, most = length_limits(node, "Items")
        if place is None or not least <= len(positions) <= most:
            return None
        beside: list[Filled] = [
            held[place] if number == place else self._beside(position, answer, depth + 1)
            for number, position in enumerate(positions)
        ]
        return beside

    def _beside(self, schema: JsonValue, answer: Answer, depth: int) -> Filled:
        fixed = _fixed_values(resolve(schema, self._root)) or []
        numbers = [value for value in fixed if isinstance(value, int) and not isinstance(value, bool)]
        if numbers:
            return min(numbers, key=lambda number: abs(number - answer.digit))
        return self.fill(schema, (), depth)

    def _hold_in_object(self, node: SchemaNode, answer: Answer, depth: int) -> Filled:
        properties = _properties(node)
        for name in sorted(properties, key=_text_rank):
            held = self._hold(properties[name], answer, depth + 1)
            if held is not None:
                return self._complete(node, {name: held}, depth)
        return None


def _properties(node: SchemaNode) -> JsonObject:
    properties = node.get("properties")
    return properties if isinstance(properties, dict) else {}


def _positions(node: SchemaNode) -> list[JsonValue]:
    """The schemas of an array of fixed positions; none where ``items``, which goes before, is there."""
    positions = node.get("prefixItems")
    return positions if isinstance(positions, list) and "items" not in node else []


def _fixed_values(node: SchemaNode) -> list[JsonValue] | None:
    if "const" in node:
        return [node["const"]]
    options = node.get("enum")
    return options if isinstance(options, list) else None


def _allowed_strings(node: SchemaNode, root: JsonObject) -> list[str]:
    """The strings that a label may be: of enum, const, or branches of these."""
    fixed = _fixed_values(node)
    if fixed is not None:
        return [value for value in fixed if isinstance(value, str)]
    return [text for branch in branches_of(node, root) for text in _allowed_strings(branch, root)]


def _labels_in(schema: JsonValue, root: JsonObject, depth: int) -> list[str]:
    """The names of labels in the schema of an item: property names and fixed strings."""
    if depth > _DEPTH_LIMIT:
        return []
    node = resolve(schema, root)
    labels = [label for branch in branches_of(node, root) for label in _labels_in(branch, root, depth + 1)]
    for name, value in _properties(node).items():
        fixed = _allowed_strings(resolve(value, root), root)
        labels.extend([name, *fixed])
    return [label for label in dict.fromkeys(labels) if kinds_of_label(label)]


def _text_rank(name: str) -> int:
    return _TEXT_NAMES.index(name.lower()) if name.lower() in _TEXT_NAMES else len(_TEXT_NAMES)


def _held_string(node: SchemaNode, answer: Answer, _: int) -> Filled:
    least, most = length_limits(node, "Length")
    text = answer.text[: int(most)] if len(answer.text) > most else answer.text
    pattern = node.get("pattern")
    if len(text) < least or (isinstance(pattern, str) and not matches_pattern(pattern, text)):
        return None
    return QuotedText(text, answer.quality, "minLength" in node or "maxLength" in node)


def _held_number(node: SchemaNode, answer: Answer, _: int) -> Filled:
    digits = "".join(character for character in answer.text if character in "0123456789")
    if not digits:
        return None
    value = int(digits)
    return QuotedText(value, answer.quality) if nearest_number(node, value) == value else None


def _simplicity(node: SchemaNode) -> int:
    return 0 if "null" in types_of(node) else _SIMPLEST_TYPES.index(type_of(node))


def _unique(values: list[Filled]) -> list[Filled]:
    return list({repr(plain_value(value)): value for value in values}.values())
