"""``preannotate datasets`` and ``preannotate status``: what is published of what the warehouse has."""

import argparse
import os
import sys
from pathlib import Path

from preannotation_assets.cli.deployment import open_lake, open_pages, read_settings
from preannotation_assets.instance import dagster_home

__all__ = ["datasets", "status"]


def datasets(arguments: argparse.Namespace) -> int:
    """Lists every dataset of the warehouse and the lake with its state."""
    from preannotation_assets.overview.datasets import overviews
    from preannotation_assets.overview.tables import aligned, overview_cells, tab_separated

    settings = read_settings()
    with open_pages(settings) as source:
        cells = overview_cells(overviews(source, open_lake(settings)))
    lines = tab_separated(cells) if arguments.plain else aligned(cells)
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    if len(cells) == 1:
        sys.stderr.write(
            "preannotate: no doc_id matches PREANNOTATION_DATASET_PATTERN, or the view is empty\n"
        )
    return 0


def status(arguments: argparse.Namespace) -> int:
    """Says all that is known of a dataset, and how its last run ended."""
    from preannotation_assets.lake.layout import validate_dataset
    from preannotation_assets.overview.status import status_lines

    dataset = validate_dataset(arguments.dataset)
    settings = read_settings()
    with open_pages(settings) as source:
        lines = status_lines(source, open_lake(settings), dataset)
    for line in [*lines, *_last_run(dataset)]:
        sys.stdout.write(f"{line}\n")
    return 0


def _last_run(dataset: str) -> list[str]:
    """As this machine's Dagster has it. Whoever only reads the lake has none, and none is made."""
    home = dagster_home(os.environ, Path.cwd())
    if not (home / "dagster.yaml").is_file():
        return []
    from preannotation_assets.cli.last_run import last_run_lines

    return last_run_lines(home, dataset)
