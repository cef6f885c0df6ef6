"""What language models do to the text they quote, at set rates and the same in every run.

Words broken over two lines are joined and every run of blanks becomes one, always; OCR errors
are repaired, and answers left out, repeated, shortened, mislabelled or invented, now and then.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import regex

from preannotation_assets.simulator.chance import choose, fraction
from preannotation_assets.simulator.entities import EntityKind, Mention
from preannotation_assets.simulator.settings import HabitRates
from preannotation_assets.simulator.vocabulary import INVENTED

__all__ = ["Answer", "apply_habits", "join_broken_words"]

RIGHT = 1.0
REPAIRED = 0.7
SHORTENED = 0.35
MISLABELLED = 0.25
INVENTED_QUALITY = 0.1
DOUBTED = 0.5

_HYPHEN_BREAK = regex.compile(r"(?<=\p{L})[-¬\u00ad\u2010][ \t]*\r?\n[ \t]*(?=\p{Ll})")
_MARK_BEFORE = regex.compile(r'(?:\S+[ ])?"[ ]?$')
_MARK_BEHIND = regex.compile(r'[ ]?"')
_LONGEST_BEFORE = 24
_SOFT_HYPHEN = regex.compile("\u00ad")
_REPAIRS: tuple[tuple["regex.Pattern[str]", str], ...] = (
    (regex.compile(r"(?<=\p{L})rn(?=\p{Ll}|\b)"), "m"),
    (regex.compile(r"(?<=\p{Lu})RN(?=\b)"), "M"),
    (regex.compile(r"(?<=\p{Lu})0|0(?=\p{Lu})"), "O"),
    (regex.compile(r"(?<=\p{Ll})1|1(?=\p{Ll})"), "l"),
    (regex.compile(r"(?<=\d)[Oo](?=\d|\b)"), "0"),
    (regex.compile(r"(?<=\d)[lI](?=\d|\b)"), "1"),
    (regex.compile("\u017f"), "s"),
    (regex.compile(r"(?<=\p{L})ii(?=\p{L})"), "n"),
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model says: a kind of entity and a quote.

    ``quality`` is 1 where it is right and lower where a habit has changed it, unless it is misjudged.
    ``digit``, 0 to 9, is how sure the model says it is, where the schema has room for that.
    """

    kind: EntityKind
    text: str
    quality: float
    digit: int = 9


def join_broken_words(text: str) -> str:
    """The text as a model reads it: words that a hyphen breaks over two lines in one piece."""
    return str(_SOFT_HYPHEN.sub("", _HYPHEN_BREAK.sub("", text)))


def apply_habits(mentions: Sequence[Mention], document: str, rates: HabitRates, seed: int) -> list[Answer]:
    """The answers to ``document``, in reading order, as a model with these habits gives them."""
    return [
        _misjudged(answer) if fraction(seed, document, number, "misjudge") < rates.misjudge else answer
        for number, mention in enumerate(mentions)
        for answer in _answers(mention, document, rates, (seed, document, number))
    ]


def _misjudged(answer: Answer) -> Answer:
    """The same answer with the quality of a wrong one if it is right, and of a right one if it is not."""
    return replace(answer, quality=DOUBTED if answer.quality == RIGHT else RIGHT)


def _answers(
    mention: Mention, document: str, rates: HabitRates, source: tuple[object, ...]
) -> Iterator[Answer]:
    chance = fraction(*source, "habit")
    is_verbatim = fraction(*source, "verbatim") < rates.verbatim
    text = _as_it_stands(mention, document) if is_verbatim else " ".join(mention.text.split())
    habits = {
        "omit": rates.omit,
        "repeat": rates.repeat,
        "shorten": rates.shorten,
        "mislabel": rates.mislabel,
    }
    for name, rate in habits.items():
        if chance < rate:
            yield from _changed(name, mention.kind, text, source)
            break
        chance -= rate
    else:
        yield _repaired(mention.kind, text, rates.repair, source)
    if fraction(*source, "invent") < rates.invent:
        yield from _invented(mention.kind, document, source)


def _as_it_stands(mention: Mention, document: str) -> str:
    """The quote with its line breaks; where it stands in quotation marks, with them and the word before."""
    start = max(mention.start - _LONGEST_BEFORE, 0)
    before = _MARK_BEFORE.search(document, start, mention.start)
    behind = _MARK_BEHIND.match(document, mention.end)
    if before is None or behind is None:
        return mention.text
    return document[before.start() : behind.end()]


def _changed(name: str, kind: EntityKind, text: str, source: tuple[object, ...]) -> Iterator[Answer]:
    if name == "repeat":
        yield Answer(kind, text, RIGHT)
        yield Answer(kind, text, REPAIRED)
    elif name == "shorten":
        start = text.rpartition(" ")[0]
        yield Answer(kind, start, SHORTENED) if start else Answer(kind, text, RIGHT)
    elif name == "mislabel":
        others = [other for other in EntityKind if other is not kind]
        yield Answer(choose(others, *source, "label"), text, MISLABELLED)


def _repaired(kind: EntityKind, text: str, rate: float, source: tuple[object, ...]) -> Answer:
    repaired = text
    for pattern, replacement in _REPAIRS:
        repaired = str(pattern.sub(replacement, repaired))
    if repaired == text or fraction(*source, "repair") >= rate:
        return Answer(kind, text, RIGHT)
    return Answer(kind, repaired, REPAIRED)


def _invented(kind: EntityKind, document: str, source: tuple[object, ...]) -> Iterator[Answer]:
    names = [name for name in INVENTED[kind] if name not in document]
    if names:
        yield Answer(kind, choose(names, *source, "name"), INVENTED_QUALITY)
