"""The rules a label's values must satisfy: patterns and check digits, as the label scheme says.

What is judged is the text of the page, never the model's quote, and nothing is corrected: a value is
valid, invalid, or not judged (no rule, or a pattern that ran out of time).
"""

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Final

import regex

from preannotation_assets.extraction.character_references import without_references
from preannotation_assets.extraction.invisible import without_invisible
from preannotation_assets.extraction.line_ends import break_class, sign_class

__all__ = [
    "DEFAULT_LOWER_FACTOR",
    "LONGEST_PATTERN",
    "OnInvalid",
    "ValueCheck",
    "ValueRule",
    "Verdict",
    "has_imo_check_digit",
    "has_imo_company_check_digit",
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
# What the patterns of all values of one page, each matched with so many readings, may take together.
_LONGEST_PAGE: Final = 2.0
_READINGS: Final = 8
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

# The groups of look-alikes that the grounding holds for close, one digit for each letter, in any script.
_LOOKALIKE_DIGITS: Final = str.maketrans("OoIil|ZzSsbGBgqОоΟοІіΙιЅВΒЗзбЧч", "0011112255668990000111158833644")  # noqa: RUF001
_LINE_END_SIGN: Final = re.compile(rf"([{sign_class()}])\s*[{break_class()}]\s*")
_IMO_NUMBER: Final = re.compile(r"(?!0{7})[0-9]{7}")
_IMO_WEIGHTS: Final = range(7, 1, -1)
_COMPANY_WEIGHTS: Final = (8, 6, 4, 2, 9, 7)
_COMPANY_MODULUS: Final = 11


class ValueCheck(StrEnum):
    """A check that no pattern can express."""

    IMO_CHECK_DIGIT = "imo_check_digit"
    IMO_COMPANY_CHECK_DIGIT = "imo_company_check_digit"


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

    All of them take 2 s at most, or 8 ms each where there are more than 250.
    """
    share = _LONGEST_PAGE / (_READINGS * max(1, values))
    return min(_LONGEST_MATCH, max(_SHORTEST_LIMIT, share))


def judge(rule: ValueRule | None, value: str, seconds: float = _LONGEST_MATCH) -> Verdict | None:
    """Whether a value, as the page has it, satisfies a rule; ``seconds`` is the limit of one match.

    Character references are resolved, invisible characters and tatweel are left out, and digits of other
    scripts are read as 0 to 9. A value may be read
    in several ways: with every run of white space as one blank, or without any; with the sign of a word
    broken at a line end, or without it; with its digits as they are written. A pattern must match one of
    them from end to end; a check sees the digits without blanks and signs.

    Returns:
        None where there is no rule, or the pattern ran out of time and nothing else is wrong.
    """
    if rule is None:
        return None
    readings = _readings(value)
    if rule.check is not None and not _CHECKS[rule.check](readings[0]):
        return Verdict.INVALID
    if rule.pattern is None:
        return Verdict.VALID
    try:
        pattern = regex.compile(rule.pattern)
        matches = any(pattern.fullmatch(reading, timeout=seconds) for reading in readings)
    except TimeoutError:
        return None
    return Verdict.VALID if matches else Verdict.INVALID


def _readings(value: str) -> tuple[str, ...]:
    """The ways to read a value, each once; first the one in plain digits without blanks and signs."""
    readings: dict[str, None] = {}
    value = without_references(value)
    for kept in ("", r"\1"):
        joined = _LINE_END_SIGN.sub(kept, value)
        spaced = " ".join(without_invisible(joined).split())
        for written in (_in_plain_digits(spaced), spaced):
            readings[written.replace(" ", "")] = readings[written] = None
    return tuple(readings)


def _in_plain_digits(value: str) -> str:
    if value.isascii():
        return value
    return "".join(str(unicodedata.decimal(letter)) if letter.isdecimal() else letter for letter in value)


def has_imo_check_digit(value: str) -> bool:
    """Whether a value is seven digits of which the last is right, as in an IMO ship number.

    The first six digits are multiplied by 7, 6, 5, 4, 3 and 2; the last digit of the sum is the seventh
    (IMO Ship Identification Number Scheme, resolution A.1117(30)). Seven zeros pass, and are no number of
    a ship. A letter that OCR takes for a digit (O for 0, l for 1) is read as that digit: the span is right
    although the letter is not.
    """
    digits = _seven_digits(value)
    return bool(digits) and _weighted(digits, _IMO_WEIGHTS) % 10 == digits[-1]


def has_imo_company_check_digit(value: str) -> bool:
    """Whether a value is seven digits of which the last is right, as in the IMO number of a company.

    The numbers of companies and registered owners look like those of ships and are checked otherwise: the
    first six digits are multiplied by 8, 6, 4, 2, 9 and 7, and the sum and the seventh digit together are
    a multiple of 11; a rest of 10 is written 0 (IMO Unique Company and Registered Owner Identification
    Number Scheme, resolution MSC.160(78)).
    """
    digits = _seven_digits(value)
    if not digits:
        return False
    rest = -_weighted(digits, _COMPANY_WEIGHTS) % _COMPANY_MODULUS
    return rest % 10 == digits[-1]


def _seven_digits(value: str) -> list[int]:
    digits = value.translate(_LOOKALIKE_DIGITS)
    return [int(digit) for digit in digits] if _IMO_NUMBER.fullmatch(digits) else []


def _weighted(digits: Sequence[int], weights: Sequence[int]) -> int:
    return sum(digit * weight for digit, weight in zip(digits, weights, strict=False))


_CHECKS: Final[Mapping[ValueCheck, Callable[[str], bool]]] = {
    ValueCheck.IMO_CHECK_DIGIT: has_imo_check_digit,
    ValueCheck.IMO_COMPANY_CHECK_DIGIT: has_imo_company_check_digit,
}


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
    letters = [character for character in own if character.isalnum()]
    runs = [unit * (_LONG_VALUE // len(unit)) for unit in (*own, *map("".join, pairwise(letters)))]
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
