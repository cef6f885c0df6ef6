"""Whether what was learned helps is asked of a model, on documents that gave no example."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import yaml
from shared.compared_servers import EXACT, Servers, compared_servers, environment_for
from shared.page_requests import page_requests
from shared.reviewed_demo import LAYOUT, ReviewedDemo, review_demo

from preannotation_assets.cli import main
from preannotation_assets.errors import BatchError
from preannotation_assets.evaluation.bootstrap import Interval
from preannotation_assets.evaluation.held_out import digest_of, is_held_out
from preannotation_assets.evaluation.pages import ReviewedPage
from preannotation_assets.evaluation.paired import PairedDifference
from preannotation_assets.label_file import load_label_scheme
from preannotation_assets.lake.layout import part_key
from preannotation_assets.learning.choosing import read_reviewed_sides
from preannotation_assets.learning.comparing import HeldOutComparison, draw_held_out

NAME = LAYOUT.dataset
PAGES = 6
LONGEST = 1500


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    with ExitStack() as stack:
        yield compared_servers(stack)


@pytest.fixture
def demo(tmp_path: Path, servers: Servers, monkeypatch: pytest.MonkeyPatch) -> ReviewedDemo:
    monkeypatch.chdir(tmp_path)
    for name, value in environment_for(servers, EXACT).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "dagster"))
    monkeypatch.setenv("PREANNOTATION_ROOT", str(tmp_path / "lake"))
    monkeypatch.setenv("PREANNOTATION_BOOTSTRAP_SAMPLES", "50")
    demo = review_demo(tmp_path / "lake")
    short = {key for key, page in demo.pages.items() if len(page.text) < LONGEST}
    demo.responses = [row for row in demo.responses if (row["doc_id"], row["page_num"]) in short]
    demo.write_responses()
    return demo


def test_both_schemes_are_asked_about_held_out_pages_and_the_outcome_is_one_line(
    demo: ReviewedDemo, servers: Servers, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = len(page_requests(servers[EXACT]))
    assert main(["labels", "learn", NAME, "--pages", str(PAGES)]) == 0
    *_, written, outcome = capsys.readouterr().out.splitlines()
    assert written.startswith("written    vessels-2.yaml")
    # The stand-in marks by rules, whatever it is shown: nothing can have changed.
    assert "the learned examples do not help measurably: strict F1 " in outcome
    assert f"+0.000 (+0.000 to +0.000), p 1.000, on {PAGES} held-out page(s)" in outcome
    requests = page_requests(servers[EXACT])[asked:]
    prompts = {request.prompt_sha256 for request in requests}
    assert len(prompts) == len(requests) >= 2 * PAGES
    # What has an answer is not asked again.
    assert main(["labels", "learn", NAME, "--pages", str(PAGES), "--output", "again.yaml"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == outcome
    assert len(page_requests(servers[EXACT])) == asked + len(requests)


def test_a_comparison_of_the_two_schemes_leaves_the_documents_out_that_gave_examples(
    demo: ReviewedDemo, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["labels", "learn", NAME, "--no-compare"]) == 0
    learned_from = load_label_scheme("vessels-2.yaml").learned_from
    reviewed = {(row["doc_id"], row["page_num"]) for row in demo.responses if row["annotator"] == "ada"}
    left_out = {key for key in reviewed if digest_of(key[0]) in learned_from}
    Path("variants.yaml").write_text(yaml.safe_dump({"variants": {"learned": {"labels": "vessels-2.yaml"}}}))
    capsys.readouterr()
    assert main(["compare", NAME, "--with", "variants.yaml"]) == 0
    said = capsys.readouterr().out
    assert f"pages    {len(reviewed) - len(left_out)} of " in said
    assert f"left out {len(left_out)} of documents that gave a scheme its examples" in said


def test_a_server_that_is_away_is_told_once_the_scheme_is_written(
    demo: ReviewedDemo, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OLLAMA_HOST", "http://127.0.0.1:9")
    assert main(["labels", "learn", NAME]) == 1
    said = capsys.readouterr()
    assert said.err.count("\n") == 1
    assert load_label_scheme("vessels-2.yaml").learned_from
    assert "outcome" not in said.out


def page(doc_id: str, number: int = 1) -> ReviewedPage:
    return ReviewedPage(doc_id, number, "text", (), ())


def test_the_held_out_pages_that_are_asked_about_are_the_same_each_time() -> None:
    pages = [page(f"d{number}", other) for number in range(9) for other in (2, 1)]
    drawn = draw_held_out(pages, 5)
    assert draw_held_out(reversed(pages), 5) == drawn
    # Whole documents first, so that an interval has more than a page of each.
    assert [each.page_num for each in drawn[:4]] == [1, 2, 1, 2]
    assert len(draw_held_out(pages, 99)) == len(pages)


def test_without_a_document_to_learn_from_that_is_told(demo: ReviewedDemo) -> None:
    sides = read_reviewed_sides(demo.store, NAME, lambda: None, "latest")
    assert {is_held_out(each.doc_id) for each in sides.to_learn_from} == {False}
    assert {is_held_out(each.doc_id) for each in sides.held_out} == {True}
    for number in range(2):
        Path(demo.store.uri(part_key(LAYOUT.responses, number))).unlink()
    demo.responses = [row for row in demo.responses if is_held_out(row["doc_id"])]
    demo.write_responses()
    with pytest.raises(BatchError, match="documents that are held out"):
        read_reviewed_sides(demo.store, NAME, lambda: None, "latest")


@pytest.mark.parametrize(
    ("interval", "words"),
    [
        (Interval(0.01, 0.2), "the learned examples help: strict F1 0.600 instead of 0.500, +0.100 (+0.010"),
        (Interval(-0.01, 0.2), "the learned examples do not help measurably: strict F1 0.600 instead"),
        (Interval(-0.2, -0.01), "the learned examples do harm: "),
        (None, "the learned examples help or not, which these pages cannot tell: "),
    ],
)
def test_the_outcome_says_no_more_than_the_interval(interval: Interval | None, words: str) -> None:
    found = HeldOutComparison(9, 3, 0.5, 0.6, PairedDifference(0.1, interval, 0.04))
    assert found.line().removeprefix("outcome    ").startswith(words)
