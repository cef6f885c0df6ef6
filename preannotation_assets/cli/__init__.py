"""The command line: ``preannotate``."""

import argparse
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from preannotation_assets.errors import PreannotationError
from preannotation_assets.instance import ensure_dagster_home
from preannotation_assets.settings import Settings

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from preannotation_assets.lake import ObjectStore
    from preannotation_assets.warehouse import Warehouse

__all__ = ["main"]

_INTERRUPTED: Final = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command and returns the exit status: 0, 1 for a failure told in one line, 2 for bad usage."""
    parsed = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = parsed.command
    if threading.current_thread() is threading.main_thread():
        # What ends a container ends a run as Ctrl-C does.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return command(parsed)
    except PreannotationError as error:
        _say_error(error)
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("preannotate: interrupted; the answers so far are kept\n")
        return _INTERRUPTED


def _say_error(error: PreannotationError) -> None:
    sys.stderr.write(f"preannotate: error: {' '.join(str(error).split())}\n")


def _parser() -> argparse.ArgumentParser:
    from preannotation_assets.simulator import command as simulate_ollama

    parser = argparse.ArgumentParser(
        prog="preannotate",
        description="Lets a language model mark spans in OCR'd pages before the experts do.",
        epilog="Settings come from the environment; the README lists them.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    run = commands.add_parser("run", help="materialize a dataset: pages, chunks, answers, suggestions")
    run.add_argument("dataset")
    run.add_argument("--doc-ids", metavar="FILE", default="", help="only these documents, one doc_id a line")
    run.add_argument("--refresh", action="store_true", help="ask the model everything again")
    run.set_defaults(command=_run)
    _add_try(commands)
    preview = commands.add_parser(
        "preview", help="write an HTML file that shows the suggestions on the pages"
    )
    preview.add_argument("dataset")
    preview.set_defaults(command=_preview)
    verify = commands.add_parser("verify", help="check what is published: rows, pages, Argilla's rules")
    verify.add_argument("dataset")
    verify.set_defaults(command=_verify)
    _add_labels(commands)
    demo = commands.add_parser("demo", help="run the main job on the sample batch")
    demo.set_defaults(command=_demo)
    dev = commands.add_parser("dev", help="start Dagster's web interface and daemon here")
    dev.add_argument("--port", type=int, default=3000)
    dev.set_defaults(command=_dev)
    simulate = commands.add_parser(
        "simulate-ollama", help="serve a stand-in for Ollama; its answers come from rules"
    )
    simulate_ollama.add_arguments(simulate)
    simulate.set_defaults(command=simulate_ollama.run)
    return parser


def _add_try(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    trial = commands.add_parser(
        "try",
        help="ask about a few pages, show what comes of it, project the time of the batch; keep nothing",
    )
    what = trial.add_mutually_exclusive_group(required=True)
    what.add_argument("dataset", nargs="?", default="")
    what.add_argument("--text", metavar="FILE", default="", help="a text file instead of a dataset's pages")
    trial.add_argument("--pages", type=_at_least_one, default=5, metavar="N", help="how many pages (5)")
    trial.add_argument("--doc-id", metavar="ID", help="pages of this document only")
    trial.add_argument("--page", type=int, metavar="NUMBER", help="pages with this number only")
    trial.add_argument("--prompt", action="store_true", help="show the whole prompt and the answer schema")
    trial.set_defaults(command=_try)


def _add_labels(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    labels = commands.add_parser("labels", help="check a label scheme, or export it for Argilla")
    actions = labels.add_subparsers(required=True, metavar="ACTION")
    check = actions.add_parser("check", help="tell every mistake of a label scheme with its line")
    check.set_defaults(command=_check_labels)
    export = actions.add_parser("export", help="write the settings of an Argilla span question as JSON")
    export.add_argument("--question", default="spans", help="the question's name (spans)")
    export.add_argument("--field", default="text", help="the record field that holds the page (text)")
    export.set_defaults(command=_export_labels)
    for action in (check, export):
        action.add_argument("file", nargs="?", default="", help="the scheme's file; without it the setting's")


def _at_least_one(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number of at least 1")
    return int(text)


def _open_store() -> "ObjectStore":
    from preannotation_assets.lake import StoreLocation, open_store

    return open_store(StoreLocation(*Settings.from_environment(os.environ).storage.place()))


# Dagster and Spark take seconds to import, so a command imports what it needs itself.


def _run(arguments: argparse.Namespace) -> int:
    from preannotation_assets.cli.dataset_run import DatasetRun, run_dataset

    settings = Settings.from_environment(os.environ)
    ensure_dagster_home(os.environ, Path.cwd())
    doc_ids = str(Path(arguments.doc_ids).absolute()) if arguments.doc_ids else ""
    return run_dataset(settings, DatasetRun(arguments.dataset, doc_ids, arguments.refresh))


def _try(arguments: argparse.Namespace) -> int:
    from preannotation_assets.trying.trial import TryRequest, try_on_terminal

    request = TryRequest(
        dataset=arguments.dataset,
        text_file=arguments.text,
        pages=arguments.pages,
        doc_id=arguments.doc_id,
        page_num=arguments.page,
        with_prompt=arguments.prompt,
    )
    settings = Settings.from_environment(os.environ)
    return try_on_terminal(settings, request, lambda: _open_warehouse(settings))


def _open_warehouse(settings: Settings) -> "AbstractContextManager[Warehouse]":
    from preannotation_assets.warehouse import open_warehouse

    return open_warehouse(settings.warehouse)


def _preview(arguments: argparse.Namespace) -> int:
    from preannotation_assets.label_file import load_label_scheme
    from preannotation_assets.publishing.preview import write_preview

    scheme = load_label_scheme(Settings.from_environment(os.environ).labels.path)
    sys.stdout.write(f"{write_preview(_open_store(), arguments.dataset, scheme)}\n")
    return 0


def _verify(arguments: argparse.Namespace) -> int:
    from preannotation_assets.label_file import load_label_scheme
    from preannotation_assets.publishing.publisher import verify_dataset
    from preannotation_assets.publishing.verification import SpanRules

    scheme = load_label_scheme(Settings.from_environment(os.environ).labels.path)
    spans = SpanRules(scheme.label_names, scheme.overlaps)
    report = verify_dataset(_open_store(), arguments.dataset, spans)
    for line in report.lines():
        sys.stdout.write(f"{line}\n")
    return 0 if report.passed else 1


def _check_labels(arguments: argparse.Namespace) -> int:
    from preannotation_assets.label_file import check_file

    passed, account = check_file(arguments.file or Settings.from_environment(os.environ).labels.path)
    sys.stdout.write(account)
    return 0 if passed else 1


def _export_labels(arguments: argparse.Namespace) -> int:
    from preannotation_assets.label_file import exported

    file = arguments.file or Settings.from_environment(os.environ).labels.path
    sys.stdout.write(exported(file, arguments.question, arguments.field))
    return 0


def _demo(_: argparse.Namespace) -> int:
    from preannotation_assets.cli.dataset_run import DatasetRun, run_dataset
    from preannotation_assets.demo.demo_command import sample_batch
    from preannotation_assets.demo.sample import SAMPLE_DATASET

    ensure_dagster_home(os.environ, Path.cwd())
    with sample_batch(Settings.from_environment(os.environ)) as settings:
        return run_dataset(settings, DatasetRun(SAMPLE_DATASET))


def _dev(arguments: argparse.Namespace) -> int:
    from preannotation_assets.demo.demo_command import run_dev

    home = ensure_dagster_home(os.environ, Path.cwd())
    return run_dev(Settings.from_environment(os.environ), home, arguments.port)
