"""``preannotate preview`` and ``preannotate verify``: what is published, and whether it is right."""

import argparse
import sys
from pathlib import Path

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
    from preannotation_assets.publishing.private_files import replaced

    lake, path, form = open_lake(read_settings()), Path(arguments.output), ExportFormat(arguments.to)
    try:
        with replaced(path) as draft, draft.open("w", encoding="utf-8", newline="") as output:
            rows = write_export(lake, arguments.dataset, form, output)
    except OSError as error:
        raise SettingsError(f"the export cannot be written to {path} ({type(error).__name__})") from None
    sys.stdout.write(f"{path}: {rows} spans; it holds page text, and only you can read it\n")
    return 0


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
