"""Fixtures for publishing."""

from pathlib import Path

import pytest
from shared.published_dataset import Dataset


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return Dataset(tmp_path / "lake")
