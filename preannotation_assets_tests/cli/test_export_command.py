"""``preannotate export``: what is published, for other tools."""

import csv
import json
import os
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from shared.published_dataset import LAYOUT, PAGE_TEXTS, Dataset, good_rows

from preannotation_assets.cli import main
from preannotation_assets.contracts import SUGGESTIONS
from preannotation_assets.lake.batch import write_manifest
from preannotation_assets.manifests import FailedPage

NAME = LAYOUT.dataset


@pytest.fixture
def dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Dataset:
    monkeypatch.setenv("PREANNOTATION_ROOT", str(tmp_path / "lake"))
    return Dataset(tmp_path / "lake")


def exported(folder: Path, form: str) -> str:
    path = folder / "export"
    assert main(["export", NAME, "--to", form, "--output", str(path)]) == 0
    return path.read_text("utf-8")


def test_label_studio_gets_every_page_with_its_spans(dataset: Dataset, tmp_path: Path) -> None:
    dataset.publish(good_rows())
    tasks: list[dict[str, Any]] = json.loads(exported(tmp_path, "label-studio"))
    assert {(task["data"]["doc_id"], task["data"]["page_num"]): task["data"]["text"] for task in tasks} == (
        PAGE_TEXTS
    )
    regions = 0
    for task in tasks:
        (prediction,) = task["predictions"]
        assert prediction["model_version"] == "llama3.3:70b/v"
        for region in prediction["result"]:
            value = region["value"]
            assert (region["from_name"], region["to_name"], region["type"]) == ("label", "text", "labels")
            assert task["data"]["text"][value["start"] : value["end"]] == value["text"]
            assert region["score"] == 0.5
            regions += 1
    assert regions == len(good_rows())
    assert [bool(task["predictions"][0]["result"]) for task in tasks] == [True, False, True]


def test_a_failed_page_is_not_shown_as_one_without_spans(dataset: Dataset, tmp_path: Path) -> None:
    failed = [FailedPage(doc_id=f"{NAME}/a", page_num=2, reason="timeout")]
    dataset.publish(good_rows(), failed_pages=failed)
    tasks = json.loads(exported(tmp_path, "label-studio"))
    assert [(task["data"]["doc_id"], task["data"]["page_num"]) for task in tasks] == [
        (f"{NAME}/a", 1),
        (f"{NAME}/b", 1),
    ]


def test_rows_come_with_all_their_columns(dataset: Dataset, tmp_path: Path) -> None:
    dataset.publish(good_rows())
    lines = [json.loads(line) for line in exported(tmp_path, "jsonl").splitlines()]
    wanted = [row | {"generated_at": "2026-01-02T00:00:00+00:00"} for row in good_rows()]
    assert lines == wanted
    table = list(csv.DictReader(exported(tmp_path, "csv").splitlines()))
    assert list(table[0]) == SUGGESTIONS.names
    assert [(row["span_id"], row["text"], row["start"]) for row in table] == [
        (row["span_id"], row["text"], str(row["start"])) for row in wanted
    ]


@pytest.mark.parametrize("form", ["label-studio", "jsonl", "csv"])
def test_the_file_is_its_owners_alone_also_where_it_was_not(
    dataset: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    dataset.publish([])
    (tmp_path / "export").write_text("before")
    (tmp_path / "export").chmod(0o644)
    exported(tmp_path, form)
    assert stat.S_IMODE((tmp_path / "export").stat().st_mode) == 0o600
    assert "it holds page text" in capsys.readouterr().out


def test_pages_that_have_changed_since_leave_what_was_there(
    dataset: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = dataset.publish(good_rows()).manifest
    other = [replace(page, text_sha256="0" * 64) for page in manifest.pages_without_spans]
    changed = manifest.model_copy(update={"pages_without_spans": other})
    write_manifest(dataset.plain_store, LAYOUT.published_manifest, changed)
    path = tmp_path / "export"
    path.write_text("before")
    assert main(["export", NAME, "--to", "label-studio", "--output", str(path)]) == 1
    assert f"another {NAME}/a page 2 than is published" in capsys.readouterr().err
    assert path.read_text() == "before"
    assert [entry.name for entry in tmp_path.iterdir() if entry.name.startswith(".")] == []


@pytest.mark.parametrize("kind", ["pipe", "link"])
def test_what_is_no_plain_file_stays(
    dataset: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    """As /dev/null and /dev/stdout are none, which an administrator could replace."""
    dataset.publish(good_rows())
    path = tmp_path / "export"
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(tmp_path / "other")
    assert main(["export", NAME, "--to", "csv", "--output", str(path)]) == 1
    assert "the export cannot be written to" in capsys.readouterr().err
    assert path.is_fifo() or path.is_symlink()
    assert not (tmp_path / "other").exists()


def test_what_was_never_run_says_how(
    dataset: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", NAME, "--to", "csv", "--output", str(tmp_path / "export")]) == 1
    assert capsys.readouterr().err.endswith(f"is not materialized: preannotate run {NAME} makes it\n")
    assert not (tmp_path / "export").exists()
