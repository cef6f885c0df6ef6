from pathlib import Path

import pyarrow as pa
import pytest

from preannotation_assets.contracts import CHUNKS
from preannotation_assets.defs.stage_code import source_fingerprint, stage_code

SOURCES = {
    "tasks/task.py": (
        "from package.contracts import COLUMNS, name_of\n"
        "from package.extraction.rules import decide\n"
        "from package.lake import read\n"
        "def work(key):\n    return decide(read(key)), name_of(key), COLUMNS\n"
    ),
    "extraction/__init__.py": "",
    "extraction/rules.py": (
        '"""Rules."""\nfrom .limits import MOST\n\n'
        "def decide(rows):\n    # A comment.\n    return len(rows) < MOST\n"
    ),
    "extraction/limits.py": "MOST = 3\n",
    "extraction/others.py": "LEAST = 1\n",
    "contracts.py": "COLUMNS = ('a',)\n\ndef name_of(key):\n    return key\n\ndef unused():\n    return 0\n",
    "lake/__init__.py": "def read(key):\n    return [key]\n",
}


def fingerprint(folder: Path, changed: dict[str, str]) -> str:
    package = folder / f"{len(list(folder.iterdir()))}" / "package"
    for name, source in (SOURCES | changed).items():
        file = package / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(source, "utf-8")
    return source_fingerprint(package, "tasks.task")


@pytest.mark.parametrize(
    "changed",
    [
        {"extraction/rules.py": SOURCES["extraction/rules.py"].replace("<", "<=")},
        {"extraction/limits.py": "MOST = 4\n"},
        {"contracts.py": SOURCES["contracts.py"].replace("return key", "return key.upper()")},
        {"tasks/task.py": SOURCES["tasks/task.py"].replace("read(key))", "read(key)[1:])")},
    ],
)
def test_what_decides_gives_another_code_version(tmp_path: Path, changed: dict[str, str]) -> None:
    assert fingerprint(tmp_path, changed) != fingerprint(tmp_path, {})


@pytest.mark.parametrize(
    "changed",
    [
        {"extraction/rules.py": SOURCES["extraction/rules.py"].replace("Rules.", "Better words.")},
        {"extraction/rules.py": SOURCES["extraction/rules.py"].replace('"""Rules."""\n', "")},
        {"extraction/rules.py": SOURCES["extraction/rules.py"].replace("# A comment.", "# Another.\n")},
        {"extraction/limits.py": 'MOST = 3\n"""Described."""\n'},
        {"extraction/others.py": "LEAST = 2\n"},
        {"contracts.py": SOURCES["contracts.py"].replace("return 0", "return 1")},
        {"lake/__init__.py": "def read(key):\n    return [key, key]\n"},
    ],
)
def test_wording_and_what_is_not_used_do_not(tmp_path: Path, changed: dict[str, str]) -> None:
    assert fingerprint(tmp_path, changed) == fingerprint(tmp_path, {})


@pytest.mark.parametrize(
    "schema",
    [
        CHUNKS.append(pa.field("note", pa.string())),
        CHUNKS.remove(0),
        CHUNKS.set(0, CHUNKS.field(0).with_nullable(True)),
        CHUNKS.set(0, CHUNKS.field(0).with_type(pa.large_string())),
        CHUNKS.set(0, CHUNKS.field(0).with_name("document")),
    ],
)
def test_other_columns_give_another_code_version(schema: pa.Schema) -> None:
    assert stage_code("tasks.chunk_pages", schema) != stage_code("tasks.chunk_pages", CHUNKS)


def test_metadata_of_a_schema_is_no_column() -> None:
    assert stage_code("tasks.chunk_pages", CHUNKS.with_metadata({"a": "b"})) == stage_code(
        "tasks.chunk_pages", CHUNKS
    )
