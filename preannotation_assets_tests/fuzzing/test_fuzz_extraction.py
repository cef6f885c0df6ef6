"""Any page with any answer gives exact spans, and with no more work than its length explains."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzzing.mutations import fuzz, spoilt_bytes
from preannotation_assets.extraction.answers import write_answer
from preannotation_assets.extraction.chunking import ChunkLimits, chunk_page, split_chunk
from preannotation_assets.extraction.labels import check_label_scheme
from preannotation_assets.extraction.suggesting import ChunkAnswer, suggest
from preannotation_assets.label_file import load_label_scheme
from preannotation_assets.settings import Settings

Result = TypeVar("Result")
LABELS = ("vessel_name", "port")
# What makes searches try much: one letter again and again, look-alikes, breaks within words, many scripts.
UNITS = st.sampled_from(
    [
        "ship ",
        "0 ",
        "O0",
        "a",
        "rn",
        "do. ",
        "- ",
        "\n",
        "\u00ad",
        " . ",
        "|",
        "(",
        "<page>",
        "é",
        "e\u0301",
        "船",
        "🚢",
        "\ufffd",
    ]
) | st.text(max_size=6)
STRETCHES = st.tuples(UNITS, st.integers(1, 60)).map(lambda each: each[0] * each[1])
PAGES = st.lists(STRETCHES, min_size=1, max_size=12).map("".join)
MOST_CALLS_A_CHARACTER = 2_000


def calls(work: Callable[[], Result]) -> tuple[Result, int]:
    """What the work gives, and how many functions it called, C's too: time does not count."""
    count = 0

    def see(frame: object, event: str, argument: object) -> None:
        nonlocal count
        count += event in {"call", "c_call"}

    before = sys.getprofile()
    sys.setprofile(see)
    try:
        result = work()
    finally:
        sys.setprofile(before)
    return result, count


@st.composite
def quotes_of(draw: st.DrawFn, page: str) -> str:
    """Something of the page with slips in it, or anything else."""
    if not page or draw(st.integers(0, 4)) == 0:
        return draw(PAGES)[:300]
    start = draw(st.integers(0, len(page) - 1))
    quote = page[start : start + draw(st.integers(1, 300))]
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.integers(0, len(quote)))
        quote = (
            quote[:place]
            + draw(st.sampled_from(["", "1", "l", " ", "x", "-"]))
            + quote[place + draw(st.integers(0, 1)) :]
        )
    return quote


@given(data=st.data())
@fuzz(60)
def test_any_quotes_of_any_page_are_placed_exactly_with_bounded_work(data: st.DataObject) -> None:
    page = data.draw(PAGES)
    quotes = data.draw(st.lists(st.tuples(st.sampled_from(LABELS), quotes_of(page)), min_size=1, max_size=6))
    answer = ChunkAnswer(0, len(page), write_answer(quotes), None, None, 1)
    found, work = calls(lambda: suggest(page, [answer], LABELS, overlaps_allowed=False))
    assert all(0 <= span.start < span.end <= len(page) for span in found.spans)
    assert len(found.quotes) == len(quotes)
    assert work <= MOST_CALLS_A_CHARACTER * (len(page) + sum(len(quote) for _, quote in quotes) + 50)


@given(page=PAGES, tokens=st.integers(1, 200), data=st.data())
@fuzz(120)
def test_any_page_is_cut_into_chunks_that_cover_it_with_bounded_work(
    page: str, tokens: int, data: st.DataObject
) -> None:
    limits = ChunkLimits(
        max_tokens=tokens, overlap_tokens=data.draw(st.integers(0, max(0, (tokens - 1) // 2)))
    )
    chunks, work = calls(lambda: chunk_page(page, limits))
    covered = 0
    for chunk in chunks:
        assert chunk.start <= covered < chunk.end
        covered = chunk.end
        split_chunk(page, chunk, limits.overlap_tokens)
    assert covered == len(page) or not page.strip()
    assert work <= MOST_CALLS_A_CHARACTER * (len(page) + 50)


@given(data=st.data())
@fuzz(40)
def test_a_label_scheme_of_spoilt_bytes_is_read_or_refused_line_by_line(
    data: st.DataObject, default_scheme: bytes
) -> None:
    spoilt = data.draw(spoilt_bytes([default_scheme]))
    try:
        source = spoilt.decode("utf-8-sig")
    except UnicodeDecodeError:
        return
    checked, work = calls(lambda: check_label_scheme(source, "labels.yaml"))
    assert (checked.scheme is None) == bool(checked.errors)
    assert all(str(error).startswith("labels.yaml:") for error in checked.errors)
    assert work < 20_000_000


@pytest.fixture(scope="module")
def default_scheme() -> bytes:
    path = Settings.from_environment({}).labels.path
    load_label_scheme(path)
    return Path(path).read_bytes()


def test_work_is_counted() -> None:
    value: Any
    value, count = calls(lambda: [len("a") for _ in range(100)])
    assert value == [1] * 100
    assert 100 < count < 200
