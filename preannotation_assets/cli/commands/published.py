"""``preannotate preview`` and ``preannotate verify``: what is published, and whether it is right."""

import argparse
import sys
from pathlib import Path

from preannotation_assets.cli.deployment import open_lake, read_settings
from preannotation_assets.errors import SettingsError

__all__ = ["preview", "verify"]


def preview(arguments: argparse.Namespace) -> int:
    """Writes the HTML preview and says where: into the lake, or into a file of this machine."""
    from preannotation_assets.label_file import load_label_scheme
    from preannotation_assets.publishing.preview import make_preview, write_preview

    settings = read_settings()
    lake, scheme = open_lake(settings), load_label_scheme(settings.labels.path)
    if arguments.output is None:
        written = write_preview(lake, arguments.dataset, scheme)
    else:
        written = arguments.output
        _write(Path(written), make_preview(lake, arguments.dataset, scheme))
    sys.stdout.write(f"{written}\n")
    return 0


def _write(path: Path, html: str) -> None:
    """Writes a file that shows page text, so for its owner only; one that is there keeps its permissions."""
    try:
        path.touch(0o600)
        path.write_text(html, "utf-8")
    except OSError as error:
        raise SettingsError(f"the preview cannot be written to {path} ({type(error).__name__})") from None


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
