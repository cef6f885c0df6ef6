"""What somebody else chose (ids, labels, names of models) reaches no terminal and no log as it is."""

from datetime import UTC, datetime

import pytest
from dagster import TableMetadataValue
from shared.published_dataset import Dataset, good_rows

from preannotation_assets.defs.checks import _offence_table
from preannotation_assets.manifests import (
    ChunksManifest,
    FailedPage,
    PagesManifest,
    SuggestionsManifest,
)
from preannotation_assets.publishing.distribution import Distribution
from preannotation_assets.publishing.request_account import RequestAccount
from preannotation_assets.publishing.shown_ids import shown_id, shown_page
from preannotation_assets.publishing.summary import Summary
from preannotation_assets.publishing.verification import Rule, VerificationReport

HOSTILE = "a\x1b]0;title\x07\x1b[2J\n\r0 failed \u202e\x9b2J \u2028" + "x" * 5000
FORBIDDEN = {"\x1b", "\x07", "\n", "\r", "\u202e", "\x9b", "\u2028"}


def check(line: str) -> None:
    assert FORBIDDEN.isdisjoint(line)
    assert len(line) < 700


def test_an_id_is_one_line_that_a_terminal_shows_and_does_not_obey() -> None:
    check(shown_id(HOSTILE))
    assert shown_page("vessels_ocr_7/é 🚢", 3) == "vessels_ocr_7/é 🚢 page 3"
    assert len(shown_id(HOSTILE)) == 200


def test_verify_shows_ids_and_obeys_none() -> None:
    report = VerificationReport()
    report.add(Rule.TEXT, HOSTILE, 1, HOSTILE)
    report.add(Rule.SPANS, HOSTILE, 1)
    lines = report.lines()
    assert len(lines) == 3
    for line in lines:
        check(line)
    check(report.summary())


def test_what_keeps_a_publication_back_names_the_first_page() -> None:
    report = VerificationReport()
    for page in (7, 8):
        report.add(Rule.OVERLAP, "vessels_ocr_1/a", page, "id")
    assert report.summary() == f"2 x not: {Rule.OVERLAP.value} (first vessels_ocr_1/a page 7)"


def test_the_table_of_a_check_shows_ids_and_obeys_none() -> None:
    report = VerificationReport()
    report.add(Rule.TEXT, HOSTILE, 1, HOSTILE)
    table = _offence_table(report.offenders)
    assert isinstance(table, TableMetadataValue)
    for value in table.records[0].data.values():
        check(str(value))


@pytest.mark.parametrize("place", ["doc_id", "reason", "label", "model"])
def test_the_account_of_a_run_shows_names_and_obeys_none(dataset: Dataset, place: str) -> None:
    names = dict.fromkeys(("doc_id", "reason", "label", "model"), "plain") | {place: HOSTILE}
    failed = FailedPage(doc_id=names["doc_id"], page_num=1, reason=names["reason"])
    published = dataset.publish(good_rows()).manifest.model_copy(
        update={
            "failed_pages": [failed],
            "spans_by_label": {names["label"]: 1},
            "model": names["model"],
            "model_version": names["model"],
            "published_at": datetime.now(UTC),
        }
    )
    lines = summary_of(dataset.pages, published).lines()
    for line in lines:
        check(line)


def summary_of(pages: PagesManifest, published: SuggestionsManifest) -> Summary:
    chunks = ChunksManifest.model_construct(chunks=1)
    return Summary(pages, chunks, published, RequestAccount(Distribution.of([1.0])), run_id="r")
