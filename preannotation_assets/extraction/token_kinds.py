"""The kinds of characters that tokenizers differ by, and how much more or less each costs than in Llama 3."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Self

__all__ = ["LLAMA_3", "MAX_FACTOR", "MIN_FACTOR", "KindFactors", "TokenKind"]

# Of a factor: prose of every script was above the first with every tokenizer it was measured with; above
# the second it is no estimate of this model any more.
MIN_FACTOR: Final = 0.4
MAX_FACTOR: Final = 4.0


class TokenKind(StrEnum):
    """A kind of character; the value is its name in manifests.

    ``WORDS`` are the first letters of Latin words, ``LETTERS`` the others, ``CAPITALS`` those of the others
    that follow a capital. ``DIGITS`` are all but the first digit of a number. ``RUNS`` are the third and
    later of equal signs in a row, ``BREAKS`` all other white space. ``IDEOGRAPHS`` are Chinese characters
    with their punctuation, ``KANA`` Japanese syllables, ``WIDTHS`` the ideographic space and half-width kana.
    ``ARABIC_DIGITS``, ``DEVANAGARI_DIGITS`` and ``THAI_DIGITS`` are all digits of these scripts, Persian ones
    with the first; those of other scripts are of their script.
    ``SIGNS`` are dashes, quotation marks and symbols outside of ASCII, ``ACCENTS`` combining marks and Latin
    letters beyond U+017F, as Vietnamese has them. ``OTHER_SCRIPTS`` are all others together.
    """

    WORDS = "words"
    LETTERS = "letters"
    CAPITALS = "capitals"
    FIRST_DIGITS = "first_digits"
    DIGITS = "digits"
    PUNCTUATION = "punctuation"
    RUNS = "runs"
    BREAKS = "breaks"
    GREEK = "greek"
    CYRILLIC = "cyrillic"
    IDEOGRAPHS = "ideographs"
    KANA = "kana"
    WIDTHS = "widths"
    KOREAN = "korean"
    ARABIC = "arabic"
    ARABIC_DIGITS = "arabic_digits"
    HEBREW = "hebrew"
    DEVANAGARI = "devanagari"
    DEVANAGARI_DIGITS = "devanagari_digits"
    THAI = "thai"
    THAI_DIGITS = "thai_digits"
    ACCENTS = "accents"
    SIGNS = "signs"
    OTHER_SCRIPTS = "other_scripts"


# Kinds that were of another one once. Where a manifest does not name them, they have that one's factor, so
# that a batch that was cut with it keeps its borders.
_ONCE_OF: Final[Mapping[TokenKind, TokenKind]] = {
    TokenKind.KANA: TokenKind.IDEOGRAPHS,
    TokenKind.WIDTHS: TokenKind.OTHER_SCRIPTS,
    TokenKind.ARABIC: TokenKind.OTHER_SCRIPTS,
    TokenKind.ARABIC_DIGITS: TokenKind.ARABIC,
    TokenKind.HEBREW: TokenKind.OTHER_SCRIPTS,
    TokenKind.DEVANAGARI: TokenKind.OTHER_SCRIPTS,
    TokenKind.DEVANAGARI_DIGITS: TokenKind.DEVANAGARI,
    TokenKind.THAI: TokenKind.OTHER_SCRIPTS,
    TokenKind.THAI_DIGITS: TokenKind.THAI,
    TokenKind.ACCENTS: TokenKind.OTHER_SCRIPTS,
}


@dataclass(frozen=True, slots=True)
class KindFactors:
    """What the estimate of each kind is multiplied by, in the order of ``TokenKind``.

    Raises:
        ValueError: there is not one factor a kind, or one is not between ``MIN_FACTOR`` and ``MAX_FACTOR``.
    """

    factors: tuple[float, ...] = (1.0,) * len(TokenKind)

    def __post_init__(self) -> None:
        """Refuses what would be no estimate."""
        if len(self.factors) != len(TokenKind):
            raise ValueError(f"{len(TokenKind)} factors are needed, not {len(self.factors)}")
        for kind, factor in zip(TokenKind, self.factors, strict=True):
            if not MIN_FACTOR <= factor <= MAX_FACTOR:
                raise ValueError(
                    f"the factor of {kind} must be from {MIN_FACTOR} to {MAX_FACTOR}, not {factor}"
                )

    @classmethod
    def by_name(cls, factors: Mapping[str, float]) -> Self:
        """The factors as a manifest has them.

        A kind that it does not name has that of the kind it was once of, or else 1.

        Raises:
            ValueError: a factor is out of its range.
        """
        return cls(tuple(factors.get(kind, _unnamed(kind, factors)) for kind in TokenKind))

    @classmethod
    def dearest(cls, of_each: Iterable[Self]) -> Self:
        """The highest factor of each kind."""
        return cls(tuple(map(max, zip(*(one.factors for one in of_each), strict=True))))

    def named(self) -> dict[str, float]:
        """As a manifest has them: without those that ``by_name`` gives kinds that are not named."""
        factors = {kind.value: factor for kind, factor in zip(TokenKind, self.factors, strict=True)}
        return {kind: factor for kind, factor in factors.items() if factor != _unnamed(kind, factors)}


def _unnamed(kind: str, factors: Mapping[str, float]) -> float:
    once = _ONCE_OF.get(TokenKind(kind))
    if once is None:
        return 1.0
    return factors[once] if once in factors else _unnamed(once, factors)


LLAMA_3: Final = KindFactors()
"""As Llama 3 counts: every factor is 1."""
