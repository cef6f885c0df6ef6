"""``preannotate preview`` and ``preannotate verify``: what is published, and whether it is right."""

import argparse
import sys

from preannotation_assets.cli.deployment import open_lake, read_settings

__all__ = ["preview", "verify"]


def preview(arguments: argparse.Namespace) -> int:
    """Writes the HTML preview and says where."""
    from preannotation_assets.label_file import load_label_scheme
    from preannotation_assets.publishing.preview import write_preview

    settings = read_settings()
    scheme = load_label_scheme(settings.labels.path)
    sys.stdout.write(f"{write_preview(open_lake(settings), arguments.dataset, scheme)}\n")
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
