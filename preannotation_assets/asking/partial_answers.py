"""What is complete in an answer that was cut off at its longest, and where to go on asking. Pure.

A model that answers in reading order and was cut off has answered the text up to some place. That part is
an answer to the text before the place; only the rest must be asked, a little of it twice.
"""

from bisect import bisect_right
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby
from typing import Final

import regex

from preannotation_assets.extraction.answers import AnsweredQuote, parse_answer, readable_quotes
from preannotation_assets.extraction.grounding import ground
from preannotation_assets.extraction.spans import Grounding, Quote
from preannotation_assets.extraction.tokens import SliceEstimates
from preannotation_assets.model_servers.reply import ChatReply

__all__ = ["PartialAnswer", "find_partial_answer"]

# One quote at the end may have been found in a wrong place; three in order have not.
_QUOTES_ASKED_AGAIN: Final = 3
_FEWEST_QUOTES: Final = 2 * _QUOTES_ASKED_AGAIN
# Below this share of the text a salvaged part is not worth its request.
_LEAST_SHARE: Final = 0.15
# A border is looked for this many code points back: lines of OCR are shorter.
_BORDER_REACH: Final = 400
# Best first; each border is the end of the match, and no mark that belongs to the space may follow.
_BORDERS: Final = (regex.compile(r"\n(?![\p{M}\u200d])"), regex.compile(r"\s(?![\p{M}\u200d\n])"))


@dataclass(frozen=True, slots=True)
class PartialAnswer:
    """``answer`` answers ``text[:cut]``; ``text[rest:]`` is to be asked, and ``rest`` is not above ``cut``.

    ``token_lengths`` (code points) add up to the answer's length, the closing brackets counting as part of
    the last token; they and ``token_logprobs`` are None where the reply had none. ``answer_share`` is the
    share of the reply that the answer is.
    """

    cut: int
    rest: int
    answer: str
    token_lengths: tuple[int, ...] | None
    token_logprobs: tuple[float, ...] | None
    answer_share: float


def find_partial_answer(
    text: str, reply: ChatReply, labels: Collection[str], overlap_tokens: float
) -> PartialAnswer | None:
    """What can be kept of a reply about ``text`` that ended before its answer was complete.

    The quotes with ``labels`` are looked for in the text. They must follow each other as the places do, give
    or take ``overlap_tokens`` (estimated, not calibrated), and their labels must alternate: a model that
    lists one label after the other has not read to the end what it quotes from. The text is cut before the
    last three quotes that were found; the rest begins ``overlap_tokens`` before the cut, and before every
    quote that is not kept.

    Returns None where that does not hold, or less than 15% of the text would be saved.
    """
    quotes = readable_quotes(parse_answer(reply.content).quotes, labels)
    results = ground(text, [Quote(quote.label, quote.text) for quote in quotes])
    found = [(index, place) for index, place in enumerate(results) if isinstance(place, Grounding)]
    estimates = SliceEstimates(text)
    if len(found) < _FEWEST_QUOTES or not _labels_alternate([quotes[index].label for index, _ in found]):
        return None
    if not _in_reading_order([place.start for _, place in found], estimates, overlap_tokens):
        return None
    cut = _border(text, min(place.start for _, place in found[-_QUOTES_ASKED_AGAIN:]))
    if cut is None:
        return None
    kept = next(index for index, place in found if place.end > cut)
    again = min(place.start for index, place in found if index >= kept)
    rest = _border(text, min(again, _tokens_before(estimates, cut, overlap_tokens)))
    if not kept or rest is None or rest < _LEAST_SHARE * len(text):
        return None
    return _closed(reply, quotes[kept - 1], cut, rest)


def _labels_alternate(labels: Sequence[str]) -> bool:
    """Whether some label comes back after another one."""
    return sum(1 for _ in groupby(labels)) > len(set(labels)) > 1


def _in_reading_order(starts: Sequence[int], estimates: SliceEstimates, overlap_tokens: float) -> bool:
    furthest = accumulate(starts, max)
    return all(
        start == reached or start >= _tokens_before(estimates, reached, overlap_tokens)
        for start, reached in zip(starts, furthest, strict=True)
    )


def _tokens_before(estimates: SliceEstimates, place: int, tokens: float) -> int:
    return estimates.latest_start(place, int(tokens))


def _border(text: str, place: int) -> int | None:
    """The last end of a line or a word at ``place`` or a little before it; None where there is none."""
    for kind in _BORDERS:
        ends: list[int] = [
            match.end() for match in kind.finditer(text, max(0, place - _BORDER_REACH), place + 1)
        ]
        for end in reversed(ends):
            if end <= place:
                return end
    return None


def _closed(reply: ChatReply, last: AnsweredQuote, cut: int, rest: int) -> PartialAnswer:
    """The reply up to a quote, with the brackets that end it."""
    length = last.value_end + 1
    answer = reply.content[: last.value_end] + last.closing
    share = length / len(reply.content)
    if reply.token_lengths is None or reply.token_logprobs is None:
        return PartialAnswer(cut, rest, answer, None, None, share)
    ends = list(accumulate(reply.token_lengths))
    # Tokens that end before the last mark of the quote are whole; the one with the mark in it is the last.
    whole = bisect_right(ends, length - 1)
    before = ends[whole - 1] if whole else 0
    lengths = (*reply.token_lengths[:whole], len(answer) - before)
    return PartialAnswer(cut, rest, answer, lengths, reply.token_logprobs[: whole + 1], share)
