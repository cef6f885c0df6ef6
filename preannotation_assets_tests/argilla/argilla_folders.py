"""What the processes of Argilla's environment read, and how one is run."""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hand_made_loads import write_two_loads
from hostile_pages import HostilePage, publish_pages
from published_demo import copy_demo
from shared.loader_recipe import recipe_source

from preannotation_assets.extraction.labels import LabelScheme

__all__ = ["process_environment", "run_program", "write_hostile", "write_loads"]


def write_hostile(
    folder: Path, pages: Sequence[HostilePage], scheme: LabelScheme, exported_labels: str
) -> None:
    """The loader's recipe, the exported labels, and pages published in lake/ and copied to hostile/."""
    (folder / "recipe.py").write_text(recipe_source(), "utf-8")
    (folder / "scheme.json").write_text(exported_labels, "utf-8")
    shutil.copytree(publish_pages(folder / "lake", pages, scheme), folder / "hostile")


def write_loads(folder: Path, demo_lake: Path, loads: Sequence[Mapping[str, Any]]) -> None:
    """The other published folders, and which folder is loaded into which dataset."""
    copy_demo(demo_lake, folder / "demo")
    write_two_loads(folder)
    (folder / "loads.json").write_text(json.dumps(loads), "utf-8")


def run_program(python: Path, name: str, folder: Path) -> None:
    """Runs a program that stands here to its end, in Argilla's environment."""
    done = subprocess.run(
        [str(python), "-W", "ignore", str(Path(__file__).with_name(name)), str(folder)],
        env=process_environment(), capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]


def process_environment() -> dict[str, str]:
    """What such a process sees of this one's environment: nothing of ours, and no secret."""
    return {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "LANG") if name in os.environ}
