"""What several servers cost for the same pages, and how far they agree: arithmetic."""

from hypothesis import given
from hypothesis import strategies as st

from preannotation_assets.trying.comparison import Agreement, ServerFigures, agree

Mark = tuple[int, int, str]
MARKS = st.one_of(
    st.none(),
    st.frozensets(
        st.tuples(st.integers(0, 3), st.integers(4, 6), st.sampled_from(("port", "flag"))), max_size=6
    ),
)
PAGES = st.dictionaries(st.tuples(st.just("doc"), st.integers(1, 6)), MARKS)


def test_a_hand_made_case() -> None:
    hull, brest, flag = (0, 4, "port"), (9, 14, "port"), (20, 25, "flag")
    first = {("a", 1): frozenset({hull, brest}), ("a", 2): frozenset({flag}), ("a", 3): None}
    second = {
        ("a", 1): frozenset({hull}),
        ("a", 2): frozenset({flag}),
        ("a", 3): frozenset({hull}),
        ("b", 1): frozenset({hull}),
    }

    found = agree(first, second)

    assert found == Agreement(pages=2, identical_pages=1, shared=2, only_first=1, only_second=0)
    assert found.share == 0.8


def test_pages_that_one_server_failed_or_that_hold_nothing_are_no_agreement() -> None:
    assert agree({("a", 1): None}, {("a", 1): frozenset()}).share is None
    both_empty = agree({("a", 1): frozenset()}, {("a", 1): frozenset()})
    assert (both_empty.share, both_empty.identical_pages) == (None, 1)


@given(PAGES, PAGES)
def test_it_does_not_matter_who_is_first(
    first: dict[tuple[str, int], frozenset[Mark] | None],
    second: dict[tuple[str, int], frozenset[Mark] | None],
) -> None:
    found, turned = agree(first, second), agree(second, first)

    assert (found.pages, found.identical_pages, found.shared) == (
        turned.pages,
        turned.identical_pages,
        turned.shared,
    )
    assert (found.only_first, found.only_second) == (turned.only_second, turned.only_first)
    assert found.share is None or 0 <= found.share <= 1


FIGURES = ServerFigures(
    in_flight=4,
    seconds=20.0,
    pages=10,
    requests=12,
    failed=1,
    page_tokens=8_000,
    prompt_tokens=30_000,
    answer_tokens=1_000,
    cached_tokens=24_000,
)


def test_rates_and_the_batch_at_these_rates() -> None:
    assert FIGURES.answer_tokens_per_second == 50.0
    assert FIGURES.seconds_a_page == 2.0
    assert FIGURES.cached_share == 0.8
    assert FIGURES.projected_hours(1_440_000) == 1.0


def test_what_a_server_does_not_count_is_unknown() -> None:
    silent = ServerFigures(4, 20.0, 0, 1, 1, 0, None, None, None)

    assert silent.answer_tokens_per_second is None
    assert silent.seconds_a_page is None
    assert silent.cached_share is None
    assert silent.projected_hours(1_000) is None
