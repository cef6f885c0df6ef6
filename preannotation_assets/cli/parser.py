"""The arguments of ``preannotate``. Declaring them imports nothing that takes long."""

import argparse
import sys
from typing import TYPE_CHECKING

from preannotation_assets.cli.commands import (
    dataset,
    evaluating,
    labels,
    learning,
    local,
    overview,
    published,
    stand_in,
    trying_out,
)

__all__ = ["build_parser"]

if TYPE_CHECKING:
    _Commands = argparse._SubParsersAction[argparse.ArgumentParser]


def build_parser() -> argparse.ArgumentParser:
    """The parser; ``command`` of what it parses is the function that does what was asked for."""
    parser = argparse.ArgumentParser(
        prog="preannotate",
        description="Lets a language model mark spans in OCR'd pages before the experts do.",
        epilog="Settings come from the environment; the README lists them.",
    )
    parser.add_argument("--version", action=_ShowVersion, nargs=0, help="show the version and exit")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_run(commands)
    _add_overview(commands)
    _add_try(commands)
    _add_compare_servers(commands)
    _add_published(commands)
    _add_evaluate(commands)
    _add_labels(commands)
    _add_local(commands)
    _add_stand_in(commands)
    return parser


class _ShowVersion(argparse.Action):
    """As argparse's own action, which wants to know the version before anybody asks for it."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object, **__: object) -> None:
        # Takes as long to import as all the rest of this.
        from importlib.metadata import version  # noqa: PLC0415

        sys.stdout.write(f"preannotate {version('preannotation_assets')}\n")
        parser.exit()


def _add_run(commands: "_Commands") -> None:
    run = commands.add_parser("run", help="materialize a dataset: pages, chunks, answers, suggestions")
    run.add_argument("dataset")
    run.add_argument("--doc-ids", metavar="FILE", default="", help="only these documents, one doc_id a line")
    run.add_argument("--refresh", action="store_true", help="ask the model everything again")
    run.set_defaults(command=dataset.run)


def _add_overview(commands: "_Commands") -> None:
    datasets = commands.add_parser(
        "datasets", help="list all datasets: pages, what is published, what is stale"
    )
    datasets.add_argument("--plain", action="store_true", help="columns separated by tabs")
    datasets.set_defaults(command=overview.datasets)
    status = commands.add_parser(
        "status", help="all that is known of a dataset: counts, failed and stale pages"
    )
    status.add_argument("dataset")
    status.set_defaults(command=overview.status)


def _add_try(commands: "_Commands") -> None:
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
    trial.set_defaults(command=trying_out.try_pages)


def _add_compare_servers(commands: "_Commands") -> None:
    compare = commands.add_parser(
        "compare-servers",
        help="ask several servers about the same pages: cost, projected hours, and how far they agree",
    )
    compare.add_argument("dataset")
    compare.add_argument(
        "--server",
        nargs=3,
        action="append",
        required=True,
        metavar=("KIND", "URL", "MODEL"),
        help="a server, its kind (ollama or openai) and the model's name there; the first is compared with",
    )
    compare.add_argument("--pages", type=_at_least_one, default=20, metavar="N", help="how many pages (20)")
    compare.add_argument(
        "--in-flight", type=_at_least_one, metavar="N", help="requests at once; without it the kind's own"
    )
    compare.set_defaults(command=trying_out.compare_servers)


def _add_published(commands: "_Commands") -> None:
    preview = commands.add_parser(
        "preview", help="write an HTML file that shows the suggestions on all pages, to filter and to search"
    )
    preview.add_argument("dataset")
    preview.add_argument(
        "--output",
        metavar="FILE",
        help="write it to this file, and FILE-1 and so on where it is too much for one, not into the lake",
    )
    preview.set_defaults(command=published.preview)
    export = commands.add_parser(
        "export", help="write what is published to a file, for Label Studio or as rows; it holds page text"
    )
    export.add_argument("dataset")
    export.add_argument("--to", required=True, choices=("label-studio", "jsonl", "csv"), help="the form")
    export.add_argument("--output", metavar="FILE", required=True, help="the file; only you can read it")
    export.set_defaults(command=published.export)
    verify = commands.add_parser("verify", help="check what is published: rows, pages, Argilla's rules")
    verify.add_argument("dataset")
    verify.set_defaults(command=published.verify)


def _add_evaluate(commands: "_Commands") -> None:
    evaluate = commands.add_parser(
        "evaluate", help="hold what is published against what experts answered: scores, actions, losses"
    )
    evaluate.add_argument("dataset")
    evaluate.add_argument(
        "--gold", metavar="RULE", help="latest, majority or annotator:NAME; without it the setting's"
    )
    evaluate.add_argument(
        "--costs", metavar="COSTS", help="of actions, as add=2,delete=1; without it the setting's"
    )
    evaluate.set_defaults(command=evaluating.evaluate)
    compare = commands.add_parser(
        "compare", help="hold models, label schemes and settings against each other on reviewed pages"
    )
    compare.add_argument("dataset")
    compare.add_argument(
        "--with", dest="file", metavar="FILE", required=True, help="a YAML file of variants of the settings"
    )
    compare.add_argument(
        "--cascade",
        metavar="SMALL,LARGE",
        type=_two_names,
        help="two variants: what asking the first, and the second where it is doubtful, would save and lose",
    )
    compare.set_defaults(command=evaluating.compare)
    calibrate = commands.add_parser(
        "calibrate", help="fit what confidences are worth to what experts answered, and store it"
    )
    calibrate.add_argument("dataset")
    calibrate.add_argument(
        "--from",
        dest="and_from",
        metavar="DATASET",
        action="append",
        default=[],
        help="another reviewed dataset to fit to as well; may be repeated",
    )
    calibrate.add_argument(
        "--model",
        default="",
        help="of what a cascade published, fit to what this model named; without it to its large one's",
    )
    calibrate.set_defaults(command=evaluating.calibrate)


def _add_labels(commands: "_Commands") -> None:
    parser = commands.add_parser(
        "labels", help="check a label scheme, export it for Argilla, or learn examples from reviewed pages"
    )
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    check = actions.add_parser("check", help="tell every mistake of a label scheme with its line")
    check.set_defaults(command=labels.check)
    export = actions.add_parser("export", help="write the settings of an Argilla span question as JSON")
    export.add_argument("--question", default="spans", help="the question's name (spans)")
    export.add_argument("--field", default="text", help="the record field that holds the page (text)")
    export.set_defaults(command=labels.export)
    _add_learn(actions)
    for action in (check, export):
        action.add_argument("file", nargs="?", default="", help="the scheme's file; without it the setting's")


def _add_learn(actions: "_Commands") -> None:
    learn = actions.add_parser(
        "learn", help="write the next version of the scheme in use, with examples from reviewed pages"
    )
    learn.add_argument("dataset")
    learn.add_argument(
        "--output", metavar="FILE", help="the file; only you can read it; without it NAME-VERSION.yaml here"
    )
    learn.add_argument(
        "--tokens",
        type=_at_least_one,
        metavar="N",
        help="estimated tokens of what is learned, at most; else 1500, or what the context has room for",
    )
    learn.add_argument(
        "--add", action="store_true", help="keep the scheme's own examples beside those that are learned"
    )
    learn.add_argument(
        "--no-compare",
        dest="compares",
        action="store_false",
        help="do not ask the model whether what was learned helps on documents that are held out",
    )
    learn.add_argument(
        "--pages",
        type=_at_least_one,
        default=100,
        metavar="N",
        help="held-out pages to ask about, at most (100)",
    )
    learn.set_defaults(command=learning.learn)


def _add_local(commands: "_Commands") -> None:
    demo = commands.add_parser("demo", help="run the main job on the sample batch")
    demo.set_defaults(command=local.demo)
    dev = commands.add_parser("dev", help="start Dagster's web interface and daemon here")
    dev.add_argument("--port", type=int, default=3000)
    dev.set_defaults(command=local.dev)


def _add_stand_in(commands: "_Commands") -> None:
    """Passes everything on, ``--help`` too: the defaults of its options are those of the server."""
    for name, stands_for, serve in (
        (stand_in.OLLAMA, "Ollama", stand_in.serve_ollama),
        (stand_in.OPENAI, "vLLM or llama.cpp's server", stand_in.serve_openai),
    ):
        parser = commands.add_parser(
            name,
            help=f"serve a stand-in for {stands_for}; its answers come from rules",
            add_help=False,
            # No option begins with this, so all of them are arguments.
            prefix_chars="\0",
        )
        parser.add_argument("options", nargs=argparse.REMAINDER)
        parser.set_defaults(command=serve)


def _two_names(text: str) -> tuple[str, str]:
    first, comma, second = text.partition(",")
    if not comma or "," in second:
        raise argparse.ArgumentTypeError(f"{text!r} is not two names with a comma between")
    return first.strip(), second.strip()


def _at_least_one(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number of at least 1")
    return int(text)
