"""Confidence needs the tokens of the answer itself, whatever a server has taken away around it."""

import math
from itertools import pairwise

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


BEFORE, BEHIND = '{"spans":[{"ship":"', '"},{"port":"Hull"}]}'
OUTSIDE = ([(BEFORE, -1.0)], [('"},{"port":"', -2.0), ("Hull", -3.0), ('"}]}', -4.0)])


def _entries(*parts: tuple[str, float]) -> list[dict[str, object]]:
    before, behind = OUTSIDE
    return [{"token": text, "logprob": logprob} for text, logprob in (*before, *parts, *behind)]


@pytest.mark.parametrize(
    ("name", "parts", "placed"),
    [
        pytest.param("龍", [("\ufffd\ufffd", -0.1), ("\ufffd", -0.2)], [(1, None)], id="replaced"),
        pytest.param("龍", [("", -0.1), ("", -0.2)], [(1, None)], id="left out"),
        pytest.param("龍", [("", -0.1), ("龍", -0.2)], [(1, -0.3)], id="with the last part"),
        pytest.param("龍", [("", -0.1), ("\ufffd", -0.2)], [(1, None)], id="left out and replaced"),
        pytest.param(
            "A 龍é🚢 Line",
            [("A ", -0.1), *[("\ufffd", -9.0)] * 2, ("é", -0.3), *[("", -9.0)] * 2, (" Line", -0.4)],
            [(2, -0.1), (1, None), (1, -0.3), (1, None), (5, -0.4)],
            id="between whole ones",
        ),
        pytest.param(
            "ab龍",
            [("a", -0.1), ("b\ufffd", -0.2), ("\ufffd", -9.0)],
            [(1, -0.1), (1, None), (1, None)],
            id="in one token with a letter",
        ),
    ],
)
def test_of_a_character_in_parts_the_place_is_known_and_all_around_it_too(
    name: str, parts: list[tuple[str, float]], placed: list[tuple[int, float | None]]
) -> None:
    lengths, logprobs = read_token_scores(_entries(*parts), BEFORE + name + BEHIND)
    before, behind = OUTSIDE
    expected = [
        *((len(text), logprob) for text, logprob in before),
        *placed,
        *((len(text), logprob) for text, logprob in behind),
    ]
    assert lengths == tuple(length for length, _ in expected)
    assert logprobs is not None
    for found, (_, wanted) in zip(logprobs, expected, strict=True):
        assert math.isnan(found) if wanted is None else found == pytest.approx(wanted)


def test_a_fence_around_an_answer_with_such_a_character_is_left_out() -> None:
    entries = [
        {"token": "```json\n", "logprob": -9.0},
        *_entries(("\ufffd", -0.1), ("\ufffd", -0.1)),
        {"token": "\n```", "logprob": -9.0},
        {"token": "", "logprob": -9.0},
    ]
    lengths, _ = read_token_scores(entries, f"{BEFORE}龍{BEHIND}")
    assert lengths == (len(BEFORE), 1, 12, 4, 4)


def test_bytes_tell_what_texts_do_not() -> None:
    # As servers with OpenAI's protocol may give them: the parts of the character have bytes of their own.
    parts = [("bytes:\\xe9", [0xE9], -0.1), ("bytes:\\xbe\\x8d", [0xBE, 0x8D], -0.2)]
    entries = [
        {"token": BEFORE, "logprob": -1.0, "bytes": list(BEFORE.encode())},
        *({"token": text, "logprob": logprob, "bytes": part} for text, part, logprob in parts),
        {"token": BEHIND, "logprob": -2.0, "bytes": list(BEHIND.encode())},
        {"token": "<|im_end|>", "logprob": -9.0, "bytes": list(b"<|im_end|>")},
    ]
    lengths, logprobs = read_token_scores(entries, f"{BEFORE}龍{BEHIND}")
    assert lengths == (len(BEFORE), 1, len(BEHIND))
    assert logprobs == pytest.approx((-1.0, -0.3, -2.0))
    entries[1]["bytes"] = [300]
    assert read_token_scores(entries, f"{BEFORE}龍{BEHIND}") == (None, None)


@given(
    text=st.text(st.sampled_from('ab"{é龍🚢e\u0301'), min_size=1, max_size=20),
    cuts=st.lists(st.integers(0, 60), max_size=12),
    form=st.sampled_from(["replaced", "left out", "bytes"]),
)
def test_however_an_answer_is_cut_into_bytes_its_characters_have_a_place(
    text: str, cuts: list[int], form: str
) -> None:
    content = f'{{"{text}"}}'
    raw = content.encode()
    ends = sorted({0, len(raw), *(cut for cut in cuts if cut < len(raw))})
    pieces = [raw[start:end] for start, end in pairwise(ends)]
    entries = [
        {
            "token": piece.decode("utf-8", "ignore" if form == "left out" else "replace"),
            "logprob": -1.0,
            **({"bytes": list(piece)} if form == "bytes" else {}),
        }
        for piece in pieces
    ]
    lengths, logprobs = read_token_scores(entries, content)
    if lengths is None or logprobs is None:
        # Texts alone may fit in no place that is sure; bytes always do.
        assert form != "bytes"
        return
    assert sum(lengths) == len(content)
    assert form != "bytes" or not any(map(math.isnan, logprobs))
    if form == "bytes":
        assert sum(logprobs) == pytest.approx(-len(pieces))


def test_an_entry_without_a_number_is_unknown_alone() -> None:
    entries = [{"token": "ab", "logprob": None}, {"token": "c", "logprob": -0.5}]
    lengths, logprobs = read_token_scores(entries, "abc")
    assert lengths == (2, 1)
    assert logprobs is not None
    assert math.isnan(logprobs[0])
    assert logprobs[1] == -0.5
