"""Pages as long as a chunk whose quotes take more work to search for than grounding may spend on them."""

from collections.abc import Mapping
from typing import Final

__all__ = ["COSTLY_PAGES"]


def _misspelled(text: str, times: int) -> list[str]:
    """Copies of a text, each with two other letters somewhere else."""
    copies: list[str] = []
    for number in range(1, times + 1):
        letters = list(text)
        letters[7 * number % len(text)] = "z"
        letters[(13 * number + 3) % len(text)] = "x"
        copies.append("".join(letters))
    return copies


COSTLY_PAGES: Final[Mapping[str, tuple[str, list[str]]]] = {
    "ship, 10 long": ("ship " * 4_800, _misspelled("ship " * 60, 10)),
    "ship, 200 short": ("ship " * 4_800, _misspelled("ship " * 12, 200)),
    "zeros, 10 long": ("0 " * 12_000, [f"{'O 0 ' * 70}{'O' * number}" for number in range(10)]),
    "zeros, 299 forms": ("0 " * 12_000, [f"{'0 ' * number}O" for number in range(1, 300)]),
    "look-alikes": ("il1 " * 6_000, [f"{'1l' * number}i" for number in range(1, 100)]),
    "one letter": ("a" * 24_000, ["a" * 12_000, "a" * 6_000]),
    "one-letter words": ("a " * 12_000, ["a " * 3_000, f"{'a ' * 1_500}b"]),
    "a suffix of spaces": ("0)" * 12_000, [f"0){' ' * 8_000})"]),
    "numbers in one word": ("1x" * 12_000, ["1x" * number for number in range(1, 150)]),
    "lost in every word": ("G\ufffdte\ufffdorg " * 2_666, _misspelled("Göteborg " * 60, 20)),
    "without spaces": ("港" * 6_000, ["港" * number + "船" for number in (5, 13, 50, 200, 800)]),
}
"""A page and its quotes, by what it is made of."""
