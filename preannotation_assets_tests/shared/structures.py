"""What an answer over HTTP looks like, without what it says."""

import json
from typing import Any

__all__ = ["is_part_of", "structure"]


def structure(content: bytes) -> object:
    """The kinds of values of a JSON object, or of all objects of a stream; text for everything else.

    Objects are compared by their keys, arrays and streams by what all their items have together.
    """
    text = content.decode()
    try:
        return _of(json.loads(text))
    except json.JSONDecodeError:
        pass
    lines = [line.removeprefix("data:").strip() for line in text.splitlines() if line.strip()]
    try:
        return "stream", _together([json.loads(line) for line in lines if line != "[DONE]"])
    except json.JSONDecodeError:
        return "text"


def is_part_of(structure: object, whole: object) -> bool:
    """Whether all there is in a structure is in another too, of the same kind; what is null may be of any."""
    if structure in ("null", []) or whole in ("null", []):
        return True
    if isinstance(structure, list) or isinstance(whole, list):
        wanted, there = (kind if isinstance(kind, list) else [kind] for kind in (structure, whole))
        return all(any(is_part_of(one, other) for other in there) for one in wanted)
    if isinstance(structure, dict) and isinstance(whole, dict):
        return all(key in whole and is_part_of(value, whole[key]) for key, value in structure.items())
    if isinstance(structure, tuple) and isinstance(whole, tuple):
        return structure[0] == whole[0] and is_part_of(structure[1], whole[1])
    return structure == whole


def _of(value: object) -> object:
    match value:
        case None:
            return "null"
        case bool():
            return "truth"
        case int() | float():
            return "number"
        case str():
            return "text"
        case list():
            return "list", _together(value)
        case dict():
            return {key: _of(item) for key, item in value.items()}
    raise AssertionError(value)


def _together(items: list[Any]) -> object:
    """Of objects all keys that one of them has; of others the kinds that there are."""
    if items and all(isinstance(item, dict) for item in items):
        keys = sorted({key for item in items for key in item})
        return {key: _together([item[key] for item in items if key in item]) for key in keys}
    kinds = [_of(item) for item in items]
    # Whether a value is missing may differ from item to item.
    present = [kind for kind in kinds if kind != "null"]
    first: list[object] = []
    for kind in present or kinds[:1]:
        if kind not in first:
            first.append(kind)
    return first[0] if len(first) == 1 else first
