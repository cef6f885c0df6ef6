"""Checks that the manifest accounts for every page exactly once, as a loader relies on."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from preannotation_assets.extraction.argilla_rules import agent_of, is_agent
from preannotation_assets.manifests import SuggestionsManifest
from preannotation_assets.publishing.page_walk import PageWalk, WalkedPage
from preannotation_assets.publishing.verification import Rule, VerificationReport

__all__ = ["PageStates"]


@dataclass(slots=True)
class PageStates:
    """What a manifest says of every page, held against the pages as they are walked through."""

    manifest: SuggestionsManifest
    labels: Counter[str] = field(default_factory=Counter)
    with_spans: int = 0

    def checked(self, walk: PageWalk, report: VerificationReport) -> PageWalk:
        """Passes the pages on, and adds to the report where one is in no state or in several.

        Where the manifest's counts are not those of the walk is added when the last page has come by.
        """
        for walked in walk:
            self._check(walked, report)
            self.with_spans += bool(walked.rows)
            self.labels.update(row["label"] for row in walked.rows)
            yield walked
        report.differences += self._differences()

    def _check(self, walked: WalkedPage, report: VerificationReport) -> None:
        if walked.page is None:
            if walked.without_spans:
                report.add(Rule.PAGE, *walked.key)
            return
        if bool(walked.rows) + bool(walked.without_spans) + bool(walked.failed) != 1:
            report.add(Rule.STATE, *walked.key)
        if any(said["text_sha256"] != walked.page["text_sha256"] for said in walked.without_spans):
            report.add(Rule.HASH, *walked.key)

    def _differences(self) -> Iterator[str]:
        """Where the manifest's counts are not the Parquet's."""
        manifest, with_spans = self.manifest, self.with_spans
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
