"""What must hold for any page and any answers."""

import itertools
import random
import re
import unicodedata
from collections.abc import Callable, Sequence
from typing import NamedTuple

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from preannotation_assets.extraction.grounding import ground
from preannotation_assets.extraction.grounding.assignment import REJECTION, assign
from preannotation_assets.extraction.grounding.folding import FOLD_TABLE, fold
from preannotation_assets.extraction.grounding.hits import bordered, letters_found
from preannotation_assets.extraction.grounding.order import Spot, chain_costs
from preannotation_assets.extraction.grounding.page import Page, members
from preannotation_assets.extraction.grounding.quotes import prepare
from preannotation_assets.extraction.grounding.reading import read
from preannotation_assets.extraction.grounding.search import (
    Pattern,
    first_level,
    next_level,
    pattern,
    suffix_starts,
)
from preannotation_assets.extraction.grounding.stems import ending_hits
from preannotation_assets.extraction.grounding.surfaces import numerals
from preannotation_assets.extraction.grounding.work import Work
from preannotation_assets.extraction.spans import Grounding, Match, Quote

# A loaded machine makes no test wrong.
unhurried = settings(deadline=None)

any_text = st.text(st.characters(), max_size=60)
# Characters that folding treats in every way it knows.
tricky_text = st.text(
    st.sampled_from("aAäÄ ßſœﬁ1０½²\u0301\u00ad\u200b\n-—.,'’\ud800𝔸港क\u093fü|"), max_size=40
)
pages = any_text | tricky_text
LABELS = st.sampled_from(["A", "B"])
answers = st.lists(st.builds(Quote, LABELS, any_text | tricky_text), max_size=8)

# Distinct in every folding, without a common beginning or look-alikes of one another.
WORDS = [
    "Quixote",
    "Barcelona",
    "Nightfall",
    "Wolfram",
    "Trondheim",
    "Sphinx",
    "Kirkwall",
    "Zanzibar",
    "Oakland",
    "Uppsala",
    "Jaffrey",
    "Vermont",
    "Mulligan",
    "Esbjerg",
    "Dunkirk",
]
GLUE = (" sails ", ", then ", " (", "\n", " — ", ". ")


@unhurried
@given(pages, answers)
@example("", [Quote("A", "")])
@example("\ud800", [Quote("A", "\ud800")])
def test_a_result_is_a_place_on_the_page(text: str, quotes: list[Quote]) -> None:
    found = ground(text, quotes)

    assert len(found) == len(quotes)
    for quote, result in zip(quotes, found, strict=True):
        if isinstance(result, Grounding):
            assert 0 <= result.start < result.end <= len(text)
            assert 0.0 < result.similarity <= 1.0
            assert (result.similarity == 1.0) == (result.match is Match.EXACT)
            if result.match is Match.EXACT:
                assert text[result.start : result.end] == quote.text.strip()


@unhurried
@given(pages, st.data())
def test_never_two_answers_of_one_label_on_one_place(text: str, data: st.DataObject) -> None:
    words = st.sampled_from(text.split() or ["x"])
    quotes = data.draw(st.lists(st.builds(Quote, LABELS, words | any_text), max_size=12))

    found = ground(text, quotes)

    places = [
        (quote.label, result.start, result.end)
        for quote, result in zip(quotes, found, strict=True)
        if isinstance(result, Grounding)
    ]
    assert len(places) == len(set(places))


@unhurried
@given(pages, answers)
def test_the_same_input_gives_the_same_result(text: str, quotes: list[Quote]) -> None:
    assert ground(text, quotes) == ground(text, list(quotes))


FOLDINGS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "upper case": str.upper,
    "lower case": str.lower,
    "decomposed": lambda word: unicodedata.normalize("NFD", word.replace("a", "á")),
    "with diacritics": lambda word: word.replace("o", "ö").replace("a", "â"),
    "broken line": lambda word: f"{word[:4]}-\n{word[4:]}",
    "soft hyphen": lambda word: f"{word[:3]}\u00ad{word[3:]}",
    "zero width": "\u200b".join,
    "spaced out": " ".join,
    "split": lambda word: f"{word[:5]} {word[5:]}",
    "full width": lambda word: "".join(chr(ord(letter) + 0xFEE0) for letter in word),
    "rn for m": lambda word: word.replace("m", "rn"),
    "look-alikes": lambda word: word.replace("o", "0", 1).replace("l", "1", 1),
    "in quotation marks": "“{}”".format,
}


@unhurried
@given(
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=10, unique=True),
    st.sampled_from(sorted(FOLDINGS)),
    st.randoms(use_true_random=False),
)
def test_planted_words_are_found_through_every_folding(
    words: list[str], folding: str, shuffling: random.Random
) -> None:
    text = "It "
    places: dict[str, tuple[int, int]] = {}
    for index, word in enumerate(words):
        written = FOLDINGS[folding](word)
        inner = 1 if written.startswith("“") else 0
        places[word] = len(text) + inner, len(text) + len(written) - inner
        text += written + GLUE[index % len(GLUE)]
    asked = list(words)
    shuffling.shuffle(asked)

    found = ground(text, [Quote("A", word) for word in asked])

    for word, result in zip(asked, found, strict=True):
        assert isinstance(result, Grounding)
        assert (result.start, result.end) == places[word]


@unhurried
@given(
    st.lists(st.sampled_from(WORDS), min_size=2, max_size=10, unique=True), st.randoms(use_true_random=False)
)
def test_the_order_of_unique_answers_changes_nothing(words: list[str], shuffling: random.Random) -> None:
    text = " and ".join(words)
    quotes = [Quote("AB"[index % 2], word) for index, word in enumerate(words)]
    shuffled = list(quotes)
    shuffling.shuffle(shuffled)

    places = dict(zip(quotes, ground(text, quotes), strict=True))

    assert dict(zip(shuffled, ground(text, shuffled), strict=True)) == places


@unhurried
@given(pages)
def test_folding_keeps_the_way_back(text: str) -> None:
    folded = fold(text)

    assert len(folded.letters) == len(folded.origins) == len(folded.borders) - 1
    assert (folded.origins[1:] >= folded.origins[:-1]).all()
    for letter, origin in zip(folded.letters, folded.origins.tolist(), strict=True):
        assert letter in FOLD_TABLE[ord(text[origin])] or not text[origin].isalnum()


def test_what_is_remembered_of_folding_has_an_end_and_changes_nothing() -> None:
    before = {code: FOLD_TABLE[code] for code in range(0x600)}

    "".join(map(chr, range(0x20000))).translate(FOLD_TABLE)

    assert len(FOLD_TABLE) <= 0x10000
    assert {code: FOLD_TABLE[code] for code in range(0x600)} == before


# What may read as something else, of every kind, and what reads as it is written.
SIGNS = "&|?!¿€$@¢ï»\ufffc\ufffd□▯\ue000\uf8ff\uffff\x01\x7fжіοœaZß1 \n;\U0001f600\ud800"


@unhurried
@given(st.text(SIGNS, max_size=12))
@example("L&uuml;beck")
@example("\u00ef\u00bf\u00bd")
def test_a_text_reads_the_same_by_itself_and_in_a_long_one(text: str) -> None:
    page = "-" * 200 + "\n" + text

    assert read(page).text == page[:201] + read("-\n" + text).text.removeprefix("-\n")


# Letters none of which look alike, so that only errors remain.
PLAIN = "akz"


def _costs_of_prefixes(word: str, text: str) -> list[int]:
    """Errors between a word and every prefix of a text: letters more, less, other or swapped."""
    rows = [list(range(len(text) + 1))]
    for i, letter in enumerate(word, start=1):
        row = [i]
        for j, other in enumerate(text, start=1):
            best = min(rows[i - 1][j - 1] + (letter != other), rows[i - 1][j] + 1, row[j - 1] + 1)
            if i > 1 and j > 1 and word[i - 2] == other and letter == text[j - 2]:
                best = min(best, rows[i - 2][j - 2] + 1)
            row.append(best)
        rows.append(row)
    return rows[-1]


@unhurried
@given(st.text(PLAIN + " ", max_size=20), st.text(PLAIN, min_size=1, max_size=5), st.integers(0, 3))
def test_the_search_agrees_with_dynamic_programming(text: str, word: str, errors: int) -> None:
    page = Page(text)
    wanted = pattern(page, word)
    states = first_level(wanted, page.starts)
    for _ in range(errors):
        states = next_level(wanted, states)

    expected = {
        start + length
        for start in page.word_starts
        for length, cost in enumerate(_costs_of_prefixes(word, page.letters[start:]))
        if cost <= errors and length > 0
    }
    assert {end for end in members(states[-1]) if 0 < end <= len(page.letters)} - set(page.word_starts) == (
        expected - set(page.word_starts)
    )


@unhurried
@given(st.text(PLAIN + " ", max_size=20), st.text(PLAIN, min_size=1, max_size=5))
def test_the_search_from_the_end_agrees_with_that_from_the_start(text: str, word: str) -> None:
    page = Page(text)
    wanted = pattern(page, word)

    ends = set(members(first_level(wanted, page.starts)[-1] & page.ends))
    begins = set(members(suffix_starts(wanted, page.ends)[0] & page.starts))

    assert {start + len(word) for start in begins} == ends


# Letters that break into one another and that are lost together.
BREAKING = "mnrifl\ufffd"


def _level_to_its_end(wanted: Pattern, before: Sequence[int]) -> list[int]:
    """The recurrence of Wu and Manber for every prefix, however long none has had a place."""
    swapped = [0, *(after & before >> 1 for before, after in itertools.pairwise(wanted.places))]
    states = [before[0] | before[0] << 1]
    for i, places in enumerate(wanted.places):
        swap = (before[i - 1] & swapped[i]) << 1 if i else 0
        state = ((states[i] & places) | before[i] | before[i + 1] | swap) << 1 | before[i]
        for back, group, width in wanted.jumps[i]:
            state |= (states[i + 1 - back] & group) << width
        states.append(state)
    return states


def _suffixes_to_their_end(wanted: Pattern, ends: int) -> list[int]:
    """The search from the end, for every suffix."""
    length = len(wanted.places)
    states = [0] * length + [ends]
    for i in reversed(range(length)):
        states[i] = (states[i + 1] >> 1) & wanted.places[i]
        for after in range(i + 1, length + 1):
            for back, group, width in wanted.jumps[after - 1]:
                if after - back == i:
                    states[i] |= (states[after] >> width) & group
    return states


@unhurried
@given(st.text(BREAKING + "ak ", max_size=20), st.text(BREAKING + "ak", min_size=1, max_size=12))
@example("a fi", "kkkkfi")
@example("\ufffdkkk", "ffikkk")
def test_a_search_that_ends_early_has_missed_nothing(text: str, word: str) -> None:
    page = Page(text)
    wanted = pattern(page, word)
    states = first_level(wanted, page.starts)

    assert len(states) == len(word) + 1
    for _ in range(3):
        following = next_level(wanted, states)
        assert following == _level_to_its_end(wanted, states)
        states = following
    assert suffix_starts(wanted, page.ends) == _suffixes_to_their_end(wanted, page.ends)


@unhurried
@given(st.text(PLAIN + " 1", max_size=20), st.text(PLAIN + " ", min_size=1, max_size=6))
def test_no_place_between_the_borders_of_words_has_another_ending_behind_it(text: str, quoted: str) -> None:
    page = Page(text)
    quote = prepare(quoted)
    found = list(letters_found(page, quote.letters, Work(1_000_000))) if quote.letters else []

    whole = bordered(page, found, len(quote.letters))

    assert not list(ending_hits(page, quote, whole, Work(1_000_000)))


# Any word that may be a numeral, however short.
ANY_NUMERAL = re.compile(r"\b((?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3}))(?:e|è|ème|me|th|st|nd|rd|ten|te)?\b")


@unhurried
@given(st.text(st.sampled_from("IVXLCeèthmn.- \nl1"), max_size=24))
@example("XIVe I IIth XX. XVIII-II Ie VIa")
def test_numerals_are_all_those_of_more_than_one_figure(text: str) -> None:
    assert numerals(text) == [found[1] for found in ANY_NUMERAL.finditer(text) if len(found[1]) > 1]


def _cheapest_total(options: Sequence[dict[int, float]]) -> float:
    choices = [[None, *own] for own in options]
    totals = []
    for chosen in itertools.product(*choices):
        used = [place for place in chosen if place is not None]
        if len(used) == len(set(used)):
            totals.append(
                sum(
                    REJECTION if place is None else own[place]
                    for own, place in zip(options, chosen, strict=True)
                )
            )
    return min(totals)


@unhurried
@given(st.lists(st.dictionaries(st.integers(0, 5), st.integers(0, 9).map(float), max_size=5), max_size=6))
def test_the_assignment_agrees_with_brute_force(options: list[dict[int, float]]) -> None:
    chosen = assign(options, Work(1_000_000))

    used = [place for place in chosen if place is not None]
    assert len(used) == len(set(used))
    total = sum(
        REJECTION if place is None else own[place] for own, place in zip(options, chosen, strict=True)
    )
    assert total == pytest.approx(_cheapest_total(options))


def _step(before: tuple[str, Spot], after: tuple[str, Spot]) -> float:
    """The cost of going from one spot to the next, spelled out."""
    (label, left), (other_label, entered) = before, after
    if entered.start >= left.end:
        return 0.0
    if left.start >= entered.end:
        return 0.4 + min(1.0, (left.start - entered.end) / 400)
    if label == other_label:
        return 1.4 if left[:2] == entered[:2] else 0.8
    return 0.3


class Stop(NamedTuple):
    """A quote in the chain."""

    label: str
    spots: list[Spot]


@st.composite
def stops(draw: st.DrawFn) -> Stop:
    cuts = sorted(draw(st.lists(st.integers(0, 900), min_size=2, max_size=6, unique=True)))
    spots = [
        Spot(start, end, draw(st.integers(0, 3)) / 2)
        for start, end in zip(cuts[::2], cuts[1::2], strict=False)
    ]
    return Stop(draw(LABELS), spots if draw(st.integers(0, 5)) else [])


@unhurried
@given(st.lists(stops(), max_size=5))
def test_the_chain_agrees_with_brute_force(answers: list[Stop]) -> None:
    costs = chain_costs([stop.label for stop in answers], [stop.spots for stop in answers])

    chain = [stop for stop in answers if stop.spots]
    paths = [
        (path, sum(spot.cost for spot in path) + sum(itertools.starmap(_step, itertools.pairwise(labelled))))
        for path in itertools.product(*(stop.spots for stop in chain))
        if (labelled := [(stop.label, spot) for stop, spot in zip(chain, path, strict=True)]) is not None
    ]
    position = 0
    for stop, own in zip(answers, costs, strict=True):
        assert len(own) == len(stop.spots)
        if stop.spots:
            through = [min(total for path, total in paths if path[position] is spot) for spot in stop.spots]
            offset = min(spot.cost for spot in stop.spots) - min(through)
            assert own == pytest.approx([cost + offset for cost in through])
            position += 1
