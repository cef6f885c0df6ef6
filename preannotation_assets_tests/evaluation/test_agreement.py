from collections import Counter
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from random_marks import LENGTH, marks

from preannotation_assets.evaluation.agreement import AgreementTally
from preannotation_assets.evaluation.responses import Response
from preannotation_assets.extraction.segments import Mark

# Krippendorff (2011), "Computing Krippendorff's Alpha-Reliability": four observers, twelve units, for nominal
# data alpha is 0.743.
OBSERVED = {
    "A": "123321412...",
    "B": "1233224125.3",
    "C": ".33323422 51.".replace(" ", ""),
    "D": "123324412 51.".replace(" ", ""),
}


def response(annotator: str, *spans: Mark) -> Response:
    return Response("a", 1, "now", annotator, "submitted", None, spans)


def test_alpha_is_that_of_the_published_example() -> None:
    tally = AgreementTally()
    for unit in range(12):
        found = {name: values[unit] for name, values in OBSERVED.items()}
        tally.add(1, [response(name, Mark(0, 1, value)) for name, value in found.items() if value != "."])
    assert tally.alpha == pytest.approx(0.743, abs=0.0005)


def by_characters(pages: list[list[list[Mark]]]) -> float | None:
    """Alpha from the coincidences of all ordered pairs of values, character by character."""
    coincidences: Counter[tuple[frozenset[str], frozenset[str]]] = Counter()
    for page in pages:
        if len(page) < 2:
            continue
        for place in range(LENGTH):
            values = [frozenset(mark.label for mark in own if mark.start <= place < mark.end) for own in page]
            for one, other in permutations(values, 2):
                coincidences[one, other] += 1 / (len(values) - 1)  # type: ignore[assignment]
    totals: Counter[frozenset[str]] = Counter()
    for (one, _), count in coincidences.items():
        totals[one] += count
    n = sum(totals.values())
    expected = sum(totals[one] * totals[other] for one, other in permutations(totals, 2))
    observed = sum(count for (one, other), count in coincidences.items() if one != other)
    return 1 - (n - 1) * observed / expected if expected else None


@given(st.lists(st.lists(marks(3), min_size=1, max_size=4), max_size=3))
def test_alpha_over_stretches_is_alpha_over_characters(pages: list[list[list[Mark]]]) -> None:
    tally = AgreementTally()
    for page in pages:
        tally.add(LENGTH, [response(str(number), *own) for number, own in enumerate(page)])
    assert tally.alpha == pytest.approx(by_characters(pages))


def test_agreement_in_all_is_one_and_of_nothing_unknown() -> None:
    tally = AgreementTally()
    assert (tally.alpha, tally.pairs) == (None, [])
    tally.add(LENGTH, [response("ada"), response("bob")])
    assert tally.alpha is None
    tally.add(LENGTH, [response(name, Mark(2, 5, "port")) for name in ("ada", "bob")])
    assert tally.alpha == 1.0


def test_the_spans_that_two_experts_share() -> None:
    tally = AgreementTally()
    shared = Mark(0, 4, "port")
    tally.add(LENGTH, [response("bob", shared, Mark(5, 9, "owner")), response("ada", shared)])
    tally.add(LENGTH, [response("ada", Mark(5, 9, "port")), response("bob", Mark(5, 9, "owner"))])
    tally.add(LENGTH, [response("ada", Mark(1, 2, "port"))])
    tally.add(LENGTH, [response("ada"), response("cyd")])
    ada_bob, ada_cyd = tally.pairs
    assert (ada_bob.first, ada_bob.second, ada_bob.pages, ada_bob.shared) == ("ada", "bob", 2, 1)
    assert ada_bob.f1 == 2 * 1 / (2 + 3)
    assert (ada_cyd.pages, ada_cyd.f1) == (1, None)
    assert tally.pages == 3
