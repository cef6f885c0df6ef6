"""Matches of a quote of which only a part stands on the page.

Models add words at the edges of a quote (an article, a title, a country), leave words out inside it,
and write abbreviations out. The part that is left must carry the quote.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from .hits import Hit, exact_hits, inner_hits, similar_hits
from .page import Page, members
from .quotes import PreparedQuote, prepare
from .repairs import repair
from .search import Pattern, first_level, pattern, suffix_starts
from .words import FUNCTION_WORDS, Word, abbreviates, split_words

__all__ = ["CoreHit", "core_hits", "gap_hits"]

_MOST_ADDED = 3
_MOST_WORDS = 60
_MOST_PRICE = 1.9
_REPAIRED = 0.3
_ABBREVIATED = 0.2
_FEWEST_REPAIRED_LETTERS = 5
_REPAIR_PER_LETTER = 0.1

_GAP = 0.15
_GAP_WORD = 0.05
_GAP_LETTER = 0.03
_FUNCTION_SIDE = 0.7
_FEWEST_GAP_LETTERS = 5
_SIDE_SLACK = 3
_SIDE_LIMIT_PER_LETTER = 0.2
_FEWEST_SIDE_LETTERS = 4
_INFINITY = float("inf")
_REACH = 16
_REACH_ELIDED = 60
_LONG_GAP = 12
_MOST_GAP_WORDS = 3


@dataclass(frozen=True, slots=True)
class CoreHit:
    """A hit of what is left of a quote without the words added at its edges."""

    core: PreparedQuote
    hit: Hit


def core_hits(page: Page, quote: PreparedQuote) -> Iterator[CoreHit]:
    """The places of a quote without up to three added words at either edge."""
    words = split_words(quote.text, page.table)
    if not 1 < len(words) <= _MOST_WORDS:
        return
    for before in range(min(len(words), _MOST_ADDED + 1)):
        for after in range(min(len(words) - before, _MOST_ADDED + 1)):
            kept = words[before : len(words) - after]
            if before + after == 0 or not _may_carry(kept):
                continue
            added_before, added_after = words[:before], words[len(words) - after :]
            if any(word.price is None for word in [*added_before[:-1], *added_after[1:]]):
                continue
            prices = [word.price for word in [*added_before, *added_after] if word.price]
            if sum(prices) > _MOST_PRICE: continue
            settled = len(prices) == before + after
            core = prepare(_core_text(quote.text, words, before, after), page.table)
            for hit in _whole_hits(page, core, settled):
                extended = _with_abbreviations(page, hit, added_before, added_after)
                if extended is not None and extended.price <= _MOST_PRICE:
                    yield CoreHit(core, extended)


def _may_carry(words: Sequence[Word]) -> bool:
    return sum(len(word.letters) for word in words) > 1 and any(
        word.letters not in FUNCTION_WORDS for word in words
    )


def _core_text(text: str, words: Sequence[Word], before: int, after: int) -> str:
    """The quote without its added words, but with the symbols that belong to what is left."""
    start = 0
    end = len(text)
    if before:
        start = words[before].start
        while start > words[before - 1].end and text[start - 1] in "([«“\"„":
            start -= 1
    if after:
        end = words[len(words) - after - 1].end
        while end < words[len(words) - after].start and text[end] in ".)]»”\"":
            end += 1
    return text[start:end]


def _whole_hits(page: Page, core: PreparedQuote, settled: bool) -> list[Hit]:
    hits = exact_hits(page, core.letters)
    if len(core.letters) <= 3:
        return [h for h in hits if core.core == page.text[page.origin(h.first):page.offsets(h.first, h.last)[1]]]
    if hits or not settled:
        return hits
    most = _REPAIR_PER_LETTER * len(core.letters)
    searched = pattern(page, core.letters)
    similar = similar_hits(page, core, searched, 1, False)
    found = [hit for hit in similar.hits if hit.price <= most] if len(core.letters) >= _FEWEST_REPAIRED_LETTERS else []
    found = found or list(inner_hits(page, core, similar.begun))
    return [Hit(hit.first, hit.last, hit.price + _REPAIRED) for hit in found]


def _with_abbreviations(page: Page, hit: Hit, before: Sequence[Word], after: Sequence[Word]) -> Hit | None:
    """The hit and what is added to its price; an added word that stands abbreviated beside it is taken in."""
    first, last, price = hit.first, hit.last, hit.price
    dropped = [*before, *after]
    if before:
        start, end = page.word_before(first)
        if _abbreviated(page.letters[start:end], before[-1].letters):
            first, price = start, price + _ABBREVIATED
            dropped.remove(before[-1])
    if after:
        start, end = page.word_after(last)
        if _abbreviated(page.letters[start:end], after[0].letters):
            last, price = end, price + _ABBREVIATED
            dropped.remove(after[0])
    for word in dropped:
        if word.price is None:
            return None
        price += word.price
    return Hit(first, last, price)


def _abbreviated(written: str, quoted: str) -> bool:
    return abbreviates(written, quoted) or (len(quoted) > 1 and abbreviates(quoted, written))


def gap_hits(page: Page, quote: PreparedQuote, searched: Pattern) -> Iterator[Hit]:
    """The places of a quote with a few more words on the page between two of its words."""
    if not 1 < len(quote.words) <= _MOST_WORDS or len(quote.letters) < _FEWEST_GAP_LETTERS:
        return
    prefixes = first_level(searched, page.starts)
    if not any(prefixes[end] & page.ends for end in quote.word_ends[:-1]):
        return
    suffixes = suffix_starts(searched, page.ends)
    elided = _elided(quote, page)
    for left in range(len(quote.words) - 1):
        if elided and left not in elided:
            continue
        for right in (left + 1, left + 2):
            if right < len(quote.words):
                yield from _gaps_between(page, quote, prefixes, suffixes, left, right, bool(elided))


def _gaps_between(page, quote, prefixes, suffixes, left, right, elided):
    """Gaps after the word ``left`` and before the word ``right``; a word between is abbreviated or a function word."""
    p = quote.word_ends[left]
    s = quote.word_ends[right - 1]
    ends = prefixes[p] & page.ends
    starts = suffixes[s] & page.starts
    if not ends or not starts:
        return
    skipped = quote.words[left + 1] if right > left + 1 else ""
    reach = _REACH_ELIDED if elided else _REACH
    for start in members(_spread(ends, reach, bool(skipped)) & starts):
        end = (ends & ((2 << start) - 1 if skipped else (1 << start) - 1)).bit_length() - 1
        price = _gap_price(page, quote, left, right, end, start, elided)
        if price is None:
            continue
        first = _start_of(page, quote.letters[:p], end)
        last = _end_of(page, quote.letters[s:], start)
        if first is not None and last is not None:
            price += first[0] + last[0]
            if price <= _MOST_PRICE + elided:
                yield Hit(first[1], last[1], price)


def _gap_price(page, quote, left, right, end, start, elided):
    between = page.letters[end:start]
    words = page.words_between(end, start)
    if right > left + 1:
        skipped = quote.words[left + 1]
        if words == 0 and skipped in FUNCTION_WORDS:
            return 0.5
        if words == 1 and _abbreviated(between, skipped):
            return _ABBREVIATED
        return None
    if not elided and (words > _MOST_GAP_WORDS or (words > 1 and len(between) > _LONG_GAP)):
        return None
    if quote.words[left].isdigit() and quote.words[right].isdigit() and any(c.isdigit() for c in between):
        return None
    price = _GAP + _GAP_WORD * words + (0.01 if elided else _GAP_LETTER) * len(between)
    if between.isdigit():
        return price
    if _are_function_words(quote.words[:right]) or _are_function_words(quote.words[right:]):
        price += _FUNCTION_SIDE
    return price


def _are_function_words(words):
    return all(len(word) > 1 and word in FUNCTION_WORDS for word in words)


def _spread(ends: int, reach: int, touching: bool) -> int:
    """The boundaries up to ``reach`` letters behind those given."""
    width = 1
    while width < reach:
        step = min(width, reach - width)
        ends |= ends << step
        width += step
    return ends | ends << 1 if touching else ends << 1


def _start_of(page: Page, letters: str, end: int) -> tuple[float, int] | None:
    """The cheapest start of a match of some letters that ends at a boundary, with its price."""
    near = end - len(letters)
    starts = page.starts_between(near - _SIDE_SLACK, min(end - 1, near + _SIDE_SLACK))
    return _cheapest((_side_price(letters, page.letters[start:end]), start) for start in starts)


def _end_of(page: Page, letters: str, start: int) -> tuple[float, int] | None:
    """The cheapest end of a match of some letters that starts at a boundary, with its price."""
    near = start + len(letters)
    ends = page.ends_between(max(start + 1, near - _SIDE_SLACK), near + _SIDE_SLACK)
    return _cheapest((_side_price(letters, page.letters[start:end]), end) for end in ends)


def _side_price(letters: str, written: str) -> float:
    if letters == written:
        return 0.0
    if len(letters) < _FEWEST_SIDE_LETTERS:
        return _INFINITY
    fixed = repair(letters, written, (len(letters),))
    return fixed.total if not fixed.digits and fixed.total < _SIDE_LIMIT_PER_LETTER * len(letters) else _INFINITY


def _cheapest(sides: Iterable[tuple[float, int]]) -> tuple[float, int] | None:
    best = min(sides, default=(_INFINITY, 0))
    return best if best[0] < _INFINITY else None


def _elided(quote, page) -> frozenset[int]:
    """The words after which the quote itself says that something is left out."""
    if "…" not in quote.core and "..." not in quote.core:
        return frozenset()
    pieces = quote.core.replace("...", "…").split("…")[:-1]
    found: set[int] = set()
    count = 0
    for piece in pieces:
        count += len(piece.translate(page.table).split())
        found.add(count - 1)
    return frozenset(found)
