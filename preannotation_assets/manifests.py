"""The manifests: small JSON objects that say what a stage's output consists of.

A stage writes its parts under new names and then replaces its manifest, so whoever reads a manifest
finds every part it names, whole. Manifests hold ids, numbers and hashes, never page text.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, TypeAlias

from pydantic import BaseModel, ConfigDict

from preannotation_assets.page_lists import PACKED

__all__ = [
    "Calibration",
    "CascadeAccount",
    "ChunksManifest",
    "Comparison",
    "FailedPage",
    "PageVersion",
    "PagesManifest",
    "RawModelOutputsManifest",
    "SuggestionsManifest",
    "Verification",
]


class _Manifest(BaseModel):
    # A manifest of newer code may say more: what is not known here is left out.
    model_config = ConfigDict(frozen=True, extra="ignore")


@dataclass(frozen=True, slots=True)
class FailedPage:
    """A page without suggestions because something went wrong.

    ``reason`` is a ``TextFault`` (extraction/pages.py) where its text could not be used, a ``Reason``
    (model_servers/outcomes.py) where a text of it has no answer, else a ``PageFailure``
    (extraction/page_failures.py).
    """

    doc_id: str
    page_num: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class PageVersion:
    """A page in the version that its text hash names."""

    doc_id: str
    page_num: int
    text_sha256: str


PageVersions: TypeAlias = Annotated[Sequence[PageVersion], PACKED]
FailedPages: TypeAlias = Annotated[Sequence[FailedPage], PACKED]


class PagesManifest(_Manifest):
    """The snapshot of a batch. ``part_rows`` counts the pages of each part, in order.

    ``source_fingerprint`` is that of the dataset in the warehouse before it was read; None where only some
    of its documents were, and for batches that the sensor does not list.
    """

    dataset: str
    version: str
    content_hash: str
    part_rows: list[int]
    pages: int
    empty_pages: int
    characters: int
    collapsed_duplicates: int
    failed_pages: FailedPages
    narrowed_to_doc_ids: int | None = None
    doc_ids_not_found: int
    source_fingerprint: str | None = None


class ChunksManifest(_Manifest):
    """The chunks of a snapshot; part ``i`` holds the chunks of the pages of part ``i``.

    ``calibration`` multiplies the token estimate, ``kind_factors`` that of kinds of characters, by name; a
    kind without one has 1. They stay as they are while the batch stays the same kind of batch, because
    other borders would be other requests.
    """

    dataset: str
    version: str
    pages_version: str
    chunk_tokens: int
    overlap_tokens: int
    calibration: float
    kind_factors: dict[str, float] = {}
    part_rows: list[int]
    chunks: int
    estimated_tokens: int


class CascadeAccount(_Manifest):
    """How a cascade chose between the answers of its small model and of the large one.

    ``threshold``, ``doubts`` and ``calibration`` (a name; None without one) decided. ``chunks_by_model``
    counts the chunks by whose answer stands, ``doubted`` those of the large model by what spoke against the
    small one's answer (extraction/cascade.py). ``small_seconds`` is what slots of the small model took for
    all chunks; ``saved_seconds`` what slots of the large one would have taken for the chunks that it was not
    asked about, less that: estimated by how much longer than the small one it takes for the others. None
    where a server did not tell, or there is nothing to estimate by.
    """

    model: str
    model_digest: str
    threshold: float
    doubts: list[str]
    calibration: str | None
    chunks_by_model: dict[str, int]
    doubted: dict[str, int]
    small_seconds: float | None
    saved_seconds: float | None


class RawModelOutputsManifest(_Manifest):
    """The answers to a set of chunks, one part for each part of the chunks.

    ``answered`` and ``failed`` count first answers, ``empty_answers`` those of the answered that name nothing
    (None where code wrote the manifest that did not count them); the others those of a second pass.
    ``model_notes`` are what cannot be known of the model, or could be better at its servers, as they were
    when this was made. ``cascade`` is None where one model was asked; else the other fields are of the large
    one.
    """

    dataset: str
    version: str
    pages_version: str
    chunks_version: str
    model: str
    model_digest: str
    model_version: str
    prompt_version: str
    request_fingerprint: str
    part_rows: list[int]
    answered: int
    failed: int
    second_answered: int = 0
    second_failed: int = 0
    model_notes: list[str] = []
    empty_answers: int | None = None
    cascade: CascadeAccount | None = None


class Verification(_Manifest):
    """What was verified before a publication: all of its rows, and the state of every page.

    ``subject`` is a hash of the rules, label scheme, snapshot and manifest that the rows were held against;
    ``shifted_pages`` counts pages that Argilla's web page marks in the wrong places.
    """

    subject: str
    rows: int
    shifted_pages: int


class Comparison(_Manifest):
    """A publication beside the one before, on the pages that had rows and whose text is the same in both.

    ``rows_before`` are their rows then, ``rows`` those now. Of these ``pages`` so many have no rows any more:
    ``pages_emptied`` because nothing was marked, ``pages_failed`` because they failed.
    """

    pages: int
    rows_before: int
    rows: int
    pages_emptied: int
    pages_failed: int


class SuggestionsManifest(_Manifest):
    """What is published, beside the Parquet as ``_manifest.json``.

    A page is in exactly one of three states: it has rows in the Parquet; it is in
    ``pages_without_spans`` (the model answered and nothing was marked: clear what an earlier run
    suggested); or it is in ``failed_pages`` (nothing is known: keep what is there). A page that is
    in none of them was not part of this batch.

    ``confidences_by_source`` counts the rows by what their confidence was made of: ``log_probabilities``,
    ``masked_log_probabilities`` (of the tokens that the server's grammar had left), ``self_reported`` (the
    model's own word, where it was asked for it) or ``unknown`` (null). ``model_notes`` are those of the
    raw outputs. ``pages_by_answer`` counts the pages that did not fail by what their answers came to:
    ``marked``, ``all_rejected`` (the model named something, no quote became a suggestion), ``empty`` (it
    named nothing) or ``not_asked`` (no text); it is empty where code published that did not count them.
    ``scheme_version`` is a hash of the labels, and of what their scheme says of overlaps and values; None
    from older code. ``mean_confidence`` is of the rows whose confidence is known, ``tokens`` are those of the
    answers that the rows were made of, prompts included, each request once: None of nothing, where no server
    counted, and from older code. ``comparison`` is with the publication whose Parquet this one's replaced;
    None where there was none, or another model, prompt or scheme made it. ``source_fingerprint`` is the
    snapshot's. ``calibration`` names what confidences were calibrated by, None without one; ``held_back``
    counts by label what was below its threshold. ``cascade`` is that of the raw outputs, ``rows_by_model``
    counts its rows by the model that named them. ``learned_from`` are the documents that few-shot examples
    came from, by ``digest_of``. ``verification`` is None where code published that did not
    write it down.
    """

    dataset: str
    rows: int
    bytes: int
    pages_processed: int
    pages_with_spans: int
    pages_without_spans: PageVersions
    failed_pages: FailedPages
    spans_by_label: dict[str, int]
    quotes_by_outcome: dict[str, int]
    groundings_by_match: dict[str, int]
    values_by_verdict: dict[str, int] = {}
    confidences_by_source: dict[str, int] = {}
    pages_by_answer: dict[str, int] = {}
    calibration: str | None = None
    held_back: dict[str, int] = {}
    cascade: CascadeAccount | None = None
    rows_by_model: dict[str, int] = {}
    mean_confidence: float | None = None
    tokens: int | None = None
    model: str
    model_version: str
    prompt_version: str
    model_notes: list[str] = []
    scheme_version: str | None = None
    learned_from: list[str] = []
    input_version: str
    source_fingerprint: str | None = None
    content_hash: str
    parquet_etag: str
    run_id: str
    published_at: datetime
    comparison: Comparison | None = None
    verification: Verification | None = None


class Calibration(_Manifest):
    """What has been learned of a model's tokens from the counts of ``requests`` answers.

    The estimates of kinds of characters are multiplied by ``kind_factors`` (by name; 1 without one), and the
    sum by ``factor``.
    """

    model: str
    factor: float
    requests: int
    kind_factors: dict[str, float] = {}
