"""``preannotate evaluate``: what experts made of what is published, on the terminal."""

from pathlib import Path

import pytest
from shared.reviewed_demo import LAYOUT, ReviewedDemo, add_responses_view, review_demo

from preannotation_assets.cli import main
from preannotation_assets.demo.sample import write_sample_database

NAME = LAYOUT.dataset


@pytest.fixture
def demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ReviewedDemo:
    monkeypatch.setenv("PREANNOTATION_ROOT", str(tmp_path / "lake"))
    monkeypatch.setenv("PREANNOTATION_DATABASE", str(tmp_path / "pages.duckdb"))
    monkeypatch.setenv("PREANNOTATION_BOOTSTRAP_SAMPLES", "20")
    write_sample_database(tmp_path / "pages.duckdb")
    return review_demo(tmp_path / "lake")


def test_the_lake_and_the_warehouse_tell_the_same(
    demo: ReviewedDemo, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add_responses_view(tmp_path / "pages.duckdb", demo.responses)
    assert main(["evaluate", NAME]) == 0
    of_the_warehouse = capsys.readouterr().out
    demo.write_responses()
    assert main(["evaluate", NAME]) == 0
    assert capsys.readouterr().out == of_the_warehouse
    lines = dict(line.split(maxsplit=1) for line in of_the_warehouse.splitlines() if line[0] != " ")
    assert lines["dataset"].startswith(f"{NAME}: {demo.reviewed} page(s) ")
    assert lines["did"] == ", ".join(
        f"{kind} {demo.actions[kind]}"
        for kind in ("kept", "border_moved", "label_changed", "both_changed", "deleted", "added")
    )
    assert Path(lines["report"]).is_file()


def test_gold_and_costs_of_a_command_go_before_the_settings(
    demo: ReviewedDemo, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    demo.write_responses()
    monkeypatch.setenv("PREANNOTATION_GOLD", "majority")
    monkeypatch.setenv("PREANNOTATION_ACTION_COSTS", "add=5")
    assert main(["evaluate", NAME]) == 0
    assert "gold: majority" in capsys.readouterr().out
    assert main(["evaluate", NAME, "--gold", "latest", "--costs", "add=10"]) == 0
    said = capsys.readouterr().out
    assert "gold: latest" in said
    assert f"instead of {10 * demo.gold}\n" in said
    assert main(["evaluate", NAME, "--gold", "the best"]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_a_dataset_without_responses_is_told_in_a_plain_line(
    demo: ReviewedDemo, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", NAME]) == 0
    without_a_view = capsys.readouterr()
    add_responses_view(tmp_path / "pages.duckdb", [])
    assert main(["evaluate", NAME]) == 0
    with_an_empty_one = capsys.readouterr()
    assert without_a_view == with_an_empty_one
    assert without_a_view.out.count("\n") == 1
    assert without_a_view.out.startswith(f"there are no experts' responses for {NAME} yet")
    assert without_a_view.err == ""


def test_a_dataset_that_is_not_published_is_told_in_one_line(
    demo: ReviewedDemo, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", "vessels_ocr_9"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("preannotate: error: ")
    assert said.count("\n") == 1
