"""Confidence needs the tokens of the answer itself, whatever a server has taken away around it."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preannotation_assets.model_servers.token_scores import place_tokens, read_token_scores

ANSWER = ['{"', "spans", '":[', '{"ship":"', "Hans", "a", '"}', "]}"]
CONTENT = "".join(ANSWER)
LOGPROBS = [-0.25 * place for place in range(len(ANSWER))]
TOKENS = st.lists(st.text(), min_size=1, max_size=12)


@pytest.mark.parametrize(
    ("before", "behind"),
    [([], []), (["\n"], []), (["```", "json", "\n"], ["\n", "```"]), (["<think>", "ship", "</think>"], [""])],
)
def test_tokens_around_the_answer_are_left_out(before: list[str], behind: list[str]) -> None:
    logprobs = [-9.0] * len(before) + LOGPROBS + [-9.0] * len(behind)
    lengths, placed = place_tokens(before + ANSWER + behind, logprobs, CONTENT)
    assert lengths == tuple(map(len, ANSWER))
    assert placed == tuple(LOGPROBS)


def test_a_token_that_reaches_over_the_border_counts_with_what_is_inside() -> None:
    tokens = ["`\n", "``\n" + ANSWER[0], *ANSWER[1:-1], ANSWER[-1] + "\n```"]
    lengths, placed = place_tokens(tokens, [-1.0, *LOGPROBS], CONTENT)
    assert lengths == tuple(map(len, ANSWER))
    assert placed == tuple(LOGPROBS)


def test_an_answer_that_the_tokens_hold_twice_has_no_tokens_of_its_own() -> None:
    draft = [*ANSWER, "\n", *ANSWER]
    assert place_tokens(draft, [-0.5] * len(draft), CONTENT) == (None, None)


@given(tokens=TOKENS, dropped=st.tuples(st.integers(0, 9), st.integers(0, 9)))
def test_what_is_placed_is_the_content_to_the_code_point(tokens: list[str], dropped: tuple[int, int]) -> None:
    joined = "".join(tokens)
    content = joined[dropped[0] : max(dropped[0], len(joined) - dropped[1])]
    logprobs = [-float(place) for place in range(len(tokens))]
    lengths, placed = place_tokens(tokens, logprobs, content)
    if lengths is None or placed is None:
        assert not content or joined.find(content) != joined.rfind(content)
        return
    assert sum(lengths) == len(content)
    place = 0
    for length, logprob in zip(lengths, placed, strict=True):
        assert content[place : place + length] in tokens[-int(logprob)]
        place += length


@pytest.mark.parametrize("entries", [None, [], {}, [7], [{"token": 1, "logprob": 0}], [{"token": "{}"}]])
def test_entries_of_another_form_are_unknown(entries: object) -> None:
    assert read_token_scores(entries, "{}") == (None, None)
    assert read_token_scores([{"token": "{}", "logprob": True}], "{}") == (None, None)


def test_a_log_probability_that_no_float_holds_is_not_a_number() -> None:
    lengths, logprobs = read_token_scores([{"token": "x", "logprob": -(10**400)}], "x")
    assert lengths == (1,)
    assert logprobs is not None
    assert math.isnan(logprobs[0])
