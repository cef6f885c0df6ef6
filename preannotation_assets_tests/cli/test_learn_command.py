"""``preannotate labels learn``: examples out of what experts made of the demo."""

import re
import stat
from pathlib import Path

import pytest
from shared.reviewed_demo import LAYOUT, ReviewedDemo, review_demo

from preannotation_assets.cli import main
from preannotation_assets.demo.sample import write_sample_database
from preannotation_assets.evaluation.held_out import digest_of, is_held_out
from preannotation_assets.extraction.labels import LabelScheme
from preannotation_assets.label_file import load_label_scheme
from preannotation_assets.settings import Settings

NAME = LAYOUT.dataset


@pytest.fixture
def demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ReviewedDemo:
    monkeypatch.setenv("PREANNOTATION_ROOT", str(tmp_path / "lake"))
    monkeypatch.setenv("PREANNOTATION_DATABASE", str(tmp_path / "pages.duckdb"))
    monkeypatch.setenv("PREANNOTATION_BOOTSTRAP_SAMPLES", "20")
    monkeypatch.chdir(tmp_path)
    write_sample_database(tmp_path / "pages.duckdb")
    demo = review_demo(tmp_path / "lake")
    demo.write_responses()
    return demo


def learned(*arguments: str) -> LabelScheme:
    assert main(["labels", "learn", NAME, "--no-compare", "--output", "learned.yaml", *arguments]) == 0
    return load_label_scheme("learned.yaml")


def test_the_next_version_has_examples_of_documents_that_are_not_held_out(
    demo: ReviewedDemo, capsys: pytest.CaptureFixture[str]
) -> None:
    before = load_label_scheme(Settings().labels.path)
    assert main(["labels", "learn", NAME, "--no-compare"]) == 0
    said = capsys.readouterr()
    path = Path(f"{before.name}-2.yaml")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert f"{path}; it holds page text, and only you can read it" in said.out
    after = load_label_scheme(str(path))
    assert after.model_copy(update={"version": before.version, "examples": before.examples}) == before
    assert after.version == before.version + 1
    documents = {digest_of(doc_id): doc_id for doc_id, _ in demo.pages}
    assert after.learned_from
    assert not any(is_held_out(documents[document]) for document in after.learned_from)
    assert {label for each in after.examples for span in each.spans for label in span} == {
        "vessel_name", "port", "owner"
    }  # fmt: skip
    # Nothing of a page on the terminal.
    words = {word for each in after.examples for word in re.findall(r"\w{6,}", each.text)}
    assert len(words) > 20
    assert not words & set(re.findall(r"\w{6,}", said.out + said.err)) - {"vessels", "document"}


def test_every_example_is_a_piece_of_a_page_with_the_spans_of_its_gold(demo: ReviewedDemo) -> None:
    gold: dict[tuple[str, int], list[tuple[int, int, str]]] = {}
    for response in demo.responses:
        if response["annotator"] == "ada":
            key = response["doc_id"], response["page_num"]
            gold[key] = [(each["start"], each["end"], each["label"]) for each in response["spans"]]
    for example in learned().examples:
        assert example.source is not None
        places = [
            (key, page.text.index(example.text))
            for key, page in demo.pages.items()
            if digest_of(page.doc_id) == example.source.document and example.text in page.text
        ]
        (key, start), *_ = places
        end = start + len(example.text)
        inside = [place for place in gold[key] if place[0] < end and start < place[1]]
        wanted = [{label: demo.pages[key].text[first:last]} for first, last, label in sorted(inside)]
        assert list(example.spans) == wanted


def test_the_same_pages_give_the_same_scheme(demo: ReviewedDemo) -> None:
    assert learned() == learned()


def test_checked_by_its_own_command_there_is_nothing_to_say_against_it(
    demo: ReviewedDemo, capsys: pytest.CaptureFixture[str]
) -> None:
    learned("--add")
    capsys.readouterr()
    assert main(["labels", "check", "learned.yaml"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("learned.yaml: all right\n")
    assert "warning" not in said


def test_examples_of_the_scheme_stay_where_they_are_added_to(demo: ReviewedDemo) -> None:
    before = load_label_scheme(Settings().labels.path)
    after = learned("--add", "--tokens", "300")
    assert [each for each in after.examples if each.source is None] == list(before.examples)
    assert after.learned_from
    assert all(each.spans for each in after.examples[1:]) or not after.examples[1].spans


def test_an_evaluation_with_the_scheme_leaves_the_documents_out_that_it_learned_from(
    demo: ReviewedDemo, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    after = learned()
    capsys.readouterr()
    monkeypatch.setenv("PREANNOTATION_LABELS", "learned.yaml")
    assert main(["evaluate", NAME]) == 0
    said = capsys.readouterr().out
    used = [row for row in demo.responses if digest_of(row["doc_id"]) in after.learned_from]
    assert f"learned_from {len([row for row in used if row['annotator'] != 'cyd'])}" in said


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--tokens", "9000"], "9000 tokens of examples do not fit"),
        (["--tokens", "1"], "no excerpt of"),
        (["--output", "in-use.yaml"], "in-use.yaml is the label scheme in use"),
        (["--output", "/dev/null"], "cannot be written to /dev/null"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_line_and_nothing_is_written(
    demo: ReviewedDemo,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    told: str,
) -> None:
    in_use = Path("in-use.yaml")
    in_use.write_bytes(Path(Settings().labels.path).read_bytes())
    monkeypatch.setenv("PREANNOTATION_LABELS", "in-use.yaml")
    assert main(["labels", "learn", NAME, "--no-compare", *arguments]) == 1
    said = capsys.readouterr().err
    assert told in said
    assert said.count("\n") == 1
    assert in_use.read_bytes() == Path(load_path()).read_bytes()
    assert sorted(path.name for path in Path().glob("*.yaml")) == ["in-use.yaml"]


def load_path() -> str:
    return Settings().labels.path


def test_a_file_that_is_there_is_replaced_only_by_its_name(
    demo: ReviewedDemo, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("vessels-2.yaml").write_text("mine", "utf-8")
    assert main(["labels", "learn", NAME, "--no-compare"]) == 1
    assert "vessels-2.yaml is there already" in capsys.readouterr().err
    assert Path("vessels-2.yaml").read_text("utf-8") == "mine"
    assert main(["labels", "learn", NAME, "--no-compare", "--output", "vessels-2.yaml"]) == 0
    assert load_label_scheme("vessels-2.yaml").learned_from
