"""No regular expression takes long over a text that was made to make it take long.

Pages, answers and replies are others' words. A pattern whose work grows with the square of a text takes
minutes over the texts here, one whose work grows as the text does takes milliseconds.
"""

import ast
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pytest
import regex

PACKAGE = Path(__file__).parents[1] / "preannotation_assets"
# The stand-in serves tests, and reads what they send.
PARTS_OF_TESTS = {"simulator"}
CHARACTERS = 60_000
METHODS = {"search", "match", "fullmatch", "finditer", "findall", "sub", "split"}
# How those are used that stand in a row, and what the functions do with those that they are handed.
IN_A_ROW = {"_BORDERS": "finditer"}
HANDED_TO = {"_expect": "match"}
# These read a short text, and say so where they do.
SHORT = {
    "_AGENT": "a name of 200 characters at most: `is_agent` looks at its length first",
    "_OF_A_SERVICE": "a variable's name, which the machine's own user gives",
}
# Compiled where they are used, of what a user of this machine wrote: bounded there.
MADE_FROM_SETTINGS = {
    "preannotation_assets/extraction/values.py": "patterns of label schemes have a time limit",
    "preannotation_assets/settings/groups.py": "is only compiled: DuckDB evaluates it, with RE2",
    "preannotation_assets/warehouse/connecting.py": "the name in a setting, and DuckDB's own words",
}


class Used(NamedTuple):
    """A regular expression and the ways it is used in."""

    place: str
    pattern: re.Pattern[str] | re.Pattern[bytes]
    methods: frozenset[str]


def places_of_patterns() -> list[str]:
    """The modules that name ``re`` or ``regex``. Every process that collects tests pays for this."""
    files = {file.relative_to(PACKAGE.parent): file for file in sorted(PACKAGE.rglob("*.py"))}
    return [
        place.as_posix()
        for place, file in files.items()
        if _is_looked_at(place) and re.search(r"\bre(gex)?\.", file.read_text("utf-8"))
    ]


def _is_looked_at(place: Path) -> bool:
    return place.parts[1] not in PARTS_OF_TESTS and place.name != "__main__.py"


PLACES = places_of_patterns()


@cache
def modules() -> Mapping[str, ast.Module]:
    """Each module's tree by its place."""
    places = {file.relative_to(PACKAGE.parent): file for file in sorted(PACKAGE.rglob("*.py"))}
    return {
        place.as_posix(): ast.parse(file.read_text("utf-8"))
        for place, file in places.items()
        if _is_looked_at(place)
    }


def imported(place: str) -> ModuleType:
    return import_module(place.removesuffix(".py").removesuffix("/__init__").replace("/", "."))


def methods_of_names(trees: Iterable[ast.Module]) -> dict[str, set[str]]:
    """How each name is used: ``_SPACE.sub(...)`` anywhere says that ``_SPACE`` is used with ``sub``."""
    found = {name: {method} for name, method in IN_A_ROW.items()}
    for tree in trees:
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.attr in METHODS:
                found.setdefault(node.value.id, set()).add(node.attr)
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in HANDED_TO:
                for handed in node.args:
                    if isinstance(handed, ast.Name):
                        found.setdefault(handed.id, set()).add(HANDED_TO[node.func.id])
    return found


def compiled() -> Iterator[Used]:
    """Those that modules hold under a name, alone or in a row."""
    of_names = methods_of_names(modules().values())
    for place in PLACES:
        for name, value in vars(imported(place)).items():
            row = value if type(value) in (tuple, list) else [value]
            for each in row:
                if isinstance(each, re.Pattern | regex.Pattern):
                    yield Used(f"{place}:{name}", each, frozenset(of_names[name]))


def written_in_place() -> Iterator[Used]:
    """Those of ``re.search("...", text)``."""
    for place, tree in modules().items():
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and isinstance(node.func.value, ast.Name)
                and node.func.value.id in {"re", "regex"}
                and node.func.attr in METHODS
            ):
                wanted = node.args[0]
                if isinstance(wanted, ast.Constant):
                    yield Used(
                        f"{place}:{node.lineno}", re.compile(wanted.value), frozenset({node.func.attr})
                    )
                else:
                    assert place in MADE_FROM_SETTINGS, f"{place}:{node.lineno} matches what it is given"


@cache
def used() -> Sequence[Used]:
    distinct = {(each.pattern, each.methods): each for each in (*compiled(), *written_in_place())}
    return [each for each in distinct.values() if each.place.rpartition(":")[2] not in SHORT]


def of_module(place: str) -> list[Used]:
    return [each for each in used() if each.place.rpartition(":")[0] == place]


def hostile_texts(pattern: str) -> Iterator[str]:
    """Long runs of what the pattern names and of what often stands there, and some with another end."""
    literals = [*re.findall(r"(?<!\\)\w{2,}|(?<!\\)[<\[{\"'(:,-]", pattern), "<", '\\"', "a", "1"][:10]
    for unit in (" ", "\n", "a", "1", "A1", "a ", "1,", "-\n", "\r\n", '\\"', "<|", "[|", *literals):
        yield unit * (CHARACTERS // len(unit))
        yield unit * (CHARACTERS // len(unit)) + "\0"
    for literal in literals:
        for filling in (" ", "\n", "a", "1"):
            yield literal + filling * CHARACTERS + "\0"


def apply(pattern: re.Pattern[str] | re.Pattern[bytes], method: str, text: str | bytes) -> None:
    if method == "finditer":
        for _ in pattern.finditer(text):  # type: ignore[arg-type]
            pass
    elif method == "sub":
        pattern.sub(b"" if isinstance(text, bytes) else "", text)  # type: ignore[arg-type]
    else:
        getattr(pattern, method)(text)


# Not a measure of time: a pattern that needs it is one that does not come to an end.
@pytest.mark.timeout(120)
@pytest.mark.parametrize("place", PLACES)
def test_the_work_grows_as_the_text_does(place: str) -> None:
    for each in of_module(place):
        source = each.pattern.pattern
        is_bytes = isinstance(source, bytes)
        for text in hostile_texts(source.decode() if isinstance(source, bytes) else source):
            for method in each.methods:
                apply(each.pattern, method, text.encode() if is_bytes else text)


def test_every_pattern_is_looked_at_or_has_a_reason() -> None:
    inside = {
        place
        for place, tree in modules().items()
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.Attribute)
        and node.attr == "compile"
        and isinstance(node.value, ast.Name)
        and node.value.id in {"re", "regex"}
    }
    assert inside <= MADE_FROM_SETTINGS.keys()
    assert {each.place.rpartition(":")[0] for each in used()} <= set(PLACES)
    assert len(used()) > 50
    assert {each.pattern.pattern for each in compiled()} >= {r"\s+"}
