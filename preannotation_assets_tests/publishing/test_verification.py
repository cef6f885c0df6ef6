import hashlib
from collections import Counter
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shared.published_dataset import LABELS, PAGE_TEXTS, RULES, Dataset, good_rows, page_rows

from preannotation_assets import cli
from preannotation_assets.contracts import SUGGESTIONS
from preannotation_assets.errors import BatchError, VerificationError
from preannotation_assets.lake.batch import write_manifest
from preannotation_assets.manifests import FailedPage, PageVersion
from preannotation_assets.publishing.page_walk import walk_pages
from preannotation_assets.publishing.publisher import verify_dataset
from preannotation_assets.publishing.verification import (
    MOST_OFFENDERS,
    Rule,
    VerificationReport,
    schema_differences,
    verify_rows,
)

Row = dict[str, Any]


def verify(rows: list[Row], *, overlaps_allowed: bool = False) -> VerificationReport:
    return verify_rows(walk_pages(page_rows(), rows), LABELS, overlaps_allowed=overlaps_allowed)


def renamed(row: Row) -> Row:
    """The row with the span_id that its place and label ask for."""
    digest = hashlib.sha1(f"{row['start']}:{row['end']}:{row['label']}".encode()).hexdigest()
    return row | {"span_id": f"{row['doc_id']}:{row['page_num']}:{digest}"}


def moved(index: int, **changes: Any) -> Callable[[list[Row]], list[Row]]:
    def change(rows: list[Row]) -> list[Row]:
        row = renamed(rows[index] | changes)
        text = PAGE_TEXTS.get((row["doc_id"], row["page_num"]), "")
        rows[index] = row | ({} if "text" in changes else {"text": text[max(0, row["start"]) : row["end"]]})
        return rows

    return change


def replaced(index: int, **changes: Any) -> Callable[[list[Row]], list[Row]]:
    def change(rows: list[Row]) -> list[Row]:
        rows[index] |= changes
        return rows

    return change


def everywhere(**changes: Any) -> Callable[[list[Row]], list[Row]]:
    return lambda rows: [row | changes for row in rows]


BREAKS: list[tuple[set[Rule], Callable[[list[Row]], list[Row]]]] = [
    ({Rule.PAGE}, moved(3, doc_id="vessels_ocr_1/c")),
    ({Rule.PAGE}, moved(3, page_num=2)),
    ({Rule.OFFSETS}, moved(3, start=12, end=12, text="")),
    ({Rule.OFFSETS}, moved(3, end=10_000, text="Hansa V")),
    ({Rule.OFFSETS, Rule.OVERLAP}, moved(0, start=-1, end=2, text="")),
    ({Rule.TEXT}, replaced(0, text="Marie-Louis")),
    ({Rule.TEXT}, replaced(0, text="Marie-Louise ")),
    ({Rule.TEXT}, moved(0, start=7, end=19, text="Marie-Louise")),  # UTF-16 units: one more for the ship.
    ({Rule.HASH}, replaced(1, text_sha256="0" * 64)),
    ({Rule.SPAN_ID}, replaced(1, span_id="vessels_ocr_1/a:1:0")),
    ({Rule.SPAN_ID}, replaced(1, label="vessel_name")),
    ({Rule.UNIQUE, Rule.OVERLAP}, lambda rows: [rows[0], *rows]),
    ({Rule.LABEL}, moved(1, label="Port")),
    ({Rule.CONFIDENCE}, replaced(1, confidence=1.0000001)),
    ({Rule.CONFIDENCE}, replaced(1, confidence=-0.1)),
    ({Rule.CONFIDENCE}, replaced(1, confidence=float("nan"))),
    ({Rule.ORDER, Rule.OVERLAP}, lambda rows: [rows[1], rows[0], *rows[2:]]),
    ({Rule.ORDER, Rule.PAGE}, lambda rows: [*rows[2:], *rows[:2]]),
    ({Rule.OVERLAP}, moved(3, start=7, end=9)),
    ({Rule.AGENT}, everywhere(model="modèle")),
    ({Rule.AGENT}, everywhere(model="llama3.3 (q4)")),
    ({Rule.AGENT}, everywhere(model_version="v@1")),
    ({Rule.AGENT}, everywhere(model="m" * 200)),
    ({Rule.ONE_AGENT}, replaced(1, model="other:70b")),
    ({Rule.ONE_AGENT}, replaced(3, model_version="sha256:cd/spans-1")),
]  # fmt: skip


def test_good_rows_pass() -> None:
    report = verify(good_rows())
    assert report.passed
    assert report.rows == 4
    assert verify([]).passed
    rows = good_rows()
    assert verify(
        [row | {"confidence": value} for row, value in zip(rows, (None, 0.0, 1.0, 0.5), strict=True)]
    ).passed
    touching = [("vessels_ocr_1/b", 1, 0, 8, "port"), ("vessels_ocr_1/b", 1, 8, 10, "port")]
    assert verify(good_rows(touching)).passed


@pytest.mark.parametrize(("rules", "change"), BREAKS)
def test_each_broken_rule_is_found_and_named(
    rules: set[Rule], change: Callable[[list[Row]], list[Row]]
) -> None:
    report = verify(change(good_rows()))
    assert not report.passed
    assert set(report.offences) == rules
    assert {offender.rule for offender in report.offenders} == rules
    assert all(rule.value in report.summary() for rule in rules)


def test_every_rule_is_tried() -> None:
    of_pages = {Rule.SPANS, Rule.STATE}
    assert set().union(*(rules for rules, _ in BREAKS)) == set(Rule) - of_pages


def test_a_page_has_at_most_ten_thousand_spans() -> None:
    text = "x " * 10_001
    page = {"doc_id": "d", "page_num": 1, "text": text, "text_sha256": "h"}
    rows = [
        renamed(good_rows()[0] | page | {"start": 2 * index, "end": 2 * index + 1, "text": "x"})
        for index in range(10_001)
    ]
    assert verify_rows(walk_pages([page], rows[:-1]), LABELS, overlaps_allowed=False).passed
    report = verify_rows(walk_pages([page], rows), LABELS, overlaps_allowed=False)
    assert report.offences == {Rule.SPANS: 1}
    assert [(offence.doc_id, offence.page_num) for offence in report.offenders] == [("d", 1)]


def test_a_page_counts_as_shifted_when_a_span_ends_behind_the_place() -> None:
    # The ship stands before both spans of a/1; the tags of b/1 stand behind its spans.
    assert verify(good_rows()).shifted_pages == 1
    behind = ("vessels_ocr_1/b", 1, 21, 26, "port")
    assert verify(good_rows([("vessels_ocr_1/b", 1, 10, 17, "vessel_name")])).shifted_pages == 0
    assert verify(good_rows([("vessels_ocr_1/b", 1, 10, 17, "vessel_name"), behind])).shifted_pages == 1


def test_overlaps_are_fine_where_the_scheme_allows_them() -> None:
    nested = [("vessels_ocr_1/b", 1, 0, 17, "vessel_name"), ("vessels_ocr_1/b", 1, 0, 8, "port")]
    assert set(verify(good_rows(nested)).offences) == {Rule.OVERLAP}
    assert verify(good_rows(nested), overlaps_allowed=True).passed


def test_a_report_stays_short_and_holds_ids_only() -> None:
    rows = [row | {"text": "CONFIDENTIAL"} for row in good_rows() for _ in range(20)]
    report = verify(rows, overlaps_allowed=True)
    assert report.offences == {Rule.TEXT: len(rows), Rule.UNIQUE: len(rows) - 4}
    assert Counter(offence.rule for offence in report.offenders) == {
        Rule.TEXT: MOST_OFFENDERS,
        Rule.UNIQUE: MOST_OFFENDERS,
    }
    assert "CONFIDENTIAL" not in repr(report) + report.summary() + "".join(report.lines())


OTHER_VALUES = {
    "doc_id": st.sampled_from(["vessels_ocr_1/a", "vessels_ocr_1/b", "vessels_ocr_1/c"]),
    "page_num": st.integers(-1, 3),
    "span_id": st.text(max_size=5),
    "label": st.sampled_from([*LABELS, "PORT", ""]),
    "start": st.integers(-3, 40),
    "end": st.integers(-3, 40),
    "text": st.sampled_from(["Hamburg", "hamburg", "", "Hansa IV"]),
    "text_sha256": st.sampled_from([row["text_sha256"] for row in page_rows()]),
}


@given(st.data(), st.integers(0, 3), st.sampled_from(sorted(OTHER_VALUES)))
def test_no_change_of_one_value_goes_unnoticed(data: st.DataObject, index: int, column: str) -> None:
    rows = good_rows()
    value = data.draw(OTHER_VALUES[column])
    changed = rows[index][column] != value
    rows[index][column] = value
    assert verify(rows).passed is not changed


def with_schema(schema: pa.Schema) -> pa.Table:
    return pa.Table.from_pylist(good_rows(), schema=schema)


def place(name: str) -> int:
    return SUGGESTIONS.get_field_index(name)


@pytest.mark.parametrize(
    ("schema", "named"),
    [
        (SUGGESTIONS.remove(place("model")), "columns are"),
        (SUGGESTIONS.append(pa.field("comment", pa.string())), "columns are"),
        (SUGGESTIONS.append(SUGGESTIONS.field("label")), "columns are"),
        (pa.schema([SUGGESTIONS.field("page_num"), *SUGGESTIONS.remove(1)]), "columns are"),
        (SUGGESTIONS.set(1, pa.field("page_num", pa.int64(), nullable=False)), "page_num is int64, not"),
        (SUGGESTIONS.set(8, pa.field("confidence", pa.float64())), "confidence is double"),
        (SUGGESTIONS.set(11, pa.field("generated_at", pa.timestamp("ms", "UTC"), nullable=False)), "_at"),
        (SUGGESTIONS.set(11, pa.field("generated_at", pa.timestamp("us"), nullable=False)), "generated_at"),
        (SUGGESTIONS.set(4, pa.field("start", pa.int32())), "start is int32 that may be null"),
        (SUGGESTIONS.set(0, pa.field("doc_id", pa.large_string(), nullable=False)), "doc_id is"),
    ],
)  # fmt: skip
def test_other_columns_are_named(schema: pa.Schema, named: str) -> None:
    assert schema_differences(SUGGESTIONS) == []
    assert named in "; ".join(schema_differences(schema))


def publish_anyway(dataset: Dataset, table: pa.Table) -> None:
    """Puts a Parquet in the place of the published one, with a manifest that names it."""
    manifest = dataset.publish(good_rows()).manifest
    pq.write_table(table, dataset.parquet)
    stat = dataset.plain_store.stat(dataset.layout.published_suggestions)
    assert stat is not None
    content = {"content_hash": stat.etag, "parquet_etag": stat.etag, "rows": table.num_rows}
    write_manifest(
        dataset.plain_store, dataset.layout.published_manifest, manifest.model_copy(update=content)
    )


@pytest.fixture
def verify_command(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Any
) -> Callable[[], tuple[int, str, str]]:
    scheme = tmp_path / "labels.yaml"
    scheme.write_text(
        "name: test\nversion: 1\nlabels:\n"
        + "".join(f"  - name: {label}\n    definition: A {label}.\n" for label in LABELS)
    )
    monkeypatch.setenv("PREANNOTATION_ROOT", str(dataset.root))
    monkeypatch.setenv("PREANNOTATION_LABELS", str(scheme))

    def run() -> tuple[int, str, str]:
        status = cli.main(["verify", dataset.layout.dataset])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


@pytest.mark.parametrize(("rules", "change"), BREAKS)
def test_the_command_finds_each_broken_rule_in_a_published_parquet(
    dataset: Dataset,
    verify_command: Callable[[], tuple[int, str, str]],
    rules: set[Rule],
    change: Callable[[list[Row]], list[Row]],
) -> None:
    publish_anyway(dataset, pa.Table.from_pylist(change(good_rows()), schema=SUGGESTIONS))
    status, out, err = verify_command()
    assert (status, err) == (1, "")
    assert all(rule.value in out for rule in rules)


def test_the_command_says_that_all_is_right(
    dataset: Dataset, verify_command: Callable[[], tuple[int, str, str]]
) -> None:
    dataset.publish(good_rows()[2:])
    assert verify_command() == (0, "2 rows, all right\n", "")
    dataset.publish(good_rows())
    status, out, err = verify_command()
    assert (status, err) == (0, "")
    shifted, page, all_right = out.splitlines()
    assert page == "marked shifted: vessels_ocr_1/a page 1"
    assert shifted.startswith("1 page(s) whose spans Argilla's web page will mark shifted")
    assert all_right == "4 rows, all right"


def test_the_command_says_that_the_parquet_is_gone(
    dataset: Dataset, verify_command: Callable[[], tuple[int, str, str]]
) -> None:
    dataset.publish(good_rows())
    dataset.parquet.unlink()
    status, _, err = verify_command()
    assert status == 1
    assert "is missing: materialize suggestions again" in err


NOTHING_FOUND = {"doc_id": "vessels_ocr_1/a", "page_num": 2}
STATES: list[tuple[dict[str, Any], list[str]]] = [
    (
        {"pages_without_spans": [], "pages_processed": 2},
        ["vessels_ocr_1/a page 2: not: a page has rows"],
    ),
    (
        {"pages_without_spans": []},
        ["a page 2: not: a page has", "pages_processed of the manifest is 3, not 2"],
    ),
    (
        {"failed_pages": [FailedPage(doc_id="vessels_ocr_1/a", page_num=1, reason="timed_out")]},
        ["vessels_ocr_1/a page 1: not: a page has rows"],
    ),
    (
        {"failed_pages": [FailedPage(**NOTHING_FOUND, reason="timed_out")]},
        ["vessels_ocr_1/a page 2: not: a page has rows"],
    ),
    (
        {"pages_without_spans": [PageVersion(**NOTHING_FOUND, text_sha256="0" * 64)]},
        ["vessels_ocr_1/a page 2: not: text_sha256 is the page's"],
    ),
    (
        {
            "pages_without_spans": [
                PageVersion(
                    doc_id="vessels_ocr_1/a", page_num=page, text_sha256=page_rows()[1]["text_sha256"]
                )
                for page in (2, 9)
            ],
            "pages_processed": 4,
        },
        ["vessels_ocr_1/a page 9: not: its page is in the batch"],
    ),
    ({"model": "modèle"}, ["model/model_version of the manifest is no agent that Argilla takes"]),
    ({"pages_with_spans": 7}, ["pages_with_spans of the manifest is 7, not 2"]),
    ({"spans_by_label": {"port": 4}}, ["spans_by_label of the manifest is not what the Parquet has"]),
]


@pytest.mark.parametrize(("changes", "said"), STATES)
def test_the_command_finds_pages_the_manifest_does_not_account_for(
    dataset: Dataset,
    verify_command: Callable[[], tuple[int, str, str]],
    changes: dict[str, Any],
    said: list[str],
) -> None:
    manifest = dataset.publish(good_rows()).manifest
    write_manifest(
        dataset.plain_store, dataset.layout.published_manifest, manifest.model_copy(update=changes)
    )
    status, out, err = verify_command()
    assert (status, err) == (1, "")
    assert all(line in out for line in said)
    assert "all right\n" not in out


def test_the_command_refuses_what_is_no_contract(
    dataset: Dataset, verify_command: Callable[[], tuple[int, str, str]]
) -> None:
    assert verify_command()[0] == 1
    publish_anyway(dataset, with_schema(SUGGESTIONS.remove(place("model"))))
    status, out, err = verify_command()
    assert (status, out) == (1, "")
    assert "columns are" in err
    nullable = pa.schema([field.with_nullable(True) for field in SUGGESTIONS])
    publish_anyway(dataset, pa.Table.from_pylist([good_rows()[0] | {"start": None}], schema=nullable))
    assert "start is int32 that may be null" in verify_command()[2]


@pytest.mark.parametrize("changes", [{"rows": 5}, {"content_hash": "0" * 64}, {"parquet_etag": "x"}])
def test_the_command_refuses_a_parquet_that_is_not_the_manifests(
    dataset: Dataset, verify_command: Callable[[], tuple[int, str, str]], changes: dict[str, Any]
) -> None:
    manifest = dataset.publish(good_rows()).manifest
    key = dataset.layout.published_manifest
    write_manifest(dataset.plain_store, key, manifest.model_copy(update=changes))
    status, out, err = verify_command()
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert "manifest" in err


def test_a_parquet_that_is_not_the_manifests_is_refused(dataset: Dataset) -> None:
    def verify_it() -> VerificationReport:
        return verify_dataset(dataset.plain_store, dataset.layout.dataset, RULES)

    with pytest.raises(BatchError, match="suggestions"):
        verify_it()
    manifest = dataset.publish(good_rows()).manifest
    key = dataset.layout.published_manifest
    for changes in ({"rows": 5}, {"content_hash": "0" * 64}, {"parquet_etag": "x"}):
        write_manifest(dataset.plain_store, key, manifest.model_copy(update=changes))
        with pytest.raises(VerificationError, match="manifest"):
            verify_it()
    write_manifest(dataset.plain_store, key, manifest)
    assert verify_it().passed
    content = dataset.parquet.read_bytes()
    for broken in (content[:-100], b"", content[:100] + content[101:]):
        etag = dataset.plain_store.write(dataset.layout.published_suggestions, broken)
        write_manifest(dataset.plain_store, key, manifest.model_copy(update={"parquet_etag": etag}))
        with pytest.raises(VerificationError):
            verify_it()
