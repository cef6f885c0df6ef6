from collections import Counter
from random import Random

import pytest
from random_marks import LABELS

from preannotation_assets.evaluation.actions import ADDED, ActionCosts, Fate
from preannotation_assets.evaluation.judging import JudgedPage, judge
from preannotation_assets.evaluation.matching import KindCounts, Scheme
from preannotation_assets.evaluation.pages import ReviewedPage, SuggestedSpan
from preannotation_assets.evaluation.scores import Scores, score_pages
from preannotation_assets.extraction.segments import Mark

TEXT = "x" * 200
COSTS = ActionCosts()
FEW = 50


def page(doc_id: str, gold: list[Mark], suggested: list[SuggestedSpan], page_num: int = 1) -> JudgedPage:
    return judge(ReviewedPage(doc_id, page_num, TEXT, tuple(gold), tuple(suggested)))


def scored(*pages: JudgedPage) -> Scores:
    return score_pages(pages, COSTS, FEW)


TWO_PAGES = (
    page(
        "a",
        [Mark(0, 5, "port"), Mark(10, 15, "port"), Mark(20, 25, "owner"), Mark(50, 55, "owner")],
        [
            SuggestedSpan(0, 5, "port", 0.9),
            SuggestedSpan(11, 15, "port", 0.8),
            SuggestedSpan(20, 25, "port", 0.7),
            SuggestedSpan(30, 35, "port", None),
        ],
    ),
    page("b", [Mark(0, 5, "owner")], [SuggestedSpan(0, 5, "owner", 0.6)]),
)


def test_the_scores_of_a_case_that_is_reckoned_by_hand() -> None:
    found = scored(*TWO_PAGES)
    assert (found.documents, found.pages, found.gold, found.suggested) == (2, 2, 5, 5)
    strict, overlap, kind = (found.overall(scheme) for scheme in Scheme)
    assert strict.counts == KindCounts(correct=2, incorrect=2, missed=1, spurious=1)
    assert (strict.precision.value, strict.recall.value, strict.f1.value) == (0.4, 0.4, 0.4)
    assert overlap.counts == KindCounts(correct=3, partial=1, missed=1, spurious=1)
    assert overlap.f1.value == pytest.approx(0.7)
    assert kind.counts == KindCounts(correct=3, incorrect=1, missed=1, spurious=1)
    owner, port = found.by_label
    assert (owner.label, port.label) == ("owner", "port")
    # The owner that was suggested as a port is spurious in the one and missed in the other.
    assert port.counts == KindCounts(correct=1, incorrect=1, spurious=2)
    assert owner.counts == KindCounts(correct=1, missed=2)
    assert (owner.precision.value, owner.recall.value, owner.f1.value) == (1.0, pytest.approx(1 / 3), 0.5)


def test_what_the_expert_did_and_what_it_cost() -> None:
    found = scored(*TWO_PAGES)
    assert found.actions == {
        Fate.KEPT: 2, Fate.BORDER_MOVED: 1, Fate.LABEL_CHANGED: 1, Fate.BOTH_CHANGED: 0, Fate.DELETED: 1,
        ADDED: 1,
    }  # fmt: skip
    assert found.actions_by_label["owner"] == {Fate.KEPT: 1, ADDED: 1}
    assert (found.savings.with_suggestions, found.savings.from_nothing) == (2 + 2 + 1 + 2, 10)
    assert found.savings.saved.value == pytest.approx(0.3)
    assert found.losses["not_answered"] == 1
    assert sum(found.losses.values()) == found.actions[ADDED]
    assert found.losses_by_label == {"owner": {"not_answered": 1}}


def test_labels_that_were_taken_for_each_other() -> None:
    cells = {(cell.gold, cell.suggested): cell.count for cell in scored(*TWO_PAGES).confusion}
    assert cells == {
        ("port", "port"): 2, ("owner", "port"): 1, ("owner", "owner"): 1, ("owner", None): 1,
        (None, "port"): 1,
    }  # fmt: skip


def test_confidences_are_held_against_what_was_kept() -> None:
    reliability = scored(*TWO_PAGES).reliability
    assert (reliability.known, reliability.unknown) == (4, 1)
    assert reliability.brier == pytest.approx((0.01 + 0.64 + 0.49 + 0.16) / 4)


def test_nothing_to_mark_and_nothing_marked_has_no_scores() -> None:
    found = scored(page("a", [], []), page("b", [], []))
    strict = found.overall(Scheme.STRICT)
    assert (strict.precision.value, strict.recall.value, strict.f1.value) == (None, None, None)
    assert strict.f1.interval is None
    assert found.savings.saved.value is None
    assert set(found.losses.values()) == set(found.actions.values()) == {0}


def test_no_page_at_all() -> None:
    found = scored()
    assert (found.documents, found.pages, len(found.scores)) == (0, 0, len(Scheme))


def random_pages(seed: int, documents: int) -> list[JudgedPage]:
    random = Random(seed)
    pages = []
    for number in range(documents):
        gold, suggested = [], []
        for room in range(random.randrange(8)):
            start, label = 20 * room, random.choice(LABELS)
            if random.random() < 0.8:
                gold.append(Mark(start, start + 8, label))
            if random.random() < 0.8:
                suggested.append(
                    SuggestedSpan(
                        start + random.randrange(2), start + 8, random.choice(LABELS), random.random()
                    )
                )
        pages.append(page(f"d{number:03}", gold, suggested))
    return pages


def test_the_labels_add_up_to_the_whole() -> None:
    found = scored(*random_pages(1, 40))
    whole = found.overall(Scheme.STRICT).counts
    parts = sum((each.counts for each in found.by_label), KindCounts())
    assert (parts.correct, parts.possible, parts.actual) == (whole.correct, whole.possible, whole.actual)
    assert whole.correct == found.actions[Fate.KEPT]
    by_label: Counter[str] = Counter()
    for counts in found.actions_by_label.values():
        by_label.update(counts)
    assert {name: by_label[name] for name in found.actions} == found.actions


def test_the_interval_holds_the_figure_and_depends_on_documents_alone() -> None:
    pages = random_pages(2, 60)
    found = score_pages(pages, COSTS, 300)
    for each in found.scores:
        for figure in (each.precision, each.recall, each.f1):
            assert figure.value is not None
            assert figure.interval is not None
            assert figure.interval.low < figure.value < figure.interval.high
    saved = found.savings.saved
    assert saved.value is not None
    assert saved.interval is not None
    assert saved.interval.low < saved.value < saved.interval.high
    assert score_pages(list(reversed(pages)), COSTS, 300) == found
