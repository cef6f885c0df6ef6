"""Tables that are gone through more than once lie on disk, and are gone with whoever needs them."""

import tempfile
from pathlib import Path

import pyarrow as pa
import pytest

from preannotation_assets.lake.table_spool import TableSpool


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_any_table_is_read_again_also_while_others_are_added(temporary: Path) -> None:
    spool = TableSpool()
    tables = [pa.table({"row": list(range(rows)), "name": ["é"] * rows}) for rows in (3, 0, 5)]
    for number, table in enumerate(tables):
        spool.append(table)
        assert [spool.read(before).equals(tables[before]) for before in range(number + 1)]
    assert len(spool) == 3
    assert all(spool.read(number).equals(table) for number, table in enumerate(tables))


def test_what_is_read_is_on_disk_and_not_in_arrows_memory(temporary: Path) -> None:
    spool, before = TableSpool(), pa.total_allocated_bytes()
    for _ in range(20):
        spool.append(pa.table({"a": ["x" * 1_000] * 1_000}))
    assert pa.total_allocated_bytes() - before < 1_000_000
    assert sum(file.stat().st_size for file in temporary.rglob("*.arrow")) > 20_000_000


def test_nothing_is_left_when_nobody_needs_it(temporary: Path) -> None:
    spool = TableSpool()
    spool.append(pa.table({"a": [1]}))
    assert list(temporary.iterdir())
    del spool
    assert not list(temporary.iterdir())
