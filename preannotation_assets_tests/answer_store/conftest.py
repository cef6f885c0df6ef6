"""The lake of the tests here."""

from pathlib import Path

import pytest

from preannotation_assets.lake import ObjectStore, StoreLocation, open_store


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return open_store(StoreLocation(str(tmp_path)))
