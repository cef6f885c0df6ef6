"""The demo's batch, as whoever loads it finds it."""

import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

__all__ = ["DEMO", "copy_demo"]

DEMO = "vessels_ocr_demo"


def copy_demo(lake: Path, folder: Path) -> None:
    """The published folder, with the pages beside it."""
    shutil.copytree(lake / "argilla" / "in" / DEMO / "suggestions", folder)
    stage = lake / "argilla" / "work" / DEMO / "pages"
    version = json.loads((stage / "manifest.json").read_text("utf-8"))["version"]
    parts = sorted((stage / version).glob("*.parquet"))
    pq.write_table(pa.concat_tables([pq.read_table(part) for part in parts]), folder / "pages.parquet")
