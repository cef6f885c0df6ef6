"""The HTML of a report: of one file of pages, and of the index where there are several."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Final, TextIO

from preannotation_assets.extraction.labels import LabelScheme, label_colours, text_colour_on
from preannotation_assets.extraction.spans import QuoteOutcome
from preannotation_assets.manifests import SuggestionsManifest
from preannotation_assets.publishing.distribution import Distribution
from preannotation_assets.publishing.html_files import content_policy, template_environment
from preannotation_assets.publishing.report.data import BINS, Counts, packed
from preannotation_assets.publishing.report.plots import (
    Histogram,
    histogram,
    histogram_of_values,
)
from preannotation_assets.publishing.request_account import RequestAccount

__all__ = [
    "Chunk",
    "FileLine",
    "LabelLine",
    "Overview",
    "label_lines",
    "sources",
    "write_index",
    "write_pages",
]

_PACKAGE: Final = "preannotation_assets.publishing.report"
_TEMPLATES: Final = ("page.html.jinja", "index.html.jinja", "parts.html.jinja", "report.css", "report.js")
_OUTCOMES: Final[Mapping[QuoteOutcome, str]] = {
    QuoteOutcome.KEPT: "became a suggestion",
    QuoteOutcome.UNKNOWN_LABEL: "the scheme has no such label",
    QuoteOutcome.EMPTY: "nothing was quoted",
    QuoteOutcome.NOT_FOUND: "not found on the page",
    QuoteOutcome.VALUE_CHANGED: "a number in it is another on the page",
    QuoteOutcome.ALREADY_TAKEN: "quoted more often than the page has it",
    QuoteOutcome.SEARCH_CUT_OFF: "the search for it was too long",
    QuoteOutcome.INVALID_VALUE: "breaks the label's rule",
    QuoteOutcome.EXACT_DUPLICATE: "the same place was marked already",
    QuoteOutcome.SEEN_BY_TWO_CHUNKS: "an overlapping chunk gave it already",
    QuoteOutcome.CUT_BY_BORDER: "cut by the border of a chunk, whole in the next",
    QuoteOutcome.OVERLAP: "overlaps a better suggestion",
}


@dataclass(frozen=True, slots=True)
class Chunk:
    """Packed pages; ``kind`` is marks or texts."""

    kind: str
    packed: str


@dataclass(frozen=True, slots=True)
class LabelLine:
    """A label as the report shows it."""

    name: str
    title: str
    colour: str
    ink: str


@dataclass(frozen=True, slots=True)
class FileLine:
    """A file of pages, as the index lists it."""

    name: str
    first: str
    last: str
    counts: Counts


@dataclass(frozen=True, slots=True)
class Overview:
    """What stands on every file: of which publication it is, and what its requests took.

    ``subject`` names all that the report is made of.
    """

    manifest: SuggestionsManifest
    scheme: LabelScheme
    requests: RequestAccount
    subject: str


def label_lines(scheme: LabelScheme, present: Iterable[str]) -> list[LabelLine]:
    """The scheme's labels and those that are on the pages besides, in the scheme's colours."""
    titles = {label.name: label.title for label in scheme.labels}
    return [
        LabelLine(name, titles.get(name) or name, colour, text_colour_on(colour))
        for name, colour in label_colours(scheme, sorted(present)).items()
    ]


def write_pages(
    target: TextIO, overview: Overview, counts: Counts, chunks: Iterator[Chunk], place: tuple[int, int]
) -> None:
    """Writes a file of pages piece by piece; ``place`` is its number and how many there are."""
    labels = label_lines(overview.scheme, counts.labels)
    about = {
        "labels": [[label.name, label.title, label.colour, label.ink] for label in labels],
        "outcomes": _OUTCOMES,
    }
    _write(
        target,
        "page.html.jinja",
        _shared(overview, counts, labels)
        | {"place": place, "chunks": chunks, "about": packed(about), "unknown": counts.unknown},
    )


def write_index(target: TextIO, overview: Overview, counts: Counts, files: Sequence[FileLine]) -> None:
    """Writes the page that links all files."""
    labels = label_lines(overview.scheme, counts.labels)
    _write(target, "index.html.jinja", _shared(overview, counts, labels) | {"files": files})


def _shared(overview: Overview, counts: Counts, labels: Sequence[LabelLine]) -> dict[str, object]:
    requests = overview.requests
    edges = [f"{index / BINS:.2f}" for index in range(BINS + 1)]
    known = sum(counts.confidences) > 0
    return {
        "subject": overview.subject,
        "manifest": overview.manifest,
        "counts": counts,
        "labels": labels,
        "most": max(counts.labels.values(), default=1),
        "confidences": histogram(counts.confidences, edges) if known else None,
        "outcomes": [(_words(each), count) for each, count in counts.outcomes.most_common()],
        "plots": [
            plot
            for plot in (
                _plot("seconds a request", requests.latencies, " s"),
                _plot("prompt tokens a request", requests.prompt_tokens, ""),
                _plot("answer tokens a request", requests.answer_tokens, ""),
            )
            if plot
        ],
        "csp": content_policy(_source("report.css"), _source("report.js")),
        "style": _source("report.css"),
        "script": _source("report.js"),
    }


def _plot(title: str, values: Distribution, unit: str) -> tuple[str, str, Histogram] | None:
    """A title, a line about the values and their histogram; None where nothing is known."""
    plot, half, most = histogram_of_values(values, unit), values.percentile(0.5), values.percentile(0.95)
    if plot is None:
        return None
    return (
        title,
        f"{len(values):,}: p50 {half:.3g}{unit}, p95 {most:.3g}{unit}, sum {values.total:,.0f}{unit}",
        plot,
    )


def _words(outcome: str) -> str:
    known = {each.value: words for each, words in _OUTCOMES.items()}
    return known.get(outcome, outcome)


@cache
def _source(name: str) -> str:
    return resources.files(_PACKAGE).joinpath("templates", name).read_text("utf-8")


def sources() -> tuple[str, ...]:
    """What the HTML is made with: templates, style and script."""
    return tuple(_source(name) for name in _TEMPLATES)


def _write(target: TextIO, name: str, values: Mapping[str, object]) -> None:
    environment = template_environment(_PACKAGE)
    for piece in environment.get_template(name).generate(values):
        target.write(piece)
