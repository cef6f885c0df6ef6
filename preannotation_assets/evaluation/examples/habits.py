"""What an OCR engine and the print do to a span, as the way from the model's quote to the page shows it."""

import re
import unicodedata
from collections.abc import Iterator
from enum import StrEnum
from typing import Final

from rapidfuzz.distance import Levenshtein

from preannotation_assets.extraction.grounding.lookalikes import LOOKALIKE_GROUPS, LOOKALIKES
from preannotation_assets.extraction.line_ends import break_class, sign_class

__all__ = ["OcrHabit", "habits_of", "habits_of_lines"]

_BROKEN_WORD: Final = re.compile(rf"[{sign_class()}]\s*?[{break_class()}]\s*")
_BLANKS: Final = re.compile(r"\s+")


class OcrHabit(StrEnum):
    """A way in which a span is printed or read other than a reader would write it."""

    # A word is broken at a line end, with its sign.
    BROKEN_WORD = "broken_word"
    # It goes on in the next line.
    LINE_BREAK = "line_break"
    # Case, accents, punctuation or blanks are others.
    MARKS = "marks"
    LOOKALIKE = "lookalike"
    LOST_LETTER = "lost_letter"
    OTHER_LETTERS = "other_letters"


def habits_of_lines(written: str) -> Iterator[OcrHabit]:
    """What can be told from the page's text alone."""
    without = _BROKEN_WORD.sub("", written)
    if without != written:
        yield OcrHabit.BROKEN_WORD
    if "\n" in without:
        yield OcrHabit.LINE_BREAK


def habits_of(quote: str, written: str) -> Iterator[OcrHabit]:
    """What grounding had to look past between a quote and the text where it was found, line ends apart."""
    quoted, found = _in_one_line(quote), _in_one_line(written)
    if quoted == found:
        return
    letters, others = _letters(quoted), _letters(found)
    if letters == others:
        yield OcrHabit.MARKS
    for one, other in _differences(letters, others):
        if _are_lookalikes(one, other):
            yield OcrHabit.LOOKALIKE
        else:
            yield OcrHabit.LOST_LETTER if len(other) < len(one) else OcrHabit.OTHER_LETTERS


def _in_one_line(text: str) -> str:
    return _BLANKS.sub(" ", _BROKEN_WORD.sub("", text)).strip()


def _letters(text: str) -> str:
    """Letters and digits alone, without accents and case."""
    return "".join(letter for letter in unicodedata.normalize("NFKD", text.casefold()) if letter.isalnum())


def _differences(one: str, other: str) -> Iterator[tuple[str, str]]:
    """The stretches in which the two differ."""
    first: tuple[int, int] | None = None
    for step in [*Levenshtein.opcodes(one, other)]:
        if step.tag == "equal":
            if first is not None:
                yield one[first[0] : step.src_start], other[first[1] : step.dest_start]
            first = None
        elif first is None:
            first = step.src_start, step.dest_start
    if first is not None:
        yield one[first[0] :], other[first[1] :]


def _are_lookalikes(one: str, other: str) -> bool:
    if other in LOOKALIKE_GROUPS.get(one, ()):
        return True
    return len(one) == len(other) and all(
        right in LOOKALIKES.get(left, "") for left, right in zip(one, other, strict=True)
    )
