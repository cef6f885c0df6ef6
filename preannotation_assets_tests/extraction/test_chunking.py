"""Tests of preannotation_assets.extraction.chunking."""

import itertools
import re
import time

import pytest
import regex
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from preannotation_assets.extraction.chunking import (
    MIN_SPLIT_CODE_POINTS,
    ChunkLimits,
    chunk_page,
    split_chunk,
)
from preannotation_assets.extraction.spans import Chunk
from preannotation_assets.extraction.token_kinds import LLAMA_3, KindFactors, TokenKind
from preannotation_assets.extraction.tokens import (
    MAX_CALIBRATION,
    MIN_CALIBRATION,
    calibrated_tokens,
    estimate_tokens,
)

PIECES_OF_TEXT = (
    *("a", "é", "Vessel ", "of ", "Schiff", "l'eau ", "12", "9074729 ", ". ", "; ", ".\n", "Hafen-\n"),
    *("\n", "\n\n", "\r\n", "\r\n\r\n", "\n \n", "\t", "  ", "\u00a0", "\u2028", "....", "----", "     "),
    *("\u0301", "a\u0308", "\u200d", "\ufe0f", "\U0001f468\u200d\U0001f469\u200d\U0001f467"),
    *("\U0001f1e9\U0001f1ea", "\U0001f44d\U0001f3fd", "\u0915\u094d\u0937", "\u1112\u1161\u11ab", "\uac01"),
    *("\u6f22", "\u5b57\u3002", "\ud800", "\U0001f6a2", "\u05e9\u05c1", "\u0e01\u0e33"),
)
# Llama 3, one that has a token for each digit and few for words, one with little else than scripts.
TOKENIZERS = (
    LLAMA_3,
    KindFactors.by_name({TokenKind.DIGITS: 3.0, TokenKind.WORDS: 0.7, TokenKind.RUNS: 4.0}),
    KindFactors((2.0,) * 7 + (0.4,) * (len(TokenKind) - 7)),
)
page_text = st.one_of(
    st.text(max_size=400),
    st.lists(st.sampled_from(PIECES_OF_TEXT), max_size=300).map("".join),
    st.builds(
        lambda piece, count, end: piece * count + end,
        st.sampled_from(PIECES_OF_TEXT),
        st.integers(0, 300),
        st.text(max_size=20),
    ),
)


@st.composite
def chunk_limits(draw: st.DrawFn, smallest: int = 1) -> ChunkLimits:
    max_tokens = draw(st.integers(smallest, 120))
    overlap_tokens = draw(st.integers(0, (max_tokens - 1) // 2))
    calibration = draw(st.floats(MIN_CALIBRATION, MAX_CALIBRATION))
    return ChunkLimits(max_tokens, overlap_tokens, calibration, draw(st.sampled_from(TOKENIZERS)))


def _borders(chunks: list[Chunk], text: str) -> list[int]:
    places = {place for chunk in chunks for place in (chunk.start, chunk.end)}
    return sorted(places - {0, len(text)})


@given(page_text, chunk_limits())
@settings(max_examples=200)
def test_pieces_cover_the_page_in_order(text: str, limits: ChunkLimits) -> None:
    chunks = chunk_page(text, limits)
    assume(text.strip())
    assert chunks[0].start == 0
    assert chunks[-1].end == len(text)
    assert all(0 <= chunk.start < chunk.end <= len(text) for chunk in chunks)
    for one, next_one in itertools.pairwise(chunks):
        assert one.start < next_one.start <= one.end < next_one.end


@given(page_text, chunk_limits())
@settings(max_examples=200)
def test_pieces_keep_the_limit_and_say_their_estimate(text: str, limits: ChunkLimits) -> None:
    for chunk in chunk_page(text, limits):
        estimate = estimate_tokens(text[chunk.start : chunk.end], limits.kind_factors)
        assert chunk.estimated_tokens == calibrated_tokens(estimate, limits.calibration)
        assert chunk.estimated_tokens <= limits.max_tokens or chunk.end - chunk.start == 1


@given(page_text, chunk_limits(smallest=100))
@example("Kiel. \u0301" * 60, ChunkLimits(100, 20))
@example("\U0001f1e9\U0001f1ea" * 60, ChunkLimits(101, 21))
@example("00:0:0A0\U0001f201\u200d\U0001f22f\u200d\U0001f232", ChunkLimits(100, 25, 4.0))
@example(
    "0A\u200d\U0001f191\u200d\U0001f201\u200d\U0001f201\U00010000\u200d\U0001f201", ChunkLimits(100, 1, 3.0)
)
@settings(max_examples=150)
def test_no_border_is_inside_a_grapheme(text: str, limits: ChunkLimits) -> None:
    assume("\ud800" not in text)
    assume(all(len(grapheme) < 8 for grapheme in regex.findall(r"\X", text)))
    allowed = {match.end() for match in regex.finditer(r"\X", text)}
    assert set(_borders(chunk_page(text, limits), text)) <= allowed


@given(st.text(" \t\r\n\u00a0\u3000\u2028", max_size=300))
def test_a_blank_page_has_no_pieces(text: str) -> None:
    assert chunk_page(text, ChunkLimits(10, 2)) == []


@given(page_text)
def test_a_page_within_the_limit_is_one_piece(text: str) -> None:
    assume(text.strip())
    estimate = estimate_tokens(text)
    limits = ChunkLimits(max(1, estimate), 0)
    assert chunk_page(text, limits) == [Chunk(0, len(text), estimate)]


@given(page_text, chunk_limits())
def test_the_same_page_gives_the_same_pieces(text: str, limits: ChunkLimits) -> None:
    assert chunk_page(text, limits) == chunk_page(text, limits)


words = st.lists(
    st.sampled_from(
        ["the", "vessel", "Hafen", "Reederei", "d'Escale", "sœur", "1,234", "IMO No.", "(sic)", "M/V", "tlie"]
    ),
    min_size=200,
    max_size=400,
)


@given(words, st.sampled_from(([" "], [" ", " ", "  "], [" ", " ", " ", "\n"])), st.integers(3, 6))
def test_an_entity_shorter_than_the_overlap_is_whole_in_some_piece(
    of_page: list[str], separators: list[str], overlaps_a_piece: int
) -> None:
    entity = "Norddeutsche Reederei H. Möller"
    # No sentence ends, so that borders have to be inside entities.
    page = [entity if index % 3 == 0 else word.strip(".") for index, word in enumerate(of_page)]
    text = "".join(map("".join, zip(page, itertools.cycle(separators), strict=False)))
    overlap = estimate_tokens(" " + entity) + 1
    chunks = chunk_page(text, ChunkLimits(overlaps_a_piece * overlap, overlap))
    assert len(chunks) > 1
    for match in re.finditer(re.escape(entity), text):
        assert any(chunk.start <= match.start() and match.end() <= chunk.end for chunk in chunks)


@given(words, st.integers(40, 150))
def test_borders_of_spaced_text_are_word_borders(of_page: list[str], max_tokens: int) -> None:
    text = " ".join(of_page)
    for border in _borders(chunk_page(text, ChunkLimits(max_tokens, max_tokens // 8)), text):
        assert text[border - 1].isspace() != text[border].isspace()


@given(words, st.integers(100, 400), st.integers(0, 40))
def test_pieces_are_about_equal(of_page: list[str], max_tokens: int, overlap: int) -> None:
    text = " ".join(of_page)
    sizes = [chunk.estimated_tokens for chunk in chunk_page(text, ChunkLimits(max_tokens, overlap))]
    assert min(sizes) >= 0.4 * max(sizes)


@given(words, st.integers(10, 40))
def test_the_overlap_is_about_as_large_as_wanted(of_page: list[str], overlap: int) -> None:
    text = " ".join(of_page)
    for one, next_one in itertools.pairwise(chunk_page(text, ChunkLimits(200, overlap))):
        shared = estimate_tokens(text[next_one.start : one.end])
        assert overlap <= shared <= 1.5 * overlap + 5


def _two_halves(first: str, second: str) -> tuple[str, list[Chunk]]:
    """Cuts a text in two where the words repeat, without overlap."""
    text = first + second
    return text, chunk_page(text, ChunkLimits(int(0.7 * estimate_tokens(text)), 0))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param(
            "The hull was examined. No cracks\nwere found in the frames of number\ntwo hold. " * 4 + "\n\n",
            "The main engine was opened up. All\nbearings were measured and found\ngood. " * 4,
            id="paragraph, English",
        ),
        pytest.param(
            "Die Ladung wurde in Bremerhaven\r\ngelöfcht. Der Kapitän zeichnete\r\n" * 4 + "\r\n",
            "Am folgenden Tage lief das Schiff\r\nnach Riga aus. Wind Nordwest fünf\r\n" * 4,
            id="paragraph, German with CRLF",
        ),
        pytest.param(
            "l'armateur a reçu le connaissement de 1a cargaison au port de Nantes et\n" * 4,
            "le capitaine a signé le manifeste avant de quitter le quai à destination\n" * 4,
            id="line, French",
        ),
        pytest.param(
            "the crew signed the agreement before the consul in Trieste and joined. " * 4,
            "After the storm the lighters came alongside and took the bales ashore. " * 4,
            id="sentence, English",
        ),
        pytest.param(
            "la barque fut remorquée jusqu'au bassin par deux remorqueurs du port! » " * 4,
            "Le lendemain, les ouvriers commencèrent à décharger les tonneaux de vin. " * 4,
            id="sentence with quotation mark, French",
        ),
    ],
)
def test_the_border_is_the_best_there_is(first: str, second: str) -> None:
    text, chunks = _two_halves(first, second)
    assert len(chunks) == 2
    border = chunks[1].start
    if "\n" in first.rstrip():
        assert text[border - 1] == "\n"
    else:
        assert text[:border].rstrip(" »")[-1] in ".!"
    if first.endswith(("\n\n", "\r\n\r\n")):
        assert border == len(first)


def test_a_word_hyphenated_at_the_end_of_a_line_is_kept_together() -> None:
    text = "von der Ladung des Dampf-\nschiffes im Frei-\nhafen zu Ham-\nburg und Bre-\n" * 12
    for border in _borders(chunk_page(text, ChunkLimits(120, 10)), text):
        assert not text[:border].endswith("-\n")


def test_a_text_without_spaces_is_cut_after_a_sign() -> None:
    text = "ROTTERDAM/HAMBURG/ANTWERPEN/" * 40
    borders = _borders(chunk_page(text, ChunkLimits(200, 20)), text)
    assert borders
    assert all(text[border - 1] == "/" for border in borders)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("Schiff" * 170_000, id="one word"),
        pytest.param("x" + " " * 1_000_000, id="spaces"),
        pytest.param("x" + "\n" * 1_000_000, id="line breaks"),
        pytest.param("\u0301" * 500_000, id="combining marks"),
        pytest.param("\U0001f1e9\U0001f1ea" * 130_000, id="flags"),
        pytest.param("Das Schiff lief aus. Am Tag da-\nrauf kam es an.\n\n" * 20_000, id="page"),
        pytest.param("a.\n" * 330_000, id="short lines"),
    ],
)
def test_a_megabyte_is_cut_in_time(text: str) -> None:
    before = time.perf_counter()
    chunks = chunk_page(text, ChunkLimits())
    assert time.perf_counter() - before < 5
    assert chunks[-1].end == len(text)
    assert len(chunks) < 1000


@pytest.mark.parametrize(
    ("max_tokens", "overlap_tokens", "calibration"),
    [(0, 0, 1.0), (100, 50, 1.0), (100, -1, 1.0), (100, 10, 0.0), (100, 10, float("nan")), (100, 10, 1e9)],
)
def test_impossible_limits_are_refused(max_tokens: int, overlap_tokens: int, calibration: float) -> None:
    with pytest.raises(ValueError, match="must be"):
        ChunkLimits(max_tokens, overlap_tokens, calibration)


@given(page_text, st.integers(0, 200), st.floats(MIN_CALIBRATION, MAX_CALIBRATION), st.data())
@settings(max_examples=150)
def test_a_split_covers_the_piece_with_two_smaller_ones(
    text: str, overlap: int, calibration: float, data: st.DataObject
) -> None:
    text = text + "und weiter ging die Fahrt " * 10
    start = data.draw(st.integers(0, len(text) - MIN_SPLIT_CODE_POINTS))
    end = data.draw(st.integers(start + MIN_SPLIT_CODE_POINTS, len(text)))
    tokens = calibrated_tokens(estimate_tokens(text[start:end]), calibration)
    halves = split_chunk(text, Chunk(start, end, tokens), overlap)
    assert halves is not None
    one, other = halves
    assert start == one.start < other.start <= one.end < other.end == end
    assert halves == split_chunk(text, Chunk(start, end, tokens), overlap)


def test_the_halves_of_a_split_are_about_equal_and_overlap_at_words() -> None:
    text = "Le navire a quitté le port du Havre avec une cargaison de ciment. " * 30
    whole = Chunk(0, len(text), 2 * estimate_tokens(text))
    halves = split_chunk(text, whole, 60)
    assert halves is not None
    one, other = halves
    assert 0.8 < one.estimated_tokens / other.estimated_tokens < 1.25
    assert text[other.start - 1] == " " == text[one.end - 1]
    # The chunk was estimated at twice the plain estimate, so its halves and its overlap are too.
    assert one.estimated_tokens == pytest.approx(2 * estimate_tokens(text[: one.end]), abs=2)
    assert 60 <= 2 * estimate_tokens(text[other.start : one.end]) <= 120


def test_a_small_piece_is_not_split() -> None:
    text = "a b " * 60
    assert split_chunk(text, Chunk(0, MIN_SPLIT_CODE_POINTS - 1, 100), 10) is None
    assert split_chunk(text, Chunk(0, MIN_SPLIT_CODE_POINTS, 100), 10) is not None


def test_splitting_comes_to_an_end() -> None:
    text = "\U0001f468\u200d\U0001f469" * 2000
    chunks = [Chunk(0, len(text), estimate_tokens(text))]
    smallest = []
    while chunks:
        chunk = chunks.pop()
        halves = split_chunk(text, chunk, 200)
        chunks.extend(halves or ())
        smallest.extend([] if halves else [chunk])
    assert all(chunk.end - chunk.start < MIN_SPLIT_CODE_POINTS for chunk in smallest)
    assert len(smallest) < 1000
