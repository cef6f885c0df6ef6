"""An evaluation of the demo finds what its experts were made to do."""

import json
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import TypeAdapter
from shared.reviewed_demo import LAYOUT, ReviewedDemo, review_demo

from preannotation_assets.contracts import DECISIONS, RESPONSES
from preannotation_assets.errors import BatchError, DamagedObjectError, SettingsError, VerificationError
from preannotation_assets.evaluation.held_out import digest_of
from preannotation_assets.extraction.labels import ExampleSource, LabelScheme
from preannotation_assets.label_file import load_label_scheme
from preannotation_assets.lake import (
    StoreLocation,
    open_store,
    read_json,
    read_table,
    write_json,
    write_table,
)
from preannotation_assets.lake.layout import part_key
from preannotation_assets.publishing.evaluation import EvaluationRules, calibrate_datasets, evaluate_dataset
from preannotation_assets.publishing.evaluation.results import Evaluation
from preannotation_assets.settings import Settings

RULES = EvaluationRules.parse("latest", "", 20)
COUNTED_OUT = {"draft": 1, "discarded": 1, "other_text": 1, "impossible_span": 1, "not_published": 1}


@pytest.fixture(scope="module")
def scheme() -> LabelScheme:
    return load_label_scheme(Settings().labels.path)


@pytest.fixture
def demo(tmp_path: Path) -> ReviewedDemo:
    return review_demo(tmp_path / "lake")


def nobody() -> None:
    return None


def evaluated(demo: ReviewedDemo, scheme: LabelScheme, rules: EvaluationRules = RULES) -> Evaluation:
    return evaluate_dataset(demo.store, LAYOUT.dataset, nobody, scheme, rules)


@pytest.fixture(scope="module")
def whole(scheme: LabelScheme, tmp_path_factory: pytest.TempPathFactory) -> tuple[ReviewedDemo, Evaluation]:
    demo = review_demo(tmp_path_factory.mktemp("whole") / "lake")
    demo.write_responses()
    return demo, evaluated(demo, scheme)


def test_every_planted_action_and_loss_is_found(whole: tuple[ReviewedDemo, Evaluation]) -> None:
    demo, found = whole
    assert min(demo.actions.values()) >= 5
    assert len(demo.actions) == 6
    assert {name: count for name, count in found.scores.actions.items() if count} == demo.actions
    assert len(demo.losses) == 5
    assert {name: count for name, count in found.scores.losses.items() if count} == demo.losses
    assert (found.scores.pages, found.scores.gold) == (demo.reviewed, demo.gold)


def test_the_scores_follow_from_what_was_planted(whole: tuple[ReviewedDemo, Evaluation]) -> None:
    demo, found = whole
    suggested = demo.actions.total() - demo.actions["added"]
    strict = next(each for each in found.scores.scores if (each.label, each.scheme) == ("", "strict"))
    assert strict.precision.value == pytest.approx(demo.actions["kept"] / suggested)
    assert strict.recall.value == pytest.approx(demo.actions["kept"] / demo.gold)
    spent = sum(
        {"added": 2, "deleted": 1, "label_changed": 2, "border_moved": 2, "both_changed": 2}.get(name, 0)
        * count
        for name, count in demo.actions.items()
    )
    assert found.scores.savings.saved.value == pytest.approx(1 - spent / (2 * demo.gold))


def test_documents_that_gave_the_scheme_its_examples_are_left_out_and_counted(
    demo: ReviewedDemo, scheme: LabelScheme, whole: tuple[ReviewedDemo, Evaluation]
) -> None:
    demo.write_responses()
    used = [row for row in demo.responses if (row["doc_id"], row["page_num"]) in demo.pages]
    document = used[0]["doc_id"]
    source = ExampleSource(dataset=LAYOUT.dataset, document=digest_of(document))
    example = scheme.examples[-1].model_copy(update={"source": source})
    learned = scheme.model_copy(update={"examples": (*scheme.examples[:-1], example)})
    found = evaluated(demo, learned)
    left_out = found.uses["learned_from"]
    assert left_out > 0
    assert found.uses["used"] + left_out == whole[1].uses["used"]
    assert found.scores.documents == whole[1].scores.documents - 1
    assert f"learned_from {left_out}" in "".join(found.lines())
    decisions = read_table(demo.store, LAYOUT.decisions)
    assert document not in decisions.column("doc_id").to_pylist()


def test_what_was_published_with_learned_examples_is_evaluated_without_their_documents(
    demo: ReviewedDemo, scheme: LabelScheme
) -> None:
    """Also where another scheme is in use by now."""
    demo.write_responses()
    document = demo.responses[0]["doc_id"]
    manifest = read_json(demo.store, LAYOUT.published_manifest)
    assert isinstance(manifest, dict)
    write_json(demo.store, LAYOUT.published_manifest, manifest | {"learned_from": [digest_of(document)]})
    assert evaluated(demo, scheme).uses["learned_from"] > 0
    found = calibrate_datasets(demo.store, [LAYOUT.dataset], lambda _: None, RULES)
    of_all = demo.actions.total() - demo.actions["added"]
    of_document = sum(row["doc_id"] == document for row in demo.suggested)
    assert 0 < of_document < of_all
    assert found.fitted.suggestions < of_all
    assert f"left out   learned_from {found.learned_from} response(s)" in found.lines()
    assert found.learned_from > 0


def test_every_response_is_accounted_for(whole: tuple[ReviewedDemo, Evaluation]) -> None:
    demo, found = whole
    assert found.uses == COUNTED_OUT | {"used": demo.reviewed + demo.reviewed_twice}
    assert sum(found.uses.values()) == len(demo.responses)
    assert found.annotators == 2
    assert found.agreement.pages == demo.reviewed_twice
    assert found.agreement.alpha is not None
    assert found.agreement.mean_f1 is not None
    assert 0.5 < found.agreement.alpha < 1
    assert 0.5 < found.agreement.mean_f1 < 1
    assert (found.source, found.model) == ("lake", "llama3.3:70b")


def test_all_figures_are_in_the_document(whole: tuple[ReviewedDemo, Evaluation]) -> None:
    demo, found = whole
    assert TypeAdapter(Evaluation).validate_python(read_json(demo.store, LAYOUT.evaluation)) == found


def test_the_decisions_are_a_table_without_texts(
    whole: tuple[ReviewedDemo, Evaluation], tmp_path: Path
) -> None:
    demo, found = whole
    demo.store.download(LAYOUT.decisions, tmp_path / "decisions.parquet")
    table = pq.read_table(tmp_path / "decisions.parquet")
    assert table.schema.equals(DECISIONS)
    rows: list[dict[str, Any]] = table.to_pylist()
    assert len(rows) == demo.actions.total()
    reviewed = {(row["doc_id"], row["page_num"]) for row in rows}
    suggested = {
        (row["doc_id"], row["page_num"], row["start"], row["end"], row["label"]): row["confidence"]
        for row in demo.suggested
    }
    for row in rows:
        assert row["text_sha256"] == demo.pages[row["doc_id"], row["page_num"]].text_sha256
        assert (row["label"] is None) == (row["action"] == "added") == (row["loss"] is not None)
        assert (row["gold_label"] is None) == (row["action"] == "deleted")
        if row["label"] is not None:
            key = row["doc_id"], row["page_num"], row["start"], row["end"], row["label"]
            assert row["confidence"] == pytest.approx(suggested.pop(key))
    # What is left is on pages that nobody has reviewed.
    assert {key[:2] for key in suggested}.isdisjoint(reviewed)
    assert {row["model_version"] for row in rows} == {found.model_version}


def test_another_rule_for_the_gold_is_another_evaluation(demo: ReviewedDemo, scheme: LabelScheme) -> None:
    demo.write_responses()
    bob = evaluated(demo, scheme, EvaluationRules.parse("annotator:bob", "", 0))
    assert (bob.scores.pages, bob.pages_without_gold) == (
        demo.reviewed_twice,
        demo.reviewed - demo.reviewed_twice,
    )
    majority = evaluated(demo, scheme, EvaluationRules.parse("majority", "", 0))
    assert bob.scores.gold < majority.scores.gold < demo.gold


def test_without_responses_it_is_one_line_and_nothing_is_written(
    demo: ReviewedDemo, scheme: LabelScheme
) -> None:
    found = evaluated(demo, scheme)
    (line,) = found.lines()
    assert "no experts' responses for vessels_ocr_demo yet" in line
    assert found.source is None
    assert list(demo.store.list(f"{LAYOUT.work}/evaluation/")) == []


def test_where_no_response_counts_one_line_says_why(demo: ReviewedDemo, scheme: LabelScheme) -> None:
    demo.responses = demo.responses[-5:]
    demo.write_responses()
    (line,) = evaluated(demo, scheme).lines()
    assert line.startswith("no response for vessels_ocr_demo can be evaluated: ")
    assert all(f"{name} {count}" in line for name, count in COUNTED_OUT.items())


def test_a_snapshot_of_other_texts_leaves_their_responses_out(
    demo: ReviewedDemo, scheme: LabelScheme
) -> None:
    """Pages were read again and not published yet: what is published is not of the text that is at hand."""
    demo.write_responses()
    before = evaluated(demo, scheme)
    key = part_key(LAYOUT.stage("pages", "v1"), 0)
    demo.store.download(key, Path(str(demo.store.uri(key)) + ".copy"))
    rows = pq.read_table(str(demo.store.uri(key)) + ".copy").to_pylist()
    changed = next(number for number, row in enumerate(rows) if row["doc_id"].endswith("bill_of_lading_0001"))
    marked = {(row["doc_id"], row["page_num"]) for row in demo.suggested} | {demo.failed}
    unmarked = next(row for row in rows if (row["doc_id"], row["page_num"]) not in marked)
    for row in (rows[changed], unmarked):
        row |= {"text": "New", "text_sha256": "new"}
        # Somebody has read the new text already, of which nothing is published.
        page = {name: row[name] for name in ("doc_id", "page_num", "text_sha256")}
        demo.responses.append(demo.responses[0] | page | {"annotator": "eve", "spans": []})
    demo.write_responses()
    write_table(demo.store, key, pa.Table.from_pylist(rows, schema=pq.read_schema(str(demo.store.uri(key)))))
    after = evaluated(demo, scheme)
    keys = {(row["doc_id"], row["page_num"]) for row in (rows[changed], unmarked)}
    given = [row for row in demo.responses if (row["doc_id"], row["page_num"]) in keys]
    counted = [row for row in given if row["status"] == "submitted" and row["text_sha256"] != "before"]
    assert after.uses["other_text"] == before.uses["other_text"] + len(counted)
    assert after.scores.pages == before.scores.pages - len(keys)
    assert sum(after.uses.values()) == sum(before.uses.values()) + len(keys)


def test_responses_written_by_others_in_wider_types_are_read(demo: ReviewedDemo, scheme: LabelScheme) -> None:
    wide = pa.Table.from_pylist(demo.responses, schema=RESPONSES)
    wide = wide.set_column(1, "page_num", wide["page_num"].cast(pa.int64()))
    struct = pa.struct([("label", pa.large_string()), ("start", pa.int64()), ("end", pa.int64())])
    wide = wide.set_column(6, "spans", pa.array([row["spans"] for row in demo.responses], pa.list_(struct)))
    time = pa.array([row["submitted_at"].replace(tzinfo=None) for row in demo.responses], pa.timestamp("ns"))
    wide = wide.set_column(5, "submitted_at", time)
    write_table(demo.store, part_key(LAYOUT.responses, 0), wide)
    assert evaluated(demo, scheme).scores.actions["kept"] == demo.actions["kept"]


def spans_as(demo: ReviewedDemo, struct: pa.DataType, spans: list[Any]) -> None:
    """Writes the responses with spans of other types; ``spans`` are those of the first ones."""
    table = pa.Table.from_pylist(demo.responses, schema=RESPONSES)
    given = [*spans, *(row["spans"] for row in demo.responses[len(spans) :])]
    column = table.schema.get_field_index("spans")
    write_table(
        demo.store,
        part_key(LAYOUT.responses, 0),
        table.set_column(column, "spans", pa.array(given, pa.list_(struct))),
    )


def test_enums_and_further_fields_of_spans_are_read_as_what_they_say(
    demo: ReviewedDemo, scheme: LabelScheme
) -> None:
    """DuckDB gives an ENUM as a dictionary, pandas a category."""
    table = pa.Table.from_pylist(demo.responses, schema=RESPONSES)
    for name in ("annotator", "status"):
        at = table.schema.get_field_index(name)
        table = table.set_column(at, name, table[name].dictionary_encode())
    struct = pa.struct([("score", pa.float64()), *RESPONSES.field("spans").type.value_type])
    spans = pa.array([row["spans"] for row in demo.responses], pa.list_(struct))
    table = table.set_column(table.schema.get_field_index("spans"), "spans", spans)
    write_table(demo.store, part_key(LAYOUT.responses, 0), table)
    found = evaluated(demo, scheme)
    assert {name: count for name, count in found.scores.actions.items() if count} == demo.actions


@pytest.mark.parametrize("kind", [pa.int64(), pa.uint64()])
def test_an_offset_beyond_all_pages_spoils_its_response_alone(
    demo: ReviewedDemo, scheme: LabelScheme, kind: pa.DataType
) -> None:
    struct = pa.struct([("start", kind), ("end", kind), ("label", pa.string())])
    far = [[{"start": 0, "end": end, "label": "port"}] for end in (2**40, 2**63 - 1)]
    spans_as(demo, struct, [*far, None, [None]])
    uses = evaluated(demo, scheme).uses
    assert uses["impossible_span"] == COUNTED_OUT["impossible_span"] + 4
    assert uses["used"] == demo.reviewed + demo.reviewed_twice - 4


@pytest.mark.parametrize("name", ["annotator", "spans", "submitted_at"])
def test_columns_that_are_missing_are_named(demo: ReviewedDemo, scheme: LabelScheme, name: str) -> None:
    table = pa.Table.from_pylist(demo.responses, schema=RESPONSES).drop_columns([name])
    write_table(demo.store, part_key(LAYOUT.responses, 0), table)
    with pytest.raises(DamagedObjectError, match=f"lacks the column {name}") as raised:
        evaluated(demo, scheme)
    assert "argilla-export" in str(raised.value)


def test_a_field_that_spans_lack_is_named(demo: ReviewedDemo, scheme: LabelScheme) -> None:
    spans_as(demo, pa.struct([("start", pa.int32()), ("end", pa.int32())]), [])
    with pytest.raises(DamagedObjectError, match="has not one field label in the column spans"):
        evaluated(demo, scheme)


def test_a_null_where_spans_belong_is_not_taken_for_a_reviewed_page(
    demo: ReviewedDemo, scheme: LabelScheme
) -> None:
    demo.responses = [row | {"spans": None} for row in demo.responses[:2]]
    demo.write_responses()
    assert evaluated(demo, scheme).uses == {"impossible_span": 2}


def test_what_pages_that_hold_nothing_could_save_is_measured(demo: ReviewedDemo, scheme: LabelScheme) -> None:
    demo.empty_every_second_document()
    demo.write_responses()
    without = evaluated(demo, scheme).empty_pages
    assert without.by_words is not None
    assert without.by_words.requests_saved.value is None
    demo.write_requests()
    found = evaluated(demo, scheme)
    measured = found.empty_pages
    assert measured.by_words is not None
    assert measured.by_words.requests_saved.value == measured.by_words.pages_saved.value is not None
    assert measured.by_words.tokens == 120 * round(measured.by_words.pages_saved.value * measured.measured)
    (line,) = [line for line in found.lines() if line.startswith("empty ")]
    assert f"{measured.empty} of {measured.pages} reviewed pages with text hold nothing; on documents" in line
    assert f"of the requests, {measured.by_words.tokens} tokens" in line
    report = Path(demo.store.uri(LAYOUT.evaluation_report)).read_text("utf-8")
    assert 'id="savings"' in report
    # Numbers alone: what a test learned of words is nowhere.
    document = read_json(demo.store, LAYOUT.evaluation)
    assert isinstance(document, dict)
    assert not re.findall(r'"(?=[,}\]])', json.dumps(document["empty_pages"]))


def test_of_few_pages_that_hold_nothing_it_says_that_they_are_too_few(
    whole: tuple[ReviewedDemo, Evaluation],
) -> None:
    demo, found = whole
    assert found.empty_pages.by_words is None
    assert any("too few of either kind" in line for line in found.lines())
    assert 'id="savings"' not in Path(demo.store.uri(LAYOUT.evaluation_report)).read_text("utf-8")


def test_what_is_not_published_or_not_whole_is_no_ground_for_figures(
    demo: ReviewedDemo, scheme: LabelScheme, tmp_path: Path
) -> None:
    with pytest.raises(BatchError, match="preannotate run vessels_ocr_none"):
        evaluate_dataset(
            open_store(StoreLocation(str(tmp_path / "none"))), "vessels_ocr_none", nobody, scheme, RULES
        )
    with pytest.raises(SettingsError):
        evaluated(demo, scheme, EvaluationRules(gold="best"))
    demo.write_responses()
    published = Path(demo.store.uri(LAYOUT.published_suggestions))
    published.write_bytes(published.read_bytes()[:-1])
    with pytest.raises(VerificationError):
        evaluated(demo, scheme)
