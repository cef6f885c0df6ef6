"""The report of an evaluation as a browser reads it, without running its script."""

import base64
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from shared.reviewed_demo import LAYOUT, ReviewedDemo, review_demo

from preannotation_assets.evaluation.empty_pages import SavedAt
from preannotation_assets.evaluation.reliability import ReliabilityBin, RiskPoint
from preannotation_assets.label_file import load_label_scheme
from preannotation_assets.publishing.evaluation import EvaluationRules, documents, evaluate_dataset
from preannotation_assets.publishing.evaluation.plots import SIDE, reliability_bars, risk_line, savings_line
from preannotation_assets.publishing.evaluation.results import Evaluation
from preannotation_assets.settings import Settings


class Report(HTMLParser):
    """The texts of both sides of each page, its kinds, and the cells of each table."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.pages: list[dict[str, str]] = []
        self.tables: dict[str, list[str]] = {}
        self.classes: set[str] = set()
        self._side = self._table = ""
        self.feed(source)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attributes}
        if tag == "article":
            self.pages.append({"kinds": given["data-kinds"], "expert": "", "model": ""})
        self._side = given.get("data-side", self._side if tag in ("span", "i") else "")
        if "mark" in given.get("class", "").split():
            self.classes.update(given["class"].split())
        if tag == "table":
            self._table = given["id"]
            self.tables[self._table] = []

    def handle_endtag(self, tag: str) -> None:
        if tag == "div":
            self._side = ""
        if tag == "table":
            self._table = ""

    def handle_data(self, data: str) -> None:
        if self._side:
            self.pages[-1][self._side] += data
        elif self._table and data.strip():
            self.tables[self._table].append(data.strip())


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> ReviewedDemo:
    demo = review_demo(tmp_path_factory.mktemp("report") / "lake")
    demo.write_responses()
    return demo


def evaluated(demo: ReviewedDemo) -> Evaluation:
    scheme = load_label_scheme(Settings().labels.path)
    rules = EvaluationRules.parse("latest", "", 20)
    return evaluate_dataset(demo.store, LAYOUT.dataset, lambda: None, scheme, rules)


@pytest.fixture(scope="module")
def source(demo: ReviewedDemo) -> str:
    evaluated(demo)
    return Path(demo.store.uri(LAYOUT.evaluation_report)).read_bytes().decode("utf-8")


@pytest.fixture(scope="module")
def report(source: str) -> Report:
    return Report(source)


def test_both_sides_of_every_reviewed_page_are_its_whole_text(report: Report, demo: ReviewedDemo) -> None:
    texts = sorted(page.text for page in demo.pages.values())
    assert len(report.pages) == demo.reviewed
    for page in report.pages:
        assert page["expert"] == page["model"]
        assert page["expert"] in texts


def test_a_span_of_another_label_says_what_it_was_suggested_as(source: str, demo: ReviewedDemo) -> None:
    relabelled = demo.actions["label_changed"] + demo.actions["both_changed"]
    assert source.count("suggested as ") == relabelled


def test_pages_are_found_by_what_was_done_on_them(report: Report, demo: ReviewedDemo) -> None:
    kinds = {kind for page in report.pages for kind in page["kinds"].split()}
    assert kinds == set(demo.actions) == report.classes & set(demo.actions)


def test_the_tables_have_the_planted_counts(report: Report, demo: ReviewedDemo) -> None:
    def numbers(table: str) -> list[str]:
        return [cell for cell in report.tables[table] if cell.isdecimal()]

    order = ["kept", "border_moved", "label_changed", "both_changed", "deleted", "added"]
    assert numbers("did") == [str(demo.actions[kind]) for kind in order]
    stages = ["page_failed", "not_answered", "not_grounded", "dropped", "cut_by_rule", "held_back"]
    assert numbers("lost") == [str(demo.losses[stage]) for stage in stages]
    assert sum(map(int, numbers("confusion"))) == demo.actions.total()


def test_it_runs_its_own_script_in_its_own_style_and_asks_nobody(source: str) -> None:
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', source)
    assert policy
    for tag in ("script", "style"):
        (content,) = re.findall(rf"<{tag}>(.*?)</{tag}>", source, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{tag}-src &#39;sha256-{digest}&#39;" in policy.group(1)
    assert "default-src &#39;none&#39;" in policy.group(1)
    assert not re.search(r"https?://|<[^>]+ style=|<link|<img", source)


def test_markup_on_a_page_is_text(source: str, demo: ReviewedDemo) -> None:
    assert any("<" in page.text for page in demo.pages.values())
    assert source.count("<script") == 1


def test_pages_behind_the_limit_are_counted_and_not_shown(
    demo: ReviewedDemo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(documents, "MOST_BYTES", 20_000)
    found = evaluated(demo)
    source = Path(demo.store.uri(LAYOUT.evaluation_report)).read_text("utf-8")
    shown = len(Report(source).pages)
    assert 0 < shown < demo.reviewed == found.scores.pages
    assert f"{demo.reviewed - shown} more pages are in the figures and not shown" in source


def test_a_bar_is_as_high_as_its_accuracy_and_stands_in_its_bin() -> None:
    empty = ReliabilityBin(0.0, 0.1, 0, None, None)
    (bar,) = reliability_bars([empty, ReliabilityBin(0.5, 0.6, 4, 0.55, 0.25)])
    assert (bar.height, bar.y) == (SIDE / 4, SIDE * 3 / 4)
    assert SIDE / 2 < bar.x < bar.x + bar.width < SIDE * 0.6
    assert bar.line == round(SIDE * 0.45, 2)


def test_the_curve_of_risk_goes_from_left_to_right() -> None:
    assert risk_line([]) == ""
    assert risk_line([RiskPoint(0.9, 0.5, 0.0), RiskPoint(0.1, 1.0, 0.5)]) == "M120.0 240.0L240.0 120.0"


def test_savings_stand_at_the_spans_that_they_lose() -> None:
    assert savings_line([]) == ""
    points = [SavedAt(0.005, 0.25, 0.01), SavedAt(0.05, 0.5, 0.06)]
    assert savings_line(points) == "M48.0 180.0L240.0 120.0"
