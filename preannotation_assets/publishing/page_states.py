"""Checks that the manifest accounts for every page exactly once, as a loader relies on."""

from collections import Counter
from collections.abc import Iterable

from preannotation_assets.lake import Row
from preannotation_assets.manifests import SuggestionsManifest
from preannotation_assets.publishing.argilla_rules import agent_of, is_agent
from preannotation_assets.publishing.verification import Rule, VerificationReport

__all__ = ["verify_states"]


def verify_states(
    manifest: SuggestionsManifest, rows: Iterable[Row], pages: Iterable[Row], report: VerificationReport
) -> None:
    """Adds to the report where a page is in none or in several of the manifest's three states.

    ``rows`` need doc_id, page_num and label; ``pages`` (the snapshot) doc_id, page_num and text_sha256.
    Holds the keys of all pages that have spans, as the manifest holds those of the others.
    """
    labels: Counter[str] = Counter()
    with_spans: set[tuple[str, int]] = set()
    for row in rows:
        labels[row["label"]] += 1
        with_spans.add((row["doc_id"], row["page_num"]))
    without_spans = {(page.doc_id, page.page_num): page.text_sha256 for page in manifest.pages_without_spans}
    failed = {(page.doc_id, page.page_num) for page in manifest.failed_pages}
    unseen = set(without_spans)
    for page in pages:
        key = page["doc_id"], page["page_num"]
        unseen.discard(key)
        if (key in with_spans) + (key in without_spans) + (key in failed) != 1:
            report.add(Rule.STATE, *key)
        if without_spans.get(key, page["text_sha256"]) != page["text_sha256"]:
            report.add(Rule.HASH, *key)
    for key in sorted(unseen):
        report.add(Rule.PAGE, *key)
    _compare_counts(manifest, labels, len(with_spans), report)


def _compare_counts(
    manifest: SuggestionsManifest, labels: Counter[str], with_spans: int, report: VerificationReport
) -> None:
    expected = {
        "rows": labels.total(),
        "pages_with_spans": with_spans,
        "pages_processed": with_spans + len(manifest.pages_without_spans),
    }
    report.differences += [
        f"{name} of the manifest is {getattr(manifest, name)}, not {count}"
        for name, count in expected.items()
        if getattr(manifest, name) != count
    ]
    if not is_agent(agent_of(manifest.model, manifest.model_version)):
        report.differences.append("model/model_version of the manifest is no agent that Argilla takes")
    if manifest.spans_by_label != labels:
        report.differences.append("spans_by_label of the manifest is not what the Parquet has")
