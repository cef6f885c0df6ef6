import hashlib
import json
import math
import pickle
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from shared.calibrations import halving

from preannotation_assets.contracts import GROUNDINGS, PAGES, RAW_MODEL_OUTPUTS, SUGGESTIONS, span_id
from preannotation_assets.extraction.argilla_rules import MOST_SPANS
from preannotation_assets.extraction.calibrated import Calibration
from preannotation_assets.extraction.pages import text_sha256
from preannotation_assets.extraction.values import OnInvalid, ValueRule
from preannotation_assets.lake import ObjectStore, StoreLocation, open_store, read_table, write_table
from preannotation_assets.publishing.page_walk import walk_pages
from preannotation_assets.publishing.verification import verify_rows
from preannotation_assets.tasks.ground_answers import (
    GroundAnswers,
    GroundedPart,
    ground_answers,
    shares_of_parts,
)

TEXTS = ["🚢 The Marie-Louise left Hull.\r\n", "Nothing.", "", "Hansa IV", "Kiel, Kiel", "not asked"]
RULES = {"port": ValueRule("H.*", None, OnInvalid.REJECT, 0.5)}
ANSWERED_AT = datetime(2026, 3, 4, 5, 6, 7, 89, tzinfo=UTC)


def output(page: int, spans: list[dict[str, str]] | None, **changes: Any) -> dict[str, Any]:
    row = {
        "doc_id": "doc", "page_num": page, "chunk_index": 0, "pass_number": 1,
        "start": 0, "end": len(TEXTS[page]),
        "request_key": f"k{page}", "status": "answered", "reason": None,
        "answer": None if spans is None else json.dumps({"spans": spans}),
        "token_lengths": None, "token_logprobs": None, "prompt_tokens": 1, "answer_tokens": 1,
        "estimated_prompt_tokens": 1, "attempts": 1, "endpoint": "http://x", "latency_seconds": 1.0,
        "queue_seconds": None, "answered_at": ANSWERED_AT, "run_id": "r",
    }  # fmt: skip
    return row | changes


def ground(
    folder: Path,
    outputs: list[dict[str, Any]],
    texts: Sequence[str] = TEXTS,
    share: tuple[int, int] = (0, 1),
    calibration: Calibration | None = None,
    holds_back: bool = False,
) -> tuple[GroundedPart, ObjectStore]:
    location = StoreLocation(str(folder))
    store = open_store(location)
    pages = [
        {"doc_id": "doc", "page_num": number, "text": text, "text_sha256": text_sha256(text)}
        for number, text in enumerate(texts)
    ]
    write_table(store, "pages.parquet", pa.Table.from_pylist(pages, schema=PAGES))
    write_table(store, "outputs.parquet", pa.Table.from_pylist(outputs, schema=RAW_MODEL_OUTPUTS))
    task = GroundAnswers(
        location, "pages.parquet", "outputs.parquet", "suggestions.parquet", "groundings.parquet",
        ("vessel_name", "port"), False, RULES, "llama3.3:70b", "sha256:ab/spans-1", *share,
        calibration=calibration, holds_back=holds_back,
    )  # fmt: skip
    return ground_answers(pickle.loads(pickle.dumps(task))), store


@pytest.fixture
def outputs() -> list[dict[str, Any]]:
    half = TEXTS[4].index("Kiel", 1)
    return [
        output(0, [{"vessel_name": "Marie-Louise"}, {"port": "Hull"}, {"port": "Atlantis"}]),
        output(1, []),
        output(3, None, status="failed", reason="timed_out"),
        output(4, [{"port": "Kiel"}], end=half),
        output(4, None, status="failed", reason="not_done", start=half, chunk_index=1),
    ]


def test_every_page_is_in_exactly_one_state(tmp_path: Path, outputs: list[dict[str, Any]]) -> None:
    part, _ = ground(tmp_path, outputs)
    assert part.pages_with_spans == 1
    assert [page.page_num for page in part.pages_without_spans] == [1, 2]
    assert {page.page_num: page.text_sha256 for page in part.pages_without_spans} == {
        number: text_sha256(TEXTS[number]) for number in (1, 2)
    }
    # One chunk of page 4 has no answer: half a page is no page.
    assert [(page.page_num, page.reason) for page in part.failed_pages] == [
        (3, "timed_out"), (4, "not_done"), (5, "not_asked"),
    ]  # fmt: skip
    assert (part.rows, part.spans_by_label) == (2, {"vessel_name": 1, "port": 1})
    assert part.outcomes == {"kept": 2, "not_found": 1}
    assert part.page_answers == {"marked": 1, "empty": 1, "not_asked": 1}


def test_a_page_with_more_spans_than_argilla_takes_fails_and_no_other(tmp_path: Path) -> None:
    crowded, full = "Kiel\n" * (MOST_SPANS + 1), "Kiel\n" * MOST_SPANS
    texts = ["Hull", crowded, full]
    rows = [
        output(page, [{"vessel_name": "Kiel"}] * text.count("Kiel"), end=len(text))
        for page, text in enumerate(texts)
    ]
    rows[0] = output(0, [{"port": "Hull"}], end=4)
    part, store = ground(tmp_path, rows, texts)
    assert [(page.page_num, page.reason) for page in part.failed_pages] == [(1, "too_many_spans")]
    assert (part.pages_with_spans, part.rows) == (2, MOST_SPANS + 1)
    assert part.page_answers == {"marked": 2}
    assert part.outcomes == {"kept": MOST_SPANS + 1}
    published = read_table(store, "suggestions.parquet")
    assert set(published["page_num"].to_pylist()) == {0, 2}
    pages = read_table(store, "pages.parquet").to_pylist()
    walk = walk_pages(pages, published.to_pylist())
    report = verify_rows(walk, ("vessel_name", "port"), overlaps_allowed=False)
    assert report.passed


def scored(page: int, spans: list[dict[str, str]], probability: float) -> dict[str, Any]:
    """Every character is a token of this probability."""
    row = output(page, spans)
    count = len(row["answer"])
    return row | {"token_lengths": [1] * count, "token_logprobs": [math.log(probability)] * count}


def test_a_calibration_changes_confidences_and_nothing_else(tmp_path: Path) -> None:
    rows = [
        scored(0, [{"vessel_name": "Marie-Louise"}, {"port": "Hull"}], 0.8),
        output(4, [{"vessel_name": "Kiel"}]),
    ]
    _, plain = ground(tmp_path / "plain", rows)
    part, store = ground(tmp_path / "calibrated", rows, calibration=halving({"port": 0.9}))
    before, after = (read_table(each, "suggestions.parquet").to_pylist() for each in (plain, store))
    assert [row["confidence"] for row in before] == [pytest.approx(0.8), pytest.approx(0.8), None]
    # What is unknown stays unknown.
    assert [row["confidence"] for row in after] == [pytest.approx(0.4), pytest.approx(0.4), None]
    assert [row | {"confidence": None} for row in before] == [row | {"confidence": None} for row in after]
    kept, raw = (read_table(each, "groundings.parquet") for each in (store, plain))
    assert kept.equals(raw)
    assert part.held_back == {}


def test_what_is_below_the_threshold_of_its_label_is_held_back(tmp_path: Path) -> None:
    rows = [
        scored(0, [{"vessel_name": "Marie-Louise"}, {"port": "Hull"}], 0.8),
        scored(3, [{"port": "Hansa IV"}], 0.8),
        output(4, [{"vessel_name": "Kiel"}]),
    ]
    thresholds = {"port": 0.41, "vessel_name": 0.39}
    part, store = ground(tmp_path, rows, calibration=halving(thresholds), holds_back=True)
    published = read_table(store, "suggestions.parquet").to_pylist()
    assert [(row["page_num"], row["label"]) for row in published] == [(0, "vessel_name"), (4, "vessel_name")]
    assert part.held_back == {"port": 2}
    assert (part.rows, part.spans_by_label) == (2, {"vessel_name": 2})
    # A page with nothing left was answered: the loader clears it.
    assert 3 in [page.page_num for page in part.pages_without_spans]
    assert part.page_answers["all_rejected"] == 1
    assert sum(part.confidence_sources.values()) == part.rows
    quotes = read_table(store, "groundings.parquet").to_pylist()
    assert [row["outcome"] for row in quotes] == ["kept"] * 4


words = st.sampled_from(["Kiel", "Hull ", "\n", "Hansa IV", "🚢", "e\u0301", "1O", "l0 ", "K", "ie"])
quotes = st.lists(
    st.tuples(
        st.sampled_from(["vessel_name", "port", "harbour", ""]), st.lists(words, max_size=3).map("".join)
    ),
    max_size=12,
)
logprobs = st.floats(width=32)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.lists(words, max_size=12).map("".join), quotes, logprobs), min_size=1, max_size=4)
)
def test_whatever_is_answered_about_a_page_it_keeps_no_other_back(
    tmp_path: Path, pages: list[tuple[str, list[tuple[str, str]], float]]
) -> None:
    texts = [text for text, _, _ in pages]
    rows = []
    for number, (text, quotes, logprob) in enumerate(pages):
        row = output(0, [{label: quote} for label, quote in quotes])
        tokens = [1] * len(row["answer"])
        rows.append(
            row
            | {"page_num": number, "end": len(text), "token_lengths": tokens}
            | {"token_logprobs": [logprob] * len(tokens)}
        )
    part, store = ground(tmp_path, rows, texts)
    assert part.failed_pages == []
    pages = read_table(store, "pages.parquet").to_pylist()
    walk = walk_pages(pages, read_table(store, "suggestions.parquet").to_pylist())
    report = verify_rows(walk, ("vessel_name", "port"), overlaps_allowed=False)
    assert report.summary() == ""
    assert report.rows == part.rows


def test_a_page_of_rejected_quotes_is_not_one_with_an_empty_answer(
    tmp_path: Path, outputs: list[dict[str, Any]]
) -> None:
    outputs[1] = output(1, [{"port": "Atlantis"}])
    part, _ = ground(tmp_path, outputs)
    assert part.page_answers == {"marked": 1, "all_rejected": 1, "not_asked": 1}
    assert [page.page_num for page in part.pages_without_spans] == [1, 2]


def test_the_rows_are_as_the_contract_says(tmp_path: Path, outputs: list[dict[str, Any]]) -> None:
    _, store = ground(tmp_path, outputs)
    table = read_table(store, "suggestions.parquet")
    assert table.schema.equals(SUGGESTIONS)
    start = TEXTS[0].index("Hull")
    assert table.to_pylist()[1] == {
        "doc_id": "doc", "page_num": 0, "label": "port", "start": start, "end": start + 4, "text": "Hull",
        "span_id": f"doc:0:{hashlib.sha1(f'{start}:{start + 4}:port'.encode()).hexdigest()}",
        "text_sha256": text_sha256(TEXTS[0]), "confidence": None, "model": "llama3.3:70b",
        "model_version": "sha256:ab/spans-1", "generated_at": ANSWERED_AT,
    }  # fmt: skip
    groundings = read_table(store, "groundings.parquet")
    assert groundings.schema.equals(GROUNDINGS)
    assert [(row["quote"], row["outcome"], row["start"]) for row in groundings.to_pylist()] == [
        ("Marie-Louise", "kept", 6), ("Hull", "kept", start), ("Atlantis", "not_found", None),
    ]  # fmt: skip


def test_the_raw_parts_of_every_confidence_are_in_the_working_data(tmp_path: Path) -> None:
    text = json.dumps({"spans": [{"port": "Kiel"}, {"port": "Kiel"}]})
    place = text.index("Kiel")
    rows = [output(4, [], answer=text, token_lengths=[place, 2, 2, len(text) - place - 4])]
    rows[0]["token_logprobs"] = [-9.0, math.log(0.9), math.log(0.4), -1.0]
    rows.append(output(0, [{"port": "Hull"}]))
    part, store = ground(tmp_path, rows)
    assert part.outcomes == {"kept": 1, "invalid_value": 2}
    hull, kiel, _ = read_table(store, "groundings.parquet").to_pylist()
    assert (hull["value_verdict"], hull["token_probability"], hull["value_tokens"]) == ("valid", None, None)
    assert (kiel["value_verdict"], kiel["outcome"], kiel["value_tokens"]) == ("invalid", "invalid_value", 2)
    assert kiel["token_probability"] == pytest.approx(0.6)
    assert kiel["lowest_token_probability"] == pytest.approx(0.4)
    assert kiel["start"] is not None


def test_confidences_are_counted_by_where_they_come_from(tmp_path: Path) -> None:
    text = json.dumps(
        {"spans": [{"port": ["Hull", 7]}, {"vessel_name": "Marie-Louise"}, {"port": ["Riga", 9]}]}
    )
    hansa = json.dumps({"spans": [{"vessel_name": ["Hansa IV", 2]}]})
    rows = [
        output(0, [], answer=text),
        output(3, [], answer=hansa, token_lengths=[len(hansa)], token_logprobs=[math.log(0.75)]),
    ]
    part, store = ground(tmp_path, rows)
    # Riga is not on the page: it is no row, and not counted.
    assert part.confidence_sources == {"self_reported": 1, "unknown": 1, "log_probabilities": 1}
    confidences = read_table(store, "suggestions.parquet")["confidence"].to_pylist()
    known = [value for value in confidences if value is not None]
    assert part.known_confidences == 2
    # Rows hold them as 32-bit numbers.
    assert part.confidence_sum == pytest.approx(sum(known), rel=1e-6)
    groundings = read_table(store, "groundings.parquet").to_pylist()
    assert {row["quote"]: (row["self_reported"], row["token_probability"]) for row in groundings} == {
        "Hull": (7, None), "Marie-Louise": (None, None), "Riga": (9, None),
        "Hansa IV": (2, pytest.approx(0.75)),
    }  # fmt: skip
    published = {
        row["text"]: row["confidence"] for row in read_table(store, "suggestions.parquet").to_pylist()
    }
    assert published == {
        "Hull": pytest.approx(0.75), "Marie-Louise": None, "Hansa IV": pytest.approx(0.75),
    }  # fmt: skip


def test_confidences_behind_a_grammar_s_mask_are_named_as_such(tmp_path: Path) -> None:
    answer = [{"vessel_name": "Marie-Louise"}, {"port": "Hull"}]
    text = json.dumps({"spans": answer})
    name, port = text.index("Marie"), text.index("Hull")
    lengths = [name, 12, port - name - 12, 4, len(text) - port - 4]
    logprobs = [0.0, math.log(0.5), 0.0, 0.0, 0.0]
    row = output(0, answer, token_lengths=lengths, token_logprobs=logprobs, logprob_source="masked")
    part, store = ground(tmp_path, [row])
    assert part.confidence_sources == {"masked_log_probabilities": 1, "unknown": 1}
    confidences = read_table(store, "suggestions.parquet")["confidence"].to_pylist()
    assert confidences == [pytest.approx(0.5), None]


def test_a_second_pass_changes_confidences_and_nothing_else(tmp_path: Path) -> None:
    def about(page: int, *quotes: tuple[str, str], probability: float = 0.5, **more: Any) -> dict[str, Any]:
        row = output(page, [{label: quote} for label, quote in quotes], **more)
        length = len(row["answer"])
        return row | {"token_lengths": [1] * length, "token_logprobs": [math.log(probability)] * length}

    first = [
        about(0, ("vessel_name", "Marie-Louise"), ("port", "Hull")),
        about(3, ("vessel_name", "Hansa IV")),
        about(4, ("vessel_name", "Kiel")),
    ]
    second = [
        about(0, ("port", "Hull"), ("vessel_name", "The"), probability=0.9, pass_number=2),
        output(3, None, status="failed", reason="not_done", pass_number=2),
    ]
    before, _ = ground(tmp_path / "before", first)
    part, store = ground(tmp_path / "after", first + second)
    assert (part.rows, part.pages_with_spans) == (before.rows, before.pages_with_spans) == (4, 3)
    assert not [page for page in part.failed_pages if page.page_num in (0, 3, 4)]
    rows = read_table(store, "suggestions.parquet").to_pylist()
    assert {row["text"]: row["confidence"] for row in rows} == {
        "Marie-Louise": pytest.approx(0.3),  # It was not seen again: 0.6 of 0.5.
        "Hull": pytest.approx(0.7),
        "Hansa IV": pytest.approx(0.5),
        "Kiel": pytest.approx(0.5),
    }
    groundings = read_table(store, "groundings.parquet").to_pylist()
    assert {row["quote"]: row["agreement"] for row in groundings} == {
        "Marie-Louise": 0.0,
        "Hull": 1.0,
        "Hansa IV": None,
        "Kiel": None,
    }


def test_a_part_without_answers_is_two_empty_tables(tmp_path: Path) -> None:
    part, store = ground(tmp_path, [])
    assert read_table(store, "suggestions.parquet").schema.equals(SUGGESTIONS)
    assert (part.rows, len(part.failed_pages)) == (0, 5)


def test_each_row_has_the_time_of_its_own_answer(tmp_path: Path) -> None:
    later = ANSWERED_AT + timedelta(seconds=1)
    answers = [
        output(4, [{"vessel_name": "Kiel"}], end=5),
        output(4, [{"vessel_name": "Kiel"}], start=5, chunk_index=1, answered_at=later),
    ]
    _, store = ground(tmp_path, answers)
    assert read_table(store, "suggestions.parquet")["generated_at"].to_pylist() == [ANSWERED_AT, later]


def test_ids_keep_apart_what_would_run_together() -> None:
    assert span_id("d", 1, 1, 123, "port") != span_id("d", 1, 11, 23, "port")
    assert span_id("d:1", 2, 0, 1, "port") != span_id("d", 12, 0, 1, "port")
    assert span_id("é🚢", 1, 0, 1, "Schiff №").startswith("é🚢:1:")


places = st.tuples(
    st.text("ab:1", max_size=3), st.integers(0, 99), st.integers(0, 99), st.integers(0, 99), st.text("p:1")
)


@given(places, places)
def test_two_places_share_no_id(
    one: tuple[str, int, int, int, str], other: tuple[str, int, int, int, str]
) -> None:
    assert (span_id(*one) == span_id(*other)) is (one == other)


def rich_outputs(rich: int, texts: Sequence[str]) -> list[dict[str, Any]]:
    """One answer a page; the last pages are rich."""
    return [
        output(0, [{"port": "Hull"}] * (40 if page >= len(texts) - rich else 1))
        | {"page_num": page, "end": len(text), "request_key": f"k{page}"}
        for page, text in enumerate(texts)
    ]


def test_the_shares_of_a_part_make_what_the_part_makes(tmp_path: Path) -> None:
    texts = ["Hull " * 40] * 12
    outputs = rich_outputs(3, texts)
    whole, store = ground(tmp_path / "whole", outputs, texts)
    rows = read_table(store, "suggestions.parquet").to_pylist()
    assert whole.rows == len(rows) > 120
    of_shares, pages = list[dict[str, Any]](), list[int]()
    for number in range(4):
        part, store = ground(tmp_path / f"{number}", outputs, texts, (number, 4))
        of_shares += read_table(store, "suggestions.parquet").to_pylist()
        pages.append(part.pages_with_spans)
    assert of_shares == rows
    # The rich pages are a quarter of the pages and nearly all of the work.
    assert sum(pages) == 12
    assert max(pages[1:]) == 1


def test_a_page_that_fails_or_was_not_asked_is_in_one_share(
    tmp_path: Path, outputs: list[dict[str, Any]]
) -> None:
    whole, _ = ground(tmp_path / "whole", outputs)
    parts = [ground(tmp_path / f"{number}", outputs, share=(number, 9))[0] for number in range(9)]
    assert [page for part in parts for page in part.failed_pages] == list(whole.failed_pages)
    assert [page for part in parts for page in part.pages_without_spans] == list(whole.pages_without_spans)


@pytest.mark.parametrize(
    ("part_bytes", "shares"),
    [
        ([], []),
        ([0, 0], [1, 1]),
        ([700], [1]),
        ([50, 50, 50, 100], [1, 1, 1, 1]),
        # Twenty parts, of which one has nearly everything: no task has more than twice the mean of 50.
        ([*[1] * 19, 981], [*[1] * 19, 10]),
    ],
)
def test_a_part_with_most_of_the_answers_is_shared(part_bytes: list[int], shares: list[int]) -> None:
    assert shares_of_parts(part_bytes) == shares
