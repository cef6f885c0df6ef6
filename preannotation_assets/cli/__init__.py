"""The command line: ``preannotate``."""

import argparse
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from preannotation_assets.cli.parser import build_parser
from preannotation_assets.errors import PreannotationError
from preannotation_assets.temporary_folders import tidy_once

__all__ = ["main"]

_INTERRUPTED: Final = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command and returns the exit status: 0, 1 for a failure told in one line, 2 for bad usage."""
    parsed = build_parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = parsed.command
    if threading.current_thread() is threading.main_thread():
        _heed_signals()
    # Whoever needs a temporary folder will be told what is wrong with TMPDIR.
    with suppress(OSError):
        tidy_once()
    try:
        return command(parsed)
    except PreannotationError as error:
        _say_error(error)
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("preannotate: interrupted; the answers so far are kept\n")
        return _INTERRUPTED


def _heed_signals() -> None:
    """What ends a container ends a run as Ctrl-C does; SIGINT counts also where it was ignored before.

    A shell that starts a process in the background of a script has it ignore SIGINT. Dagster gives SIGTERM
    the handler of SIGINT after every step: such a run would soon ignore both.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)


def _say_error(error: PreannotationError) -> None:
    sys.stderr.write(f"preannotate: error: {' '.join(str(error).split())}\n")
