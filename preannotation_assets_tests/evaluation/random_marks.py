"""Marks on short pages, for properties."""

from hypothesis import strategies as st

from preannotation_assets.evaluation.pages import SuggestedSpan
from preannotation_assets.extraction.segments import Mark

LABELS = ("port", "vessel_name", "owner")
LENGTH = 20


def marks(most: int = 4) -> st.SearchStrategy[list[Mark]]:
    """Any marks, which may overlap and repeat each other."""
    return st.lists(_mark(), max_size=most)


def distinct_marks(most: int = 4) -> st.SearchStrategy[list[Mark]]:
    return st.lists(_mark(), max_size=most, unique=True)


@st.composite
def _mark(draw: st.DrawFn) -> Mark:
    start = draw(st.integers(0, LENGTH - 1))
    return Mark(start, draw(st.integers(start + 1, LENGTH)), draw(st.sampled_from(LABELS)))


def suggested(*given: Mark) -> tuple[SuggestedSpan, ...]:
    return tuple(SuggestedSpan(mark.start, mark.end, mark.label) for mark in given)
