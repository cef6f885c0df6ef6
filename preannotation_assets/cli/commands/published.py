"""``preannotate preview`` and ``preannotate verify``: what is published, and whether it is right."""

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from preannotation_assets.cli.deployment import open_lake, read_settings
from preannotation_assets.errors import SettingsError

__all__ = ["export", "preview", "verify"]


def preview(arguments: argparse.Namespace) -> int:
    """Writes the report of the pages and says where: into the lake, or into files of this machine."""
    from preannotation_assets.label_file import load_label_scheme
    from preannotation_assets.publishing.report import save_report, write_report

    settings = read_settings()
    lake, scheme = open_lake(settings), load_label_scheme(settings.labels.path)
    if arguments.output is None:
        sys.stdout.write(f"{write_report(lake, arguments.dataset, scheme)}\n")
        return 0
    for path in save_report(lake, arguments.dataset, scheme, Path(arguments.output)):
        sys.stdout.write(f"{path}\n")
    return 0


def export(arguments: argparse.Namespace) -> int:
    """Writes what is published to a file of this machine, for its owner only: it holds page text.

    Raises:
        SettingsError: the file cannot be written.
    """
    from preannotation_assets.publishing.exports import ExportFormat
    from preannotation_assets.publishing.exports import export as write_export

    lake, path, form = open_lake(read_settings()), Path(arguments.output), ExportFormat(arguments.to)
    try:
        with _replaced(path) as output:
            rows = write_export(lake, arguments.dataset, form, output)
    except OSError as error:
        raise SettingsError(f"the export cannot be written to {path} ({type(error).__name__})") from None
    sys.stdout.write(f"{path}: {rows} spans; it holds page text, and only you can read it\n")
    return 0


@contextmanager
def _replaced(path: Path) -> Iterator[TextIO]:
    """A new file for its owner only, which takes the place of what is there once it is whole."""
    # Of mode 0600.
    descriptor, temporary = tempfile.mkstemp(dir=path.absolute().parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as output:
            yield output
        Path(temporary).replace(path)
    finally:
        Path(temporary).unlink(missing_ok=True)


def verify(arguments: argparse.Namespace) -> int:
    """Checks what is published and says what was found; 1 where something is wrong."""
    from preannotation_assets.label_file import load_label_scheme
    from preannotation_assets.publishing.publisher import verify_dataset
    from preannotation_assets.publishing.verification import SpanRules

    settings = read_settings()
    scheme = load_label_scheme(settings.labels.path)
    rules = SpanRules(scheme.label_names, scheme.overlaps)
    report = verify_dataset(open_lake(settings), arguments.dataset, rules)
    for line in report.lines():
        sys.stdout.write(f"{line}\n")
    return 0 if report.passed else 1
