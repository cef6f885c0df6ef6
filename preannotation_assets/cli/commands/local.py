"""``preannotate demo`` and ``preannotate dev``."""

import argparse
import os
from pathlib import Path

from preannotation_assets.cli.deployment import read_settings
from preannotation_assets.instance import ensure_dagster_home

__all__ = ["demo", "dev"]


def demo(_: argparse.Namespace) -> int:
    """Runs the main job on the sample batch."""
    # First, or the code location would read them when it is imported, and tell a mistake a second time.
    configured = read_settings()
    from preannotation_assets.cli.dataset_run import DatasetRun, run_dataset
    from preannotation_assets.demo.demo_command import sample_batch
    from preannotation_assets.demo.sample import SAMPLE_DATASET

    ensure_dagster_home(os.environ, Path.cwd())
    with sample_batch(configured) as settings:
        return run_dataset(settings, DatasetRun(SAMPLE_DATASET))


def dev(arguments: argparse.Namespace) -> int:
    """Runs Dagster's web interface and daemon until interrupted."""
    settings = read_settings()
    from preannotation_assets.demo.demo_command import run_dev

    home = ensure_dagster_home(os.environ, Path.cwd())
    return run_dev(settings, home, arguments.port)
