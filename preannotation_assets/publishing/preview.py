"""The suggestions on their pages as one HTML file. It shows page text, so it stays in the working data."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from preannotation_assets.contracts import PAGES
from preannotation_assets.extraction.labels import LabelScheme, label_colours, text_colour_on
from preannotation_assets.extraction.segments import Mark, Segment, segments
from preannotation_assets.lake import ObjectStore, Row
from preannotation_assets.lake.batch import iterate_rows, require_manifest
from preannotation_assets.lake.layout import DatasetLayout
from preannotation_assets.manifests import PagesManifest, SuggestionsManifest
from preannotation_assets.publishing.published_file import rows_of
from preannotation_assets.temporary_folders import temporary_file

__all__ = ["MOST_PAGES", "make_preview", "render_page", "write_preview"]

MOST_PAGES: Final = 200

Spans = dict[tuple[str, int], list[Row]]

_SPAN_COLUMNS: Final = ("doc_id", "page_num", "label", "start", "end", "confidence", "text_sha256")


@dataclass(frozen=True, slots=True)
class _Span(Mark):
    confidence: float | None


@dataclass(frozen=True, slots=True)
class _ShownPage:
    doc_id: str
    page_num: int
    spans: int
    segments: Sequence[Segment[_Span]]


def write_preview(store: ObjectStore, dataset: str, scheme: LabelScheme) -> str:
    """Writes the preview into the working data of the lake and returns its address.

    Raises:
        BatchError: the dataset is not materialized.
        StorageError: the lake cannot be read or written.
    """
    key = DatasetLayout(dataset).preview
    store.write(key, make_preview(store, dataset, scheme).encode("utf-8"))
    return store.uri(key)


def make_preview(store: ObjectStore, dataset: str, scheme: LabelScheme) -> str:
    """The preview of the first MOST_PAGES pages, in the scheme's colours, as HTML; writes nothing.

    Raises:
        BatchError: the dataset is not materialized.
        StorageError: the lake cannot be read.
    """
    layout = DatasetLayout(dataset)
    pages = require_manifest(store, layout.stage_manifest("pages"), PagesManifest, dataset, "pages")
    manifest = require_manifest(store, layout.published_manifest, SuggestionsManifest, dataset, "suggestions")
    folder = layout.stage("pages", pages.version)
    rows = iterate_rows(store, folder, len(pages.part_rows), PAGES, PAGES.names)
    shown = list(islice(rows, MOST_PAGES))
    return _document(manifest, pages.pages, shown, _published_spans(store, layout, shown), scheme)


def _published_spans(store: ObjectStore, layout: DatasetLayout, shown: Sequence[Row]) -> Spans:
    """The published rows of these pages, if they are of the present text; both are sorted alike."""
    versions = {_page_key(page): page["text_sha256"] for page in shown}
    spans: Spans = defaultdict(list)
    with temporary_file("suggestions.parquet") as path:
        store.download(layout.published_suggestions, path)
        for row in rows_of(path, layout.dataset, _SPAN_COLUMNS):
            key = _page_key(row)
            if not shown or key > _page_key(shown[-1]):
                break
            if versions.get(key) == row["text_sha256"]:
                spans[key].append(row)
    return spans


def _page_key(row: Row) -> tuple[str, int]:
    return row["doc_id"], row["page_num"]


def render_page(page: Row, spans: Iterable[Row], styles: Mapping[str, str]) -> str:
    """The text of a page with its spans marked, which may overlap; ``styles`` has the CSS of each label."""
    return _template("marked_text.html").render(page=_shown(page, spans), styles=styles)


def _document(
    manifest: SuggestionsManifest,
    total: int,
    pages: Sequence[Row],
    spans: Spans,
    scheme: LabelScheme,
) -> str:
    present = manifest.spans_by_label.keys() | {row["label"] for rows in spans.values() for row in rows}
    return _template("preview.html").render(
        manifest=manifest,
        total=total,
        pages=[_shown(page, spans.get(_page_key(page), ())) for page in pages],
        styles={
            label: f"background:{colour};color:{text_colour_on(colour)}"
            for label, colour in label_colours(scheme, sorted(present)).items()
            if label in present
        },
    )


def _shown(page: Row, spans: Iterable[Row]) -> _ShownPage:
    found = [_Span(row["start"], row["end"], row["label"], row["confidence"]) for row in spans]
    return _ShownPage(page["doc_id"], page["page_num"], len(found), list(segments(page["text"], found)))


def _template(name: str) -> Template:
    loader = PackageLoader("preannotation_assets.publishing")
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined).get_template(name)
