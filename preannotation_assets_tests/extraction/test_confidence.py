import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preannotation_assets.extraction.answers import parse_answer
from preannotation_assets.extraction.confidence import (
    ConfidenceSource,
    TokenScores,
    ValueProbability,
    confidence_source,
    value_confidence,
    value_probability,
)

#          {"port":" Ham burg "}
LENGTHS = [9, 3, 4, 2]
LOGPROBS = [-9.0, math.log(0.9), math.log(0.4), -7.0]


def confidence(scores: TokenScores, start: int, end: int, similarity: float) -> float | None:
    return value_confidence(value_probability(scores, start, end), None, similarity)


def test_only_the_tokens_of_the_value_count() -> None:
    scores = TokenScores(LENGTHS, LOGPROBS)
    assert scores.between(9, 16) == LOGPROBS[1:3]
    assert confidence(scores, 9, 16, 1.0) == pytest.approx(math.sqrt(0.9 * 0.4))
    assert confidence(scores, 9, 12, 1.0) == pytest.approx(0.9)
    assert confidence(scores, 12, 16, 0.5) == pytest.approx(0.4 * 0.5)


def test_the_parts_are_kept_apart() -> None:
    probability = value_probability(TokenScores(LENGTHS, LOGPROBS), 9, 16)
    assert probability is not None
    assert probability.mean == pytest.approx(math.sqrt(0.9 * 0.4))
    assert probability.lowest == pytest.approx(0.4)
    assert probability.tokens == 2
    assert value_probability(TokenScores([5], [0.3]), 0, 5) == ValueProbability(1.0, 1.0, 1)
    assert value_confidence(None, None, 1.0) is None


def test_a_digit_counts_only_where_nothing_is_known_of_the_tokens() -> None:
    known = ValueProbability(0.25, 0.25, 1)
    assert value_confidence(known, 9, 1.0) == 0.25
    assert confidence_source(known, 9) is confidence_source(known, None) is ConfidenceSource.LOG_PROBABILITIES
    assert confidence_source(None, 0) is ConfidenceSource.SELF_REPORTED
    assert confidence_source(None, None) is ConfidenceSource.UNKNOWN
    middles = [value_confidence(None, digit, 1.0) for digit in range(10)]
    assert middles == pytest.approx([0.05, 0.15, 0.25, 0.35, 0.45, 0.55, 0.65, 0.75, 0.85, 0.95])
    assert value_confidence(None, 8, 0.5) == pytest.approx(0.425)


def test_behind_a_grammar_s_mask_forced_tokens_alone_say_nothing() -> None:
    forced, chosen = [-9.0, 0.0, 0.0, -7.0], [-9.0, 0.0, math.log(0.25), -7.0]
    assert value_probability(TokenScores(LENGTHS, forced, masked=True), 9, 16) is None
    # Without a mask a probability of 1 is the model's own word.
    assert value_probability(TokenScores(LENGTHS, forced), 9, 16) == ValueProbability(1.0, 1.0, 2)
    probability = value_probability(TokenScores(LENGTHS, chosen, masked=True), 9, 16)
    assert probability == ValueProbability(pytest.approx(0.5), pytest.approx(0.25), 2, masked=True)
    assert confidence_source(probability, 9) is ConfidenceSource.MASKED_LOG_PROBABILITIES


def test_a_token_that_reaches_over_the_border_counts() -> None:
    scores = TokenScores(LENGTHS, LOGPROBS)
    assert scores.between(8, 16) == LOGPROBS[:3]
    assert scores.between(9, 17) == LOGPROBS[1:]
    assert scores.between(13, 14) == [LOGPROBS[2]]


def test_a_token_of_no_characters_counts_inside_the_value_only() -> None:
    scores = TokenScores([0, 2, 0, 2, 0, 2], [-1.0, -2.0, -3.0, -4.0, -5.0, -6.0])
    assert scores.between(0, 4) == [-2.0, -3.0, -4.0]
    assert scores.between(2, 4) == [-4.0]


@pytest.mark.parametrize("logprob", [math.nan, math.inf, -math.inf])
def test_unknown_is_none(logprob: float) -> None:
    assert value_probability(None, 0, 5) is None
    assert value_probability(TokenScores([], []), 0, 5) is None
    assert value_probability(TokenScores(LENGTHS, LOGPROBS), 18, 25) is None
    assert value_probability(TokenScores(LENGTHS, LOGPROBS), 9, 9) is None
    assert value_probability(TokenScores([5, 5], [-0.1, logprob]), 0, 10) is None


def test_a_positive_logprob_is_no_more_than_certain() -> None:
    assert confidence(TokenScores([5], [0.3]), 0, 5, 1.0) == 1.0


def test_the_arithmetic_on_an_answer_in_the_pieces_that_llama_3_cuts() -> None:
    """By hand. The piece that ends the first quote also holds what is between it and the next."""
    pieces = [
        *('{"', "sp", "ans", '":[{"', "owner", '":["', "K", "est", " Ltd", '.","', "H", "ull", '"]', '},{"'),
        *("port", '":"', '\\"', "B", '"}', "]}"),
    ]
    values = {"K": 0.5, "est": 0.8, " Ltd": 0.9, '.","': 0.6, "H": 0.25, "ull": 1.0, '\\"': 0.7, "B": 0.9}
    scores = TokenScores(
        [len(piece) for piece in pieces], [math.log(values.get(piece, 0.01)) for piece in pieces]
    )
    parsed = parse_answer("".join(pieces))
    assert [quote.text for quote in parsed.quotes] == ["Kest Ltd.", "Hull", '"B']
    found = [value_probability(scores, quote.value_start, quote.value_end) for quote in parsed.quotes]
    assert [probability.mean for probability in found if probability] == pytest.approx(
        [(0.5 * 0.8 * 0.9 * 0.6) ** 0.25, 0.25**0.5, (0.7 * 0.9) ** 0.5]
    )
    assert [probability.tokens for probability in found if probability] == [4, 2, 2]


tokens = st.lists(st.tuples(st.integers(0, 5), st.floats(-1e308, 1.0)), max_size=12)


@given(tokens, st.integers(0, 30), st.integers(0, 30), st.floats(0, 1))
def test_it_is_a_probability_and_agrees_with_a_plain_count(
    tokens: list[tuple[int, float]], one: int, other: int, similarity: float
) -> None:
    start, end = min(one, other), max(one, other)
    wanted, place = [], 0
    for length, logprob in tokens:
        if place < end and place + length > start:
            wanted.append(logprob)
        place += length
    scores = TokenScores([length for length, _ in tokens], [logprob for _, logprob in tokens])
    assert scores.between(start, end) == wanted
    found = confidence(scores, start, end, similarity)
    assert found is None if not wanted else found is not None and 0.0 <= found <= 1.0
