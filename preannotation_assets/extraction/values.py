"""The rules a label's values must satisfy: patterns and check digits, as the label scheme says.

What is judged is the text of the page, never the model's quote, and nothing is corrected: a value is
valid, invalid, or not judged (no rule, or a pattern that ran out of time).
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Final

import regex

__all__ = [
    "DEFAULT_LOWER_FACTOR",
    "LONGEST_PATTERN",
    "OnInvalid",
    "ValueCheck",
    "ValueRule",
    "Verdict",
    "has_imo_check_digit",
    "judge",
    "match_seconds",
    "pattern_doubt",
    "pattern_fault",
]

DEFAULT_LOWER_FACTOR: Final = 0.5
"""What the confidence of an invalid value is multiplied by where the scheme names no factor."""

LONGEST_PATTERN: Final = 500
"""The longest pattern, in characters."""

# A pattern that takes longer for one value (CPU seconds) is given up; ordinary ones take microseconds, and
# get a hundred times that however many values there are.
_LONGEST_MATCH: Final = 0.05
_SHORTEST_LIMIT: Final = 0.001
# What the patterns of all values of one page, each matched with two readings, may take together.
_LONGEST_PAGE: Final = 2.0
_READINGS: Final = 2
# A repeat is unrolled when the pattern is compiled: nested large ones would take all memory.
_MOST_REPEATS: Final = 10_000
_REPEAT: Final = re.compile(r"(?P<nested>[)}+?*]\s*)?\{(?:(\d+)(?:,(\d*))?|,(\d+))\}")
# The regex module's approximate matching: at most so many errors, insertions, deletions or substitutions.
_FUZZY: Final = re.compile(r"\{[^{}]{0,40}[eids]\s{0,4}<")
# Texts of the longest quote's length on which a pattern that backtracks without end shows itself.
_LONG_VALUE: Final = 300
_PROBES: Final = tuple(
    unit * (_LONG_VALUE // len(unit)) + "!" for unit in ("a", "A", "1", " ", "A1", "a ", "1.", "a-")
)

# The groups of look-alikes that the grounding holds for close, one digit for each letter.
_LOOKALIKE_DIGITS: Final = str.maketrans("OoIil|ZzSsbGBgq", "001111225566899")
_LINE_END_HYPHEN: Final = re.compile(r"[-\u00ad\u2010]\s*\n\s*")
_INVISIBLE: Final = re.compile(r"[\u00ad\u200b-\u200f\u2060\ufeff]")
_IMO_NUMBER: Final = re.compile(r"[0-9]{7}")
_IMO_WEIGHTS: Final = range(7, 1, -1)


class ValueCheck(StrEnum):
    """A check that no pattern can express."""

    IMO_CHECK_DIGIT = "imo_check_digit"


class OnInvalid(StrEnum):
    """What becomes of a suggestion whose value is invalid."""

    REJECT = "reject"
    LOWER = "lower"


class Verdict(StrEnum):
    """Whether a value satisfies the rule of its label."""

    VALID = "valid"
    INVALID = "invalid"


@dataclass(frozen=True, slots=True)
class ValueRule:
    """What the values of a label must satisfy: the pattern and the check, where there is one.

    ``lower_factor`` in [0, 1] is what the confidence of an invalid value is multiplied by where
    ``on_invalid`` is LOWER.
    """

    pattern: str | None
    check: ValueCheck | None
    on_invalid: OnInvalid
    lower_factor: float

    def adjusted(self, confidence: float | None, verdict: Verdict | None) -> float | None:
        """The confidence in a value with that verdict; an unknown one stays unknown."""
        if confidence is None or verdict is not Verdict.INVALID or self.on_invalid is OnInvalid.REJECT:
            return confidence
        return confidence * self.lower_factor


def match_seconds(values: int) -> float:
    """The CPU seconds that one match may take where so many values are judged.

    All of them take 2 s at most, or 2 ms each where there are more than 1,000.
    """
    share = _LONGEST_PAGE / (_READINGS * max(1, values))
    return min(_LONGEST_MATCH, max(_SHORTEST_LIMIT, share))


def judge(rule: ValueRule | None, value: str, seconds: float = _LONGEST_MATCH) -> Verdict | None:
    """Whether a value, as the page has it, satisfies a rule; ``seconds`` is the limit of one match.

    Invisible characters and line-end hyphens are left out, then the value is read in two ways: with
    every run of white space as one blank, and without any. A pattern must match one of them from end to
    end; a check sees the one without.

    Returns:
        None where there is no rule, or the pattern ran out of time and nothing else is wrong.
    """
    if rule is None:
        return None
    spaced = " ".join(_INVISIBLE.sub("", _LINE_END_HYPHEN.sub("", value)).split())
    solid = spaced.replace(" ", "")
    if rule.check is not None and not _CHECKS[rule.check](solid):
        return Verdict.INVALID
    if rule.pattern is None:
        return Verdict.VALID
    try:
        pattern = regex.compile(rule.pattern)
        matches = any(pattern.fullmatch(reading, timeout=seconds) for reading in (spaced, solid))
    except TimeoutError:
        return None
    return Verdict.VALID if matches else Verdict.INVALID


def has_imo_check_digit(value: str) -> bool:
    """Whether a value is seven digits of which the last is right, as in an IMO ship number.

    The first six digits are multiplied by 7, 6, 5, 4, 3 and 2; the last digit of the sum is the seventh
    (IMO Ship Identification Number Scheme, resolution A.1117(30)). A letter that OCR takes for a digit
    (O for 0, l for 1) is read as that digit: the span is right although the letter is not.
    """
    digits = value.translate(_LOOKALIKE_DIGITS)
    if not _IMO_NUMBER.fullmatch(digits):
        return False
    weighted = sum(int(digit) * weight for digit, weight in zip(digits[:-1], _IMO_WEIGHTS, strict=True))
    return weighted % 10 == int(digits[-1])


_CHECKS: Final[Mapping[ValueCheck, Callable[[str], bool]]] = {ValueCheck.IMO_CHECK_DIGIT: has_imo_check_digit}


def pattern_fault(pattern: str) -> str | None:
    """What is wrong with a pattern, in a few words without the pattern; None where nothing is."""
    if _repeats(pattern) > _MOST_REPEATS:
        return f"repeats something more than {_MOST_REPEATS} times"
    try:
        compiled = regex.compile(pattern)
    except (regex.error, ValueError) as error:
        return f"is no regular expression (character {getattr(error, 'pos', None) or 0})"
    return "takes too long on some texts" if _is_slow(compiled, _PROBES) else None


def pattern_doubt(pattern: str) -> str | None:
    """What a pattern without fault is likely to suffer from, in a few words; None where nothing is known.

    It is tried on texts of its own characters, and fuzzy counts such as ``{e<=3}`` are doubted as they are.
    """
    if _FUZZY.search(pattern):
        return "a fuzzy count may take all of its time on any value"
    own = [character for character in dict.fromkeys(pattern) if character.isprintable()]
    runs = [unit * (_LONG_VALUE // len(unit)) for unit in (*own, *map("".join, pairwise(own)))]
    ends = ["\0", *(f"{character}\0" for character in own if not character.isalnum())]
    if _is_slow(regex.compile(pattern), [run + end for run in runs for end in ends]):
        return "takes too long on texts of its own characters"
    return None


def _is_slow(compiled: "regex.Pattern[str]", texts: Sequence[str]) -> bool:
    try:
        for text in texts:
            compiled.fullmatch(text, timeout=_LONGEST_MATCH)
    except TimeoutError:
        return True
    return False


def _repeats(pattern: str) -> int:
    """How often an element may be repeated, at most: the counts after groups are taken as nested."""
    nested, largest = 1, 1
    for found in _REPEAT.finditer(pattern):
        count = max(int(digits[:9]) for digits in found.group(2, 3, 4) if digits)
        if found["nested"]:
            nested *= max(1, count)
        else:
            largest = max(largest, count)
    return nested * largest
