import json
import math
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preannotation_assets.extraction.confidence import ConfidenceSource
from preannotation_assets.extraction.spans import QuoteOutcome
from preannotation_assets.extraction.suggesting import (
    ChunkAnswer,
    suggest,
    value_probabilities,
)
from preannotation_assets.extraction.values import OnInvalid, ValueRule, Verdict

LABELS = ("vessel_name", "port")
PAGE = "🚢 The Marie-Louise left Hamburg for Hull. The Marie-Louise is lost."


def answer(
    *spans: tuple[str, str], start: int = 0, end: int = len(PAGE), at: int = 7, **scores: Any
) -> ChunkAnswer:
    text = json.dumps({"spans": [{label: quote} for label, quote in spans]}, ensure_ascii=False)
    return ChunkAnswer(start, end, text, scores.get("lengths"), scores.get("logprobs"), at)


def test_quotes_become_spans_of_the_page() -> None:
    found = suggest(
        PAGE, [answer(("vessel_name", "Marie-Louise"), ("port", "Hull"))], LABELS, overlaps_allowed=False
    )
    assert [(span.label, PAGE[span.start : span.end], span.answered_at) for span in found.spans] == [
        ("vessel_name", "Marie-Louise", 7),
        ("port", "Hull", 7),
    ]
    assert [outcome.outcome for outcome in found.quotes] == [QuoteOutcome.KEPT, QuoteOutcome.KEPT]
    assert all(span.confidence is None for span in found.spans)


def test_offsets_of_a_chunk_are_those_of_the_page() -> None:
    second = PAGE.index("for Hull")
    answers = [
        answer(("vessel_name", "Marie-Louise"), end=second),
        answer(("vessel_name", "Marie-Louise"), start=second),
    ]
    found = suggest(PAGE, answers, LABELS, overlaps_allowed=False)
    assert [span.start for span in found.spans] == [PAGE.index("Marie"), PAGE.rindex("Marie")]


def test_a_second_pass_speaks_only_about_what_it_was_asked() -> None:
    text = json.dumps({"spans": [{"port": "Hamburg"}, {"port": "Hull"}]})
    first = ChunkAnswer(0, len(PAGE), text, [len(text)], [math.log(0.5)], 7)
    again = [answer(("port", "Hamburg"), end=PAGE.index(" for"))]
    found = suggest(PAGE, [first], LABELS, overlaps_allowed=False, second_answers=again)
    assert [(PAGE[span.start : span.end], span.confidence) for span in found.spans] == [
        ("Hamburg", pytest.approx(0.7)),
        ("Hull", pytest.approx(0.5)),
    ]
    assert [outcome.agreement for outcome in found.quotes] == [1.0, None]


def test_no_agreement_makes_an_invalid_value_better() -> None:
    rule = ValueRule("A.*", None, OnInvalid.LOWER, 0.5)
    text = json.dumps({"spans": [{"port": "Hull"}]})
    first = ChunkAnswer(0, len(PAGE), text, [len(text)], [math.log(0.5)], 7)
    found = suggest(
        PAGE,
        [first],
        LABELS,
        overlaps_allowed=False,
        rules={"port": rule},
        second_answers=[answer(("port", "Hull"))],
    )
    assert found.spans[0].confidence == pytest.approx(0.7 * 0.5)


def test_the_model_s_own_word_goes_the_way_of_a_probability() -> None:
    """Similarity, second pass and rule: each does to it what it does to a probability."""
    rule = ValueRule("A.*", None, OnInvalid.LOWER, 0.5)
    text = '{"spans":[{"vessel_name":["Marie Louise",8]},{"port":["Hamburg",9]},{"port":["Hull",3]}]}'
    unscored = ChunkAnswer(0, len(PAGE), text, None, None, 7)
    again = [answer(("port", "Hull"))]
    found = suggest(
        PAGE, [unscored], LABELS, overlaps_allowed=False, rules={"port": rule}, second_answers=again
    )
    name, hamburg, hull = found.spans
    similarity = found.quotes[0].grounding.similarity  # type: ignore[union-attr]
    assert similarity < 1
    assert name.confidence == pytest.approx(0.6 * 0.85 * similarity)
    assert hamburg.confidence == pytest.approx(0.6 * 0.95 * 0.5)
    assert hull.confidence == pytest.approx((0.6 * 0.35 + 0.4) * 0.5)
    assert [outcome.self_reported for outcome in found.quotes] == [8, 9, 3]
    assert {outcome.confidence_source for outcome in found.quotes} == {ConfidenceSource.SELF_REPORTED}


def test_the_model_s_own_word_does_not_touch_what_the_tokens_say() -> None:
    text = '{"spans":[{"port":["Hull",0]}]}'
    scored = ChunkAnswer(0, len(PAGE), text, [len(text)], [math.log(0.5)], 7)
    (outcome,) = suggest(PAGE, [scored], LABELS, overlaps_allowed=False).quotes
    assert outcome.confidence == pytest.approx(0.5)
    assert (outcome.self_reported, outcome.confidence_source) == (0, ConfidenceSource.LOG_PROBABILITIES)
    assert value_probabilities(text, None, None) == [None]


def test_values_are_as_probable_as_their_own_tokens() -> None:
    text = '{"spans":[{"port":"Kiel"},{"port":"Hull"}]}'
    lengths = [len('{"spans":[{"port":"'), 4, len('"},{"port":"'), 4, len('"}]}')]
    logprobs = [-9.0, math.log(0.9), -9.0, math.log(0.4), -9.0]
    assert value_probabilities(text, lengths, logprobs) == [pytest.approx(0.9), pytest.approx(0.4)]
    assert value_probabilities(text, None, None) == [None, None]


def test_an_entity_in_the_overlap_of_two_chunks_is_one_span() -> None:
    answers = [answer(("port", "Hamburg"), end=40), answer(("port", "Hamburg"), start=20)]
    found = suggest(PAGE, answers, LABELS, overlaps_allowed=True)
    assert [PAGE[span.start : span.end] for span in found.spans] == ["Hamburg"]
    assert sorted(outcome.outcome for outcome in found.quotes) == [QuoteOutcome.KEPT, "seen_by_two_chunks"]


def test_answers_that_begin_at_the_same_place_are_told_apart() -> None:
    answers = [answer(("port", "Hamburg"), end=40), answer(("port", "Hamburg"))]
    found = suggest(PAGE, answers, LABELS, overlaps_allowed=True)
    assert len(found.spans) == 1
    assert sorted(outcome.outcome for outcome in found.quotes) == [QuoteOutcome.KEPT, "seen_by_two_chunks"]


def test_every_quote_has_an_outcome() -> None:
    spans = [
        ("port", "Hull"),
        ("harbour", "Hull"),
        ("port", "Atlantis"),
        ("vessel_name", "Hull"),
        ("port", ""),
    ]
    found = suggest(PAGE, [answer(*spans)], LABELS, overlaps_allowed=False)
    outcomes = {(item.label, item.quote): item.outcome for item in found.quotes}
    assert len(found.quotes) == len(spans)
    assert outcomes["harbour", "Hull"] == QuoteOutcome.UNKNOWN_LABEL
    assert outcomes["port", "Atlantis"] == "not_found"
    assert outcomes["port", ""] == "empty"
    assert sorted((outcomes["port", "Hull"], outcomes["vessel_name", "Hull"])) == [
        QuoteOutcome.KEPT,
        "overlap",
    ]
    assert len(found.spans) == 1


def test_the_confidence_is_of_the_tokens_of_the_value() -> None:
    spans = [("vessel_name", "Marie-Louise"), ("port", "Hull")]
    text = answer(*spans).answer
    place = text.index("Hull")
    scores = {"lengths": [place, 4, len(text) - place - 4], "logprobs": [-1.0, -0.5, -9.0]}
    found = suggest(PAGE, [answer(*spans, **scores)], LABELS, overlaps_allowed=False)
    assert [span.confidence for span in found.spans] == pytest.approx([2.718281828**-1.0, 2.718281828**-0.5])


def scored(*spans: tuple[str, str]) -> ChunkAnswer:
    """An answer of one token a character, each of probability one half."""
    length = len(answer(*spans).answer)
    return answer(*spans, lengths=[1] * length, logprobs=[math.log(0.5)] * length)


def test_the_text_of_the_page_is_judged_and_not_the_quote() -> None:
    page = "Built 1974 at Kiel, l981 at Hull."
    rules = {"year": ValueRule(r"\d{4}", None, OnInvalid.LOWER, 0.4)}
    answers = [scored(("year", "1974"), ("year", "1981"))]
    answers = [
        ChunkAnswer(0, len(page), answers[0].answer, answers[0].token_lengths, answers[0].token_logprobs, 1)
    ]
    found = suggest(page, answers, ("year",), overlaps_allowed=False, rules=rules)
    assert [page[span.start : span.end] for span in found.spans] == ["1974", "l981"]
    assert [item.verdict for item in found.quotes] == [Verdict.VALID, Verdict.INVALID]
    lowered = found.quotes[1]
    assert lowered.grounding is not None
    assert found.spans[0].confidence == pytest.approx(0.5)
    assert lowered.confidence == found.spans[1].confidence
    assert lowered.confidence == pytest.approx(0.5 * lowered.grounding.similarity * 0.4)
    assert [item.outcome for item in found.quotes] == [QuoteOutcome.KEPT, QuoteOutcome.KEPT]


def test_an_invalid_value_is_rejected_with_its_parts_and_makes_room() -> None:
    rules = {"vessel_name": ValueRule(r"[A-Z]+", None, OnInvalid.REJECT, 0.5)}
    spans = [("vessel_name", "Hamburg for Hull"), ("port", "Hamburg")]
    kept = suggest(PAGE, [scored(*spans)], LABELS, overlaps_allowed=False)
    assert [item.outcome for item in kept.quotes] == [QuoteOutcome.KEPT, "overlap"]
    found = suggest(PAGE, [scored(*spans)], LABELS, overlaps_allowed=False, rules=rules)
    assert [item.outcome for item in found.quotes] == [QuoteOutcome.INVALID_VALUE, QuoteOutcome.KEPT]
    assert [span.label for span in found.spans] == ["port"]
    rejected = found.quotes[0]
    assert rejected.grounding is not None
    assert rejected.probability is not None
    assert (rejected.probability.mean, rejected.probability.tokens) == (pytest.approx(0.5), 16)
    assert rejected.confidence == pytest.approx(0.5)
    assert rejected.outcome.is_grounded


def test_a_label_without_a_rule_has_no_verdict_and_unknown_confidence_stays_unknown() -> None:
    rules = {"port": ValueRule("x", None, OnInvalid.LOWER, 0.5)}
    answers = [answer(("vessel_name", "Marie-Louise"), ("port", "Hull"), ("port", "Atlantis"))]
    found = suggest(PAGE, answers, LABELS, overlaps_allowed=False, rules=rules)
    assert [item.verdict for item in found.quotes] == [None, Verdict.INVALID, None]
    assert [span.confidence for span in found.spans] == [None, None]


@pytest.mark.parametrize("text", ["", "no", '{"spans": [{"port": "Hu'])
def test_an_answer_that_says_nothing_marks_nothing(text: str) -> None:
    found = suggest(PAGE, [ChunkAnswer(0, len(PAGE), text, None, None, 1)], LABELS, overlaps_allowed=False)
    assert found == suggest(PAGE, [], LABELS, overlaps_allowed=False)


def test_every_outcome_says_whether_the_quote_was_found() -> None:
    """Or a new one would lower the share of quotes that the check ``grounded_quotes`` counts as found."""
    assert [outcome for outcome in QuoteOutcome if not isinstance(outcome.is_grounded, bool)] == []


texts = st.text(st.sampled_from("Hul mbrg🚢é\r\n-&0"), max_size=60)


@given(texts, st.data(), st.booleans())
def test_spans_are_on_the_page_sorted_and_apart(
    page: str, data: st.DataObject, overlaps_allowed: bool
) -> None:
    cut = data.draw(st.integers(0, len(page)))
    quotes = st.lists(
        st.tuples(st.sampled_from([*LABELS, "x"]), st.text("Hul mbrg🚢é", max_size=6)), max_size=6
    )
    # No two chunks of a page are the same stretch of it.
    stretches = dict.fromkeys(((0, cut), (max(0, cut - 5), len(page))))
    answers = [answer(*data.draw(quotes), start=start, end=end) for start, end in stretches]
    found = suggest(page, answers, LABELS, overlaps_allowed=overlaps_allowed)
    assert len(found.quotes) == sum(item.answer.count("{") - 1 for item in answers)
    assert sum(outcome.outcome == QuoteOutcome.KEPT for outcome in found.quotes) == len(found.spans)
    assert all(quote.outcome.is_grounded == (quote.grounding is not None) for quote in found.quotes)
    places = [(span.start, span.end, span.label) for span in found.spans]
    assert places == sorted(set(places))
    assert all(0 <= start < end <= len(page) for start, end, _ in places)
    if not overlaps_allowed:
        assert all(one[1] <= other[0] for one, other in pairwise(places))


def test_of_an_object_with_a_key_that_is_no_label_nothing_is_marked_and_all_is_counted() -> None:
    text = "port Hull, port Kiel"
    answer = '{"spans":[{"label":"port","port":"Hull"},{"port":"Kiel"}]}'
    page = suggest(text, [ChunkAnswer(0, len(text), answer, None, None, 1)], ["port"], overlaps_allowed=False)
    assert [text[span.start : span.end] for span in page.spans] == ["Kiel"]
    assert [(quote.quote, quote.outcome) for quote in page.quotes] == [
        ("port", QuoteOutcome.UNKNOWN_LABEL),
        ("Hull", QuoteOutcome.UNKNOWN_LABEL),
        ("Kiel", QuoteOutcome.KEPT),
    ]
