"""The layout is the architecture: what the table in docs/ARCHITECTURE.md says is so."""

import ast
import re
from collections.abc import Iterator, Mapping, Set
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

NAME = "preannotation_assets"
PACKAGE = Path(__file__).parents[1] / NAME
TABLE = PACKAGE.parent / "docs" / "ARCHITECTURE.md"
MOST_LINES_OF_A_FUNCTION = 50
MOST_LINES_OF_A_MODULE = 400

# Who may load what costs seconds, or speaks to the world outside.
ONLY_IN = {
    "dagster": {"defs", "definitions", "dagster_instance", "recovery", "cli", "web_server"},
    "dagster_webserver": {"web_server"},
    "starlette": {"web_server"},
    "uvicorn": {"web_server"},
    "dagster_duckdb": {"defs"},
    "dagster_pyspark": {"defs"},
    "pyspark": {"defs"},
    "py4j": {"defs"},
    "duckdb": {"warehouse", "demo"},
    "boto3": {"lake"},
    "botocore": {"lake"},
    "httpx": {"model_servers"},
    "httpcore": {"model_servers"},
    "aiohttp": {"simulator"},
    "opentelemetry": {"telemetry"},
    "rich": {"cli", "trying"},
    "jinja2": {"publishing"},
}
# The heart computes from what it is given: no network, no clock, no chance.
NOT_IN_THE_HEART = {"time", "datetime", "asyncio", "random", "socket", "threading", "subprocess", "os"}


class Row(NamedTuple):
    """A row of the table."""

    part: str
    holds: str
    may_import: frozenset[str]


class Module(NamedTuple):
    """A module: its dotted name without the package's, its tree, every name it imports, in full."""

    name: str
    tree: ast.Module
    imports: frozenset[str]

    @property
    def part(self) -> str:
        return self.name.partition(".")[0]


def table(document: str) -> list[Row]:
    """The rows below the heading ``| part |``, in order."""
    lines = iter(document.splitlines())
    next(line for line in lines if line.startswith("| part |"))
    next(lines)
    rows = []
    for line in lines:
        if not line.startswith("|"):
            break
        part, holds, imports = (cell.strip() for cell in line.strip("|").split("|"))
        (name,) = re.findall(r"^`(\w+)`$", part)
        allowed = re.findall(r"`(\w+)`", imports)
        assert imports == (", ".join(f"`{each}`" for each in allowed) or "nothing"), f"unclear: {imports}"
        rows.append(Row(name, holds, frozenset(allowed)))
    return rows


def imported_names(tree: ast.Module, package: str) -> Iterator[str]:
    """Every name a module imports, in full. ``package`` is the package it stands in, dotted."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) + 1 - node.level] if node.level else []
            base = ".".join([*above, *filter(None, [node.module])])
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _read_modules() -> Iterator[Module]:
    for file in sorted(PACKAGE.rglob("*.py")):
        place = file.relative_to(PACKAGE).with_suffix("")
        name = ".".join(place.parent.parts if place.name == "__init__" else place.parts)
        tree = ast.parse(file.read_text("utf-8"))
        package = ".".join([NAME, *place.parent.parts])
        yield Module(name, tree, frozenset(imported_names(tree, package)))


@cache
def modules() -> tuple[Module, ...]:
    """All, read when the first test asks: every process that collects tests would pay for it."""
    return tuple(_read_modules())


ROWS = table(TABLE.read_text("utf-8"))


def own_imports(module: Module) -> set[str]:
    """What it imports of the package, without the package's name; never the bare package."""
    return {name.partition(".")[2] for name in module.imports if name.partition(".")[0] == NAME} - {""}


def test_the_table_has_a_row_for_every_part_and_none_for_what_is_gone() -> None:
    parts = {module.part for module in modules() if module.name}
    assert sorted(row.part for row in ROWS) == sorted(parts)


def test_the_table_is_in_order_each_part_imports_from_rows_above_only() -> None:
    above: set[str] = set()
    for row in ROWS:
        assert row.may_import <= above, f"{row.part} imports {sorted(row.may_import - above)}"
        above.add(row.part)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.part)
def test_a_part_imports_what_its_row_allows(row: Row) -> None:
    for module in modules():
        if module.part == row.part:
            imported = {name.partition(".")[0] for name in own_imports(module)}
            wrong = imported - row.may_import - {row.part}
            assert not wrong, f"{module.name} imports {sorted(wrong)}"


def circle(graph: Mapping[str, Set[str]]) -> str:
    """A circle in a graph of what imports what; empty where there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return " imports ".join(reversed(error.args[1]))
    return ""


def test_no_module_imports_in_a_circle() -> None:
    names = {module.name for module in modules()}
    graph = {
        module.name: {name if name in names else name.rpartition(".")[0] for name in own_imports(module)}
        for module in modules()
    }
    assert all(imported <= names for imported in graph.values())
    assert circle(graph) == ""
    one_more = graph | {"errors": {"definitions"}}
    assert circle(one_more).count(" imports ") >= 2


@pytest.mark.parametrize("library", ONLY_IN)
def test_a_library_stays_where_it_belongs(library: str) -> None:
    for module in modules():
        roots = {name.partition(".")[0] for name in module.imports}
        assert library not in roots or module.part in ONLY_IN[library], f"{module.name} imports {library}"


def test_the_heart_does_without_network_clock_and_chance() -> None:
    for module in modules():
        if module.part == "extraction":
            wrong = {name.partition(".")[0] for name in module.imports} & NOT_IN_THE_HEART
            assert not wrong, f"{module.name} imports {sorted(wrong)}"


def test_functions_and_modules_are_short() -> None:
    long = [
        f"{module.name}.{node.name}: {(node.end_lineno or 0) - node.lineno + 1} lines"
        for module in modules()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno >= MOST_LINES_OF_A_FUNCTION
    ]
    long += [
        f"{file}: {lines} lines"
        for file in PACKAGE.rglob("*.py")
        if (lines := len(file.read_text("utf-8").splitlines())) > MOST_LINES_OF_A_MODULE
    ]
    assert long == []


def test_every_way_to_import_is_seen() -> None:
    tree = ast.parse(
        "import a.b\nfrom a import b as c\nfrom . import d\nfrom .e import f\nfrom ..g import h\n"
        "def later():\n    from a.i import j\n"
    )
    assert set(imported_names(tree, "a.x")) == {"a.b", "a.x.d", "a.x.e.f", "a.g.h", "a.i.j"}
