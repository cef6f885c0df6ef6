"""The layout is the architecture: imports point inwards, and the heart is pure."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "preannotation_assets"

# What each part of the package may import of the others.
ALLOWED = {
    "errors": set(),
    "contracts": set(),
    "manifests": set(),
    "extraction": {"errors"},
    "s3_endpoint": {"errors"},
    "lake": {"errors", "contracts", "s3_endpoint"},
    "settings": {"errors", "s3_endpoint", "model_servers"},
    "inference": {"errors", "contracts", "lake", "extraction"},
    "tasks": {"errors", "contracts", "manifests", "lake", "extraction", "inference"},
    "publishing": {"errors", "contracts", "manifests", "lake", "extraction", "tasks"},
    "simulator": {"errors"},
    "warehouse": {"errors", "extraction", "settings"},
    "trying": {
        "errors",
        "manifests",
        "lake",
        "settings",
        "label_file",
        "extraction",
        "inference",
    },
}
# What must not be loaded where it would cost seconds or make the pure impure.
FORBIDDEN = {
    "extraction": {"dagster", "pyspark", "httpx", "duckdb", "boto3", "time", "asyncio", "datetime", "random"},
    "lake": {"dagster", "pyspark"},
    "inference": {"dagster", "pyspark"},
    "tasks": {"dagster", "pyspark"},
    "publishing": {"dagster", "pyspark"},
    "simulator": {"dagster", "pyspark"},
    "trying": {"dagster", "pyspark", "duckdb"},
    "warehouse": {"dagster", "pyspark"},
}


def _modules(part: str) -> Iterator[Path]:
    single = PACKAGE / f"{part}.py"
    yield from [single] if single.is_file() else sorted((PACKAGE / part).rglob("*.py"))


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module


@pytest.mark.parametrize("part", sorted(ALLOWED))
def test_imports_point_inwards(part: str) -> None:
    modules = list(_modules(part))
    assert modules
    for module in modules:
        for name in _imports(module):
            if name.startswith("preannotation_assets."):
                imported = name.split(".")[1]
                assert imported in ALLOWED[part] | {part}, f"{module.relative_to(PACKAGE)} imports {name}"


@pytest.mark.parametrize("part", sorted(FORBIDDEN))
def test_the_inner_parts_do_without_engines_and_the_heart_without_network_and_clock(part: str) -> None:
    for module in _modules(part):
        roots = {name.split(".")[0] for name in _imports(module)}
        assert not roots & FORBIDDEN[part], f"{module.relative_to(PACKAGE)} imports {roots & FORBIDDEN[part]}"
