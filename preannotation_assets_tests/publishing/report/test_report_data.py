import pytest
from hypothesis import given
from hypothesis import strategies as st
from shared.report_files import a_page, unpacked

from preannotation_assets.publishing.report.data import BINS, Counts, packed

TEXTS = st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(
    ["</script><script>", "\x00\r\n\u2028", "\ufeff", "🚢" * 9, "\u202e"]
)
CONFIDENCES = st.none() | st.floats(0, 1)


@given(st.lists(st.tuples(TEXTS, TEXTS)))
def test_any_text_comes_out_as_it_went_in_and_means_nothing_to_html(texts: list[tuple[str, str]]) -> None:
    pages = [a_page(1, text, rejected=[("port", quote, "not_found")]) for text, quote in texts]
    said = packed([page.content for page in pages])
    assert [(text, quotes[0][1]) for text, quotes in unpacked(said)] == texts
    assert not set(said) & set("<>&\"'")


def pages(confidences: list[float | None]) -> Counts:
    counts = Counts()
    for number, confidence in enumerate(confidences):
        quotes = [("port", "q", "not_found")] if confidence is None else []
        counts.add(a_page(number, "text", [(0, 4, "port", confidence)], rejected=quotes))
    return counts


@given(st.lists(CONFIDENCES), st.lists(CONFIDENCES))
def test_counts_of_two_files_are_those_of_all_pages(
    one: list[float | None], other: list[float | None]
) -> None:
    counts = pages(one)
    counts.take_in(pages(other))
    assert counts == pages(one + other)
    assert sum(counts.confidences) + counts.unknown == counts.labels.total() == len(one + other)


@pytest.mark.parametrize(("confidence", "place"), [(0.0, 0), (0.049, 0), (0.05, 1), (0.999, 19), (1.0, 19)])
def test_a_confidence_is_in_its_bin(confidence: float, place: int) -> None:
    assert pages([confidence]).confidences == [int(index == place) for index in range(BINS)]


def test_an_unknown_confidence_is_no_number() -> None:
    page = a_page(1, "text", [(0, 4, "port", None), (1, 2, "port", 0.1234)])
    assert page.marks[-1] == [["port", 0, 4, None], ["port", 1, 2, 123]]
    assert pages([None]).lowest is None
    assert pages([None, 0.25]).lowest == 0.25


def test_failed_pages_are_counted_by_their_reason() -> None:
    counts = Counts()
    for number in range(3):
        counts.add(a_page(number, "", reason="timeout"))
    assert counts.reasons == {"timeout": 3}
    assert counts.states == {"failed": 3}
