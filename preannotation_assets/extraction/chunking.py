"""Cuts a page into chunks that a model's context can hold, at places where a reader would pause.

Chunks cover the page, follow each other in order, and overlap, so that an entity shorter than the
overlap is whole in at least one of them. All offsets are code points of the page text.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import regex

from preannotation_assets.extraction.line_ends import break_class, sign_class
from preannotation_assets.extraction.spans import Chunk
from preannotation_assets.extraction.token_kinds import LLAMA_3, KindFactors
from preannotation_assets.extraction.tokens import (
    MAX_CALIBRATION,
    MIN_CALIBRATION,
    SliceEstimates,
    calibrated_tokens,
)

__all__ = ["MIN_SPLIT_CODE_POINTS", "ChunkLimits", "chunk_page", "split_chunk"]

MIN_SPLIT_CODE_POINTS: Final = 200

# How far from the place of equal size a border may stand, as a share of the chunk.
_REACH: Final = 0.15
# How far chunks are filled when they are counted: a border before the limit must not leave a small rest.
_FILLED: Final = 0.95
# How far beyond the wanted overlap a chunk may reach back for a better border, as a share of it.
_OVERLAP_REACH: Final = 0.5
# A run of joined code points longer than twice this is cut anywhere. Unicode's stream-safe text has
# no more than 30 combining marks in a row (UAX #15, section 13).
_GRAPHEME_REACH: Final = 64

_BREAK: Final = rf"(?>\r\n|[{break_class()}])"
_HYPHENS: Final = sign_class()
_WORD_ENDS: Final = rf"(?<!\p{{L}}\p{{M}}{{0,4}}[{_HYPHENS}])"
# Letters of scripts that have no blanks between words: a line of them ends inside a word as often as not.
# Grounding takes whole blocks (grounding.folding), with digits, signs and Tibetan: there that is one more
# place where a quote may begin. Here a line that ends with a digit or a sign does end.
_UNSPACED_SCRIPTS: Final = (
    r"\p{Han}\p{Hiragana}\p{Katakana}\u30fc"
    r"\u0e01-\u0e4e\u0e81-\u0ece\u1780-\u17d3\u1000-\u103f"  # Thai, Lao, Khmer, Burmese
)
_UNSPACED: Final = rf"[{_UNSPACED_SCRIPTS}]"
_BETWEEN_UNSPACED: Final = rf"(?=(?<={_UNSPACED}){_BREAK}{_UNSPACED})"
_CLOSING: Final = r"""['"\u2019\u201d\xbb)\]\u3009\u300b\u300d\u300f\u3011\u3015\uff09\uff3d]*"""
_OPENING: Final = r"[\u3008\u300a\u300c\u300e\u3010\u3014\uff08\uff3b]"
# Signs inside words: of Hebrew abbreviations, and the dots between Japanese names.
_WORD_SIGNS: Final = r"\u05f3\u05f4\u30fb\uff65"
# Where a sign stands in a number, after such letters or wide signs; others have blanks around their numbers.
_IN_NUMBER: Final = (
    rf"(?<=[{_UNSPACED_SCRIPTS}\u3000-\u303f\uff00-\uffef][\s\d.,:/\uff0c\uff0e]{{0,24}}\d)(?=.\d)"
)
# Borders, best first, each at the end of the match: paragraph, line, sentence, line between letters that may
# be of one word, word, sign. A hyphen at the end of a line does not end a word.
_BORDERS: Final = (
    regex.compile(rf"{_BREAK}(?>[^\S\r\n]*{_BREAK})+\s*"),
    regex.compile(rf"{_WORD_ENDS}(?!{_BETWEEN_UNSPACED}){_BREAK}"),
    regex.compile(
        rf"(?<=[\p{{L}}\p{{M}}\p{{N}}]{{2}})[.!?\u2026]+{_CLOSING}\s+(?!\p{{Ll}})"
        rf"|(?>(?>[\u3002\uff01\uff1f\uff61]|\uff0e(?!\d)){_CLOSING})+"
        rf"|[\u061f\u06d4\u0964\u0965]{_CLOSING}\s*"
    ),
    regex.compile(rf"{_BETWEEN_UNSPACED}{_BREAK}"),
    regex.compile(rf"{_WORD_ENDS}(?>\s+|\u200b)"),
    regex.compile(rf"(?!{_IN_NUMBER}|{_OPENING})[^\P{{P}}{_HYPHENS}{_WORD_SIGNS}]|(?<=\w)(?={_OPENING})"),
)

_SMALL_KANA: Final = (
    r"[\u3041\u3043\u3045\u3047\u3049\u3063\u3083\u3085\u3087\u308e\u30a1\u30a3\u30a5\u30a7\u30a9\u30c3\u30e3"
    r"\u30e5\u30e7\u30ee\u30f5\u30f6\u30fc\uff67-\uff70]"
)
# Two code points that belong to one grapheme (Unicode's UAX #29), on the side of joining too much. Though two
# graphemes, consonant and vowel of a Thai or Lao syllable too, and small kana with what they go with.
_JOINED: Final = regex.compile(
    r"\r\n"
    r"|.[\p{GCB=Extend}\p{GCB=SpacingMark}\p{GCB=ZWJ}]"
    r"|\p{GCB=ZWJ}\p{Extended_Pictographic}|\p{GCB=Prepend}."
    r"|\p{Canonical_Combining_Class=9}\w"
    r"|\p{GCB=L}[\p{GCB=L}\p{GCB=V}\p{GCB=LV}\p{GCB=LVT}]"
    r"|[\p{GCB=LV}\p{GCB=V}][\p{GCB=V}\p{GCB=T}]"
    r"|[\p{GCB=LVT}\p{GCB=T}]\p{GCB=T}"
    r"|[\u0e40-\u0e44][\u0e01-\u0e2e]|[\u0e01-\u0e2e][\u0e30\u0e32\u0e45]"
    r"|[\u0ec0-\u0ec4][\u0e81-\u0eae]|[\u0e81-\u0eae][\u0eb0\u0eb2]"
    rf"|(?!{_SMALL_KANA})[\p{{Hiragana}}\p{{Katakana}}]{_SMALL_KANA}",
    regex.DOTALL,
)
# Two of them are one flag.
_REGIONAL_INDICATORS: Final = "".join(map(chr, range(0x1F1E6, 0x1F200)))
_FLAGS_REACH: Final = 4096


@dataclass(frozen=True, slots=True)
class ChunkLimits:
    """How large chunks may be, in tokens of the model.

    ``kind_factors`` multiply the estimates of kinds of characters, and ``calibration`` the estimate of a
    text, from ``MIN_CALIBRATION`` to ``MAX_CALIBRATION``: both are what was learned of the model's own
    tokenizer (``token_learning``).

    Raises:
        ValueError: If the overlap is negative or half of a chunk or more, the limit is not positive,
            or the calibration is out of its range.
    """

    max_tokens: int = 6000
    overlap_tokens: int = 200
    calibration: float = 1.0
    kind_factors: KindFactors = LLAMA_3

    def __post_init__(self) -> None:
        """Refuses limits under which cutting could not come to an end."""
        if self.max_tokens < 1:
            raise ValueError(f"max_tokens must be at least 1, not {self.max_tokens}")
        if not 0 <= 2 * self.overlap_tokens < self.max_tokens:
            raise ValueError(
                f"overlap_tokens must be at least 0 and below half of max_tokens, "
                f"not {self.overlap_tokens} of {self.max_tokens}"
            )
        if not MIN_CALIBRATION <= self.calibration <= MAX_CALIBRATION:
            raise ValueError(
                f"calibration must be from {MIN_CALIBRATION} to {MAX_CALIBRATION}, not {self.calibration}"
            )


def chunk_page(text: str, limits: ChunkLimits) -> list[Chunk]:
    """Cuts a page into chunks within the limits.

    The first chunk starts at 0, the last ends at ``len(text)``, and none starts behind the end of the
    one before it. A chunk exceeds the limit only where it is a single code point.

    Args:
        text: Page text.
        limits: Sizes in tokens.

    Returns:
        Chunks by rising start and end; none if the text is blank.
    """
    if not text or text.isspace():
        return []
    estimates = SliceEstimates(text, limits.kind_factors)
    total = estimates.estimate(0, len(text))
    budget = min(total, _uncalibrated(limits.max_tokens, limits.calibration))
    overlap = min(math.ceil(limits.overlap_tokens / limits.calibration), (budget - 1) // 2)
    return [
        Chunk(start, end, calibrated_tokens(estimates.estimate(start, end), limits.calibration))
        for start, end in _slices(text, estimates, budget, max(0, overlap))
    ]


def split_chunk(text: str, chunk: Chunk, overlap_tokens: int) -> tuple[Chunk, Chunk] | None:
    """Cuts a chunk in two parts of about equal size.

    The estimates of the parts are corrected by one factor, so that they add up to the chunk's. An
    overlap above a quarter of the chunk is lowered to that, so that both parts are smaller than it.

    Args:
        text: The whole page text.
        chunk: A slice of it.
        overlap_tokens: Wanted overlap of the parts.

    Returns:
        Both parts with page offsets, or None for a chunk below ``MIN_SPLIT_CODE_POINTS``.
    """
    if chunk.end - chunk.start < MIN_SPLIT_CODE_POINTS:
        return None
    chunk_text = text[chunk.start : chunk.end]
    estimates = SliceEstimates(chunk_text)
    total = estimates.estimate(0, len(chunk_text))
    calibration = chunk.estimated_tokens / total if chunk.estimated_tokens else 1.0
    overlap = min(math.ceil(overlap_tokens / calibration), total // 4)
    sizes = _Sizes((total + overlap) // 2, max(1, total - 1), overlap)
    end = min(_end_of_slice(chunk_text, estimates, 0, 1, sizes), len(chunk_text) - 1)
    start = _start_of_next(chunk_text, estimates, 0, end, overlap)
    return (
        _part(chunk, estimates, calibration, 0, end),
        _part(chunk, estimates, calibration, start, len(chunk_text)),
    )


def _part(chunk: Chunk, estimates: SliceEstimates, calibration: float, start: int, end: int) -> Chunk:
    tokens = calibrated_tokens(estimates.estimate(start, end), calibration)
    return Chunk(chunk.start + start, chunk.start + end, tokens)


def _uncalibrated(tokens: int, calibration: float) -> int:
    """Returns the largest estimate that the calibration does not lift above ``tokens``."""
    estimate = math.floor(tokens / calibration) + 1
    while estimate > 0 and calibrated_tokens(estimate, calibration) > tokens:
        estimate -= 1
    return estimate


@dataclass(frozen=True, slots=True)
class _Sizes:
    """Sizes of one slice in uncorrected tokens: the wanted one, the allowed one, and the overlap."""

    wanted: int
    allowed: int
    overlap: int


def _slices(text: str, estimates: SliceEstimates, budget: int, overlap: int) -> Iterator[tuple[int, int]]:
    """Yields start and end of slices; every slice ends behind the one before it."""
    start = end = 0
    while (rest := estimates.estimate(start, len(text))) > budget and end < len(text) - 1:
        count = max(2, math.ceil((rest - overlap) / max(1, math.floor(budget * _FILLED) - overlap)))
        wanted = min(budget, math.ceil((rest + (count - 1) * overlap) / count))
        end = _end_of_slice(text, estimates, start, end + 1, _Sizes(wanted, budget, overlap))
        yield start, end
        start = _start_of_next(text, estimates, start, end, overlap)
        reachable = estimates.furthest_end(start, budget)
        if _grapheme_border(text, end + 1, end + 1, reachable) is None:
            # The overlap leaves no room for the next grapheme.
            start = end
    if end < len(text):
        yield start, len(text)


def _end_of_slice(text: str, estimates: SliceEstimates, start: int, lowest: int, sizes: _Sizes) -> int:
    """Returns where the slice from ``start`` should end, at ``lowest`` or behind it."""
    last = max(lowest, estimates.furthest_end(start, sizes.allowed))
    ideal = min(last, max(lowest, estimates.furthest_end(start, sizes.wanted)))
    reach = min(math.ceil(sizes.wanted * _REACH), (sizes.wanted - sizes.overlap) // 2)
    first = min(ideal, max(lowest, estimates.furthest_end(start, sizes.wanted - reach)))
    near = max(ideal, min(last, estimates.furthest_end(start, sizes.wanted + reach)))
    found = _best_border(text, first, ideal, near)
    if found is None:
        found = _best_border(text, first, ideal, last)
    if found is None:
        found = _grapheme_border(text, lowest, ideal, last)
    return ideal if found is None else found


def _start_of_next(text: str, estimates: SliceEstimates, start: int, end: int, overlap: int) -> int:
    """Returns where the slice after ``text[start:end]`` should start, behind ``start``."""
    if overlap == 0:
        return end
    spare = max(0, estimates.estimate(start, end) - overlap) // 2
    ideal = max(start + 1, estimates.latest_start(end, overlap))
    near, far = (
        min(ideal, max(start + 1, estimates.latest_start(end, overlap + reach)))
        for reach in (min(math.ceil(overlap * _OVERLAP_REACH), spare), spare)
    )
    for first in (near, far):
        found = _best_border(text, first, ideal, ideal)
        if found is not None:
            return found
    for last in (ideal, end):
        found = _grapheme_border(text, far, ideal, last)
        if found is not None:
            return found
    return ideal


def _best_border(text: str, first: int, ideal: int, last: int) -> int | None:
    """Returns the border of the best kind in ``first`` to ``last`` that is nearest to ``ideal``."""
    # Two code points of context, so that a border at ``first`` is seen.
    window = max(0, first - 2), last
    for kind in _BORDERS:
        places: list[int] = [match.end() for match in kind.finditer(text, *window)]
        for place in sorted(places, key=lambda place: abs(place - ideal)):
            if place >= first and not _inside_grapheme(text, place):
                return place
    return None


def _grapheme_border(text: str, first: int, ideal: int, last: int) -> int | None:
    """Returns the place in ``first`` to ``last`` nearest to ``ideal`` that cuts no grapheme."""
    for distance in range(_GRAPHEME_REACH + 1):
        for place in (ideal - distance, ideal + distance):
            if first <= place <= last and not _inside_grapheme(text, place):
                return place
    return None


def _inside_grapheme(text: str, place: int) -> bool:
    """Tells whether the code points around ``place`` belong together."""
    if place <= 0 or place >= len(text):
        return False
    if _JOINED.fullmatch(text, place - 1, place + 1):
        return True
    if text[place] not in _REGIONAL_INDICATORS:
        return False
    before = text[max(0, place - _FLAGS_REACH) : place]
    return (len(before) - len(before.rstrip(_REGIONAL_INDICATORS))) % 2 == 1
