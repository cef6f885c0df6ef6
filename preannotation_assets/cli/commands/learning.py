"""``preannotate labels learn``: the label scheme with examples from reviewed pages."""

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from preannotation_assets.cli.deployment import open_lake, open_pages, read_settings
from preannotation_assets.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from preannotation_assets.evaluation.pages import ReviewedPage
    from preannotation_assets.extraction.labels import LabelScheme
    from preannotation_assets.settings import Settings

__all__ = ["learn"]


def learn(arguments: argparse.Namespace) -> int:
    """Writes the next version of the scheme in use, and says what its examples show.

    Raises:
        PreannotationError: nothing can be learned, or the file cannot be written.
    """
    from preannotation_assets.extraction.labels import parse_label_scheme
    from preannotation_assets.label_file import read_label_file
    from preannotation_assets.lake.layout import DatasetLayout
    from preannotation_assets.learning.choosing import LearningRequest, learn_scheme, read_reviewed_sides

    settings = read_settings()
    dataset, place = DatasetLayout(arguments.dataset).dataset, settings.labels.path
    source = read_label_file(place)
    scheme = parse_label_scheme(source, place)
    path = _output(arguments.output, place, scheme)

    def ask_warehouse() -> "pa.Table | None":
        with open_pages(settings) as warehouse:
            return warehouse.responses(dataset)

    sides = read_reviewed_sides(open_lake(settings), dataset, ask_warehouse, settings.evaluating.gold)
    request = LearningRequest(dataset, arguments.tokens, arguments.add)
    learned = learn_scheme(source, scheme, sides.to_learn_from, request, settings)
    for line in learned.lines():
        sys.stdout.write(f"{line}\n")
    _write(path, learned.text)
    sys.stdout.write(f"written    {path}; it holds page text, and only you can read it\n")
    if arguments.compares:
        sys.stdout.write(f"{_compared(settings, path, dataset, sides.held_out, arguments.pages)}\n")
    return 0


def _compared(
    settings: "Settings", path: Path, dataset: str, held_out: "Sequence[ReviewedPage]", most: int
) -> str:
    """A line that says whether the examples help, once the model was asked with both schemes."""
    from preannotation_assets.cli.progress_bar import progress_display
    from preannotation_assets.learning.comparing import compare_held_out, draw_held_out
    from preannotation_assets.settings import Settings

    pages = draw_held_out(held_out, most)
    if not pages:
        return "outcome    whether they help is not known: no reviewed page is of a document that is held out"
    after = Settings.from_environment({**os.environ, "PREANNOTATION_LABELS": str(path.absolute())})
    samples = settings.evaluating.bootstrap_samples
    with progress_display(sys.stderr, os.environ) as progress:
        return compare_held_out(dataset, settings, after, pages, samples, progress).line()


def _output(given: str | None, place: str, scheme: "LabelScheme") -> Path:
    """The file to write: the scheme in use stays, and so does what was not named."""
    path = Path(given or f"{scheme.name}-{scheme.version + 1}.yaml")
    if path.exists() and path.samefile(place):
        raise SettingsError(f"{path} is the label scheme in use", "give another file with --output")
    if given is None and path.exists():
        raise SettingsError(f"{path} is there already", "remove it, or give another file with --output")
    return path


def _write(path: Path, text: str) -> None:
    from preannotation_assets.publishing.private_files import replaced

    try:
        with replaced(path) as draft:
            draft.write_text(text, "utf-8", newline="")
    except OSError as error:
        raise SettingsError(f"the scheme cannot be written to {path} ({type(error).__name__})") from None
