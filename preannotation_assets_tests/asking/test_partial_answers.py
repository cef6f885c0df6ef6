"""Of an answer that was cut off, what is complete is kept, and nothing of the text is left out."""

import itertools
import json
import unicodedata
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from preannotation_assets.asking.partial_answers import find_partial_answer
from preannotation_assets.asking.splitting import Splitter
from preannotation_assets.asking.work_queue import WorkItem
from preannotation_assets.extraction.answers import parse_answer, write_answer, write_rated_answer
from preannotation_assets.extraction.grounding import ground
from preannotation_assets.extraction.spans import Grounding, Quote
from preannotation_assets.model_servers.ollama.wire import parse_reply
from preannotation_assets.model_servers.reply import ChatReply
from preannotation_assets.model_servers.template import RequestTemplate

PORTS = ("Rotterdam", "Hamburg", "Antwerp", "Singapore", "Bergen", "Marseille", "Valparaiso")
LABELS = frozenset({"vessel_name", "port", "flag", "x", "y"})
LINES = 30
TEXT = "".join(
    f"MV STAR {line:03d} left {PORTS[line % 7]} on {line + 1} May 1999, flag Panama.\n"
    for line in range(LINES)
)
QUOTES = [
    quote
    for line in range(LINES)
    for quote in ({"vessel_name": f"STAR {line:03d}"}, {"port": PORTS[line % 7]}, {"flag": "Panama"})
]


def _cut_off(quotes: Sequence[dict[str, str]], characters: int, token: int = 4) -> ChatReply:
    """A reply of which that many code points were written, in tokens of equal length."""
    content = json.dumps({"spans": list(quotes)}, ensure_ascii=False)[:characters]
    tokens = [content[start : start + token] for start in range(0, len(content), token)]
    reply = parse_reply(
        {
            "message": {"content": content},
            "done": True,
            "done_reason": "length",
            "eval_count": len(tokens),
            "logprobs": [{"token": part, "logprob": -0.01 * number} for number, part in enumerate(tokens)],
        }
    )
    assert reply is not None
    return reply


def test_the_complete_part_is_kept_and_the_rest_begins_before_its_end() -> None:
    reply = _cut_off(QUOTES, 1400)
    kept = find_partial_answer(TEXT, reply, LABELS, overlap_tokens=30)
    assert kept is not None
    answer = parse_answer(kept.answer)
    assert answer.fault is None
    complete = parse_answer(reply.content).quotes
    assert answer.quotes == complete[: len(answer.quotes)]
    assert len(complete) - 5 <= len(answer.quotes) < len(complete)
    # At the end of a line, with an overlap of a line or two.
    assert TEXT[kept.cut - 1] == TEXT[kept.rest - 1] == "\n"
    assert 0 < kept.rest < kept.cut < len(TEXT)
    assert 0.3 < kept.cut / len(TEXT) < 0.6


def test_the_tokens_of_the_kept_part_are_those_of_the_reply() -> None:
    for length in range(1300, 1330):
        reply = _cut_off(QUOTES, length, token=5)
        kept = find_partial_answer(TEXT, reply, LABELS, overlap_tokens=30)
        assert kept is not None
        assert kept.token_lengths is not None
        assert kept.token_logprobs is not None
        assert reply.token_logprobs is not None
        assert sum(kept.token_lengths) == len(kept.answer)
        assert len(kept.token_lengths) == len(kept.token_logprobs)
        assert kept.token_logprobs == reply.token_logprobs[: len(kept.token_logprobs)]
        assert min(kept.token_lengths) > 0


def test_a_reply_without_token_scores_gives_an_answer_without() -> None:
    reply = replace(_cut_off(QUOTES, 1400), token_lengths=None, token_logprobs=None)
    kept = find_partial_answer(TEXT, reply, LABELS, overlap_tokens=30)
    assert kept is not None
    assert kept.token_lengths is None
    assert kept.token_logprobs is None


def test_an_answer_with_lists_is_closed_wherever_it_was_cut() -> None:
    lines = [(f"STAR {line:03d}", PORTS[line % 7], PORTS[line % 5]) for line in range(LINES)]
    text = "".join(f"MV {ship} left {one} for {other}, calm seas.\n" for ship, one, other in lines)
    quotes = [
        item
        for ship, *ports in lines
        for item in (("vessel_name", ship), *(("port", port) for port in ports))
    ]
    whole = write_answer(quotes)
    lasts = set()
    for length in range(1000, 1140):
        cut_off = replace(
            _cut_off([], 0), content=whole[:length], token_lengths=(length,), token_logprobs=(-0.1,)
        )
        kept = find_partial_answer(text, cut_off, LABELS, overlap_tokens=30)
        assert kept is not None
        answer = parse_answer(kept.answer)
        assert answer.fault is None
        assert [(quote.label, quote.text) for quote in answer.quotes] == quotes[: len(answer.quotes)]
        assert sum(kept.token_lengths or ()) == len(kept.answer)
        lasts.add(answer.quotes[-1].label)
    assert "port" in lasts


def test_an_answer_with_digits_is_closed_with_them() -> None:
    """The stand-ins of a digit differ, so that a wrong one would be seen."""
    pairs = [next(iter(quote.items())) for quote in QUOTES]
    parts = write_rated_answer(pairs).split(",9]")
    whole = "".join(f"{part},{number % 10}]" for number, part in enumerate(parts[:-1])) + parts[-1]
    for length in range(1000, 1040):
        cut_off = replace(
            _cut_off([], 0), content=whole[:length], token_lengths=(1,) * length,
            token_logprobs=tuple(-0.01 * number for number in range(length)),
        )  # fmt: skip
        kept = find_partial_answer(TEXT, cut_off, LABELS, overlap_tokens=30)
        assert kept is not None
        answer = parse_answer(kept.answer)
        assert answer.fault is None
        assert [(quote.label, quote.text) for quote in answer.quotes] == pairs[: len(answer.quotes)]
        assert [quote.self_reported for quote in answer.quotes] == [
            number % 10 for number in range(len(answer.quotes))
        ]
        assert sum(kept.token_lengths or ()) == len(kept.answer)
        assert len(kept.token_lengths or ()) == len(kept.token_logprobs or ())


BY_LABEL = sorted(QUOTES, key=lambda quote: next(iter(quote)))


@pytest.mark.parametrize(
    ("quotes", "characters"),
    [
        pytest.param(BY_LABEL, 1400, id="one label after the other"),
        pytest.param(BY_LABEL, 500, id="within the first label"),
        pytest.param(QUOTES[::-1], 1400, id="backwards"),
        pytest.param(QUOTES[40:80] + QUOTES[:40], 1600, id="the end first"),
        pytest.param(QUOTES, 120, id="too few quotes"),
        pytest.param([{"port": f"Nowhere {number}"} for number in range(60)], 1400, id="nothing is found"),
        pytest.param(QUOTES, 10, id="nothing is complete"),
    ],
)
def test_what_is_not_in_reading_order_or_too_little_is_not_kept(
    quotes: Sequence[dict[str, str]], characters: int
) -> None:
    assert find_partial_answer(TEXT, _cut_off(quotes, characters), LABELS, overlap_tokens=30) is None


def test_a_last_quote_that_was_found_far_ahead_does_not_hide_the_text_before_it() -> None:
    text = TEXT + "Broker: Zim.\n"
    ahead = [*QUOTES[:40], {"port": "Zim"}]
    kept = find_partial_answer(
        text, _cut_off(ahead, len(json.dumps({"spans": ahead})) - 3), LABELS, overlap_tokens=30
    )
    assert kept is not None
    assert kept.cut < text.index("STAR 014")


WORDS = st.sampled_from(["Hull", "Kiel", "Oslo", "a\u0301b", "1999", "Hull", "x\u200dy", "\u0301", "Bari"])


@given(
    words=st.lists(
        st.tuples(WORDS, st.sampled_from([" ", "\n", "\r\n", " \u0301", ", "])), min_size=12, max_size=60
    ),
    labels=st.lists(st.sampled_from("xy"), min_size=60, max_size=60),
    swapped=st.lists(st.integers(0, 58), max_size=3),
    share=st.floats(0.4, 1),
    overlap=st.integers(2, 20),
)
def test_whatever_comes_the_text_is_covered_and_the_kept_quotes_stand_in_their_part(
    words: list[tuple[str, str]], labels: list[str], swapped: list[int], share: float, overlap: int
) -> None:
    text = "".join(word + space for word, space in words)
    quotes = [{label: word} for label, (word, _) in zip(labels, words, strict=False)]
    for place in swapped:
        quotes[place : place + 2] = quotes[place : place + 2][::-1]
    reply = _cut_off(quotes, int(share * 16 * len(quotes)))
    kept = find_partial_answer(text, reply, LABELS, overlap)
    event("kept" if kept else "not kept")
    if kept is None:
        return
    assert 0 < kept.rest <= kept.cut < len(text)
    for border in (kept.rest, kept.cut):
        assert text[border - 1].isspace()
        assert not unicodedata.category(text[border]).startswith("M")
    places = ground(text, [Quote(quote.label, quote.text) for quote in parse_answer(reply.content).quotes])
    count = len(parse_answer(kept.answer).quotes)
    for index, place in enumerate(places):
        if isinstance(place, Grounding):
            assert place.end <= kept.cut if index < count else place.start >= kept.rest


def test_the_rest_is_cut_in_two_when_its_answer_would_be_too_long_as_well(template: RequestTemplate) -> None:
    splitter = Splitter(template, overlap_tokens=20)
    item = WorkItem("k", 1000, 1000 + len(TEXT), TEXT, 600)
    reply = _cut_off(QUOTES, 1000)
    kept = splitter.find_partial_answer(item, reply)
    assert kept is not None
    assert len(kept.rest) >= 2
    parts = [kept.item, *kept.rest]
    assert (parts[0].start, parts[-1].end) == (1000, 1000 + len(TEXT))
    assert all(after.start <= before.end for before, after in itertools.pairwise(parts))
    assert all(TEXT[part.start - 1000 : part.end - 1000] == part.text for part in parts)
    assert sum(part.estimated_tokens for part in parts) == pytest.approx(600, rel=0.25)
    most = kept.item.estimated_tokens / kept.salvaged.answer_share
    assert all(part.estimated_tokens <= most for part in kept.rest)
    almost = splitter.find_partial_answer(item, _cut_off(QUOTES, 2200))
    assert almost is not None
    assert len(almost.rest) == 1
