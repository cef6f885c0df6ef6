"""Pages that are made to take long, and a search at random for others: CPU seconds and counted steps."""

import random
import time
from collections.abc import Iterator
from typing import NamedTuple

from preannotation_assets.extraction.grounding import ChunkWork, ground
from preannotation_assets.extraction.spans import Quote, Rejection
from preannotation_assets.extraction.spans import QuoteOutcome as Reason
from preannotation_assets_tests.shared.costly_pages import COSTLY_PAGES

__all__ = ["print_hostile"]

# About what a chunk of 6,000 tokens and an answer of 3,072 can hold.
PAGE = 24_000
ANSWER = 12_000
SEARCHED = 100

UNITS = [
    "a", "ab", "il1", "0", "0O", "01", "ship ", "rnm", "il ", "a b", "0 ", "1,", "港", "\u0430", "?a", ". ",
    "S", "é", "e\u0301", "ﬁ", "|l", "!i", "12.", "\n", "-\n", "&ouml;", "\ufffd", "x\ufffd", "ss", "the of ",
    "Mr ", "(a)", '"a"', "M ", "A1", "a1 ", "Hamburgs ", "Bergen, ",
]  # fmt: skip
CHANGES = ["x", "1", "0", " ", "l", "the ", " Mr ", "S", "O", ".", "", " Smith ", "?", "s"]


class Hostile(NamedTuple):
    """A page, and what is quoted from it."""

    name: str
    text: str
    quotes: list[str]


def known() -> Iterator[Hostile]:
    """Two ordinary pages with many quotes, and those that are made to take long."""
    draw = random.Random(0)
    words = ["".join(draw.choices("aeinrst", k=draw.randint(3, 9))) for _ in range(4_000)]
    yield Hostile("ordinary words", " ".join(words), [" ".join(draw.sample(words, 3)) for _ in range(300)])
    yield Hostile("titles", "Mr Smith " * 2_600, [f"Mr Dr Captain Smith{n} Ltd Co Inc" for n in range(300)])
    for name, (text, quotes) in COSTLY_PAGES.items():
        yield Hostile(name, text, quotes)


def searched(seed: int) -> Hostile:
    """A page of a few repeated units, and quotes of it with changes."""
    draw = random.Random(seed)
    units = draw.sample(UNITS, draw.randint(1, 3))
    text = ""
    while len(text) < PAGE:
        text += draw.choice(units) * draw.choice([1, 1, 2, 20])
    size, quotes = draw.choice([3, 10, 30, 100, 300, 1_000, 5_000]), []
    while sum(len(quote) + 8 for quote in quotes) < ANSWER:
        start = draw.randrange(PAGE - size)
        letters = list(text[start : start + draw.randint(1, size)])
        for _ in range(draw.choice([0, 1, 1, 2, size // 10, size // 4])):
            at = draw.randrange(len(letters) + 1)
            letters[at : at + draw.randint(0, 1)] = draw.choice(CHANGES)
        quotes.append("".join(letters))
    return Hostile(f"seed {seed}: {units}", text[:PAGE], quotes)


def measured(page: Hostile) -> tuple[float, float, int]:
    """CPU seconds, counted steps, and how many quotes were given up."""
    quotes = [Quote("NAME", quote) for quote in page.quotes]
    work = ChunkWork()
    began = time.process_time()
    results = ground(page.text, quotes, work)
    seconds = time.process_time() - began
    return seconds, work.spent, sum(result == Rejection(Reason.SEARCH_CUT_OFF) for result in results)


def print_hostile() -> None:
    """Prints one line a page, and the worst of those that were searched."""
    print(f"\n{'hostile pages':32}{'quotes':>8}{'given up':>10}{'steps':>10}{'CPU s':>8}")
    rows = [(page, *measured(page)) for page in known()]
    found = sorted(
        ((page, *measured(page)) for page in map(searched, range(SEARCHED))), key=lambda row: -row[1]
    )
    print_rows(rows)
    print(f"the worst of {SEARCHED} that were made at random")
    print_rows(found[:3])


def print_rows(rows: list[tuple[Hostile, float, float, int]]) -> None:
    """Prints one line a page."""
    for page, seconds, steps, given_up in rows:
        print(f"{page.name[:31]:32}{len(page.quotes):8}{given_up:10}{steps:10.0f}{seconds:8.2f}")
