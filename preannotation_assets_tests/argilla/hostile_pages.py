"""Pages that tempt offsets to go wrong, published by the real grounding, merging and publishing."""

import json
import shutil
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from preannotation_assets.contracts import PAGES, RAW_MODEL_OUTPUTS
from preannotation_assets.extraction.labels import LabelScheme
from preannotation_assets.extraction.pages import text_sha256
from preannotation_assets.lake import ObjectStore, StoreLocation, open_store, write_table
from preannotation_assets.lake.batch import write_manifest
from preannotation_assets.lake.layout import DatasetLayout, part_key
from preannotation_assets.manifests import PagesManifest, SuggestionsManifest
from preannotation_assets.publishing.publisher import publish
from preannotation_assets.publishing.verification import SpanRules
from preannotation_assets.tasks.ground_answers import GroundAnswers, GroundedPart, ground_answers

DATASET = "vessels_ocr_hostile"
MODEL, MODEL_VERSION = "llama3.3:70b", f"sha256:{'ab' * 32}/spans-1-0123456789ab"


@dataclass(frozen=True)
class HostilePage:
    """A page and what the model is made to quote of it. ``None`` stands for a failure."""

    name: str
    text: str
    quotes: Sequence[tuple[str, str]] | None
    page_num: int = 1

    @property
    def key(self) -> dict[str, Any]:
        return {"doc_id": f"{DATASET}/{self.name}", "page_num": self.page_num}

    @property
    def row(self) -> dict[str, Any]:
        return self.key | {"text": self.text, "text_sha256": text_sha256(self.text)}


HULL = ("port", "Hull")
HANSA = ("vessel_name", "HANSA")
LONG = "The steamer called at Hull on the 3rd. " * 1282 + "M/V HANSA left Kiel"

HOSTILE_PAGES = [
    HostilePage("emoji", "🚢 M/V HANSA 😀 left Hull 🇵🇦🏴‍☠️ 👨‍👩‍👧", [HANSA, HULL, ("flag", "🇵🇦")]),
    HostilePage("astral", "M/V 𝕳𝖆𝖓𝖘𝖆 𠜎𠜱 from Hull", [("vessel_name", "𝕳𝖆𝖓𝖘𝖆 𠜎𠜱"), HULL]),
    HostilePage("crlf", "M/V HANSA\r\nIV left\r\n\r\nHull\r\n", [("vessel_name", "HANSA\r\nIV"), HULL]),
    HostilePage("cr", "M/V HANSA\rleft\n\rHull\r", [HANSA, HULL]),
    HostilePage("nul", "\0M/V HANSA\0IV left\0Hull\0", [("vessel_name", "HANSA\0IV"), HULL]),
    HostilePage("controls", "M/V HANSA\x1b[0m\x07\x85\x1f left \x7fHull\x0c", [HANSA, HULL]),
    HostilePage("entities", "R&amp;D &lt; M/V HANSA &#8211; Hull &nbsp", [("owner", "R&amp;D"), HANSA, HULL]),
    HostilePage("tags", "<b>HANSA</b> <script>Hull</script><!-- Kiel -->", [HANSA, HULL, ("port", "Kiel")]),
    HostilePage("markdown", "**HANSA** [Hull](x) `Kiel` | a | $x$", [HANSA, HULL, ("port", "Kiel")]),
    HostilePage("combining", "M/V Ma\u0308rz to Go\u0308tene", [("vessel_name", "März"), ("port", "Götene")]),
    HostilePage("piled", "M/V HA\u0301\u0302\u0303\u0304NSA e\u0301\u0335 Hull\u0301", [HANSA, HULL]),
    HostilePage("letters", "M/V ﬁlia ǅ ß İ ſ K Å left Hull", [("vessel_name", "ﬁlia"), HULL]),
    HostilePage("rtl", "האונייה אסתר הפליגה מחיפה", [("vessel_name", "אסתר"), ("port", "חיפה")]),
    HostilePage("bidi", "\u202eHANSA\u202c \u200fHull\u200e \u2066Kiel\u2069", [HANSA, HULL]),
    HostilePage("space", "\u2003HANSA\u00a0IV\u2028of\u3000Hull\u200b\ufeff", [("owner", "HANSA IV"), HULL]),
    HostilePage("mark", "\ufeffHANSA left Hull", [HANSA, HULL]),
    HostilePage("nobody", "HANSA \ufffe\uffff\U0010ffff\ue000\ufdd0 Hull", [HANSA, HULL]),
    HostilePage("ends", "HANSA left Hull", [HANSA, HULL]),
    HostilePage("whole", "Hull", [HULL]),
    HostilePage("long", LONG, [HULL] * 40 + [HANSA, ("port", "Kiel")]),
    HostilePage("many", "Hull, Kiel; " * 150, [HULL, ("port", "Kiel")] * 150),
    HostilePage("white", " \t\r\n\u00a0\u3000 ", []),
    HostilePage("empty", "", []),
    HostilePage("nothing", "Nothing here.", []),
    HostilePage("failed", "HANSA left Hull", None),
    *(HostilePage("twice", "HANSA left Hull", [HANSA, HULL], page) for page in (1, 2, 11, 2**31 - 1)),
    HostilePage("a:1", "HANSA left Hull", [HANSA, HULL]),
    *(
        HostilePage(f"odd {name}", f"HANSA left Hull {name}", [HANSA, HULL])
        for name in ("ä 🚢", "'\"`", "%2F&?#", "<b>", "\\", "..", "\u200b", "line\nbreak", "\ttab", "x" * 300)
    ),
]  # fmt: skip

# Marks stand behind an emoji, CR LF, a NUL, an entity or a tag. In `ends` and the like there is none; in
# some odd documents only the name, or the text behind the spans, is odd.
SHIFTED = {"emoji", "astral", "crlf", "nul", "entities", "tags", "nobody"}


def scored(text: str) -> dict[str, Any]:
    """Log-probabilities for an answer, one token a character, as a server that tells them would give."""
    return {"token_lengths": [1] * len(text), "token_logprobs": [-0.1] * len(text)}


def output_row(page: HostilePage, **changes: Any) -> dict[str, Any]:
    """A row of contracts.RAW_MODEL_OUTPUTS. Pages of an even length come with probabilities."""
    failed = page.quotes is None
    answer = json.dumps({"spans": [{label: quote} for label, quote in page.quotes or ()]}, ensure_ascii=False)
    return {
        **dict.fromkeys(RAW_MODEL_OUTPUTS.names),
        **page.key,
        "chunk_index": 0,
        "pass_number": 1,
        "start": 0,
        "end": len(page.text),
        "request_key": "k",
        "status": "failed" if failed else "answered",
        "reason": "timed_out" if failed else None,
        "answer": None if failed else answer,
        **(scored(answer) if not failed and len(page.text) % 2 == 0 else {}),
        "estimated_prompt_tokens": 1,
        "attempts": 1,
        "answered_at": datetime(2026, 3, 4, tzinfo=UTC),
        "run_id": "r",
        **changes,
    }


def output_rows(page: HostilePage) -> list[dict[str, Any]]:
    """The answers about a page; that of `ends` came in two pieces, of which one has no probabilities."""
    if page.name != "ends":
        return [output_row(page)]
    end = page.text.index("left")
    first, second = (HostilePage(page.name, page.text, [quote]) for quote in page.quotes or ())
    unscored = dict.fromkeys(("token_lengths", "token_logprobs"))
    return [
        output_row(first, end=end, **scored(json.dumps({"spans": [dict([HANSA])]}))),
        output_row(second, start=end, chunk_index=1, **unscored),
    ]


def publish_pages(root: Path, pages: Iterable[HostilePage], scheme: LabelScheme) -> Path:
    """Grounds the answers about the pages and publishes; returns the published folder."""
    location = StoreLocation(str(root))
    store, layout = open_store(location), DatasetLayout(DATASET)
    in_order = sorted(pages, key=lambda page: (page.key["doc_id"], page.page_num))
    rows = [page.row for page in in_order]
    pages_folder = layout.stage("pages", "v1")
    write_table(store, part_key(pages_folder, 0), pa.Table.from_pylist(rows, schema=PAGES))
    outputs = [row for page in in_order for row in output_rows(page)]
    write_table(store, "outputs.parquet", pa.Table.from_pylist(outputs, schema=RAW_MODEL_OUTPUTS))
    snapshot = _pages_manifest(len(rows))
    write_manifest(store, layout.stage_manifest("pages"), snapshot)
    task = GroundAnswers(
        location=location,
        pages_key=part_key(pages_folder, 0),
        outputs_key="outputs.parquet",
        suggestions_key="rows.parquet",
        groundings_key="groundings.parquet",
        labels=scheme.label_names,
        overlaps_allowed=scheme.overlaps,
        rules=scheme.value_rules,
        model=MODEL,
        model_version=MODEL_VERSION,
    )
    _publish(store, layout, snapshot, ground_answers(task), scheme)
    published = root / layout.published
    shutil.copy(root / part_key(pages_folder, 0), published / "pages.parquet")
    return published


def _publish(
    store: ObjectStore, layout: DatasetLayout, pages: PagesManifest, part: GroundedPart, scheme: LabelScheme
) -> None:
    draft = SuggestionsManifest(
        dataset=DATASET, rows=0, bytes=0,
        pages_processed=part.pages_with_spans + len(part.pages_without_spans),
        pages_with_spans=part.pages_with_spans, pages_without_spans=list(part.pages_without_spans),
        failed_pages=list(part.failed_pages), spans_by_label=dict(Counter(part.spans_by_label)),
        quotes_by_outcome=dict(part.outcomes), groundings_by_match=dict(part.matches), model=MODEL,
        model_version=MODEL_VERSION, prompt_version="spans-1", input_version="i", content_hash="",
        parquet_etag="", run_id="r", published_at=datetime.now(UTC),
    )  # fmt: skip
    rules = SpanRules(scheme.label_names, scheme.overlaps)
    publish(store, layout, ["rows.parquet"], pages, draft, rules, most_rows_lost=1.0)


def _pages_manifest(pages: int) -> PagesManifest:
    return PagesManifest(
        dataset=DATASET, version="v1", content_hash="h", part_rows=[pages], pages=pages, empty_pages=0,
        characters=0, collapsed_duplicates=0, failed_pages=[], narrowed_to_doc_ids=None, doc_ids_not_found=0,
    )  # fmt: skip
