"""Which excerpts of reviewed pages become examples of the next version of a scheme."""

import pytest

from preannotation_assets.errors import BatchError
from preannotation_assets.evaluation.pages import ReviewedPage
from preannotation_assets.extraction.labels import LabelScheme, check_label_scheme, parse_label_scheme
from preannotation_assets.extraction.segments import Mark
from preannotation_assets.learning.choosing import LearnedScheme, LearningRequest, learn_scheme
from preannotation_assets.settings import Settings

SOURCE = """name: ships
version: 1
labels:
  - name: vessel
    definition: A ship.
examples:
  - text: The STAR sank.
    spans:
      - vessel: STAR
"""
MARKED = "The barque GLORIA lay at Hamburg."


def page(number: int, text: str, *gold: Mark) -> ReviewedPage:
    return ReviewedPage(f"ships/{number}", 1, text, gold, ())


def marked(number: int) -> ReviewedPage:
    start = MARKED.index("GLORIA")
    return page(number, MARKED, Mark(start, start + len("GLORIA"), "vessel"))


def learned(pages: list[ReviewedPage], *, keeps_examples: bool = False) -> LearnedScheme:
    request = LearningRequest("ships", None, keeps_examples)
    return learn_scheme(SOURCE, parse_label_scheme(SOURCE, ""), pages, request, Settings())


def scheme_of(found: LearnedScheme) -> LabelScheme:
    checked = check_label_scheme(found.text, "")
    assert checked.scheme is not None
    assert not checked.warnings
    return checked.scheme


def test_a_text_that_many_documents_share_is_one_example() -> None:
    found = learned([marked(number) for number in range(20)])
    assert [example.text for example in scheme_of(found).examples] == [MARKED]


@pytest.mark.parametrize(
    "gold", [(), (Mark(0, 3, "no label of the scheme"),)], ids=["no spans", "other labels"]
)
def test_examples_without_spans_do_not_take_the_place_of_those_with_them(gold: tuple[Mark, ...]) -> None:
    pages = [page(number, f"The sea was calm on day {number}.", *gold) for number in range(5)]
    with pytest.raises(BatchError, match="has a span that can be shown"):
        learned(pages)
    examples = scheme_of(learned(pages, keeps_examples=True)).examples
    assert [len(example.spans) for example in examples] == [0, 1]
