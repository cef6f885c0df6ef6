import json
from pathlib import Path

import pytest

from preannotation_assets import cli
from preannotation_assets.errors import LabelSchemeError
from preannotation_assets.extraction.prompt import build_prompt
from preannotation_assets.label_file import load_label_scheme
from preannotation_assets.settings import Settings

SCHEME = """\
name: small
version: 4
overlaps: true
labels:
  - name: year
    title: Baujahr
    definition: A year.
    pattern: '\\d{4}'
  - name: port
    definition: A port.
examples:
  - text: Hull in 1974.
    spans: [{port: Hull}, {year: 1974}]
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "labels.yaml"
    path.write_text(SCHEME, "utf-8")
    return path


@pytest.fixture(autouse=True)
def _no_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PREANNOTATION_LABELS", raising=False)


def test_a_valid_file_is_told_in_short(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["labels", "check", str(file)]) == 0
    said = capsys.readouterr().out
    prompt = build_prompt(load_label_scheme(str(file)))
    assert "small, version 4, overlaps true" in said
    assert "labels      2, 1 of them with a rule" in said
    assert "examples    1 with 2 spans" in said
    assert f"about {prompt.constant_tokens} tokens" in said
    assert prompt.version in said
    assert prompt.fingerprint in said
    assert "spans-2-self-" in said


def test_every_mistake_is_a_line_and_the_status_is_1(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(SCHEME.replace("version: 4", "version: x").replace("1974}", "1975}"), "utf-8")
    assert cli.main(["labels", "check", str(file)]) == 1
    said, complained = capsys.readouterr()
    assert complained == ""
    assert [line.split(": ")[0] for line in said.splitlines()] == [f"{file}:2", f"{file}:13"]


def test_without_a_file_it_is_the_setting_or_the_default(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["labels", "check"]) == 0
    assert Settings.from_environment({}).labels.path in capsys.readouterr().out
    monkeypatch.setenv("PREANNOTATION_LABELS", str(file))
    assert cli.main(["labels", "check"]) == 0
    assert capsys.readouterr().out.startswith(f"{file}: all right\n")


def test_an_export_is_json_for_one_question(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["labels", "export", str(file), "--field", "page", "--question", "marks"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert made["question"] == {
        "name": "marks", "field": "page", "labels": {"year": "Baujahr", "port": "port"},
        "allow_overlapping": True, "visible_labels": None,
    }  # fmt: skip
    assert set(made["colors"]) == {"year", "port"}


def test_what_cannot_be_exported_is_one_line(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(SCHEME.replace("year\n", "a:b\n"), "utf-8")
    assert cli.main(["labels", "export", str(file)]) == 1
    said, complained = capsys.readouterr()
    assert said == ""
    assert complained.startswith(f"preannotate: error: {file}:5: label 1, name: not valid")


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00"])
def test_a_file_that_cannot_be_read_is_told(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "labels.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(LabelSchemeError, match=r"the label scheme .* cannot be read"):
        load_label_scheme(str(path))


def test_a_byte_order_mark_and_windows_line_ends_are_no_mistake(file: Path) -> None:
    expected = load_label_scheme(str(file))
    file.write_bytes(b"\xef\xbb\xbf" + SCHEME.replace("\n", "\r\n").encode())
    assert load_label_scheme(str(file)) == expected


def test_a_last_example_without_marks_is_a_warning_with_its_line(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text(f"{SCHEME}  - text: Nothing here.\n    spans: []\n", "utf-8")
    assert cli.main(["labels", "check", str(file)]) == 0
    warning = capsys.readouterr().out.splitlines()[-1]
    assert warning.startswith(f"{file}:14: warning: example 2: an example without marks behind one")
