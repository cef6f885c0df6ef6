import json

from preannotation_assets.manifests import SuggestionsManifest

# As it was written before values had verdicts and confidences had sources.
EARLIER = {
    "dataset": "vessels_ocr_7", "rows": 1, "bytes": 10, "pages_processed": 1, "pages_with_spans": 1,
    "pages_without_spans": [], "failed_pages": [], "spans_by_label": {"port": 1},
    "quotes_by_outcome": {"kept": 1}, "groundings_by_match": {"exact": 1}, "model": "llama3.3:70b",
    "model_version": "sha256:ab/spans-1-cd", "prompt_version": "spans-1-cd", "input_version": "v",
    "content_hash": "h", "parquet_etag": "e", "run_id": "r", "published_at": "2026-03-04T05:06:07Z",
}  # fmt: skip


def test_an_earlier_publication_is_still_read() -> None:
    manifest = SuggestionsManifest.model_validate_json(json.dumps(EARLIER))
    assert manifest.confidences_by_source == manifest.values_by_verdict == {}
