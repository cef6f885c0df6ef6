"""Which made-up answers are likely the same name as what was found for them, in another spelling.

Names of other pages are put to a page to see whether they are found there though they are not on it. Some
are: as "Lonbon" on the one page and "London" on the other. Which ones, no price of ours decides, but how
often words are written. A word that only one page of its language has, and that one letter more, less or
another turns into a word of four letters or more that three pages have, is that word, misspelled. Two texts
are one name if their words are the same ones, or the misspelling of the same ones.

It is a rule of thumb, wrong both ways: Hermann and Herman are two names, Great Britian and Great Dritian one.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final

from rapidfuzz.distance import Levenshtein

from preannotation_assets.extraction.grounding.folding import FOLD_TABLE

__all__ = ["Spellings"]

COMMON: Final = 3
FEWEST_LETTERS: Final = 4


class Spellings:
    """On how many pages of a language each of its words is."""

    def __init__(self, pages: Sequence[Mapping[str, Any]]) -> None:
        self._pages: dict[tuple[str, str], int] = defaultdict(int)
        for page in pages:
            for word in set(self._words(page["text"])):
                self._pages[page["lang"], word] += 1

    def are_one_name(self, language: str, one: str, other: str) -> bool:
        """Whether two texts have the same words but for misspellings."""
        words, others = self._words(one), self._words(other)
        return len(words) == len(others) and all(
            self._meanings(language, word) & self._meanings(language, another)
            for word, another in zip(words, others, strict=True)
        )

    def _words(self, text: str) -> list[str]:
        return text.translate(FOLD_TABLE).split()

    def _meanings(self, language: str, word: str) -> set[str]:
        if len(word) < FEWEST_LETTERS or self._pages.get((language, word), 0) > 1:
            return {word}
        return {word} | {
            common
            for (spoken, common), count in self._pages.items()
            if spoken == language
            and count >= COMMON
            and len(common) >= FEWEST_LETTERS
            and Levenshtein.distance(word, common, score_cutoff=1) <= 1
        }
