"""The cover of what there is to show, held against every other choice on small inputs."""

from collections import Counter
from itertools import combinations
from math import e

from hypothesis import given
from hypothesis import strategies as st

from preannotation_assets.evaluation.examples import Candidate, Shown, ShownKind, select_examples
from preannotation_assets.evaluation.examples.selection import weights_of, worth_of
from preannotation_assets.extraction.labels import Example

NOTHING = Shown(ShownKind.NOTHING)
LABELS = [Shown(ShownKind.LABEL, name) for name in ("port", "owner", "flag")]
OTHERS = [Shown(ShownKind.MISTAKE, "added", ("port",)), Shown(ShownKind.MISTAKE, "deleted", ("flag",)),
          Shown(ShownKind.HABIT, "lookalike")]  # fmt: skip


def candidate(number: int, tokens: int, *shown: Shown) -> Candidate:
    labels = [each.name for each in shown if each.kind is ShownKind.LABEL]
    example = Example(text=f"text {number}", spans=tuple({label: "text"} for label in labels))
    return Candidate(
        (f"d{number}", 1), 0, 6, example, tokens, frozenset(shown if labels else (*shown, NOTHING))
    )


@st.composite
def pools(draw: st.DrawFn) -> list[Candidate]:
    return [
        candidate(
            number,
            draw(st.integers(1, 20)),
            *draw(st.lists(st.sampled_from([*LABELS, *OTHERS]), unique=True, max_size=4)),
        )
        for number in range(draw(st.integers(0, 7)))
    ]


budgets = st.integers(1, 60)


@given(pools(), budgets, st.integers(1, 6))
def test_neither_the_budget_nor_the_number_is_exceeded(pool: list[Candidate], budget: int, most: int) -> None:
    selection = select_examples(pool, budget, most)
    assert selection.tokens <= budget
    assert len(selection.chosen) <= most
    pages = [found.page for found in selection.chosen]
    assert len(set(pages)) == len(pages)
    assert all(found in pool for found in selection.chosen)


@given(pools(), budgets, st.randoms(use_true_random=False))
def test_the_order_in_which_pages_were_read_decides_nothing(
    pool: list[Candidate], budget: int, random: object
) -> None:
    shuffled = list(pool)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert select_examples(shuffled, budget, 9) == select_examples(pool, budget, 9)


@given(pools(), budgets)
def test_every_label_is_shown_where_the_cheapest_excerpts_of_each_fit_together(
    pool: list[Candidate], budget: int
) -> None:
    required = {each for found in pool for each in found.shown if each in (*LABELS, NOTHING)}
    cheapest = {each: min(found.tokens for found in pool if each in found.shown) for each in required}
    if sum(cheapest.values()) <= budget:
        assert required <= select_examples(pool, budget, len(required) or 1).shown


@given(pools(), budgets)
def test_a_label_is_missing_only_where_no_excerpt_of_it_fits_any_more(
    pool: list[Candidate], budget: int
) -> None:
    selection = select_examples(pool, budget, 99)
    left = budget - selection.tokens
    for shown in {each for found in pool for each in found.shown if each in LABELS} - selection.shown:
        assert all(found.tokens > left for found in pool if shown in found.shown)


@given(pools(), budgets)
def test_where_no_label_is_open_the_choice_is_worth_what_its_proof_promises(
    pool: list[Candidate], budget: int
) -> None:
    """Against every other choice. The labels are shown already, so that only the worth decides."""
    shown_already = Counter(dict.fromkeys((*LABELS, NOTHING), 1))
    weights = weights_of(pool)
    selection = select_examples(pool, budget, 99, shown_already)
    best = max(
        worth_of(chosen, weights, shown_already)
        for count in range(len(pool) + 1)
        for chosen in combinations(pool, count)
        if sum(found.tokens for found in chosen) <= budget
    )
    assert worth_of(selection.chosen, weights, shown_already) >= (1 - 1 / e) / 2 * best - 1e-9


def test_a_second_showing_of_a_thing_is_worth_half() -> None:
    port = candidate(1, 5, LABELS[0])
    other = candidate(2, 5, LABELS[0])
    weights = {LABELS[0]: 1.0}
    assert worth_of([port], weights, {}) == 1.0
    assert worth_of([port, other], weights, {}) == 1.5
    assert worth_of([port], weights, {LABELS[0]: 2}) == 0.25


def test_what_the_model_gets_wrong_most_often_is_shown_first() -> None:
    rare, often = OTHERS[0], OTHERS[1]
    pool = [candidate(number, 10, LABELS[0], often) for number in range(3)]
    pool += [candidate(9, 10, LABELS[0], rare)]
    assert often in select_examples(pool, 10, 1).shown
    assert rare in select_examples(pool, 30, 3).shown


def test_what_stays_in_the_scheme_need_not_be_shown_again() -> None:
    pool = [candidate(1, 10, LABELS[0]), candidate(2, 10, LABELS[1])]
    assert select_examples(pool, 10, 9, {LABELS[0]: 1}).shown == {LABELS[1]}
    assert select_examples(pool, 10, 9, {LABELS[1]: 1}).shown == {LABELS[0]}


def test_excerpts_without_spans_stand_first_and_what_was_taken_first_stands_last() -> None:
    pool = [candidate(1, 10, LABELS[0]), candidate(2, 10, *LABELS[1:]), candidate(3, 10)]
    selection = select_examples(pool, 30, 9)
    assert [len(each.example.spans) for each in selection.in_order] == [0, 1, 2]


def test_of_nothing_nothing_is_chosen() -> None:
    selection = select_examples([], 10, 9)
    assert (selection.chosen, selection.tokens, selection.shown) == ((), 0, frozenset())
