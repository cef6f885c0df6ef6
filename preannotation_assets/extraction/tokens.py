"""How many llama-3 tokens a text costs, estimated from above without a tokenizer.

Llama 3 first cuts a text into words (with the one character before them), groups of up to three
digits, runs of punctuation and runs of white space, and then splits each of these into tokens of its
vocabulary. A word of common letter pairs is one token, a word the OCR garbled is many. So every code
point is given the expected number of tokens that begin with it, which depends on its class and on the
class of the code point before it: rare letter pairs, accents, capitals, digits and foreign scripts
cost more. The sum over a text is the estimate, and a running sum gives the estimate of every slice of
it. The costs were measured with the real vocabulary; docs/chunking.md says how and how well.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "MAX_CALIBRATION",
    "MIN_CALIBRATION",
    "SliceEstimates",
    "calibrated_tokens",
    "calibration_factor",
    "estimate_tokens",
]

# Of the factor: below, a page denser than those it was learned from would pass the limit by more than a
# quarter; above, it is no estimate of this model any more.
MIN_CALIBRATION: Final = 0.8
MAX_CALIBRATION: Final = 4.0
_CALIBRATION_PAIRS: Final = 20
_CALIBRATION_QUANTILE: Final = 0.95

# Lifts the mean cost of splitting words to an upper-side one.
_SAFETY: Final = 1.22

# Costs are whole numbers of this part of a token, so that sums do not depend on their order.
_UNITS: Final = 1024

# Letters with a row of their own; the last row stands for every other Latin letter with a diacritic.
_LETTERS: Final = "abcdefghijklmnopqrstuvwxyzéäöüß"
_OTHER_LETTER: Final = len(_LETTERS)
_LETTER_CLASSES: Final = _OTHER_LETTER + 1
_FIRST_DIACRITIC: Final = _LETTERS.index("é")

# Costs in 1/32 token, one base-36 digit each. Row: the letter before; column: the letter.
_PAIR_COSTS: Final = (
    "n657mb9bak4071k8l053b5j407umylch",
    "5hpn2nst11h3ho7pk20e5lmk0ldzkhlg",
    "3p3h0jn6as97dt0de5o02qem5oknpsl0",
    "3uc30nay0spead5nja7d698m9ifhddlf",
    "4ha05aekdke676ed9338fki05ghuizjs",
    "6lsn78kp4vgdin1rj0g7annfjt6y07l8",
    "9qn86nd06pbam85mk0le9vpf6keo5jlp",
    "2pro2hms2xgebe4lm6m7c8gh0kjaiwlg",
    "a908b9e7oq73200ba342r1q5jelztpmm",
    "5hnd0jnlbr0jcq347i5y7jroovzwjylh",
    "aopb7fj6bqfiomgrl9afllqu5pqn3rlo",
    "4of72khx5zf6gh674n9e7iso0qnlniln",
    "22p60rpz4xtqbq46k9gocuom6pjrngla",
    "8u473g697qhmfd5pf872aczkgk7duan9",
    "g559f35bctc64048r0a9271h9flnloig",
    "3i3r0on3amo0e906h0102iis9mhrtrl8",
    "opqunwwtlwyhprrngjoj0mrhvzollmlo",
    "8q8a4qdsazgfad6mae8bfrlj0efznclk",
    "9sbb0ko02ygcmt4cgpb17pkm9lksillf",
    "bygp5nu05zkc8o8np38aelgv1n8pu7le",
    "7a3c456a57g241jcq050udw0cffplksl",
    "avtx0llh8pggm96rq7qnfkoi8ognzyl5",
    "1jzk0jn00rggi40iq90pconl6qkfilsp",
    "7obodkwk9tqkjp95rpo0rmq1glvnlllj",
    "6lgw7szqdwijhhbvwqbiawnszlepu4lk",
    "cmjh7hmr7uldo48lnwqaarfc0onkqylj",
    "kqisbok7p6ogedvlta93illuywkllllt",
    "kpgiulaaycxnd9zzl5i7uzll8nl9llcz",
    "ovtxo93ntefhldmzl9hhlgvoa5llflda",
    "m8gyxsphrl7i07lql1bhoslo20lllor9",
    "motm5zszilt7qznrlvytzlullqllllpr",
    "szxmjzzinzjea0otzgluwoz01eusz7lb",
)
_COST_UNIT: Final = 1 / 32
# A pair of capitals costs about as much as this plus this share of the same pair in small letters.
_CAPITALS_BASE: Final = 0.3
_CAPITALS_SHARE: Final = 0.52
# Letters with a diacritic are rarely neighbours in a word of any language.
_DIACRITIC_PAIR: Final = 1.0
_OTHER_DIACRITIC_PAIR: Final = 1.9

# The first letter of a word; punctuation before it often belongs to the same token.
_WORD: Final = 1.0
_WORD_AFTER_BREAK: Final = 1.1
_WORD_AFTER_PUNCTUATION: Final = (0.6, 0.7)
_CAPITAL_AFTER_SMALL: Final = 1.2
_PUNCTUATION_PAIR: Final = 0.8
_BREAK_AFTER_PUNCTUATION: Final = 0.3

_SMALL: Final = 0
_CAPITAL: Final = _LETTER_CLASSES
_DIGIT: Final = 2 * _LETTER_CLASSES
_SPACE: Final = _DIGIT + 1
_BREAK: Final = _DIGIT + 2
_RETURN: Final = _DIGIT + 3
_PUNCTUATION: Final = _DIGIT + 4
_SCRIPTS: Final = _DIGIT + 5

# A space before a foreign letter is often a token of its own.
_SPACE_BEFORE_SCRIPT: Final = 0.3

# Class of code points outside ASCII, first match wins: (first, last, tokens a code point). Where
# nothing is measured, a code point costs as many tokens as it has UTF-8 bytes, which is the most
# there can be.
_SCRIPT_COSTS: Final = (
    (0x0000, 0x001F, 1.0),  # control characters
    (0x0386, 0x03CE, 1.05),  # Greek
    (0x0400, 0x045F, 1.05),  # Cyrillic of the living languages
    (0x0621, 0x064A, 1.0),  # Arabic letters
    (0x05D0, 0x05EA, 1.5),  # Hebrew letters
    (0x0900, 0x097F, 1.5),  # Devanagari
    (0x0E00, 0x0E7F, 1.3),  # Thai
    (0x1E00, 0x1EFF, 2.1),  # Latin of Vietnamese
    (0x1F00, 0x1FFF, 2.0),  # Greek with accents and breathings
    (0x2010, 0x205E, 1.8),  # dashes, quotation marks, bullets
    (0x2070, 0x21FF, 2.0),  # currencies, letter-like signs, arrows
    (0x2500, 0x25FF, 2.0),  # boxes, blocks, shapes
    (0x2700, 0x27BF, 2.0),  # dingbats
    (0x3001, 0x303F, 1.8),  # ideographic punctuation
    (0x3041, 0x30FF, 1.2),  # kana
    (0x4E00, 0x9FFF, 2.0),  # ideographs
    (0xAC00, 0xD7A3, 2.3),  # Hangul
    (0xFFFD, 0xFFFD, 1.0),  # what a decoder puts for what it cannot read
    (0x00A0, 0x00BF, 1.0),  # Latin-1 signs
    (0x0080, 0x07FF, 2.0),
    (0x0800, 0xFFFF, 3.0),
)
_ASTRAL_COST: Final = 4.0
_BMP: Final = 0x10000
_CLASSES: Final = _SCRIPTS + len(_SCRIPT_COSTS) + 1
_ASTRAL: Final = _CLASSES - 1

# A code point equal to the two before it: long runs are in the vocabulary as a whole.
_LONG_RUNS: Final = " \n\t.-_=*#/"
_RUN_UNITS: Final = _UNITS // 12
_OTHER_RUN_UNITS: Final = _UNITS // 2

# A letter with this many letters of one word before it: where the OCR lost the spaces, words begin
# unseen.
_LONG_WORD: Final = 16
_FUSED_UNITS: Final = _UNITS // 7


def _class_of_code_point() -> NDArray[np.uint16]:
    """Returns the class of every code point of the Basic Multilingual Plane and one above it."""
    classes = np.full(_BMP + 1, _PUNCTUATION, dtype=np.uint16)
    for index in reversed(range(len(_SCRIPT_COSTS))):
        first, last, _ = _SCRIPT_COSTS[index]
        classes[first : last + 1] = _SCRIPTS + index
    classes[_BMP] = _ASTRAL
    for code_point in range(0xC0, 0x180):
        character = chr(code_point)
        if character.isalpha():
            classes[code_point] = (_SMALL if character.islower() else _CAPITAL) + _OTHER_LETTER
    for index, letter in enumerate(_LETTERS):
        classes[ord(letter)] = _SMALL + index
        if len(letter.upper()) == 1:
            classes[ord(letter.upper())] = _CAPITAL + index
    for digit in "0123456789":
        classes[ord(digit)] = _DIGIT
    classes[ord(" ")] = _SPACE
    for character in "\n\t\v\f":
        classes[ord(character)] = _BREAK
    classes[ord("\r")] = _RETURN
    return classes


def _letter_costs() -> NDArray[np.float64]:
    """Returns the cost of a small letter after a small letter, ``[before, letter]``."""
    rows = [[int(digit, 36) * _COST_UNIT for digit in row] for row in _PAIR_COSTS]
    costs = np.array(rows, dtype=np.float64)
    diacritics = slice(_FIRST_DIACRITIC, _LETTER_CLASSES)
    costs[diacritics, diacritics] = np.maximum(costs[diacritics, diacritics], _DIACRITIC_PAIR)
    costs[_OTHER_LETTER, _OTHER_LETTER] = _OTHER_DIACRITIC_PAIR
    return costs


def _cost_of_pair() -> NDArray[np.int32]:
    """Returns the cost of a code point in 1/1024 token, ``[class before, class]`` flattened."""
    small = slice(_SMALL, _SMALL + _LETTER_CLASSES)
    capital = slice(_CAPITAL, _CAPITAL + _LETTER_CLASSES)
    costs = np.ones((_CLASSES, _CLASSES), dtype=np.float64)
    for case, after_punctuation in zip((small, capital), _WORD_AFTER_PUNCTUATION, strict=True):
        costs[:, case] = _WORD
        costs[_BREAK, case] = costs[_RETURN, case] = costs[_DIGIT, case] = _WORD_AFTER_BREAK
        costs[_PUNCTUATION, case] = after_punctuation
    pairs = _letter_costs()
    costs[small, small] = costs[capital, small] = _SAFETY * pairs
    costs[capital, capital] = _SAFETY * (_CAPITALS_BASE + _CAPITALS_SHARE * pairs)
    costs[small, capital] = _CAPITAL_AFTER_SMALL
    costs[_DIGIT, _DIGIT] = 1 / 3
    costs[:, _SPACE] = 0.0
    costs[_SPACE, _SPACE] = 1.0
    costs[_SPACE, _DIGIT] = 2.0
    costs[_RETURN, _BREAK] = 0.0
    costs[_PUNCTUATION, _PUNCTUATION] = _PUNCTUATION_PAIR
    costs[_PUNCTUATION, _BREAK] = _BREAK_AFTER_PUNCTUATION
    for index, (_, _, cost) in enumerate(_SCRIPT_COSTS):
        costs[:, _SCRIPTS + index] = cost
    costs[:, _ASTRAL] = _ASTRAL_COST
    costs[_SPACE, _SCRIPTS:] += _SPACE_BEFORE_SCRIPT
    return np.ceil(costs * _UNITS).astype(np.int32).ravel()


_CLASS_OF_CODE_POINT: Final = _class_of_code_point()
_COST_OF_PAIR: Final = _cost_of_pair()
_IN_LONG_RUNS: Final = np.isin(np.arange(128), [ord(character) for character in _LONG_RUNS])


@dataclass(frozen=True, slots=True)
class _Costs:
    """What every code point of a text costs, in 1/1024 token, so that sums are exact.

    ``classes`` are the classes of the code points, ``pairs`` the cost after the code point before it,
    ``runs`` the same with the discount of long runs, ``fused`` what letters of fused words cost more.
    """

    classes: NDArray[np.uint16]
    pairs: NDArray[np.int32]
    runs: NDArray[np.int32]
    fused: NDArray[np.int32]


def _costs(text: str) -> _Costs:
    points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    classes = _CLASS_OF_CODE_POINT.take(points, mode="clip")
    before = np.empty_like(classes)
    before[:1] = _BREAK
    before[1:] = classes[:-1]
    pairs = _COST_OF_PAIR[before * np.uint16(_CLASSES) + classes]
    return _Costs(classes, pairs, _discount_runs(points, classes, pairs), _charge_fused(classes))


def _charge_fused(classes: NDArray[np.uint16]) -> NDArray[np.int32]:
    """Returns the surcharge of letters that follow a whole long word of letters."""
    letters = np.zeros(len(classes) + 1, dtype=np.int32)
    np.cumsum(classes < _DIGIT, out=letters[1:])
    charges = np.zeros(len(classes), dtype=np.int32)
    in_one_word = letters[_LONG_WORD + 1 :] - letters[: -_LONG_WORD - 1] == _LONG_WORD + 1
    charges[_LONG_WORD:] = in_one_word * _FUSED_UNITS
    return charges


def _discount_runs(
    points: NDArray[np.uint32], classes: NDArray[np.uint16], pairs: NDArray[np.int32]
) -> NDArray[np.int32]:
    """Returns the costs, lower for the third and later of equal signs in a row."""
    same = points[1:] == points[:-1]
    third = np.flatnonzero(same[1:] & same[:-1]) + 2
    third = third[
        (points[third] < len(_IN_LONG_RUNS)) & (classes[third] > _DIGIT) & (classes[third] != _RETURN)
    ]
    discounted = pairs.copy()
    discounted[third] = np.where(_IN_LONG_RUNS[points[third]], _RUN_UNITS, _OTHER_RUN_UNITS)
    return discounted


def estimate_tokens(text: str) -> int:
    """Estimates from above how many llama-3 tokens a text is.

    Args:
        text: Any string, lone surrogates included.

    Returns:
        Tokens, 0 for the empty string, without the tokens that open and close a prompt.
    """
    costs = _costs(text)
    return _tokens(int(costs.runs.sum(dtype=np.int64) + costs.fused.sum(dtype=np.int64)))


def _tokens(units: int) -> int:
    """Rounds units up to tokens."""
    return -(-units // _UNITS)


def _running_sum(units: NDArray[np.int32]) -> NDArray[np.int64]:
    """Returns the sums of the first 0, 1, 2 ... entries."""
    running = np.zeros(len(units) + 1, dtype=np.int64)
    np.cumsum(units, out=running[1:])
    return running


class SliceEstimates:
    """The estimates of all slices of one text, each in constant time."""

    __slots__ = ("_first", "_fused", "_running", "_second")

    def __init__(self, text: str) -> None:
        """Measures a text once, in linear time.

        Args:
            text: Any string.
        """
        costs = _costs(text)
        self._running = _running_sum(costs.runs + costs.fused)
        self._fused = _running_sum(costs.fused)
        # What the first two code points of a slice cost more for want of the ones before them: the
        # first has lost its pair, and a run begins anew.
        self._first = _COST_OF_PAIR[_BREAK * _CLASSES + costs.classes] - costs.runs
        self._second = np.zeros(len(text), dtype=np.int32)
        self._second[:-1] = (costs.pairs - costs.runs)[1:]

    def estimate(self, start: int, end: int) -> int:
        """Returns ``estimate_tokens(text[start:end])``.

        Args:
            start: Offset of the first code point.
            end: Offset behind the last code point, not before ``start``.

        Returns:
            Tokens.
        """
        if start == end:
            return 0
        # No letter is fused to a word that began before the slice.
        fused = self._fused[min(end, start + _LONG_WORD)] - self._fused[start]
        units = self._running[end] - self._running[start] + self._first[start] - fused
        if end - start > 1:
            units += self._second[start]
        return _tokens(int(units))

    def furthest_end(self, start: int, tokens: int) -> int:
        """Returns the largest ``end`` for which ``text[start:end]`` is estimated within ``tokens``.

        Args:
            start: Offset of the first code point, below the length of the text.
            tokens: Limit, at least 0.

        Returns:
            An offset; ``start`` itself if not one code point fits.
        """
        fused = self._fused[min(len(self._fused) - 1, start + _LONG_WORD)] - self._fused[start]
        extra = self._first[start] + self._second[start] - fused
        rest = tokens * _UNITS + int(self._running[start] - extra)
        end = max(start + 1, int(np.searchsorted(self._running, rest, side="right")) - 1)
        while end > start and self.estimate(start, end) > tokens:
            end -= 1
        return end

    def latest_start(self, end: int, tokens: int) -> int:
        """Returns the largest ``start`` for which ``text[start:end]`` weighs at least ``tokens``.

        The first code point counts as it does within the whole text.

        Args:
            end: Offset behind the last code point.
            tokens: Wanted size, at least 0.

        Returns:
            An offset; 0 if the text before ``end`` is smaller.
        """
        rest = int(self._running[end]) - tokens * _UNITS
        return max(0, int(np.searchsorted(self._running[: end + 1], rest, side="right")) - 1)


def calibrated_tokens(estimate: int, factor: float) -> int:
    """Corrects an estimate by a factor learned from the server, rounding up.

    Args:
        estimate: Tokens, from :func:`estimate_tokens`.
        factor: From :func:`calibration_factor`.

    Returns:
        Tokens.
    """
    return math.ceil(estimate * factor)


def calibration_factor(pairs: Iterable[tuple[int, int]]) -> float | None:
    """Learns how far the estimate is off for this model and these pages.

    Args:
        pairs: Estimated and reported prompt tokens of answered requests; the estimate must be the
            uncorrected one and cover the same text as the report. Pairs without tokens are left out.

    Returns:
        The 95 % quantile of reported / estimated between ``MIN_CALIBRATION`` and ``MAX_CALIBRATION``,
        or None with fewer than 20 pairs.
    """
    ratios = sorted(reported / estimated for estimated, reported in pairs if estimated > 0 and reported > 0)
    if len(ratios) < _CALIBRATION_PAIRS:
        return None
    quantile = ratios[math.ceil(_CALIBRATION_QUANTILE * len(ratios)) - 1]
    return min(max(quantile, MIN_CALIBRATION), MAX_CALIBRATION)
