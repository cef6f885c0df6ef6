"""A page's words and their shapes as numbers of a fixed length, of which no word can be read back.

Features go to columns by their hash (Weinberger et al., 2009: feature hashing), so no vocabulary is made.
"""

import re
import zlib
from collections import Counter
from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = ["COLUMNS", "count_letters", "hashed_words"]

COLUMNS: Final = 512
_MARKS: Final = ".,;:!?()[]{}<>\"'"
_SIGN_BIT: Final = 31
_RUN_OF_LETTERS: Final = re.compile(r"([Xx])\1+")


class _Shapes(dict[int, str]):
    """X for a capital, x for another letter, 9 for a digit; all else stands for itself."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        shape = character
        if character.isalpha():
            shape = "X" if character.isupper() else "x"
        elif character.isdigit():
            shape = "9"
        self[code] = shape
        return shape


def hashed_words(text: str) -> npt.NDArray[np.float32]:
    """How often words, their shapes, and each two neighbouring shapes occur; a vector of length 1, or 0.

    Counts go in by their logarithm. A sign from the hash keeps features that meet in a column from adding up.
    """
    values = np.zeros(COLUMNS, np.float32)
    for feature, count in Counter(_features(text)).items():
        digest = zlib.crc32(feature.encode("utf-8", "surrogatepass"))
        weight = np.log1p(count)
        values[digest % COLUMNS] += weight if digest >> _SIGN_BIT else -weight
    length = np.linalg.norm(values)
    return values / length if length else values


def _features(text: str) -> Iterator[str]:
    before = ""
    # One character for one, so that words and shapes are told apart alike; those of capitals are not changed.
    for word, form in zip(text.split(), text.translate(_Shapes()).split(), strict=True):
        shape = _RUN_OF_LETTERS.sub(r"\1\1", form.strip(_MARKS))
        yield f"word {word.strip(_MARKS).casefold()}"
        yield f"shape {shape}"
        yield f"shapes {before} {shape}"
        before = shape


def count_letters(text: str) -> int:
    """How many letters a page has, of any script."""
    return sum(map(str.isalpha, text))
