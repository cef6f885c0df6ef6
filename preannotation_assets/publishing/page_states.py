"""Checks that the manifest accounts for every page exactly once, as a loader relies on."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import pyarrow as pa

from preannotation_assets.extraction.argilla_rules import agent_of, is_agent
from preannotation_assets.lake import Row
from preannotation_assets.manifests import SuggestionsManifest
from preannotation_assets.publishing.aligned_pages import PageKey, page_key
from preannotation_assets.publishing.verification import Rule, VerificationReport

__all__ = ["PageStates"]


@dataclass(frozen=True, slots=True)
class PageStates:
    """What a manifest says of every page, to be held against the pages as they are walked through.

    Holds the keys of all pages that have spans, as the manifest holds those of the others.
    """

    manifest: SuggestionsManifest
    labels: Counter[str]
    with_spans: frozenset[PageKey]
    without_spans: Mapping[PageKey, str]
    failed: frozenset[tuple[str, int | None]]

    @classmethod
    def read(cls, manifest: SuggestionsManifest, rows: Iterable[pa.RecordBatch]) -> "PageStates":
        """The states by the manifest and the published rows, which need doc_id, page_num and label."""
        labels: Counter[str] = Counter()
        with_spans: set[PageKey] = set()
        for batch in rows:
            for counted in batch["label"].value_counts().to_pylist():
                labels[counted["values"]] += counted["counts"]
            pages = pa.Table.from_batches([batch]).group_by(["doc_id", "page_num"]).aggregate([])
            with_spans.update(map(page_key, pages.to_pylist()))
        return cls(
            manifest,
            labels,
            frozenset(with_spans),
            {(page.doc_id, page.page_num): page.text_sha256 for page in manifest.pages_without_spans},
            frozenset((page.doc_id, page.page_num) for page in manifest.failed_pages),
        )

    def checked(self, pages: Iterable[Row], report: VerificationReport) -> Iterator[Row]:
        """Passes the snapshot's pages on, and adds to the report where one is in no state or in several.

        Pages of the manifest that did not come by are added when the last page has.
        """
        unseen = set(self.without_spans)
        for page in pages:
            key = page_key(page)
            unseen.discard(key)
            if (key in self.with_spans) + (key in self.without_spans) + (key in self.failed) != 1:
                report.add(Rule.STATE, *key)
            if self.without_spans.get(key, page["text_sha256"]) != page["text_sha256"]:
                report.add(Rule.HASH, *key)
            yield page
        for key in sorted(unseen):
            report.add(Rule.PAGE, *key)
        report.differences += self._differences()

    def _differences(self) -> Iterator[str]:
        """Where the manifest's counts are not the Parquet's."""
        manifest, with_spans = self.manifest, len(self.with_spans)
        expected = {
            "rows": self.labels.total(),
            "pages_with_spans": with_spans,
            "pages_processed": with_spans + len(manifest.pages_without_spans),
        }
        for name, count in expected.items():
            if getattr(manifest, name) != count:
                yield f"{name} of the manifest is {getattr(manifest, name)}, not {count}"
        if not is_agent(agent_of(manifest.model, manifest.model_version)):
            yield "model/model_version of the manifest is no agent that Argilla takes"
        if manifest.spans_by_label != self.labels:
            yield "spans_by_label of the manifest is not what the Parquet has"
