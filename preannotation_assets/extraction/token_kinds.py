"""The kinds of characters that tokenizers differ by, and how much more or less each costs than in Llama 3."""

from collections.abc import Mapping
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
    later of equal signs in a row, ``BREAKS`` all other white space. ``IDEOGRAPHS`` are Chinese and Japanese,
    ``SIGNS`` dashes, quotation marks and symbols outside of ASCII.
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
    KOREAN = "korean"
    SIGNS = "signs"
    OTHER_SCRIPTS = "other_scripts"


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
        """The factors as a manifest has them: a kind that it does not name has 1.

        Raises:
            ValueError: a factor is out of its range.
        """
        return cls(tuple(factors.get(kind, 1.0) for kind in TokenKind))

    def named(self) -> dict[str, float]:
        """As a manifest has them: without those of 1."""
        factors = zip(TokenKind, self.factors, strict=True)
        return {kind.value: factor for kind, factor in factors if factor != 1.0}


LLAMA_3: Final = KindFactors()
"""As Llama 3 counts: every factor is 1."""
