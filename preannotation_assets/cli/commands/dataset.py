"""``preannotate run``."""

import argparse
import os
from pathlib import Path

from preannotation_assets.cli.deployment import read_settings
from preannotation_assets.instance import ensure_dagster_home

__all__ = ["run"]


def run(arguments: argparse.Namespace) -> int:
    """Materializes a dataset."""
    # First, or the code location would read them when it is imported, and tell a mistake a second time.
    settings = read_settings()
    from preannotation_assets.cli.doc_ids import read_doc_ids

    doc_ids = read_doc_ids(Path(arguments.doc_ids)) if arguments.doc_ids else []
    from preannotation_assets.cli.dataset_run import DatasetRun, run_dataset

    ensure_dagster_home(os.environ, Path.cwd())
    return run_dataset(settings, DatasetRun(arguments.dataset, doc_ids, arguments.refresh))
