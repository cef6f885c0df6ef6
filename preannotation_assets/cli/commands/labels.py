"""``preannotate labels``: the label scheme."""

import argparse
import sys

from preannotation_assets.cli.deployment import read_settings

__all__ = ["check", "export"]


def check(arguments: argparse.Namespace) -> int:
    """Says what is in a label scheme, or all its mistakes; 1 where there are any."""
    from preannotation_assets.label_file import check_file

    passed, account = check_file(_scheme_file(arguments))
    sys.stdout.write(account)
    return 0 if passed else 1


def export(arguments: argparse.Namespace) -> int:
    """Writes the settings of Argilla's span question as JSON."""
    from preannotation_assets.label_file import exported

    sys.stdout.write(exported(_scheme_file(arguments), arguments.question, arguments.field))
    return 0


def _scheme_file(arguments: argparse.Namespace) -> str:
    given: str = arguments.file
    return given or read_settings().labels.path
