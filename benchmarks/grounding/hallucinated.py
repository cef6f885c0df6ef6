"""Answers that are not on the page, against true ones of damaged names: what is given away for what.

Every page is invented and damaged as print and OCR engines do it; its true quotes are undamaged. Among them
stand answers of the kinds that models make up: near misses of what is there, and words put together.
"""

import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from benchmarks.grounding.rejecting import Judged, print_curve
from benchmarks.grounding.words import FILLER, FIRST_NAMES, MONTHS, NUMERALS, PORTS, SHIPS, SURNAMES
from preannotation_assets.extraction.grounding import ground
from preannotation_assets.extraction.grounding.folding import fold
from preannotation_assets.extraction.grounding.lookalikes import LOOKALIKE_GROUPS, LOOKALIKES
from preannotation_assets.extraction.spans import Grounding, Quote

__all__ = ["print_hallucinated"]

PAGES: Final = 600
SEED: Final = 20261201
DAMAGED: Final = 0.6
ADDED: Final = 1 / 3
LOOKALIKE: Final = 0.75

TITLES = ("Captain", "Mr.", "Mrs.", "Miss", "Dr.", "M.", "Mme", "Herr", "Frau", "Consul")
BEHIND = ("& Co.", "Ltd.", "& Sons", "AG", "GmbH")


class Facts(NamedTuple):
    """What one page says: undamaged, in the order of the page."""

    ship: str
    numeral: str
    first_name: str
    surname: str
    title: str
    ports: Sequence[str]
    day: int
    month: str
    year: int
    number: int
    tons: int

    def quotes(self) -> list[str]:
        """The true answers, as they are written where the page is not damaged."""
        return [
            f"{self.ship} {self.numeral}",
            self.ports[0],
            f"{self.title} {self.first_name} {self.surname}",
            f"{self.day} {self.month} {self.year}",
            f"{self.surname} & Sons",
            str(self.number),
            self.ports[1],
            f"{self.tons:,} tons",
        ]


Inventor = Callable[[Facts, random.Random], str]


def facts(draw: random.Random) -> Facts:
    """What an invented page says."""
    return Facts(
        ship=draw.choice(SHIPS),
        numeral=draw.choice(NUMERALS),
        first_name=draw.choice(FIRST_NAMES),
        surname=draw.choice(SURNAMES),
        title=draw.choice(TITLES),
        ports=draw.sample(PORTS, 2),
        day=draw.randint(2, 27),
        month=draw.choice(MONTHS),
        year=draw.randint(1780, 1970),
        number=draw.randint(1_000_000, 9_999_999),
        tons=draw.randint(1_000, 99_999),
    )


def another(choices: Sequence[str], one: str, draw: random.Random) -> str:
    """One of several, but not that one."""
    return draw.choice([each for each in choices if each != one])


def other_digit(value: int, draw: random.Random) -> str:
    """A number with one digit that is another."""
    digits = list(str(value))
    at = draw.randrange(len(digits))
    digits[at] = another("123456789", digits[at], draw)
    return "".join(digits)


def other_length(value: int, draw: random.Random) -> str:
    """A number with a digit more or less."""
    return f"{value}{draw.randint(0, 9)}" if draw.random() < 0.5 else str(value)[:-1]


KINDS: Mapping[str, Inventor] = {
    "another ship": lambda page, draw: another(SHIPS, page.ship, draw),
    "her sister": lambda page, draw: f"{page.ship} {another(NUMERALS, page.numeral, draw)}",
    "another port": lambda page, draw: draw.choice([port for port in PORTS if port not in page.ports]),
    "another first name": lambda page, draw: f"{another(FIRST_NAMES, page.first_name, draw)} {page.surname}",
    "another surname": lambda page, draw: f"{page.first_name} {another(SURNAMES, page.surname, draw)}",
    "another owner": lambda page, draw: f"{another(SURNAMES, page.surname, draw)} {draw.choice(BEHIND)}",
    "a day off": lambda page, draw: f"{page.day + draw.choice((-1, 1))} {page.month} {page.year}",
    "another month": lambda page, draw: f"{page.day} {another(MONTHS, page.month, draw)} {page.year}",
    "another year": lambda page, draw: f"{page.day} {page.month} {other_digit(page.year, draw)}",
    "one digit": lambda page, draw: f"{draw.choice(('', 'IMO '))}{other_digit(page.number, draw)}",
    "a digit more or less": lambda page, draw: other_length(page.number, draw),
    "another tonnage": lambda page, draw: f"{int(other_digit(page.tons, draw)):,} tons",
    "a word, a title": lambda page, draw: f"{draw.choice((page.ship, page.ports[0]))} {draw.choice(TITLES)}",
    "a form, a word": lambda page, draw: f"{draw.choice(('Ltd.', 'City', 'Company'))} {page.ports[1]}",
    "a word, another's": lambda page, draw: f"{page.ports[0]} {another(SURNAMES, page.surname, draw)}",
    "words far apart": lambda page, _: f"{page.ship} {page.ports[1]}",
    "words of two labels": lambda page, _: f"{page.first_name} {page.ports[0]}",
    "a saint": lambda page, draw: f"{draw.choice(('St.', 'Saint'))} {page.ports[1]}",
    "a street": lambda page, draw: f"{page.ports[1]} {draw.choice(('Street', 'Straße'))}",
}


def damaged(word: str, draw: random.Random) -> str:
    """A word with one letter, not its first, misread; a word of up to three letters or a number as it is."""
    places = [at for at in range(1, len(word)) if word[at].isalpha()]
    if len(word) <= 3 or not places or word.isupper() or draw.random() > DAMAGED:
        return word
    at = draw.choice(places)
    letter = word[at].lower()
    if draw.random() < LOOKALIKE:
        others = [*LOOKALIKES.get(letter, ""), *LOOKALIKE_GROUPS.get(letter, ())]
        others = [other for other in others if other.isalpha()]
    else:
        others = ["", *"aeinrst"]
    return (
        word[:at] + draw.choice([other for other in others if other != letter] or [letter]) + word[at + 1 :]
    )


class Made(NamedTuple):
    """A page, and for every true quote where it is."""

    text: str
    quotes: Sequence[str]
    spans: Sequence[tuple[int, int]]


def made(page: Facts, draw: random.Random) -> Made:
    """Writes a page with some damage in its names and filler between them."""
    text = ""
    spans: list[tuple[int, int]] = []
    quotes = page.quotes()
    for quote in quotes:
        text += " ".join(draw.choices(FILLER, k=draw.randint(6, 14))) + draw.choice([" ", "\n", ", "])
        # A third of the persons stand there without the title that is quoted.
        name = quote.partition(" ")[2] if quote.startswith(page.title) and draw.random() < ADDED else quote
        written = " ".join(damaged(word, draw) for word in name.split(" "))
        spans.append((len(text), len(text) + len(written)))
        text += f"{written} "
    return Made(text, quotes, spans)


def judged() -> Iterator[tuple[str | None, Judged]]:
    """Every answer of every page, with its kind if it is made up; half of the pages in their order."""
    for index in range(PAGES):
        draw = random.Random(f"{SEED} {index}")
        page = facts(draw)
        text, quotes, spans = made(page, draw)
        letters = fold(text).letters
        answers: list[tuple[str, str | None, tuple[int, int] | None]] = [
            (quote, None, span) for quote, span in zip(quotes, spans, strict=True)
        ]
        if index % 2:
            draw.shuffle(answers)
        for kind in draw.sample(list(KINDS), 8):
            quote = KINDS[kind](page, draw)
            if fold(quote).letters not in letters:
                answers.insert(draw.randint(0, len(answers)), (quote, kind, None))
        # Under a label of their own: no true answer takes a place before them.
        results = ground(text, [Quote("MADE UP" if kind else "TRUE", quote) for quote, kind, _ in answers])
        for (_, kind, span), result in zip(answers, results, strict=True):
            found = result if isinstance(result, Grounding) else None
            right = found is not None and (found.start, found.end) == span
            yield kind, Judged(kind is not None, right, found.similarity if found else 0.0)


def print_hallucinated() -> None:
    """Prints one line a kind, and one a least similarity."""
    answers = list(judged())
    count = Counter(kind for kind, _ in answers)
    found = Counter(kind for kind, each in answers if each.similarity)
    print(f"\n{'made up for invented pages':32}{'answers':>8}{'found':>9}")
    for kind in KINDS:
        print(f"{kind:32}{count[kind]:8}{found[kind] / count[kind]:9.4f}")
    print_curve([each for _, each in answers])
