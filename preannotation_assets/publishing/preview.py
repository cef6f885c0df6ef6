"""The suggestions on their pages as one HTML file. It shows page text, so it stays in the working data."""

import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from itertools import islice, pairwise
from pathlib import Path
from typing import Final

from preannotation_assets.lake import ObjectStore, Row
from preannotation_assets.lake.batch import iterate_rows, require_manifest
from preannotation_assets.lake.layout import DatasetLayout
from preannotation_assets.manifests import PagesManifest, SuggestionsManifest
from preannotation_assets.publishing.publisher import rows_of

__all__ = ["MOST_PAGES", "render_page", "write_preview"]

MOST_PAGES: Final = 200
_HUES_A_TURN: Final = 137.508  # The golden angle in degrees: neighbouring labels get distant hues.

Spans = dict[tuple[str, int], list[Row]]

_SPAN_COLUMNS: Final = ("doc_id", "page_num", "label", "start", "end", "confidence", "text_sha256")

_STYLE: Final = """
body{font:15px/1.55 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;
color:#1c1c1c;background:#fff}
h1{font-size:1.4rem} h2{font-size:1rem;margin:2.2rem 0 .4rem;border-top:1px solid #ddd;padding-top:1rem}
.text{white-space:pre-wrap;overflow-wrap:anywhere;font:13px/1.7 ui-monospace,monospace;background:#fafafa;
border:1px solid #e6e6e6;border-radius:6px;padding:.8rem 1rem}
mark{border-radius:3px;padding:1px 2px;color:inherit}
mark small,.legend small{font:600 10px system-ui;opacity:.75;margin-left:4px;white-space:nowrap}
.legend span{display:inline-block;border-radius:3px;padding:1px 6px;margin:2px 6px 2px 0}
.note{color:#666}
"""


def write_preview(store: ObjectStore, dataset: str) -> str:
    """Writes the preview of the first MOST_PAGES pages and returns its address.

    Raises:
        BatchError: the dataset is not materialized.
    """
    layout = DatasetLayout(dataset)
    pages = require_manifest(store, layout.stage_manifest("pages"), PagesManifest, dataset, "pages")
    manifest = require_manifest(store, layout.published_manifest, SuggestionsManifest, dataset, "suggestions")
    folder = layout.stage("pages", pages.version)
    rows = iterate_rows(store, folder, len(pages.part_rows), ("doc_id", "page_num", "text", "text_sha256"))
    shown = list(islice(rows, MOST_PAGES))
    html = "".join(_document(manifest, pages.pages, shown, _published_spans(store, layout, shown)))
    store.write(layout.preview, html.encode("utf-8"))
    return store.uri(layout.preview)


def _published_spans(store: ObjectStore, layout: DatasetLayout, shown: Sequence[Row]) -> Spans:
    """The published rows of these pages, if they are of the present text; both are sorted alike."""
    versions = {_page_key(page): page["text_sha256"] for page in shown}
    spans: Spans = defaultdict(list)
    with tempfile.TemporaryDirectory(prefix="preannotation-preview-") as folder:
        path = Path(folder) / "suggestions.parquet"
        store.download(layout.published_suggestions, path)
        for row in rows_of(path, _SPAN_COLUMNS):
            key = _page_key(row)
            if not shown or key > _page_key(shown[-1]):
                break
            if versions.get(key) == row["text_sha256"]:
                spans[key].append(row)
    return spans


def _page_key(row: Row) -> tuple[str, int]:
    return row["doc_id"], row["page_num"]


def render_page(text: str, spans: Sequence[Row], colours: Mapping[str, str]) -> str:
    """The text with its spans marked; spans that overlap are cut where another begins or ends."""
    borders = sorted({0, len(text), *(span["start"] for span in spans), *(span["end"] for span in spans)})
    waiting = sorted(spans, key=lambda span: -span["start"])
    covering: list[Row] = []
    pieces = []
    for start, end in pairwise(borders):
        while waiting and waiting[-1]["start"] <= start:
            covering.append(waiting.pop())
        covering = [span for span in covering if span["end"] > start]
        piece = escape(text[start:end])
        for span in covering:
            name = f"<small>{escape(span['label'])}</small>" if span["end"] == end else ""
            style = f"background:{colours[span['label']]}"
            piece = f'<mark style="{style}" title="{_title(span)}">{piece}{name}</mark>'
        pieces.append(piece)
    return "".join(pieces)


def _document(
    manifest: SuggestionsManifest,
    total: int,
    pages: Sequence[Row],
    spans: Spans,
) -> Iterator[str]:
    labels = sorted(
        manifest.spans_by_label.keys() | {row["label"] for rows in spans.values() for row in rows}
    )
    colours = {label: f"hsl({index * _HUES_A_TURN % 360:.0f} 75% 82%)" for index, label in enumerate(labels)}
    yield f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(manifest.dataset)}</title>'
    yield f"<style>{_STYLE}</style><h1>{escape(manifest.dataset)}: {manifest.rows} suggestions</h1>"
    yield f'<p class="note">{escape(manifest.model)} · {escape(manifest.model_version)} · '
    yield f"{len(pages)} of {total} pages shown</p>"
    yield '<p class="legend">'
    for label in labels:
        count = manifest.spans_by_label.get(label, 0)
        yield f'<span style="background:{colours[label]}">{escape(label)}<small>{count}</small></span>'
    yield "</p>"
    for page in pages:
        found = spans.get(_page_key(page), [])
        yield f"<h2>{escape(page['doc_id'])} · page {page['page_num']} · {len(found)} suggestions</h2>"
        yield f'<div class="text">{render_page(page["text"], found, colours)}</div>'
    yield "</html>\n"


def _title(span: Row) -> str:
    confidence = "unknown" if span["confidence"] is None else f"{span['confidence']:.2f}"
    return f"{escape(span['label'])} {span['start']}-{span['end']}, confidence {confidence}"
