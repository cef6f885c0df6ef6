"""Damage planted on invented pages, so that the true span of every quote is known.

Every page has one kind of damage; half of the pages are quoted in their order, half shuffled.
"""

import random
from collections.abc import Callable, Sequence
from html.entities import codepoint2name
from typing import NamedTuple

from benchmarks.grounding.predicting import predict
from preannotation_assets.extraction.line_ends import LINE_END_SIGNS

__all__ = ["SYLLABLES", "print_planted"]

PAGES = 100
QUOTES = 20
SEED = 20261130

SYLLABLES = ["bar", "den", "fjo", "gal", "hol", "kir", "lun", "mor", "nes", "ost", "ran", "sul", "tor", "vik"]
ACCENTED = {"a": "á", "e": "é", "o": "ö", "u": "ü", "n": "ñ", "s": "š"}
FILLER = (
    "the", "and", "was", "sold", "at", "noon", "with", "all", "her", "gear", "while", "lying", "off",
    "under", "repair", "by", "order", "of",
)  # fmt: skip
PREFIXES = ["IMO", "GT", "NT", "USD", "No", "LOA", "Built", "on", "ИМО", "BRT", "Tel"]
SUFFIXES = ["GRT", "t", "BRT", "built", "at", "tons", "m", "nach", "kW"]
CYRILLIC = str.maketrans("ABCEHKMOPTXYaceopxy", "АВСЕНКМОРТХУасеорху")  # noqa: RUF001
GREEK = str.maketrans("ABEZHIKMNOPTYX", "ΑΒΕΖΗΙΚΜΝΟΡΤΥΧ")  # noqa: RUF001
ARABIC = "ابتثجحدرسشصطعفقكلمنهوي"
STEMS = {
    "": ["s", "es", "en"],
    "er": ["en", "em", "es"],
    "a": ["y", "u", "ie", "om"],
    "ov": ["ova", "ovem", "ovi"],
    "um": ["i", "o", "orum"],
    "la": ["lassa", "lalta", "lan"],
    "ски": ["ского", "ским", "скому"],
}


class Planted(NamedTuple):
    """What stands on the page, what is quoted, and where in what stands there that is; None for nowhere."""

    written: str
    quote: str
    span: tuple[int, int] | None


Planter = Callable[[random.Random], Planted]


def whole(written: str, quote: str) -> Planted:
    """A quote that stands for all of what is written."""
    return Planted(written, quote, (0, len(written)))


def name(draw: random.Random) -> str:
    """An invented name."""
    return "".join(draw.choices(SYLLABLES, k=draw.randint(2, 4))).capitalize()


def number(draw: random.Random) -> str:
    """A number as registers have them."""
    value = draw.randint(100, 9_999_999)
    return draw.choice(
        [
            str(value),
            f"{value:,}",
            f"{draw.randint(1, 28):02}.{draw.randint(1, 12):02}.{draw.randint(1850, 1999)}",
        ]
    )


def behind_letters(draw: random.Random) -> Planted:
    """IMO9666948."""
    prefix, value = draw.choice(PREFIXES), number(draw)
    return Planted(prefix + value, value, (len(prefix), len(prefix) + len(value)))


def before_letters(draw: random.Random) -> Planted:
    """12,416GRT."""
    value = number(draw)
    return Planted(value + draw.choice(SUFFIXES), value, (0, len(value)))


def between_letters(draw: random.Random) -> Planted:
    """on12.03.1974at."""
    prefix, value = draw.choice(["on", "vom", "le", "IMO"]), number(draw)
    return Planted(
        prefix + value + draw.choice(["at", "bis", "GT"]), value, (len(prefix), len(prefix) + len(value))
    )


def register_line(draw: random.Random) -> Planted:
    """M/V NORDLYS IMO9666948 GT12416."""
    value = str(draw.randint(1_000_000, 9_999_999))
    before = f"M/V {name(draw).upper()} IMO"
    return Planted(
        f"{before}{value} GT{draw.randint(100, 99_999)}", value, (len(before), len(before) + len(value))
    )


def several_glued(draw: random.Random) -> Planted:
    """IMO9666948GT12416NT7112, 1974built1998, 96.5x14.2."""
    kind = draw.randrange(3)
    if kind == 0:
        pieces = [
            each for label in ("IMO", "GT", "NT") for each in (label, str(draw.randint(100, 9_999_999)))
        ]
    elif kind == 1:
        years = (str(draw.randint(1850, 1999)) for _ in range(3))
        pieces = [next(years), "built", next(years), "rebuilt", next(years)]
    else:
        sizes = (f"{draw.randint(1, 199)}.{draw.randint(10, 99)}" for _ in range(3))
        pieces = [draw.choice("LB"), next(sizes), "x", next(sizes), "x", next(sizes), "m"]
    chosen = draw.choice([index for index, piece in enumerate(pieces) if piece[0].isdigit()])
    start = len("".join(pieces[:chosen]))
    return Planted("".join(pieces), pieces[chosen], (start, start + len(pieces[chosen])))


def word_and_number(draw: random.Random) -> Planted:
    """Bergen in 1974Bergen, or in Bergen9666948."""
    letters, value = name(draw).upper(), str(draw.randint(1_000, 9_999_999))
    if draw.random() < 0.5:
        return Planted(letters + value, letters, (0, len(letters)))
    return Planted(value + letters, letters, (len(value), len(value) + len(letters)))


def part_of_decimal(draw: random.Random) -> Planted:
    """180 in LOA180.5m."""
    whole_part, decimals = str(draw.randint(2, 999)), str(draw.randint(1, 99))
    return Planted(
        f"{draw.choice(['LOA', 'x', 'RM', ''])}{whole_part}{draw.choice('.,')}{decimals}m",
        draw.choice([whole_part, decimals]),
        None,
    )


def other_code(draw: random.Random) -> Planted:
    """24703L202 where the page has 24703M202."""
    digits, more = draw.randint(1_000, 99_999), draw.randint(10, 999)
    one, other = draw.choice(["AK", "BW", "LX", "DM", "XA", "TB"])
    return Planted(f"{digits}{one}{more}", f"{digits}{other}{more}", None)


def part_of_code(draw: random.Random) -> Planted:
    """24703 in 24703L202."""
    digits = str(draw.randint(1_000, 99_999))
    letter = draw.choice("ACDEHKMNPRTVWX")
    code = draw.choice([f"{digits}{letter}{draw.randint(100, 999)}", f"{draw.randint(2, 9)}{letter}{digits}"])
    return Planted(code, digits, None)


def lost_letter(draw: random.Random) -> Planted:
    """S?o Paulo, with one or two letters lost inside the name."""
    letters = name(draw) + " " + name(draw)
    at, width = draw.randint(1, len(letters.split()[0]) - 3), draw.randint(1, 2)
    return whole(letters[:at] + draw.choice("\ufffd?\ue001") + letters[at + width :], letters)


def several_lost(draw: random.Random) -> Planted:
    """?LESUND, J?rgensen Sm?, one letter of each word."""
    words = [name(draw), name(draw)]
    if draw.random() < 0.3:
        words = [word.upper() for word in words]
    sign = draw.choice("\ufffd?")
    lost = [word[:at] + sign + word[at + 1 :] for word in words for at in [draw.randrange(len(word))]]
    return whole(" ".join(lost), " ".join(words))


def lost_ligature(draw: random.Random) -> Planted:
    """O?ce for Office."""
    start, ligature, end = name(draw), draw.choice(["fi", "fl", "ff", "ffi"]), draw.choice(SYLLABLES)
    return whole(f"{start}\ufffd{end}", f"{start}{ligature}{end}")


def reference(draw: random.Random) -> Planted:
    """L&uuml;beck, Ham&shy;burg."""
    letters = name(draw)
    places = [place for place, letter in enumerate(letters) if letter in ACCENTED]
    at = draw.choice(places) if places else 0
    sign = ACCENTED.get(letters[at], letters[at])
    named = codepoint2name.get(ord(sign))
    forms = [f"&#{ord(sign)};", f"&#x{ord(sign):x};", *([f"&{named};", f"&amp;{named};"] if named else [])]
    if draw.random() < 0.2:
        return whole(f"{letters[:3]}&shy;{letters[3:]}", letters)
    return whole(
        letters[:at] + draw.choice(forms) + letters[at + 1 :], letters[:at] + sign + letters[at + 1 :]
    )


def short_reference(draw: random.Random) -> Planted:
    """L&uumlbeck, L&#252beck, L&#38;uuml;beck, L&UUML;BECK."""
    letters = name(draw)
    at = draw.choice([place for place, letter in enumerate(letters) if letter in "aeoun"] or [0])
    sign = ACCENTED.get(letters[at], letters[at])
    named = codepoint2name.get(ord(sign))
    forms = [f"&#{ord(sign)}", f"&#38;#{ord(sign)};", *([f"&{named}", f"&#x26;{named};"] if named else [])]
    quote = letters[:at] + sign + letters[at + 1 :]
    if named and draw.random() < 0.2:
        return whole(f"{letters[:at]}&{named};{letters[at + 1 :]}".upper(), quote.upper())
    return whole(letters[:at] + draw.choice(forms) + letters[at + 1 :], quote)


def unseen(draw: random.Random) -> Planted:
    """Hamburg with a character in it that no reader sees."""
    letters = name(draw)
    at = draw.randint(1, len(letters) - 1)
    return whole(
        letters[:at] + draw.choice("\u00ad\u200b\u200d\u2060\ufeff\u034f\u3164\u180b") + letters[at:], letters
    )


def other_script(draw: random.Random) -> Planted:
    """HANSA with letters of another alphabet."""
    letters = name(draw).upper()
    table = draw.choice([CYRILLIC, GREEK])
    return whole("".join(each.translate(table) if draw.random() < 0.6 else each for each in letters), letters)


def stretched(draw: random.Random) -> Planted:
    """An Arabic word with tatweel."""
    letters = "".join(draw.choices(ARABIC, k=draw.randint(4, 8)))
    at = draw.randint(1, len(letters) - 1)
    return whole(letters[:at] + "\u0640" * draw.randint(1, 4) + letters[at:], letters)


def broken_line(draw: random.Random) -> Planted:
    """Ham¬, and burg on the next line."""
    letters = name(draw)
    at = draw.randint(2, len(letters) - 2)
    return whole(f"{letters[:at]}{draw.choice(LINE_END_SIGNS)}\n{letters[at:]}", letters)


def inflected(draw: random.Random) -> Planted:
    """Another case of the name than the quote has."""
    ending = draw.choice(list(STEMS))
    stem = name(draw) if ending.isascii() else "Новоград" + draw.choice(["ов", "ин", "ен"])
    stem += draw.choice(SYLLABLES) if ending.isascii() else "".join(draw.choices("бвгдзклмнпрст", k=2))
    forms = [stem + ending, stem + draw.choice(STEMS[ending])]
    draw.shuffle(forms)
    return whole(*forms)


def invented(draw: random.Random) -> Planted:
    """A name that is not there."""
    return Planted(name(draw), f"{name(draw)} {name(draw)}", None)


KINDS: Sequence[Planter] = (
    behind_letters, before_letters, between_letters, register_line, several_glued, word_and_number,
    part_of_code, other_code, part_of_decimal, lost_letter, several_lost, lost_ligature, reference,
    short_reference, other_script, stretched, unseen, broken_line, inflected, invented,
)  # fmt: skip


def page(plant: Planter, draw: random.Random) -> tuple[str, list[tuple[str, tuple[int, int] | None]]]:
    """A page with some planted places, and the quotes of it with their true spans."""
    text = "Register of the year. "
    quotes: list[tuple[str, tuple[int, int] | None]] = []
    for _ in range(QUOTES):
        planted = plant(draw)
        span = planted.span and (len(text) + planted.span[0], len(text) + planted.span[1])
        quotes.append((planted.quote, span))
        text += f"{planted.written} {' '.join(draw.choices(FILLER, k=6))}\n"
    return text, quotes


def right(plant: Planter, seed: int) -> tuple[int, int]:
    """How many quotes are placed right, and how many there are.

    An inflected name may be marked with its ending or without; a quote that stands there twice is left out.
    """
    draw = random.Random(f"{plant.__name__} {seed}")
    good = total = 0
    for index in range(PAGES):
        text, quotes = page(plant, draw)
        if index % 2:
            draw.shuffle(quotes)
        spans = predict(text, [{"label": "NAME", "text": quote} for quote, _ in quotes])
        for (quote, truth), span in zip(quotes, spans, strict=True):
            total += 1
            good += span == truth or (
                plant is inflected
                and span is not None
                and span[0] == (truth or span)[0]
                and text[slice(*span)] == quote
            )
    return good, total


def print_planted() -> None:
    """Prints one line a kind."""
    print(f"\n{'planted on invented pages':32}{'quotes':>8}{'right':>9}")
    for plant in KINDS:
        good, total = right(plant, SEED)
        example = (plant.__doc__ or "").partition(".")[0]
        print(f"{plant.__name__.replace('_', ' '):32}{total:8}{good / total:9.4f}   {example}")
