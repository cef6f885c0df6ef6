"""What of the code decides about a stage's content, as one short hash that nobody can forget to raise.

It is part of the version of every stage, and Dagster shows it as the asset's code version. It is made of the
schemas that the stage writes, and of the source of the stage's Spark task with everything of the package's
heart that the task imports, directly or not. How objects are read and written does not decide, so `lake` and
its neighbours do not count. A refactoring makes the stage anew, which costs processor time only: what was
asked is kept under what was asked, and a Parquet with the same content is not published again.
"""

import ast
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pyarrow as pa

from preannotation_assets.contracts import schema_fingerprint

__all__ = ["source_fingerprint", "stage_code"]

_PACKAGE: Final = Path(__file__).parents[1]
# Taken whole and followed further.
_DECIDING: Final = "extraction"
# Of these, only the functions and classes that are imported by name: the columns are in the schemas, and
# their descriptions decide nothing.
_NAMED: Final = ("contracts", "manifests")
_DIGITS: Final = 16


def stage_code(task: str, *schemas: pa.Schema) -> str:
    """The code version of a stage: 16 hexadecimal digits.

    ``task`` is the module of its Spark task, from the package on, such as ``tasks.chunk_pages``.
    """
    content = [source_fingerprint(_PACKAGE, task), *map(schema_fingerprint, schemas)]
    return hashlib.sha256(repr(content).encode()).hexdigest()[:_DIGITS]


def source_fingerprint(package: Path, module: str) -> str:
    """A hash of a module and of what decides in the modules that it imports.

    Comments, docstrings and the layout of the lines do not count. ``package`` is the package's folder.
    """
    sources: dict[str, str] = {}
    open_files = [_file(package.joinpath(*module.split(".")))]
    while open_files:
        file = open_files.pop()
        name = file.relative_to(package).as_posix()
        if name in sources:
            continue
        tree = ast.parse(file.read_text("utf-8"))
        sources[name] = _code(tree.body)
        for imported, taken in _own_imports(package, file, tree):
            part = imported.relative_to(package).parts[0].removesuffix(".py")
            if part == _DECIDING:
                open_files.append(imported)
            elif part in _NAMED:
                sources[f"{part}: {taken}"] = _code(_definitions(imported, taken))
    return hashlib.sha256(repr(sorted(sources.items())).encode()).hexdigest()


def _file(place: Path) -> Path:
    return place / "__init__.py" if place.is_dir() else place.with_suffix(".py")


def _own_imports(package: Path, file: Path, tree: ast.Module) -> Iterator[tuple[Path, str]]:
    """The package's files that a module imports from, each with a name that it takes from there."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.ImportFrom):
            continue
        folder = file.parents[node.level - 1] if node.level else package.parent
        place = folder.joinpath(*(node.module or "").split("."))
        if place.is_relative_to(package):
            for alias in node.names:
                below = _file(place / alias.name)
                yield below if below.is_file() else _file(place), alias.name


def _definitions(file: Path, name: str) -> list[ast.stmt]:
    """The function or class of that name."""
    return [
        statement
        for statement in ast.parse(file.read_text("utf-8")).body
        if isinstance(statement, ast.FunctionDef | ast.ClassDef) and statement.name == name
    ]


def _code(statements: list[ast.stmt]) -> str:
    """The statements as Python writes them itself, without docstrings."""
    return ast.unparse(_WithoutTexts().visit(ast.Module(statements, [])))


class _WithoutTexts(ast.NodeTransformer):
    """Drops the strings that stand alone: they document the module, class, function or name before them."""

    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        is_text = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if is_text else node
