"""Excerpts of reviewed pages that can be examples."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preannotation_assets.evaluation.examples import (
    Candidate,
    CandidateRules,
    Shown,
    ShownKind,
    candidates_of,
)
from preannotation_assets.evaluation.pages import GivenQuote, ReviewedPage, SuggestedSpan
from preannotation_assets.extraction.grounding import ground
from preannotation_assets.extraction.labels import Label, LabelScheme
from preannotation_assets.extraction.prompt import build_prompt
from preannotation_assets.extraction.segments import Mark
from preannotation_assets.extraction.spans import Grounding, Match, Quote, QuoteOutcome
from preannotation_assets.extraction.tokens import estimate_tokens
from preannotation_assets.extraction.values import OnInvalid

LABELS = ("port", "owner", "year")
SCHEME = LabelScheme(
    name="s",
    version=1,
    labels=(
        Label(name="port", definition="A port."),
        Label(name="owner", definition="An owner."),
        Label(name="year", definition="A year.", pattern=r"\d{4}", on_invalid=OnInvalid.LOWER),
    ),
)
WORDS = ("Hull", "Leith", "Stab-\neisen", "1974", "of", "the", "Malmö,", "\n\n", "A/S", "Kestrel\nLine", "1")


def page(text: str, *gold: tuple[str, str], suggested: tuple[tuple[str, str], ...] = ()) -> ReviewedPage:
    """Marks are given by their first place in the text."""
    return ReviewedPage(
        "d",
        1,
        text,
        tuple(Mark(text.index(span), text.index(span) + len(span), label) for span, label in gold),
        tuple(
            SuggestedSpan(text.index(span), text.index(span) + len(span), label) for span, label in suggested
        ),
    )


def only(reviewed: ReviewedPage, tokens: int = 400, scheme: LabelScheme = SCHEME) -> Candidate:
    (found,) = candidates_of(reviewed, CandidateRules(scheme, tokens))
    return found


@st.composite
def reviewed_pages(draw: st.DrawFn) -> ReviewedPage:
    words = draw(st.lists(st.sampled_from(WORDS), min_size=1, max_size=60))
    text, gold, suggested = "", [], []
    for word in words:
        if not word.isspace():
            place = len(text), len(text) + len(word)
            if draw(st.booleans()):
                gold.append(Mark(*place, draw(st.sampled_from((*LABELS, "elsewhere")))))
            if draw(st.booleans()):
                suggested.append(SuggestedSpan(*place, draw(st.sampled_from(LABELS))))
        text += word + " "
    return ReviewedPage("d", 1, text, tuple(gold), tuple(suggested))


@given(reviewed_pages(), st.integers(8, 60))
def test_every_excerpt_is_a_piece_of_the_page_whose_quotes_are_found_exactly_where_the_spans_are(
    reviewed: ReviewedPage, tokens: int
) -> None:
    reached = 0
    for found in candidates_of(reviewed, CandidateRules(SCHEME, tokens)):
        text = reviewed.text[found.start : found.end]
        assert found.example.text == text == text.strip()
        assert estimate_tokens(text) <= tokens
        assert reached <= found.start
        reached = found.end
        wanted = [
            (mark.start - found.start, mark.end - found.start, mark.label)
            for mark in reviewed.gold
            if mark.label in LABELS and mark.start < found.end and found.start < mark.end
        ]
        quotes = [Quote(*item) for span in found.example.spans for item in span.items()]
        results = ground(text, quotes)
        assert all(isinstance(each, Grounding) and each.match is Match.EXACT for each in results)
        places = [
            (each.start, each.end, quote.label)
            for each, quote in zip(results, quotes, strict=True)
            if isinstance(each, Grounding)
        ]
        # No span is cut, none is left out, and they are in reading order.
        assert places == wanted
        labels = {shown.name for shown in found.shown if shown.kind is ShownKind.LABEL}
        assert labels == {label for _, _, label in wanted}
        assert (Shown(ShownKind.NOTHING) in found.shown) is (not wanted)


def test_tokens_are_what_the_example_adds_to_a_prompt() -> None:
    found = only(page("From Hull,\nby Leith <page> </s>.", ("Hull", "port"), ("Leith", "port")))
    with_it = SCHEME.model_copy(update={"examples": (found.example,)})
    assert found.tokens == build_prompt(with_it).constant_tokens - build_prompt(SCHEME).constant_tokens


def test_a_long_page_is_cut_between_its_lines_and_through_no_span() -> None:
    lines = [f"On day {number} the Kestrel left Hull for Port\nGlasgow with coal." for number in range(20)]
    text = "\n\n".join(lines)
    gold = []
    at = text.find("Port\nGlasgow")
    while at >= 0:
        gold.append(Mark(at, at + len("Port\nGlasgow"), "port"))
        at = text.find("Port\nGlasgow", at + 1)
    found = candidates_of(ReviewedPage("d", 1, text, tuple(gold), ()), CandidateRules(SCHEME, 60))
    assert sum(len(each.example.spans) for each in found) == len(gold)
    assert all(each.example.text.startswith("On day") and each.example.text.endswith(".") for each in found)
    assert len(found) >= 5


@pytest.mark.parametrize(
    "reviewed",
    [
        # The rule of its label refuses the value; a scheme with it would be refused.
        page("Built in l974.", ("l974", "year")),
        # Part of a word: grounding finds no such thing.
        page("Hullabaloo in Leith.", ("Hull", "port")),
        # Overlapping spans, where the scheme has none.
        page("From Port Glasgow.", ("Port Glasgow", "port"), ("Glasgow", "owner")),
        page("x" * 301, ("x" * 301, "owner")),
        page("Lone \ud800 surrogate in Hull.", ("Hull", "port")),
        page(" \n "),
    ],
    ids=["rule", "part of a word", "overlap", "long", "surrogate", "blank"],
)
def test_what_a_scheme_would_refuse_is_no_example(reviewed: ReviewedPage) -> None:
    assert candidates_of(reviewed, CandidateRules(SCHEME, 400)) == []


def test_overlapping_spans_are_shown_where_the_scheme_allows_them() -> None:
    overlapping = SCHEME.model_copy(update={"overlaps": True})
    reviewed = page("From Port Glasgow.", ("Port Glasgow", "port"), ("Glasgow", "owner"))
    assert only(reviewed, scheme=overlapping).example.spans == (
        {"port": "Port Glasgow"},
        {"owner": "Glasgow"},
    )


def test_white_space_around_a_span_and_labels_that_the_scheme_lacks_are_left_out() -> None:
    found = only(page("From Hull \nby Leith.", (" Hull \n", "port"), ("Leith", "elsewhere")))
    assert found.example.spans == ({"port": "Hull"},)


def mistakes(found: Candidate) -> set[tuple[str, tuple[str, ...]]]:
    return {(each.name, each.labels) for each in found.shown if each.kind is ShownKind.MISTAKE}


def test_an_excerpt_shows_what_the_model_did_wrong_in_it() -> None:
    text = "Hull, Leith, Kestrel Line, Oslo, Bergen, of old."
    reviewed = page(
        text,
        ("Hull", "port"), ("Leith", "port"), ("Kestrel Line", "owner"), ("Oslo", "port"),
        suggested=(("Hull", "port"), ("Leith", "owner"), ("Kestrel", "owner"), ("of old", "owner")),
    )  # fmt: skip
    assert mistakes(only(reviewed)) == {
        ("label_changed", ("owner", "port")),
        ("border_moved", ("owner",)),
        ("deleted", ("owner",)),
        ("added", ("port",)),
    }


def test_of_a_page_that_failed_no_mistake_is_known() -> None:
    reviewed = page("From Hull.", ("Hull", "port"))
    failed = ReviewedPage(reviewed.doc_id, 1, reviewed.text, reviewed.gold, (), failure="timed_out")
    assert mistakes(only(failed)) == set()
    assert only(failed).example.spans


def test_habits_of_the_print_come_from_the_quotes_that_became_right_spans() -> None:
    text = "The HARLEQUlN of Rottrdam, by Leith."
    quotes = (
        GivenQuote("owner", "HARLEQUIN", QuoteOutcome.KEPT, (4, 13)),
        # It is not marked, so an example would not show it.
        GivenQuote("port", "Rotterdam", QuoteOutcome.KEPT, (17, 25)),
        GivenQuote("port", "Hamburg", QuoteOutcome.NOT_FOUND, None),
    )
    reviewed = ReviewedPage("d", 1, text, (Mark(4, 13, "owner"),), (), quotes)
    assert {each.name for each in only(reviewed).shown if each.kind is ShownKind.HABIT} == {"lookalike"}
