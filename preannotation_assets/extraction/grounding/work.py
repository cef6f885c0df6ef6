"""How much work the quotes of one text may cost.

Work is counted, not timed, so that the same quotes are found on every machine. A *step* is about a
microsecond of CPU; what an operation costs in steps was measured, and is rounded up.
"""

from typing import Final

__all__ = ["ChunkWork", "Work", "WorkSpentError"]

# Ordinary pages need some 50 steps a quote: a hundredth of this and less.
_EXACT_OF_CHUNK: Final = 200_000
_EXACT_OF_QUOTE: Final = 100_000
_REPAIRS_OF_CHUNK: Final = 400_000
_REPAIRS_OF_QUOTE: Final = 60_000
_ASSIGNMENT: Final = 100_000


class WorkSpentError(Exception):
    """There is no work left for what was being searched."""


class Work:
    """Steps that may be spent: in all, and on one quote.

    Args:
        in_all: how many there are.
        a_quote: how many of them one quote may cost, all of them if not said.
    """

    def __init__(self, in_all: int, a_quote: int | None = None) -> None:
        self._in_all = in_all
        self._a_quote = in_all if a_quote is None else a_quote
        self._spent = 0.0
        self._limit = 0.0
        self.begin_quote()

    @property
    def spent(self) -> float:
        """The steps spent so far."""
        return self._spent

    def begin_quote(self) -> None:
        """Says that what is spent from now on is for another quote."""
        limit = self._spent + self._a_quote
        self._limit = limit if limit < self._in_all else self._in_all

    def spend(self, steps: float) -> None:
        """Spends steps on what is about to be done.

        Raises:
            WorkSpentError: there are fewer left, for this quote or in all.
        """
        spent = self._spent + steps
        if spent > self._limit:
            raise WorkSpentError
        self._spent = spent


class ChunkWork:
    """The work for all quotes of one text.

    What is quoted letter by letter has work of its own, so that quotes that need repairs never take it.
    """

    def __init__(self) -> None:
        self.exact = Work(_EXACT_OF_CHUNK, _EXACT_OF_QUOTE)
        self.repairs = Work(_REPAIRS_OF_CHUNK, _REPAIRS_OF_QUOTE)
        self.assignment = Work(_ASSIGNMENT)

    @property
    def spent(self) -> float:
        """The steps spent so far."""
        return self.exact.spent + self.repairs.spent + self.assignment.spent
