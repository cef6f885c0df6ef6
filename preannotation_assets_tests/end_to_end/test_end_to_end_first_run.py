"""The main job as a user runs it: a warehouse in a file, a stand-in model, ``preannotate run``."""

import hashlib
import json
import subprocess
import time

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from shared.report_files import pages_in
from shared.spark_archive import VARIABLE

from end_to_end.user_place import (
    BLANK,
    DATASET,
    MARKER,
    PAGES,
    Place,
    leaks,
    make_place,
    sha256,
    warehouse_texts,
)
from preannotation_assets.simulator import RunningSimulator

COLUMNS = [
    ("doc_id", pa.string()), ("page_num", pa.int32()), ("span_id", pa.string()), ("label", pa.string()),
    ("start", pa.int32()), ("end", pa.int32()), ("text", pa.string()), ("text_sha256", pa.string()),
    ("confidence", pa.float32()), ("model", pa.string()), ("model_version", pa.string()),
    ("generated_at", pa.timestamp("us", tz="UTC")),
]  # fmt: skip


@pytest.fixture(scope="module")
def first_run(
    tmp_path_factory: pytest.TempPathFactory, simulator: RunningSimulator
) -> tuple[Place, subprocess.CompletedProcess[str]]:
    place = make_place(tmp_path_factory.mktemp("end to end") / "user", PAGES | BLANK, simulator.url)
    # Java starts as it does at a user's, and a task for each core.
    place.environment.update({VARIABLE: "", "PREANNOTATION_SPARK_MASTER": "local[2]"})
    return place, place.run("run", DATASET)


def test_a_run_publishes_what_the_pages_say(
    first_run: tuple[Place, subprocess.CompletedProcess[str]],
) -> None:
    place, done = first_run
    assert done.returncode == 0, done.stderr
    table = pq.read_table(place.parquet)
    assert [(column.name, column.type) for column in table.schema] == COLUMNS
    assert {column.name for column in table.schema if column.nullable} == {"confidence"}
    rows = table.to_pylist()
    assert [(row["doc_id"], row["page_num"], row["start"]) for row in rows] == sorted(
        (row["doc_id"], row["page_num"], row["start"]) for row in rows
    )
    assert len({row["span_id"] for row in rows}) == len(rows)
    texts = warehouse_texts(place.database)
    for row in rows:
        text = texts[row["doc_id"]]
        assert text[row["start"] : row["end"]] == row["text"] != ""
        assert row["text_sha256"] == sha256(text)
        digest = hashlib.sha1(f"{row['start']}:{row['end']}:{row['label']}".encode()).hexdigest()
        assert row["span_id"] == f"{row['doc_id']}:{row['page_num']}:{digest}"
        assert row["confidence"] is None or 0 <= row["confidence"] <= 1
        assert row["model"] == "llama3.3:70b"
    assert {row["doc_id"] for row in rows} == {f"{DATASET}/{name}" for name in PAGES}
    assert any(row["text"] == f"{MARKER} STAR" for row in rows)
    assert any(row["confidence"] is not None for row in rows)
    # Entities are marked to the end of the long pages, whose later chunks begin far from 0.
    for name in ("50,000 characters", "one line of 100 KB"):
        assert len(PAGES[name]) >= 50_000
        ends = [row["end"] for row in rows if row["doc_id"] == f"{DATASET}/{name}"]
        assert max(ends) > len(PAGES[name]) - 1500
    assert sorted(file.name for file in place.published.iterdir()) == [
        "_manifest.json",
        "suggestions.parquet",
    ]


def test_the_terminal_hears_of_the_run_and_of_nothing_else(
    first_run: tuple[Place, subprocess.CompletedProcess[str]],
) -> None:
    _, done = first_run
    stages = ("pages", "chunks", "raw_model_outputs", "suggestions")
    said = [line for line in done.stderr.splitlines() if not line.startswith("preannotate: check ")]
    assert said
    for line in said:
        clock, stage, _ = line.split(" ", 2)
        assert time.strptime(clock, "%H:%M:%S"), line
        assert stage.rstrip(":") in stages, line


def test_no_stretch_of_a_long_page_is_left_out(
    first_run: tuple[Place, subprocess.CompletedProcess[str]],
) -> None:
    place, _ = first_run
    rows = pq.read_table(place.parquet).to_pylist()
    for name in ("50,000 characters", "one line of 100 KB"):
        marks = [(row["start"], row["end"]) for row in rows if row["doc_id"] == f"{DATASET}/{name}"]
        ends = [0, *(end for _, end in marks)]
        starts = [*(start for start, _ in marks), len(PAGES[name])]
        assert max(start - end for start, end in zip(starts, ends, strict=True)) < 1000


def test_the_manifest_puts_every_page_into_one_state(
    first_run: tuple[Place, subprocess.CompletedProcess[str]],
) -> None:
    place, _ = first_run
    manifest = place.manifest()
    rows = pq.read_table(place.parquet).to_pylist()
    assert manifest["rows"] == len(rows)
    assert manifest["failed_pages"] == [
        {"doc_id": f"{DATASET}/broken", "page_num": 1, "reason": "hash_mismatch"}
    ]
    assert manifest["pages_without_spans"] == [
        {"doc_id": f"{DATASET}/{name}", "page_num": 1, "text_sha256": sha256(text)}
        for name, text in sorted(BLANK.items())
    ]
    assert manifest["pages_with_spans"] == len(PAGES)
    assert manifest["pages_processed"] == len(PAGES) + len(BLANK)
    assert manifest["content_hash"] == hashlib.sha256(place.parquet.read_bytes()).hexdigest()


def test_a_run_says_what_it_did_and_shows_no_page(
    first_run: tuple[Place, subprocess.CompletedProcess[str]],
) -> None:
    place, done = first_run
    assert "1 failed" in done.stdout
    assert f"{DATASET}/broken page 1: hash_mismatch" in done.stdout
    assert str(place.parquet) in done.stdout
    assert "p95" in done.stdout
    assert "Traceback" not in done.stderr
    assert MARKER not in done.stdout + done.stderr
    assert leaks(place.folder / "dagster home") == []
    assert MARKER not in json.dumps(place.manifest())
    preview = place.lake / "argilla" / "work" / DATASET / "preview.html"
    shown = pages_in(preview)
    assert any(f"{MARKER} STAR" in page.text for page in shown)
    assert [page.reason for page in shown if page.doc_id == f"{DATASET}/broken"] == ["hash_mismatch"]
    assert f'run</dt><dd class="code">{place.manifest()["run_id"]}' in preview.read_text("utf-8")
    # Whatever a run leaves behind is in the lake or in Dagster's folder.
    assert sorted(file.name for file in place.folder.iterdir()) == [
        "dagster home",
        "lake",
        "warehouse.duckdb",
    ]
