"""What a hostile page may cost: work is counted, so that no clock decides what is found."""

import sys
from types import FrameType
from typing import Any

import pytest
from shared.costly_pages import COSTLY_PAGES

from preannotation_assets.extraction.grounding import ChunkWork, ground
from preannotation_assets.extraction.grounding.assignment import assign
from preannotation_assets.extraction.grounding.work import Work, WorkSpentError
from preannotation_assets.extraction.spans import Grounding, Match, Quote, QuoteOutcome, Rejection

CUT_OFF = Rejection(QuoteOutcome.SEARCH_CUT_OFF)
# What a chunk has in all. About a microsecond each, see docs/grounding.md.
MOST_STEPS = 700_000
# What Python does in a step, at most: what is not counted at all would show here.
CALLS_A_STEP = 4


@pytest.mark.parametrize("name", COSTLY_PAGES)
def test_a_hostile_page_costs_no_more_than_the_work_of_a_chunk(name: str) -> None:
    text, quotes = COSTLY_PAGES[name]
    asked = [Quote("SHIP", quote) for quote in quotes]
    work = ChunkWork()
    calls = 0

    def count(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        found = ground(text, asked, work)
    finally:
        sys.setprofile(None)

    assert calls <= CALLS_A_STEP * MOST_STEPS
    assert CUT_OFF in found


def test_the_work_of_a_hostile_page_is_found_anew_each_time() -> None:
    text, quotes = COSTLY_PAGES["ship, 10 long"]
    spent = []
    for _ in range(2):
        work = ChunkWork()
        ground(text, [Quote("SHIP", quote) for quote in quotes], work)
        spent.append(work.spent)

    assert spent[0] == spent[1]


def test_what_is_spelled_as_on_the_page_is_found_beside_quotes_that_take_all_the_work() -> None:
    text, quotes = COSTLY_PAGES["ship, 200 short"]
    text += "of the line Nordlys Rederi"

    found = ground(text, [Quote("SHIP", quote) for quote in [*quotes, "Nordlys Rederi", "nordlys rederi"]])

    assert found[-3] == CUT_OFF
    assert found[-2] == Grounding(text.index("Nordlys"), len(text), Match.EXACT, 1.0)
    assert isinstance(found[-1], Grounding) or found[-1] == Rejection(QuoteOutcome.ALREADY_TAKEN)


def test_an_ordinary_page_needs_a_small_part_of_the_work() -> None:
    text = "the brig Anna of Bremen, master Oscar Lund, " * 100
    work = ChunkWork()

    ground(text, [Quote("SHIP", quote) for quote in ["Anna", "Brernen", "Oskar Lund", "Captain Lund"]], work)

    assert work.spent < MOST_STEPS / 50


def test_one_quote_cannot_take_the_work_of_all() -> None:
    work = Work(100, 10)
    work.spend(10)
    with pytest.raises(WorkSpentError):
        work.spend(1)

    work.begin_quote()
    work.spend(10)

    assert work.spent == 20


def test_an_assignment_out_of_work_still_gives_no_place_twice() -> None:
    options = [{place: float(place != quote) for place in range(30)} for quote in range(20)] * 2

    chosen = assign(options, Work(50))

    taken = [place for place in chosen if place is not None]
    assert len(taken) == len(set(taken)) == 30
