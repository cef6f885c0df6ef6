"""The digits by which the stand-in rates its own answers, as it is asked to by some schemas."""

from collections.abc import Sequence
from dataclasses import replace

from preannotation_assets.simulator.certainty import stated_probability
from preannotation_assets.simulator.chance import fraction
from preannotation_assets.simulator.habits import Answer

__all__ = ["rate_answers"]


def rate_answers(answers: Sequence[Answer], seed: int, has_signal: bool) -> list[Answer]:
    """The answers with their digits: the tenth that the stated probability lies in.

    ``has_signal`` says whether wrong answers get lower ones.
    """
    return [
        replace(
            answer, digit=_digit(answer.quality, fraction(seed, "digit", number, answer.text), has_signal)
        )
        for number, answer in enumerate(answers)
    ]


def _digit(quality: float, chance: float, has_signal: bool) -> int:
    return min(9, int(10 * stated_probability(quality, chance, has_signal)))
