"""What is promised about a run holds with a real model. Nothing is said about how good its answers are."""

from typing import Any

import pyarrow.parquet as pq
from end_to_end.user_place import DATASET, MARKER, leaks, warehouse_texts

from preannotation_assets.extraction.answers import parse_answer
from real_model.conftest import Story
from real_model.harbour_pages import LABELS, PAGES
from real_model.real_servers import KEY, MODEL, SLOTS

# Fewer than the instructions and examples of every question have (525 by this model's tokenizer).
CONSTANT_TOKENS = 400


def published(story: Story) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(story.place.parquet).to_pylist()
    return rows


def test_every_page_is_answered_and_every_answer_parses(story: Story) -> None:
    assert (story.resumed.status, story.again.status) == (0, 0), story.resumed.printed
    files = (story.place.lake / "argilla" / "work" / DATASET / "answers").rglob("*.parquet")
    answers = {row["request_key"]: row for file in files for row in pq.read_table(file).to_pylist()}.values()
    assert [(row["status"], row["reason"]) for row in answers] == [("answered", None)] * len(PAGES)
    parsed = [parse_answer(row["answer"]) for row in answers]
    assert {answer.fault for answer in parsed} == {None}
    assert {quote.label for answer in parsed for quote in answer.quotes} <= set(LABELS)
    # A page whose hash is wrong, and no other, has failed.
    failed = story.place.manifest()["failed_pages"]
    assert failed == [{"doc_id": f"{DATASET}/broken", "page_num": 1, "reason": "hash_mismatch"}]


def test_offsets_are_exact(story: Story) -> None:
    texts = warehouse_texts(story.place.database)
    rows = published(story)
    assert rows
    for row in rows:
        assert texts[row["doc_id"]][row["start"] : row["end"]] == row["text"] != ""
        assert row["label"] in LABELS
        assert row["model"] == MODEL
    verified = story.place.run("verify", DATASET)
    assert verified.returncode == 0, verified.stdout + verified.stderr


def test_suggestions_have_confidences_from_the_model_s_own_probabilities(story: Story) -> None:
    rows = published(story)
    scored = [row for row in rows if row["confidence"] is not None]
    assert all(0 <= row["confidence"] <= 1 for row in scored)
    # Null is right where a server's tokens do not join to what it answers: one answer of twelve, so far.
    assert len({row["doc_id"] for row in rows} - {row["doc_id"] for row in scored}) <= 1
    counted = story.place.manifest()["confidences_by_source"]
    assert isinstance(counted, dict)
    assert counted["log_probabilities"] == len(scored) > len(rows) / 2


def test_what_a_killed_run_has_kept_is_not_asked_again(story: Story) -> None:
    assert story.killed.status < 0
    assert 0 < story.kept < len(PAGES)
    asked = story.resumed.figures.ended - story.killed.figures.ended
    # Each slot is warmed up before, and two short requests find out what server it is.
    assert 0 <= asked - (len(PAGES) - story.kept) <= SLOTS + 2


def test_a_second_run_asks_about_no_page(story: Story) -> None:
    before, after = story.resumed.figures, story.again.figures
    # What it sends to find out what server that is, is shorter than the constant part of a question.
    sent = after.prompt_tokens + after.cached_tokens - before.prompt_tokens - before.cached_tokens
    assert sent < CONSTANT_TOKENS


def test_the_constant_part_of_the_prompt_is_read_once_a_slot(story: Story) -> None:
    figures = story.resumed.figures
    assert figures.cached_tokens > figures.prompt_tokens > 0


def test_no_log_shows_a_page_or_the_key(story: Story) -> None:
    for ran in (story.killed, story.resumed, story.again):
        assert MARKER not in ran.printed
        assert KEY not in ran.printed
    assert MARKER not in story.server.log.read_text("utf-8", "replace")
    assert leaks(story.place.folder / "dagster home") == []
    files = [file for file in story.place.folder.rglob("*") if file.is_file()]
    assert [file for file in files if KEY.encode() in file.read_bytes()] == []
